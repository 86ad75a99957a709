"""The supports of a task whose images a run has kept, by their number of shots."""

from __future__ import annotations

from typing import NamedTuple

from metai2i.run_folder.reader import Run, mapping
from metai2i.run_folder.record import SupportImages, TaskImages


class Support(NamedTuple):
    """What some rows have adapted to.

    Args:
        shots: how many pairs; None where all rows have the same support.
        folder: of its photographs; that of the maps has `-structure` behind its name.
        rows: that have adapted to it; none where all have.
        images: the names of its files, without their endings.
    """

    shots: int | None
    folder: str
    rows: tuple[str, ...]
    images: tuple[str, ...]


def supports_of(task: TaskImages) -> list[Support]:
    """Return the supports of a task of `images/index.json`, fewest shots first; one where all rows have the same."""
    several = sorted(map(_support, task.supports), key=lambda support: support.shots or 0)
    return several or ([Support(None, "support", (), tuple(task.support))] if task.support else [])


def shots_of(run: Run, row: str) -> int | None:
    """Return how many pairs a row adapts to at test, as the run's recipe says; None where it does not."""
    places = [run.section(row), run.recipe]
    shots = [mapping(place.get(section)).get("shots") for section in ("evaluate", "episodes") for place in places]
    return next((number for number in shots if isinstance(number, int) and number > 0), None)


def draws_of_row(run: Run, row: str) -> int:
    """Return how often a row draws support and query of each scene, as the run's recipe says; 1 where it does not."""
    places = [run.section(row), run.recipe]
    draws = [mapping(place.get("episodes")).get("draws") for place in places]
    return next((number for number in draws if isinstance(number, int) and number > 0), 1)


def _support(record: SupportImages) -> Support:
    return Support(record.shots, record.dir, tuple(record.rows), tuple(record.pictures))
