"""Finding the videos, and folders of images, of which each shows one person; and which split each belongs to.

The layouts, in the order in which they are looked for:

- FaceForensics: `train/original/*.avi`, and the same in `val/` and `test/`;
- FaceForensics++: `original_sequences/youtube/COMPRESSION/videos/*.mp4`, with the published `train.json`, `val.json`
  and `test.json` beside it or in `splits/`; without these like any other folder;
- `train/`, `val/` and `test/` with videos or folders of images;
- any folder with videos or folders of images, which are split by a hash of their names.

A source is named by its place, without the suffix of a video. What is reached by several paths is one source.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from metai2i import SPLITS, Split, UserError, UserErrors, check_folder, read_json, reason
from metai2i.data import check_name, entries
from metai2i_faces.prepare.names import person_id

VIDEOS = (".avi", ".mp4", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif")
COMPRESSIONS = ("raw", "c0", "c23", "c40")
"""Of FaceForensics++, best first: the same videos are there in each, and only one is taken."""
LISTING = "preparation.json"
"""In every folder of prepared people, which are nobody's source."""
SHOWN = 5
"""Clashes of names that are told one by one."""


@dataclass(frozen=True)
class Source:
    """What one person is made of.

    Args:
        id: unique, and safe as the name of a file.
        path: a video, or a folder of images.
        split: where the person goes.
        place: where it lies in the folder of all sources, as a relative path.
        decided: whether a folder or a published list says the split, rather than a hash of the name.
    """

    id: str
    path: Path
    split: Split
    place: str = ""
    decided: bool = False

    @property
    def kind(self) -> Literal["video", "images"]:
        """Return what `path` is."""
        return "images" if self.path.is_dir() else "video"


@dataclass(frozen=True)
class Fractions:
    """How what has no split is split, by a hash of its name.

    Args:
        val: the share that validates.
        test: the share that tests.

    Raises:
        UserError: when they leave nothing to train on.
    """

    val: float
    test: float

    def __post_init__(self) -> None:
        if self.val < 0 or self.test < 0 or self.val + self.test >= 1:
            raise UserError(
                f"--val-fraction {self.val:g} and --test-fraction {self.test:g} must not be negative, and less than 1 "
                "together"
            )

    def split(self, name: str) -> Split:
        """Return the split of a name, the same whatever others there are and however its accents are written."""
        exact = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
        place = int.from_bytes(hashlib.sha256(exact).digest()[:8], "big") / 2**64
        if place < self.test:
            return "test"
        return "val" if place < self.test + self.val else "train"


@dataclass(frozen=True)
class Search:
    """What is in a folder.

    Args:
        sources: by split and name.
        passed: what was passed over, and why.
    """

    sources: list[Source]
    passed: list[str] = field(default_factory=list)


def find_sources(root: Path, fractions: Fractions) -> list[Source]:
    """Return all sources under a folder, by split and name; see `search`."""
    return search(root, fractions).sources


def search(root: Path, fractions: Fractions) -> Search:
    """Return all sources under a folder, and what was passed over.

    Raises:
        UserError: when the folder is missing, there are no sources in it, or two of them have one name.
    """
    check_folder(root, "expected one with videos or folders of images")
    walk = _Walk(root)
    sources = _in_splits(root, walk)
    youtube = root / "original_sequences" / "youtube"
    if not sources and youtube.is_dir():
        walk = _Walk(root)
        sources = _split(_best(youtube), walk, fractions, _published(root))
    if not sources:
        walk = _Walk(root)
        sources = _split(root, walk, fractions, {})
    if not sources:
        raise UserError(
            f"no video ({', '.join(VIDEOS)}) and no folder of images here",
            where=root,
            hint="; ".join(walk.passed[:SHOWN])
            or "looked for {train,val,test}/original/*.avi, original_sequences/youtube/*/videos/*.mp4 and, at any "
            "depth, videos and folders of images",
        )
    _check_names(root, sources)
    ordered = sorted(sources, key=lambda source: (SPLITS.index(source.split), _natural(source.id)))
    return Search(ordered, walk.passed)


def images_in(folder: Path) -> list[Path]:
    """Return the images of a folder, 2.jpg before 10.jpg; see `look_into`."""
    return look_into(folder)[0]


