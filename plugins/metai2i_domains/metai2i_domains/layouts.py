"""Where the images of domains lie: which folders are domains, and of which part.

A root has a folder for each part, with a folder for each domain in it: `train/cat/*.jpg`, `val/cat/*.jpg` (AFHQ,
CelebA-HQ as StarGAN v2 has it, any ImageFolder, GP-UNIT's `Train/151_Chihuahua`). The folders `trainA` and `trainB` are
two domains of the part `train`. Without parts, the folders in the root are domains. Folders of masks (`NAME_mask`) and
what systems leave behind are none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from metai2i import NEW_DOMAIN, UserError, counted, did_you_mean
from metai2i.data import check_name, entries, expanded, is_broken_link, subfolders

Part = Literal["train", "val", "test", "whole"]
"""`whole` is of no part: what tests is chosen by content."""
Parts = Mapping[Part, tuple[Path, ...]]
"""The images of a domain, part by part."""

ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".heic", ".heif", ".bmp", ".tif", ".tiff", ".ppm",
    ".pgm", ".pbm", ".gif", ".jp2", ".jxl",
)  # fmt: skip
"""How files of images are called; what is in them decides whether they can be read, and others are refused."""
_PARTS: Mapping[str, Part] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_SIDE = re.compile(r"(train|val|test)([A-Z])")
"""A part and a side in one name, as CycleGAN's data sets have them."""
_NUMBERED = re.compile(r"(\d+)([ _.-].*)?")
_LOOKED_FOR = "looked for train/DOMAIN/, val/DOMAIN/ or test/DOMAIN/, for trainA/ and trainB/, and for DOMAIN/"


@dataclass(frozen=True)
class Tree:
    """The domains of a root.

    Args:
        root: the folder.
        domains: the images of each domain by its name, in the order of their numbers.
    """

    root: Path
    domains: Mapping[str, Parts]

    def check_names(self, option: str, names: Iterable[str]) -> None:
        """Refuse names that no domain has.

        Args:
            option: that they stand in.
            names: of domains.

        Raises:
            UserError: with the nearest name.
        """
        for name in names:
            if name not in self.domains:
                what = f"tasks.{option}: there is no domain {name!r}"
                raise UserError(what, where=self.root, hint=did_you_mean(name, self.domains))


def images_in(folder: Path) -> list[Path]:
    """Return the images in a folder and the folders in it, by their paths; none of one that is not there.

    Raises:
        UserError: for a link that leads nowhere, or back to a folder that it lies in.
    """
    return _images_in(folder, ()) if folder.is_dir() else []


def _images_in(folder: Path, above: tuple[tuple[int, int], ...]) -> list[Path]:
    state = folder.stat()
    here = state.st_dev, state.st_ino
    if here in above:
        raise UserError("this link leads back to a folder that it lies in", where=folder, hint="take it out")
    files: list[Path] = []
    for path in entries(folder):
        if path.is_dir():
            files += _images_in(path, (*above, here))
        elif path.suffix.lower() in ENDINGS:
            check_name(path)
            files.append(path)
        else:
            refuse_broken(path)
    return files


def refuse_broken(path: Path) -> None:
    """Refuse a link that leads nowhere: what it led to is missed.

    Raises:
        UserError: naming it.
    """
    if is_broken_link(path):
        raise UserError("this link leads nowhere", where=path)


def find_tree(
    root: Path, grouped: Mapping[str, Sequence[str]] = {}, images_of: Callable[[Path], Sequence[Path]] = images_in
) -> Tree:
    """Return the domains of a root.

    Args:
        root: the folder to look in, or one that has a single such folder.
        grouped: domains that are made of several folders, by their names: of folders of the root's parts, or of
            other places, which are of no part. Given any, there are no other domains.
        images_of: gives the images in a folder.

    Raises:
        UserError: when there are none, two have one name, or a folder is not there or has no images.
    """
    root = _with_parts(expanded(root))
    folders = _grouped(root, grouped) if grouped else _folders(root)
    if not folders:
        raise UserError("there are no folders of images here", where=root, hint=_LOOKED_FOR)
    if NEW_DOMAIN in folders:
        what = f"no domain can be called {NEW_DOMAIN!r}: one is called so that training has not seen"
        raise UserError(what, where=root, hint="rename its folder")
    refuse_one_name(folders, root)
    _refuse_one_folder(folders, root)
    images = {
        name: {part: tuple(path for place in places for path in images_of(place)) for part, places in parts.items()}
        for name, parts in folders.items()
    }
    for name, parts in images.items():
        for part, files in parts.items():
            if not files:
                what = f"the domain {name!r} has no images here; expected .jpg, .png, .webp and such"
                raise UserError(what, where=folders[name][part][0])
    return Tree(root, {name: images[name] for name in in_order(images)})


def in_order(names: Iterable[str]) -> list[str]:
    """Return names as they are numbered: by the numbers that all begin with, else by their letters.

    >>> in_order(["10_jay", "2_ray"]), in_order(["dog", "cat"])
    (['2_ray', '10_jay'], ['cat', 'dog'])
    """
    numbers = {name: _NUMBERED.fullmatch(name) for name in names}
    if all(numbers.values()):
        return sorted(numbers, key=lambda name: (int(numbers[name][1]), name))  # type: ignore[index]
    return sorted(numbers)


