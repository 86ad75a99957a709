"""The compact pack: NAME.jpg beside NAME.png of common ids; CamVid with its clips, Cityscapes in splits."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from metai2i import UserError
from metai2i_street.clips import Clip, is_frame
from metai2i_street.layouts.base import JPEG, PNG, Layout, pair_up, pictures
from metai2i_street.readers import IdReader, Reader
from metai2i_street.records import Listing, Part
from metai2i_street.tables import Tables


class CompactCamVid(Layout):
    """`SEQ_FRAME.jpg`, `SEQ_FRAME.png` and, if there is one, `clips.json` in one folder."""

    name = "compact pack"
    dataset = "camvid"

    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Frames beside their maps."""
        frames = {name for name in pictures(folder, JPEG, strict=False) if is_frame(name)}
        maps = any(name in frames for name in pictures(folder, PNG, strict=False))
        return {"SEQ_FRAME.jpg": bool(frames), "SEQ_FRAME.png beside it": maps}

    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """All frames."""
        return pair_up(None, pictures(folder, JPEG), pictures(folder, PNG), folder)

    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Common ids."""
        return IdReader(tables.ids("compact_ids"), tables.colours("cityscapes_colours"))

    def clips(self, folder: Path) -> Sequence[Clip] | None:
        """Those of `clips.json`."""
        path = folder / "clips.json"
        if not path.is_file():
            return None
        try:
            clips = _json(path)["clips"]
            return [Clip(str(one["id"]), str(one["sequence"]), tuple(map(str, one["frames"]))) for one in clips]
        except (KeyError, TypeError) as error:
            raise UserError(
                f"expected `clips`, each with `id`, `sequence` and `frames` ({error!r})", where=path
            ) from None


class CompactCityscapes(Layout):
    """`{train,val}/NAME.jpg` beside `NAME.png`; `splits.json` may list them."""

    name = "compact pack"
    dataset = "cityscapes"

    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Photographs beside their maps."""
        photos = {part: pictures(folder / part, JPEG, strict=False) for part in ("train", "val")}
        maps = any(name in photos[part] for part in photos for name in pictures(folder / part, PNG, strict=False))
        return {"{train,val}/NAME.jpg": any(photos.values()), "NAME.png beside it": maps}

    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """Those of the wanted splits."""
        lists = _json(folder / "splits.json") if (folder / "splits.json").is_file() else {}
        return Listing.join(
            pair_up(
                part,
                pictures(folder / part, JPEG),
                pictures(folder / part, PNG),
                folder / part,
                listed=[folder / part / f"{name}.jpg" for name in lists[part]] if part in lists else None,
            )
            for part in ("train", "val")
            if part in parts
        )

    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Common ids."""
        return IdReader(tables.ids("compact_ids"), tables.colours("cityscapes_colours"))


def _json(path: Path) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read as JSON: {error}", where=path) from None
    if not isinstance(content, dict):
        raise UserError(f"expected an object, got a {type(content).__name__}", where=path)
    return content
