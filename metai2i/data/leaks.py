"""Photographs that are in two splits, for what tests must not have trained, or in two domains.

They are told by their content, so under other names, in other folders, as links or as copies alike.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
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
    """A photograph, and what may not share it with others of its kind.

    Args:
        side: a split or a domain.
        path: its file.
        label: the side in a message.
    """

    side: str
    path: Path
    label: str

    def __str__(self) -> str:
        return f"{self.label} ({self.path})"


Photographs = Mapping[Split, Iterable[tuple[str, Path]]]
"""For each split, scenes' ids and photographs."""


def refuse_shared(source: str, splits: Photographs, *, skip: bool) -> set[Path]:
    """Refuse photographs that are in several splits, or say which to leave out.

    Args:
        source: the task source's name, for the log.
        splits: for each split its photographs, each with the id of its scene.
        skip: whether to leave them out rather than to refuse them: what tests stays, what trains goes.

    Returns:
        The files to leave out.

    Raises:
        UserError: naming the files.
    """
    shared = _shared(
        Held(split, path, f"{split} scene {scene!r}")
        for split, photographs in splits.items()
        for scene, path in photographs
    )
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


def refuse_in_two_domains(source: str, domains: Mapping[str, Sequence[Path]], *, skip: bool) -> set[Path]:
    """Refuse images that are in several domains, or say which to leave out: all of them.

    Args:
        source: the task source's name, for the log.
        domains: the images of each.
        skip: whether to leave them out rather than to refuse them.

    Returns:
        The files to leave out.

    Raises:
        UserError: naming the files.
    """
    shared = _shared(Held(name, path, repr(name)) for name, paths in domains.items() for path in paths)
    errors = [
        UserError(
            f"the same image is in several domains: {'; '.join(map(str, group))}",
            hint="take it out of all but the domain that it is of",
        )
        for group in shared
    ]
    if errors and not skip:
        raise as_one_error(errors)
    tell_left_out(source, errors, sum(map(len, domains.values())), "images")
    return {photograph.path for group in shared for photograph in group}


def _training_copies(group: Sequence[Held]) -> list[Path]:
    """Return all but those in the split that judges last."""
    last = max((photograph.side for photograph in group), key=[str(split) for split in SPLITS].index)
    return [photograph.path for photograph in group if photograph.side != last]


def _shared(photographs: Iterable[Held]) -> list[list[Held]]:
    """Return those of one content, where these are of several sides.

    Only files that have the size of one of another side are read; a file that cannot be read is left to its reader.
    """
    every = list(photographs)
    sizes = [_size(photograph.path) for photograph in every]
    held = [photograph for group in _of_several(every, sizes) for photograph in group]
    return _of_several(held, _digests([photograph.path for photograph in held]))


def _of_several(photographs: Sequence[Held], keys: Iterable[Hashable]) -> list[list[Held]]:
    """Return the photographs of one key each, where these are of several sides; what has None is in no group."""
    groups: dict[Hashable, list[Held]] = defaultdict(list)
    for photograph, key in zip(photographs, keys, strict=True):
        if key is not None:
            groups[key].append(photograph)
    return [group for group in groups.values() if len({photograph.side for photograph in group}) > 1]


def _size(path: Path) -> int | None:
    with suppress(OSError):
        state = path.stat()
        return state.st_size if S_ISREG(state.st_mode) else None  # a pipe would be waited for
    return None


def _digests(paths: Sequence[Path]) -> Sequence[str | None]:
    """Return a digest of each file, several read at a time; None for one that cannot be read."""
    with suppress(UserError):
        return content_digests(paths)
    digests: list[str | None] = []
    for path in paths:
        try:
            digests.append(content_digest(path))
        except UserError:
            digests.append(None)
    return digests