def look_into(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the images of a folder, 2.jpg before 10.jpg, each real file once; and what was passed over.

    Raises:
        UserError: when it cannot be read.
    """
    images, passed, seen = [], [], _Seen()
    named = [path for path in _entries(folder) if path.suffix.lower() in IMAGES and not path.is_dir()]
    for path in sorted(named, key=lambda path: (path.is_symlink(), _natural(path.name))):
        problem = seen.problem(path)
        if problem:
            passed.append(problem)
        else:
            images.append(path)
    return sorted(images, key=lambda path: _natural(path.name)), passed


def check_images(folder: Path) -> None:
    """Refuse a folder in which two images have one name, of which the second may be anything, a label map say.

    Raises:
        UserError: naming both.
    """
    seen: dict[str, Path] = {}
    for path in images_in(folder):
        stem = unicodedata.normalize("NFC", path.stem).casefold()
        if stem in seen:
            raise UserError(
                f"{seen[stem].name} and {path.name} have one name, so it cannot be told which is the photograph",
                where=folder,
                hint="move one of them away, or rename it",
            )
        seen[stem] = path


class _Seen:
    """Remembers real files and folders, whatever paths lead to them."""

    def __init__(self) -> None:
        self._paths: dict[tuple[int, int], Path] = {}

    def problem(self, path: Path) -> str | None:
        """Return why a path is passed over: it leads nowhere, to what was seen before, or its name is no UTF-8."""
        try:
            check_name(path)
            state = path.stat()
        except UserError as error:
            return str(error)
        except OSError as error:
            return f"{path}: {'this link leads nowhere' if path.is_symlink() else reason(error)}"
        if not (path.is_file() or path.is_dir()):
            return f"{path}: is no file"
        known = self._paths.setdefault((state.st_dev, state.st_ino), path)
        return None if known is path else f"{path}: is {known} by another name"


class _Walk:
    """Finds videos and folders of images, each real file and folder once, links last."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.passed: list[str] = []
        self._seen = _Seen()
        self._links: list[tuple[Path, Path]] = []

    def __call__(self, *folders: Path) -> list[tuple[Path, Path]]:
        """Return all videos, and all folders that hold images themselves, at any depth, each with the folder it is
        of.
        """
        paths = []
        for folder in folders:
            self._seen.problem(folder)
            paths += [(folder, path) for path in self._inside(folder, folder)]
        while self._links:
            folder, path = self._links.pop(0)
            paths += [(folder, path) for path in self._at(folder, path)]
        return paths

    def _inside(self, top: Path, folder: Path) -> Iterator[Path]:
        try:
            inside = _entries(folder)
        except UserError as error:
            self.passed.append(str(error))
            return
        for path in inside:
            if path.is_symlink():
                self._links.append((top, path))
            else:
                yield from self._at(top, path)
        loose = sum(path.suffix.lower() in IMAGES for path in inside) if folder == top else 0
        if loose:
            self.passed.append(f"{folder}: {loose} images that lie in no person's folder")

    def _at(self, top: Path, path: Path) -> Iterator[Path]:
        if path.is_dir():
            if not (path / LISTING).exists() and self._is_new(path):
                if self._has_images(path):
                    yield path
                yield from self._inside(top, path)
        elif path.suffix.lower() in VIDEOS and self._is_new(path):
            yield path

    def _has_images(self, folder: Path) -> bool:
        try:
            return bool(images_in(folder))
        except UserError:  # told when its inside is looked at
            return False

    def _is_new(self, path: Path) -> bool:
        problem = self._seen.problem(path)
        self.passed += [problem] if problem else []
        return problem is None


def _in_splits(root: Path, walk: _Walk) -> list[Source]:
    """Return the sources of `train/`, `val/` and `test/`; of FaceForensics the originals alone."""
    splits: dict[Path, Split] = {}
    for split in SPLITS:
        folder = root / split
        if folder.is_dir():
            splits[folder / "original" if (folder / "original").is_dir() else folder] = split
    sources: list[Source] = []
    by_id: dict[str, Source] = {}
    for folder, name, path in _named(walk, *splits):
        id, split = person_id(name), splits[folder]
        other = by_id.setdefault(id, Source(id, path, split, _place(root, path), decided=True))
        if other.split != split:
            walk.passed.append(f"{path}: has the name of {other.path}, and is taken for somebody else")
            id = f"{split}-{id}"
        sources.append(Source(id, path, split, _place(root, path), decided=True))
    return sources


def _best(youtube: Path) -> Path:
    """Return the folder of one compression."""
    there = [name for name in COMPRESSIONS if (youtube / name / "videos").is_dir()]
    return youtube / there[0] / "videos" if there else youtube


def _published(root: Path) -> dict[str, Split]:
    """Return names to splits, of the lists of pairs that FaceForensics++ is published with."""
    splits: dict[str, Split] = {}
    for split in SPLITS:
        for listing in (root / "splits" / f"{split}.json", root / f"{split}.json"):
            if listing.is_file():
                content = read_json(listing)
                if not isinstance(content, list) or not all(isinstance(pair, list) for pair in content):
                    raise UserError("expected a list of pairs of names", where=listing)
                splits |= {str(name): split for pair in content for name in pair}
                break
    return splits


def _split(folder: Path, walk: _Walk, fractions: Fractions, known: Mapping[str, Split]) -> list[Source]:
    return [
        Source(
            person_id(name),
            path,
            known.get(name) or fractions.split(name),
            _place(walk.root, path),
            decided=name in known,
        )
        for _, name, path in _named(walk, folder)
    ]


def _named(walk: _Walk, *folders: Path) -> list[tuple[Path, str, Path]]:
    """Return all videos and folders of images, with the folder they are of and their place in it (of videos no
    suffix).
    """
    return [
        (folder, _place(folder, path if path.is_dir() else path.with_suffix("")), path)
        for folder, path in walk(*folders)
    ]


def _place(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _check_names(root: Path, sources: list[Source]) -> None:
    by_id: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        by_id[source.id].append(source)
    errors = [
        UserError(
            f"{' and '.join(source.place for source in same)} have one name; is it one person twice?",
            where=root,
            hint="move all but one away, or rename them",
        )
        for same in by_id.values()
        if len(same) > 1
    ]
    if len(errors) > SHOWN:
        errors = [*errors[:SHOWN], UserError(f"and {len(errors) - SHOWN} more names that are there twice", where=root)]
    if errors:
        raise errors[0] if len(errors) == 1 else UserErrors(errors)


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, without what systems and programs leave behind.

    Raises:
        UserError: when it cannot be read.
    """
    try:
        return entries(folder)
    except OSError as error:
        raise UserError(f"cannot read this folder: {reason(error)}", where=folder) from error


def _natural(name: str) -> list[tuple[int, str]]:
    """Split a name so that numbers in it are sorted by their value."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name.lower())]
