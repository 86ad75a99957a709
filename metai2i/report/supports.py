"""The supports of a task whose pictures a run has kept, by their number of shots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from metai2i.run_folder.reader import Run, items, mapping


class Support(NamedTuple):
    """What some rows have adapted to.

    Args:
        shots: how many pairs; None where all rows have the same support.
        folder: of its photographs; that of the maps has `-structure` behind its name.
        rows: that have adapted to it; none where all have.
        pictures: the names of its files, without their endings.
    """

    shots: int | None
    folder: str
    rows: tuple[str, ...]
    pictures: tuple[str, ...]


def supports_of(task: Mapping[str, Any]) -> list[Support]:
    """Return the supports of a task of `images/index.json`, fewest shots first; one where all rows have the same."""
    several = sorted(map(_support, items(task.get("supports"))), key=lambda support: support.shots or 0)
    common = _names(task.get("support"))
    return several or ([Support(None, "support", (), common)] if common else [])


def shots_of(run: Run, row: str) -> int | None:
    """Return how many pairs a row adapts to at test, as the run's recipe says; None where it does not."""
    places = [mapping(mapping(run.recipe.get("rows")).get(row)), run.recipe]
    told = [mapping(place.get(section)).get("shots") for section in ("evaluate", "episodes") for place in places]
    return next((number for number in told if isinstance(number, int) and number > 0), None)


def _support(told: Mapping[str, Any]) -> Support:
    shots = told.get("shots")
    number = shots if isinstance(shots, int) else None
    return Support(number, str(told.get("dir")), _names(told.get("rows")), _names(told.get("pictures")))


def _names(told: object) -> tuple[str, ...]:
    return tuple(map(str, told)) if isinstance(told, list) else ()
