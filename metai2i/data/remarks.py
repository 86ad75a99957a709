"""What is to be said about files that can be read, though their owner should know: once for a data set, with counts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from metai2i.data.disk_cache import cached

log = logging.getLogger("metai2i")

_LINES = 5
"""Of many colours that no class has, so many are told one by one."""

_Kind = Literal["specks", "smoothed", "palette"]


class Remark(NamedTuple):
    """Something about one label map.

    Args:
        kind: what: a few pixels of unknown colours, smoothed borders, a palette that says nothing of the data.
        pixels: how many pixels it is about.
        of: of how many.
        which: more of it, in words, in which maps may differ.
    """

    kind: _Kind
    pixels: int = 0
    of: int = 0
    which: str = ""

    def sentence(self) -> str:
        """Return it in words, after the name of a map or the number of maps."""
        share = f"{100 * self.pixels / max(self.of, 1):.2g} %"
        if self.kind == "specks":
            return f"{self.pixels} pixels ({share}) have colours that no class has, most of them {self.which}"
        if self.kind == "smoothed":
            return (
                f"resized with smoothing or stored as JPEG, it seems: {share} of the borders between classes run over "
                "an id in between, which is another class; resize label maps by the nearest pixel"
            )
        return "the palette's colours are not the data's; its indices are taken for class ids"


class Remarks:
    """The remarks about the files of one data set.

    The first of each kind is told in the log when it comes up; all of them are counted by `sentences`.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._by_path: dict[Path, tuple[Remark, ...]] = {}
        self._lock = threading.Lock()

    def add(self, path: Path, remarks: Iterable[Remark]) -> None:
        """Take in what is to be said about a file; a file that is read again counts once."""
        with self._lock:
            if path in self._by_path:
                return
            known = {remark.kind for each in self._by_path.values() for remark in each}
            self._by_path[path] = tuple(remarks)
        for remark in self._by_path[path]:
            if remark.kind not in known:
                more = "; more such maps are counted, not told one by one"
                log.warning("%s: %s: %s%s", self.title, path, remark.sentence(), more)

    def sentences(self) -> list[str]:
        """Return one for each kind of remark, with the number of its files, the counts over all, and one file's name.

        Of unknown colours there is one for each that is the commonest of some file, those of most pixels first,
        `_LINES` at most.
        """
        sentences = []
        for kind in ("specks", "smoothed", "palette"):
            alike: dict[str, list[tuple[Path, Remark]]] = {}
            for path, remark in self._about(kind):
                alike.setdefault(remark.which, []).append((path, remark))
            groups = sorted(alike.values(), key=lambda group: -sum(remark.pixels for _, remark in group))
            sentences += [_of_all(group) for group in groups[:_LINES]]
            if len(groups) > _LINES:
                rest = [each for group in groups[_LINES:] for each in group]
                sentences.append(_of_all(rest, f"one of {len(groups) - _LINES} other colours"))
        return sentences

    def tell(self) -> None:
        """Tell the counts in the log, when more than one file has something to be said about it."""
        if sum(bool(each) for each in self._by_path.values()) > 1:
            for sentence in self.sentences():
                log.warning("%s: %s", self.title, sentence)

    def _about(self, kind: _Kind) -> list[tuple[Path, Remark]]:
        with self._lock:
            return [(path, remark) for path, each in self._by_path.items() for remark in each if remark.kind == kind]

    def __reduce__(self) -> tuple[Any, ...]:
        return Remarks, (self.title,)


def _of_all(about: Sequence[tuple[Path, Remark]], which: str | None = None) -> str:
    """Return remarks of one kind as one, with the number of their files.

    Args:
        which: what is in the place of what the remarks name, where this differs.
    """
    pixels, of = sum(remark.pixels for _, remark in about), sum(remark.of for _, remark in about)
    whole = Remark(about[0][1].kind, pixels, of, about[0][1].which if which is None else which)
    maps = "1 label map" if len(about) == 1 else f"{len(about)} label maps"
    return f"{maps}, such as {min(path for path, _ in about)}: {whole.sentence()}"


class _Remarked(Exception):
    """Carries an image past the cache."""

    def __init__(self, image: np.ndarray, remarks: tuple[Remark, ...]) -> None:
        super().__init__()
        self.image, self.remarks = image, remarks


def cached_unless_remarked(
    source: Path, how: object, decode: Callable[[], tuple[np.ndarray, tuple[Remark, ...]]], remarks: Remarks
) -> np.ndarray:
    """Return a decoded image, from the cache folder or into it (see `metai2i.data.disk_cache.cached`).

    One about which something is to be said is decoded in every run, so that every run says so.
    """

    def silent() -> np.ndarray:
        image, about = decode()
        if about:
            raise _Remarked(image, about)
        return image

    try:
        return cached(source, how, silent)
    except _Remarked as remarked:
        remarks.add(source, remarked.remarks)
        return remarked.image
