"""Lists of exemplars: which images of a data set are shown for which, the easiest first.

A line for each image, `IMAGE,EXEMPLAR1,EXEMPLAR2,...`, as CoCosNet's data sets come with them. Images go by the names
of their files, with as many folders before them as it takes to tell them apart, with or without their endings. Folders
are parted by slashes or, as DeepFashion's lists have it, by backslashes.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from metai2i.data.places import expanded
from metai2i.data.text_lists import listed_lines
from metai2i.errors import Location, UserError, did_you_mean
from metai2i.tasks import Task

log = logging.getLogger("metai2i")

Sample = tuple[int, int]
"""A sample by the place of its scene and its own place within it."""


@dataclass(frozen=True)
class ExemplarLine:
    """A line of a list: an image and its exemplars, the easiest first."""

    where: Location
    image: str
    exemplars: tuple[str, ...]


def read_exemplar_list(path: Path | str) -> list[ExemplarLine]:
    """Return the lines of a list; empty ones and those that begin with # are passed over.

    Raises:
        UserError: naming file and line, for what cannot be read, or a line without exemplars.
    """
    lines = []
    for where, line in listed_lines(expanded(path), "the list of exemplars"):
        image, *exemplars = (name.strip().replace("\\", "/") for name in line.split(","))
        if not image or not exemplars or not all(exemplars):
            raise UserError(f"expected IMAGE,EXEMPLAR,..., got {line[:80]!r}", where=where)
        lines.append(ExemplarLine(where, image, tuple(exemplars)))
    return lines


def samples_listed(
    lines: Sequence[ExemplarLine],
    tasks: Sequence[Task],
    what: str = "photograph of the scenes that are trained on",
    *,
    partly: bool = False,
) -> Mapping[Sample, tuple[Sample, ...]]:
    """Return the exemplars of each sample that a list speaks of, in the order of its lines.

    Args:
        lines: of the list.
        tasks: the scenes.
        what: what the list names, for the message.
        partly: whether the list may name images that lie beside the scenes' own and are in none of them, since a recipe
            takes a part of its data only; what it says of these is passed over, and told.

    Raises:
        UserError: naming file and line, for an image that is none of the scenes', or of which there are several, or an
            image that has two lines.
    """
    known = _by_stem(tasks)
    if partly:
        count, lines = len(lines), _of_those_here(lines, known)
        if len(lines) < count:
            log.warning(
                "reference.list: passed over %d of %d lines, whose image or exemplars lie beside what is trained on",
                count - len(lines), count,
            )  # fmt: skip
    listed: dict[Sample, tuple[Sample, ...]] = {}
    lines_of: dict[Sample, int | None] = {}
    for line in lines:
        image, *exemplars = (_sample(name, line.where, known, what) for name in (line.image, *line.exemplars))
        if image in listed:
            hint = f"the first is in line {lines_of[image]}"
            raise UserError(f"the image {line.image!r} stands twice", where=line.where, hint=hint)
        listed[image], lines_of[image] = tuple(exemplars), line.where.line
    return listed


def _by_stem(tasks: Sequence[Task]) -> dict[str, list[tuple[Path, Sample]]]:
    """Return the photographs of scenes by their names without folders and endings."""
    known: dict[str, list[tuple[Path, Sample]]] = defaultdict(list)
    for place, task in enumerate(tasks):
        files, count = task.files, len(task)
        each = len(files) // count if count else 0
        for index in range(count if each else 0):
            photo = files[index * each]
            known[photo.stem].append((photo, (place, index)))
    return known


def _of_those_here(
    lines: Sequence[ExemplarLine], known: Mapping[str, Sequence[tuple[Path, Sample]]]
) -> Sequence[ExemplarLine]:
    """Return lines without the images that are there and in no scene."""
    photos = [photo for same in known.values() for photo, _ in same]
    endings = ("", *sorted({photo.suffix for photo in photos}))

    @cache
    def folders(depth: int) -> frozenset[Path]:
        return frozenset(photo.parents[depth] for photo in photos if len(photo.parents) > depth)

    @cache
    def lies_beside(name: str) -> bool:
        if _fitting(Path(name), known):
            return False
        within = folders(len(Path(name).parent.parts))
        return any((folder / f"{name}{ending}").is_file() for folder in within for ending in endings)

    kept = []
    for line in lines:
        exemplars = tuple(name for name in line.exemplars if not lies_beside(name))
        if exemplars and not lies_beside(line.image):
            kept.append(replace(line, exemplars=exemplars))
    return kept


def _fitting(asked: Path, known: Mapping[str, Sequence[tuple[Path, Sample]]]) -> Sequence[tuple[Path, Sample]]:
    """Return the photographs that a name may mean."""
    folders = asked.parent.parts
    stems = known.get(asked.stem, ()) or known.get(asked.name, ())
    return [
        (photo, sample)
        for photo, sample in stems
        if asked.name in (photo.name, photo.stem) and (not folders or photo.parent.parts[-len(folders) :] == folders)
    ]


def _sample(name: str, where: Location, known: Mapping[str, Sequence[tuple[Path, Sample]]], what: str) -> Sample:
    """Return the sample of a name."""
    asked = Path(name)
    fitting = _fitting(asked, known)
    if len(fitting) == 1:
        return fitting[0][1]
    if not fitting:
        hint = did_you_mean(asked.stem, known) if len(known) <= 10_000 else None
        raise UserError(
            f"no {what} is called {name!r}", where=where, hint=hint if known else "these scenes have no files"
        )
    first, second = (photo for photo, _ in fitting[:2])
    raise UserError(f"several photographs are called {name!r}: {first} and {second}", where=where,
                    hint="name the folders before it as well")  # fmt: skip
