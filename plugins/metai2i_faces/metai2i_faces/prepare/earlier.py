"""People that were prepared before markers told their source: finding it by what their first photograph shows.

The earlier ids depended on the order of names, so that an id may be any of several sources'.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from metai2i import UserError
from metai2i_faces.prepare.content import content_of
from metai2i_faces.prepare.crop import Square, cut_out
from metai2i_faces.prepare.cut import Warp
from metai2i_faces.prepare.decode import read_frames
from metai2i_faces.prepare.ledger import Ledger, Marker, source_note
from metai2i_faces.prepare.sources import Source

ALIKE = 6.0
"""A frame and a photograph kept of it differ by fewer levels, on average."""


def adopt(sources: Sequence[Source], ledger: Ledger) -> None:
    """Note the sources of people that an earlier version prepared; those for which there is none are lost."""
    free = [source for source in sources if source.place not in _places(ledger)]
    for id, marker in list(ledger.markers.items()):
        if "source" not in marker:
            source = next((each for each in free if id in earlier_ids(each) and _shows(each, marker, ledger.out)), None)
            if source is None:
                ledger.lost[id] = ledger.markers.pop(id)
            else:
                free.remove(source)
                ledger.write(id, {**marker, "source": source_note(source, content_of(source))})


def earlier_ids(source: Source) -> set[str]:
    """Return all ids that a source may have had."""
    return {id for name in _earlier_names(source) for id in _earlier_slugs(name)}


def _places(ledger: Ledger) -> set[str]:
    return {marker["source"]["place"] for marker in ledger.markers.values() if "source" in marker}


def _earlier_names(source: Source) -> Iterator[str]:
    """Yield its name without suffix, or its place from some folder on, each perhaps after its split."""
    parts = Path(source.place).parts
    stem = parts[-1] if source.kind == "images" else Path(parts[-1]).stem
    for name in (stem, *("-".join(parts[start:]) for start in range(len(parts)))):
        yield name
        yield f"{source.split}-{name}"


def _earlier_slugs(name: str) -> Iterator[str]:
    short = re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-.") or "x"
    yield short
    with suppress(UnicodeEncodeError):  # names that are no UTF-8 never got that far
        yield f"{short[:100]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _shows(source: Source, marker: Marker, out: Path) -> bool:
    """Return whether the first photograph of a person is cut out of this source."""
    for clip in marker["clips"]:
        folder = out / clip["name"]
        with suppress(UserError, OSError, KeyError, ValueError, IndexError, TypeError):
            with np.load(folder / "landmarks.npz") as kept:
                name, square = str(kept["names"][0]), Square(*map(float, kept["crop_left_top_side"][0]))
            with Image.open(folder / f"{name}.jpg", formats=["JPEG"]) as image:
                photo = np.asarray(image.convert("RGB"), np.float64)
            warp = Warp(bool(clip["flip"]), float(clip["degrees"]), float(clip["scale"]))
            for _, frame in read_frames(source, [int(name)]):
                return float(np.abs(cut_out(frame, square, warp, len(photo)) - photo).mean()) < ALIKE
    return False