def refuse_one_name(names: Iterable[str], where: Path) -> None:
    """Refuse domains that differ in capitals or the spelling of accents only.

    Raises:
        UserError: naming the two.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            what = f"the domains {other!r} and {name!r} have one name, but for capitals or the spelling of accents"
            raise UserError(what, where=where, hint="rename one of the two, or put their images together")


def _with_parts(root: Path) -> Path:
    """Return the root, or the single folder in it that has parts."""
    if not root.is_dir():
        what = "this is a file" if root.exists() else "no such folder"
        raise UserError(f"{what}, expected one with a folder of images for each domain", where=root)
    if _parts_in(root):
        return root
    inside = [folder for folder in subfolders(root) if folder.is_dir() and _parts_in(folder)]
    if len(inside) > 1:
        names = ", ".join(folder.name for folder in inside)
        raise UserError(f"several folders here have domains ({names})", where=root, hint="tasks.root names one of them")
    return inside[0] if inside else root


def _parts_in(root: Path) -> dict[Path, Part]:
    """Return the folders of parts with what part each is; none where parts and sides are in one name."""
    parts = {path: _PARTS[path.name.casefold()] for path in subfolders(root) if path.name.casefold() in _PARTS}
    for path in parts:
        refuse_broken(path)
    return parts


def _folders(root: Path) -> dict[str, dict[Part, list[Path]]]:
    """Return the folders of each domain by their parts."""
    parts = _parts_in(root)
    folders: dict[str, dict[Part, list[Path]]] = {}
    if parts:
        for folder, part in parts.items():
            for domain in _domains_in(folder):
                folders.setdefault(domain.name, {}).setdefault(part, []).append(domain)
        _refuse_loose(parts)
        return folders
    domains = _domains_in(root)
    if domains:
        _refuse_loose([root])
    sides = {path: match for path in domains if (match := _SIDE.fullmatch(path.name))}
    if sides:
        for path, match in sides.items():
            folders.setdefault(match[2], {}).setdefault(_PARTS[match[1]], []).append(path)
        return folders
    return {domain.name: {"whole": [domain]} for domain in domains}


def _domains_in(folder: Path) -> list[Path]:
    """Return the folders of domains in a folder; `NAME_mask` beside `NAME` has its masks."""
    every = subfolders(folder)
    names = {path.name for path in every}
    domains = [path for path in every if path.name.removesuffix("_mask") not in names - {path.name}]
    for path in domains:
        check_name(path)
        refuse_broken(path)
    return domains


def _refuse_loose(places: Iterable[Path]) -> None:
    """Refuse places of domains in which images lie that no folder makes a domain's: they would not be read."""
    for place in places:
        loose = [path for path in entries(place) if path.suffix.lower() in ENDINGS and path.is_file()]
        if loose:
            what = f"{counted(len(loose), 'image')} of no domain, {loose[0].name} first"
            raise UserError(
                what, where=place, hint="expected a folder for each domain: put them into one, or elsewhere"
            )


def _grouped(root: Path, grouped: Mapping[str, Sequence[str]]) -> dict[str, dict[Part, list[Path]]]:
    """Return the folders of domains that are made of several."""
    parts = _parts_in(root)
    folders: dict[str, dict[Part, list[Path]]] = {}
    for domain, names in grouped.items():
        if not names:
            raise UserError(f"tasks.folders.{domain} is empty, expected a list of folders")
        for name in names:
            elsewhere = root / expanded(name)
            apart = expanded(name).is_absolute()
            within = [(part, folder / name) for folder, part in parts.items() if not apart and (folder / name).is_dir()]
            if not within and not elsewhere.is_dir():
                known = {path.name for folder in parts or {root: "whole"} for path in subfolders(folder)}
                what = f"tasks.folders.{domain}: there is no folder {name!r}"
                raise UserError(what, where=root, hint=did_you_mean(name, known))
            for part, path in within or [("whole", elsewhere)]:
                folders.setdefault(domain, {}).setdefault(part, []).append(path)
        if "whole" in folders[domain] and len(folders[domain]) > 1:
            what = f"tasks.folders.{domain} mixes folders of parts ({', '.join(sorted(folders[domain]))}) and others"
            raise UserError(what, where=root, hint="give folders of parts, or others")
    return folders


def _refuse_one_folder(folders: Mapping[str, Mapping[Part, Sequence[Path]]], root: Path) -> None:
    """Refuse a folder that is of two domains or parts, by a link say, or is given twice.

    Raises:
        UserError: naming them.
    """
    places: dict[tuple[int, int], str] = {}
    for domain, parts in folders.items():
        for part, paths in parts.items():
            for path in paths:
                state = path.stat()
                name = f"{domain!r} ({part})"
                other = places.setdefault((state.st_dev, state.st_ino), f"{name} {path}")
                if other != f"{name} {path}" or paths.count(path) > 1:
                    what = (
                        f"the domain {name} has the folder {path.resolve()}, which {other.rpartition(' ')[0]} has too"
                    )
                    raise UserError(what, where=root, hint="take it out of one of the two")
