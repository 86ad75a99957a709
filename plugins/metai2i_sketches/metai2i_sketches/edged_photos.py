"""Photographs with their edges, for EdgeGAN to adapt to: the work behind `metai2i data edges`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from metai2i_domains import images_in

from metai2i import UserError, counted, new_folder, write_text
from metai2i.data import MemoryCache, as_one_error, check_drawing, failing
from metai2i_sketches.composing import write_image
from metai2i_sketches.objects import ObjectFiles, Objects

CACHE_MB = 256


def write_edged(photos: Path, out: Path, label: str, size: tuple[int, int]) -> str:
    """Write photographs, their edges and their class as `metai2i adapt --support` reads them; return what to say of it.

    Args:
        photos: a folder of photographs, or one of them.
        out: a folder that is empty or not there, as all that lies in it is of the class; it gets `target/NAME.png`,
            `structure/NAME.png` and `domain.txt`.
        label: the class of all of them.
        size: (height, width) that they are brought to, before edges are made as in training.

    Raises:
        UserError: before anything is written, for photographs that cannot be read or have no edges, for a label that
            the text could not say, and for a folder with something in it.
    """
    if not label.strip() or "," in label or len(label.splitlines()) > 1:
        raise UserError(f"--class: got {label!r}, expected a name of one line without commas")
    with new_folder(out) as draft:
        count = _write(photos, draft, label.strip(), size)
    height, width = size
    return f"{counted(count, 'photograph')} with edges at {height}x{width} in {out}, of the class {label!r}"


def _write(photos: Path, folder: Path, label: str, size: tuple[int, int]) -> int:
    """Write photographs, edges and class into a folder; return how many photographs there are."""
    files = _by_name(photos)
    images = Objects(size, MemoryCache(CACHE_MB), inverted=False)
    read: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def draw(name: str) -> None:
        pair = ObjectFiles(files[name])
        edges = images.edges(pair)
        check_drawing(edges, files[name], "put what the photograph shows on white, or leave it out")
        read[name] = images.photo(pair), edges

    bad = failing(sorted(files), draw)
    if bad:
        raise as_one_error(list(bad.values()), "nothing was written")
    for name, (photo, edges) in read.items():
        write_image(folder / "target" / f"{name}.png", photo)
        write_image(folder / "structure" / f"{name}.png", edges)
    write_text(folder / "domain.txt", f"{label}\n")
    return len(read)


def _by_name(place: Path) -> Mapping[str, Path]:
    """Return the photographs of a folder, or the one that is named, by their names without ending."""
    if not place.exists():
        raise UserError("there is no such file or folder, expected photographs", where=place)
    paths: dict[str, Path] = {}
    for path in images_in(place) if place.is_dir() else [place]:
        if path.stem in paths:
            what = f"this has the name of {paths[path.stem]}, and both would be written as {path.stem}.png"
            raise UserError(what, where=path, hint="rename one of them")
        paths[path.stem] = path
    if not paths:
        raise UserError("there are no photographs in this folder", where=place)
    return paths
