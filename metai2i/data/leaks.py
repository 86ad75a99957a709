"""Photographs that are in two splits, for what tests must not have trained, or in two domains.

They are told by their content, so under other names, in other folders, as links or as copies alike.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from metai2i.data.bad_files import as_one_error, tell_left_out
from metai2i.data.digests import content_digest, content_digests
from metai2i.errors import UserError, UserErrors, counted_are
from metai2i.tasks import SPLITS, Split

log = logging.getLogger("metai2i")

_SHOWN = 8
"""Photographs that are told one by one; the others are counted."""


class Held(NamedTuple):
    """A photograph of a scene."""

    split: Split
    scene: str
    path: Path

    def __str__(self) -> str:
        return f"{self.split} scene {self.scene!r} ({self.path})"


Photographs = Mapping[Split, Iterable[tuple[str, Path]]]
"""For each split, scenes' ids and photographs."""


def refuse_shared(source: str, splits: Photographs, *, skip: bool) -> set[Path]:
    """Refuse photographs that are in several splits, or say which to leave out.

    Only files that have the size of one in another split are read; a file that cannot be read is left to its reader.

    Args:
        source: the task source's name, for the log.
        splits: for each split its photographs, each with the id of its scene.
        skip: whether to leave them out rather than to refuse them: what tests stays, what trains goes.

    Returns:
        The files to leave out.

    Raises:
        UserError: naming the files.
    """
    shared = [group for size in _groups(splits) for group in _alike(size)]
    if not shared:
        return set()
    errors = [
        UserError(
            f"the same photograph is in several splits: {'; '.join(map(str, group))}",
            hint="take it out of all but one: a scene that tests must not train",
        )
        for group in shared[:_SHOWN]
    ]
    if len(shared) > _SHOWN:
        errors.append(UserError(f"and {counted_are(len(shared) - _SHOWN, 'more photograph')} in several splits"))
    if not skip:
        raise errors[0] if len(errors) == 1 else UserErrors(errors)
    log.warning("%s: %d photographs are in several splits and are left out of training:", source, len(shared))
    for error in errors:
        log.warning("%s:   %s", source, error.what)
    return {path for group in shared for path in _training_copies(group)}


def _training_copies(group: Sequence[Held]) -> list[Path]:
    """Return all but those in the split that judges last."""
    last = max(SPLITS.index(photograph.split) for photograph in group)
    return [photograph.path for photograph in group if photograph.split != SPLITS[last]]


def _groups(splits: Photographs) -> list[list[Held]]:
    """Return the photographs of one size, where these are of several splits."""
    sizes: dict[int, list[Held]] = defaultdict(list)
    for split, photographs in splits.items():
        for scene, path in photographs:
            with suppress(OSError):
                state = path.stat()
                if S_ISREG(state.st_mode):  # a pipe would be waited for
                    sizes[state.st_size].append(Held(split, scene, path))
    return [group for group in sizes.values() if _several(group)]


def _alike(photographs: Iterable[Held]) -> list[list[Held]]:
    """Return those of one content, where these are of several splits."""
    contents: dict[str, list[Held]] = defaultdict(list)
    for photograph in photographs:
        with suppress(UserError):
            contents[content_digest(photograph.path)].append(photograph)
    return [group for group in contents.values() if _several(group)]


def _several(group: Iterable[Held]) -> bool:
    return len({photograph.split for photograph in group}) > 1


def refuse_in_two_domains(source: str, domains: Mapping[str, Sequence[Path]], *, skip: bool) -> set[Path]:
    """Refuse images that are in several domains, by their content, or say which to leave out: all of them.

    Args:
        source: the task source's name, for the log.
        domains: the images of each.
        skip: whether to leave them out rather than to refuse them.

    Raises:
        UserError: naming the files.
    """
    sizes: dict[int, list[tuple[str, Path]]] = defaultdict(list)
    for name, paths in domains.items():
        for path in paths:
            sizes[path.stat().st_size].append((name, path))
    held = [each for group in sizes.values() if len({name for name, _ in group}) > 1 for each in group]
    contents: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for each, digest in zip(held, content_digests([path for _, path in held]), strict=True):
        contents[digest].append(each)
    shared = [group for group in contents.values() if len({name for name, _ in group}) > 1]
    errors = [
        UserError(
            f"the same image is in several domains: {'; '.join(f'{name!r} ({path})' for name, path in group)}",
            hint="take it out of all but the domain that it is of",
        )
        for group in shared
    ]
    if errors and not skip:
        raise as_one_error(errors)
    tell_left_out(source, errors, sum(map(len, domains.values())), "images")
    return {path for group in shared for _, path in group}
