"""The compact pack: NAME.jpg beside NAME.png of common ids; CamVid with its clips, Cityscapes in splits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from metai2i import UserError, read_json
from metai2i.data import by_stem
from metai2i_street.clips import Clip, is_frame
from metai2i_street.layouts.base import JPEG, PNG, Layout, pair_up
from metai2i_street.readers import IdReader, Reader
from metai2i_street.records import Listing, Part
from metai2i_street.tables import Tables


class CompactCamVid(Layout):
    """`SEQ_FRAME.jpg`, `SEQ_FRAME.png` and, if there is one, `clips.json` in one folder."""

    name = "compact pack"
    dataset = "camvid"

    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Return frames beside their maps."""
        frames = {name for name in by_stem(folder, JPEG) if is_frame(name)}
        maps = any(name in frames for name in by_stem(folder, PNG))
        return {"SEQ_FRAME.jpg": bool(frames), "SEQ_FRAME.png beside it": maps}

    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """Return all frames."""
        return pair_up(None, by_stem(folder, JPEG), by_stem(folder, PNG), folder)

    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Return the reader of common ids."""
        return IdReader(tables.ids("compact_ids"), tables.colours("cityscapes_colours"))

    def clips(self, folder: Path) -> Sequence[Clip] | None:
        """Return those of `clips.json`."""
        path = folder / "clips.json"
        if not path.is_file():
            return None
        try:
            clips = _json(path)["clips"]
            return [Clip(str(entry["id"]), str(entry["sequence"]), tuple(map(str, entry["frames"]))) for entry in clips]
        except KeyError as error:
            raise UserError(
                f"expected `clips`, each with `id`, `sequence` and `frames`; there is no {error}", where=path
            ) from None
        except TypeError:
            raise UserError("expected a list of `clips`, each with `id`, `sequence` and `frames`", where=path) from None


class CompactCityscapes(Layout):
    """`{train,val}/NAME.jpg` beside `NAME.png`; `splits.json` may list them."""

    name = "compact pack"
    dataset = "cityscapes"

    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Return photographs beside their maps."""
        photos = {part: by_stem(folder / part, JPEG) for part in ("train", "val")}
        maps = any(name in photos[part] for part in photos for name in by_stem(folder / part, PNG))
        return {"{train,val}/NAME.jpg": any(photos.values()), "NAME.png beside it": maps}

    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """Return those of the wanted splits."""
        lists = _lists(folder / "splits.json") if (folder / "splits.json").is_file() else {}
        return Listing.join(
            pair_up(
                part,
                by_stem(folder / part, JPEG),
                by_stem(folder / part, PNG),
                folder / part,
                listed=[folder / part / f"{name}.jpg" for name in lists[part]] if part in lists else None,
            )
            for part in ("train", "val")
            if part in parts
        )

    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Return the reader of common ids."""
        return IdReader(tables.ids("compact_ids"), tables.colours("cityscapes_colours"))


def _lists(path: Path) -> dict[str, list[str]]:
    """Return the names in a list of splits; what else the file has means nothing."""
    content = _json(path)
    lists = {part: content[part] for part in ("train", "val") if part in content}
    for part, names in lists.items():
        if not isinstance(names, list):
            raise UserError(f"expected a list of names under {part!r}", where=path)
        seen = set()
        for name in names:
            if not isinstance(name, str) or Path(name).name != name:
                raise UserError(f"{part!r} lists {name!r}, expected the name of a pair in {part}/", where=path)
            if name in seen:
                raise UserError(f"{part!r} lists {name!r} twice", where=path)
            seen.add(name)
    return lists


def _json(path: Path) -> Any:
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"expected an object, got a {type(content).__name__}", where=path)
    return content
