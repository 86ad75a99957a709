"""Each scene by itself, where there are too few for a verdict: intervals over the images of a scene.

They say how far a number, or its difference from the baseline's, would move with other images of the scene and the same
training. Of other scenes, and of other trainings, they say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from metai2i.metrics.jackknife import jackknife_interval
from metai2i.report.compared import ComparedCell, compared_cell
from metai2i.report.wording import marked
from metai2i.run_folder.record import LeftOut, SetNumber
from metai2i.run_folder.results import Record
from metai2i.statistics import (
    ENOUGH,
    SceneNumberRecord,
    Summary,
    baseline_of,
    mean_interval,
    measure_of,
    values_by_task,
)

Sets = Mapping[str, Mapping[str, SetNumber]]
"""Row -> metric of sets -> what it says."""


class SceneLine(TypedDict):
    """A row, with a cell for each scene."""

    name: str
    baseline: bool
    cells: list[ComparedCell]


class SceneTable(TypedDict):
    """One metric: a column for each scene, and a line for each row."""

    label: str
    scenes: list[str]
    rows: list[SceneLine]


def tell_by_scene(
    summary: Summary, records: Iterable[Record], sets: Sets, draws: Mapping[str, int] | None = None
) -> None:
    """Put each row's numbers on single scenes into a summary, where there are too few scenes for a verdict.

    Args:
        summary: of one run.
        records: its numbers.
        sets: what metrics of sets say in it.
        draws: of each scene, by row; 1 where it is not said.
    """
    scenes, numbers = summary["tasks"]["ids"], list(records)
    if len(scenes) >= ENOUGH:
        return
    by_metric: dict[str, dict[str, dict[str, SceneNumberRecord]]] = {}
    for metric in summary["metrics"]:
        values = values_by_task(numbers, metric)
        of_metric = {
            row: {
                scene: _of_set(metric, scene, row, baseline_of(summary, row), values, sets)
                if metric in sets.get(row, {})
                else _of_images(
                    values[row][scene],
                    values.get(baseline_of(summary, row) or "", {}).get(scene, {}),
                    once=(draws or {}).get(row, 1) == 1,
                )
                for scene in scenes
                if scene in values[row]
            }
            for row in summary["rows"]
            if row in values
        }
        if any(each["low"] is not None for of_row in of_metric.values() for each in of_row.values()):
            by_metric[metric] = of_metric
    if by_metric:
        summary["single_scenes"] = by_metric


def _of_images(values: Mapping[str, float], baseline: Mapping[str, float], *, once: bool) -> SceneNumberRecord:
    """Return the mean over a scene's queries, and over those that the baseline has as well the mean difference.

    There is no interval where a number is not finite, for those that are left say too much; nor where images may be
    asked several times, in several draws, for they are fewer than the numbers.
    """
    paired = [values[query] - baseline[query] for query in values if query in baseline]
    (mean, low, high), (difference, *ends) = (_mean([*values.values()], once=once), _mean(paired, once=once))
    return SceneNumberRecord(
        value=mean, low=low, high=high, difference=difference, difference_low=ends[0], difference_high=ends[1]
    )


def _mean(numbers: Sequence[float], *, once: bool) -> tuple[float | None, float | None, float | None]:
    """Return the mean of the finite numbers, and its interval where all are finite and of an image each."""
    known = [number for number in numbers if math.isfinite(number)]
    mean = mean_interval(known)
    whole = once and len(known) == len(numbers)
    return (mean.mean, mean.low, mean.high) if whole else (mean.mean, None, None)


def _of_set(
    metric: str,
    scene: str,
    row: str,
    baseline: str | None,
    values: Mapping[str, Mapping[str, Mapping[str, float]]],
    sets: Sets,
) -> SceneNumberRecord:
    """Return what a metric of sets says of a scene, by what it says without some of its images."""
    (value,) = values[row][scene].values()
    without = sets[row][metric].single.get(scene, LeftOut())
    low, high = jackknife_interval(value, *without.sides) or (None, None)
    record = SceneNumberRecord(
        value=value if math.isfinite(value) else None,
        low=low,
        high=high,
        difference=None,
        difference_low=None,
        difference_high=None,
    )
    if (
        record["value"] is None
        or baseline is None
        or scene not in values.get(baseline, {})
        or metric not in sets.get(baseline, {})
    ):
        return record
    (other,) = values[baseline][scene].values()
    record["difference"] = value - other if math.isfinite(other) else None
    its = sets[baseline][metric].single.get(scene, LeftOut())
    if without.images and its.images == without.images:
        sides = [
            [mine - theirs for mine, theirs in zip(*pair, strict=True)]
            for pair in zip(without.sides, its.sides, strict=True)
        ]
        record["difference_low"], record["difference_high"] = jackknife_interval(value - other, *sides) or (None, None)
    return record


def scene_tables(summary: Summary) -> list[SceneTable]:
    """Return a table for each metric, the main one first; none where there are scenes enough, or too few images."""
    by_metric = summary.get("single_scenes", {})
    scenes = summary["tasks"]["ids"]
    tables = []
    for metric in sorted(by_metric, key=lambda name: name != summary["metric"]):
        measure = measure_of(summary, metric)
        lines = [
            SceneLine(
                name=marked(summary, row),
                baseline=row in summary["against"].values() or row == summary["baseline"],
                cells=[compared_cell(of_row.get(scene), measure.digits) for scene in scenes],
            )
            for row, of_row in by_metric[metric].items()
        ]
        tables.append(SceneTable(label=measure.label, scenes=scenes, rows=lines))
    return tables
