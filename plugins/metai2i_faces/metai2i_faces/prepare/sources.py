"""Finding the videos, and folders of pictures, of which each shows one person; and which split each belongs to.

The layouts, in the order in which they are looked for:

- FaceForensics: `train/original/*.avi`, and the same in `val/` and `test/`;
- FaceForensics++: `original_sequences/youtube/COMPRESSION/videos/*.mp4`, with the published `train.json`, `val.json`
  and `test.json` beside it or in `splits/`; without these like any other folder;
- `train/`, `val/` and `test/` with videos or folders of pictures;
- any folder with videos or folders of pictures, which are split by a hash of their names.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from metai2i import Split, UserError
from metai2i.files import check_folder, read_json
from metai2i.images import slugs
from metai2i.tasks import SPLITS

VIDEOS = (".avi", ".mp4", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp")
COMPRESSIONS = ("raw", "c0", "c23", "c40")
"""Of FaceForensics++, best first: the same videos are there in each, and only one is taken."""
LISTING = "preparation.json"
"""In every folder of prepared people, which are nobody's source."""


@dataclass(frozen=True)
class Source:
    """What one person is made of.

    Args:
        id: unique, and safe as the name of a file.
        path: a video, or a folder of pictures.
        split: where the person goes.
    """

    id: str
    path: Path
    split: Split

    @property
    def kind(self) -> Literal["video", "pictures"]:
        """What `path` is."""
        return "pictures" if self.path.is_dir() else "video"


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
        """The split of a name, the same whatever others there are."""
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
        if place < self.test:
            return "test"
        return "val" if place < self.test + self.val else "train"


def find_sources(root: Path, fractions: Fractions) -> list[Source]:
    """All sources under a folder, by split and name.

    Raises:
        UserError: when the folder is missing or there are none in it.
    """
    check_folder(root, "expected one with videos or folders of pictures")
    found = _in_splits(root)
    if not found:
        youtube = root / "original_sequences" / "youtube"
        found = _split(_best(youtube), fractions, _published(root)) if youtube.is_dir() else {}
    if not found:
        found = _split(root, fractions, {})
    if not found:
        raise UserError(
            f"no video ({', '.join(VIDEOS)}) and no folder of pictures here",
            where=root,
            hint="looked for {train,val,test}/original/*.avi, original_sequences/youtube/*/videos/*.mp4 and, at any "
            "depth, videos and folders of pictures",
        )
    names = slugs(found)
    sources = [Source(names[name], path, split) for name, (path, split) in found.items()]
    return sorted(sources, key=lambda source: (SPLITS.index(source.split), _natural(source.id)))


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, 2.jpg before 10.jpg."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith(".")]
    return sorted((path for path in found if path.is_file()), key=lambda path: _natural(path.name))


Found = dict[str, tuple[Path, Split]]


def _in_splits(root: Path) -> Found:
    """Of `train/`, `val/` and `test/`; of FaceForensics the originals alone."""
    found: Found = {}
    for split in SPLITS:
        folder = root / split
        if not folder.is_dir():
            continue
        folder = folder / "original" if (folder / "original").is_dir() else folder
        for name, path in _named(folder).items():
            # Persons of two splits may be called the same.
            found[name if name not in found else f"{split}-{name}"] = (path, split)
    return found


def _best(youtube: Path) -> Path:
    """The folder of one compression."""
    there = [name for name in COMPRESSIONS if (youtube / name / "videos").is_dir()]
    return youtube / there[0] / "videos" if there else youtube


def _published(root: Path) -> dict[str, Split]:
    """From names to splits, of the lists of pairs that FaceForensics++ is published with."""
    found: dict[str, Split] = {}
    for split in SPLITS:
        for listing in (root / "splits" / f"{split}.json", root / f"{split}.json"):
            if listing.is_file():
                content = read_json(listing)
                if not isinstance(content, list) or not all(isinstance(pair, list) for pair in content):
                    raise UserError("expected a list of pairs of names", where=listing)
                found |= {str(name): split for pair in content for name in pair}
                break
    return found


def _split(folder: Path, fractions: Fractions, known: Mapping[str, Split]) -> Found:
    return {name: (path, known.get(name) or fractions.split(name)) for name, path in _named(folder).items()}


def _named(folder: Path) -> dict[str, Path]:
    """All videos and all folders of pictures, at any depth, by their name without suffix and where that does not tell
    them apart by their whole place."""
    paths = list(_walk(folder))
    counts = Counter(_stem(path) for path in paths)
    return {
        _stem(path) if counts[_stem(path)] == 1 else path.relative_to(folder).as_posix().replace("/", "-"): path
        for path in paths
    }


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _walk(folder: Path) -> list[Path]:
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    found = [path for path in entries if path.is_file() and path.suffix.lower() in VIDEOS]
    for inner in (path for path in entries if path.is_dir() and not (path / LISTING).exists()):
        found += [inner] if pictures_in(inner) else []
        found += _walk(inner)
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts numbers in names by their value."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name.lower())]
