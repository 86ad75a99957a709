"""Whether runs are of one recipe, but for what decides no number and the seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from metai2i.run_folder.reader import Run, mapping

_FREE = frozenset({"name", "description", "seed", "plugins", "compare", "figures"})
"""What the recipes of pooled runs may differ in."""


def first_difference(run: Run, other: Run) -> tuple[str, object, object] | None:
    """Return where the recipes of two runs differ in what decides numbers, and what each says; None for nowhere."""
    return next(_differences(_deciding(run), _deciding(other)), None)


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


def _differences(left: object, other: object, *path: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(left, Mapping) and isinstance(other, Mapping):
        for name in dict.fromkeys([*left, *other]):
            yield from _differences(left.get(name), other.get(name), *path, str(name))
    elif left != other:
        yield ".".join(path), left, other
