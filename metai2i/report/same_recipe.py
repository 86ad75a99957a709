"""Whether runs are of one recipe, but for what decides no number and the seed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from metai2i.run_folder.reader import Run, mapping

_FREE = frozenset({"name", "description", "seed", "plugins", "compare", "figures"})
"""What the recipes of pooled runs may differ in."""


def first_difference(run: Run, other: Run) -> tuple[str, object, object] | None:
    """Return where the recipes of two runs differ in what decides numbers, and what each says; None for nowhere.

    Paths, such as those of what a part begins with, may differ in the seed alone: it stood there for `{seed}`.
    """
    seeds = str(run.recipe.get("seed")), str(other.recipe.get("seed"))
    different = _differences(_deciding(run), _deciding(other))
    return next((each for each in different if not _by_seed(each, seeds)), None)


def differ_by_seed_alone(run: Run, other: Run) -> bool:
    """Return whether two runs are of one recipe under two seeds."""
    seeds = [each.recipe.get("seed") for each in (run, other)]
    alike = set(run.rows) == set(other.rows) and first_difference(run, other) is None
    return alike and None not in seeds and seeds[0] != seeds[1]


def _deciding(run: Run) -> dict[str, object]:
    deciding = {name: value for name, value in run.recipe.items() if name not in _FREE}
    rows = {name: dict(mapping(row)) for name, row in mapping(deciding.get("rows")).items()}
    for row in rows.values():
        row.pop("baseline", None)
        for name, key in (("evaluate", "images"), ("metatrain", "probe")):
            section = row.get(name)
            if isinstance(section, Mapping):
                row[name] = {each: value for each, value in section.items() if each != key}
    return deciding | {"rows": rows}


def _by_seed(different: tuple[str, object, object], seeds: tuple[str, str]) -> bool:
    """Return whether two values are paths, or names of files, that are the same but for the seeds in them, as whole
    numbers.
    """
    if not all(isinstance(value, str) and re.search(r"[/\\.]", value) for value in different[1:]):
        return False
    left, right = (re.split(r"(\d+)", str(value)) for value in different[1:])
    return len(left) == len(right) and all(
        pair[0] == pair[1] or pair == seeds for pair in zip(left, right, strict=True)
    )


def _differences(left: object, other: object, *path: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(left, Mapping) and isinstance(other, Mapping):
        for name in dict.fromkeys([*left, *other]):
            yield from _differences(left.get(name), other.get(name), *path, str(name))
    elif left != other:
        yield ".".join(path), left, other
