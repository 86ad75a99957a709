"""Metrics of sets over all scenes together: of a row, of its mean over seeds, and its difference from the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metai2i.metrics.display import ImageCounts, info_of, tell_measures
from metai2i.metrics.jackknife import jackknife_interval
from metai2i.run_folder.reader import Run
from metai2i.run_folder.record import SetNumber
from metai2i.statistics import ENOUGH, SetLineRecord, SetsRecord, Summary

Lines = Mapping[str, Sequence[tuple[Run, str]]]
"""What the lines of the table are called, each with the row of a run that it is of, or with those whose mean it is."""


def tell_sets(summary: Summary, lines: Lines, baselines: Mapping[str, str | None]) -> None:
    """Put into a summary what metrics of sets say of all scenes together (`sets`), and write into their titles how many
    images a number of a single scene is of: such numbers can be compared at equal counts alone.

    Args:
        summary: of one or several runs.
        lines: of the table.
        baselines: the line that each is compared with, if any.
    """
    known = {name: [run.provenance.sets.get(row, {}) for run, row in sources] for name, sources in lines.items()}
    metrics = list(dict.fromkeys(metric for of_line in known.values() for sets in of_line for metric in sets))
    if not metrics:
        return
    every = {metric: measure for of in lines.values() for run, _ in of for metric, measure in run.measures.items()}

    def of_metric(name: str | None, metric: str) -> list[SetNumber]:
        numbers = [sets[metric] for sets in known.get(name or "", ()) if metric in sets]
        return numbers if len(numbers) == len(known.get(name or "", ())) else []

    rows = {
        name: {
            metric: _line(numbers, of_metric(baselines.get(name), metric), by_count=info_of(metric, every).by_count)
            for metric in metrics
            if (numbers := of_metric(name, metric))
        }
        for name in lines
    }
    summary["sets"] = SetsRecord(
        measures=tell_measures({metric: info_of(metric, every) for metric in metrics}),
        rows={name: of_row for name, of_row in rows.items() if of_row},
    )
    for metric in set(metrics) & set(summary["measures"]):
        counts = [of_row[metric]["by_scene"] for of_row in rows.values() if metric in of_row]
        sizes = [min(count[0] for count in counts), max(count[1] for count in counts)]
        summary["measures"][metric]["title"] += f" (n = {' to '.join(map(str, dict.fromkeys(sizes)))})"


def image_counts(lines: Lines) -> dict[str, dict[str, ImageCounts]]:
    """Return line -> metric -> how many images it is of; of several runs it is the first that tells."""
    return {
        name: {
            metric: number.counts
            for run, row in reversed(sources)
            for metric, number in run.provenance.sets.get(row, {}).items()
        }
        for name, sources in lines.items()
    }


def _line(numbers: Sequence[SetNumber], baseline: Sequence[SetNumber], *, by_count: bool) -> SetLineRecord:
    """Return the mean of the numbers of one row in several runs, and its difference from that of the baseline; without
    one where they are of other numbers of images and depend on these (`by_count`).

    With fewer scenes than a verdict needs there are no intervals, which would be of two or three numbers.
    """
    first = numbers[0]
    value, without = _mean(numbers)
    few = first.scenes < ENOUGH
    if few:
        low, high = None, None
    else:
        low, high = (first.low, first.high) if len(numbers) == 1 else _within(value, without)
    line = SetLineRecord(
        value=value, low=low, high=high, outputs=first.outputs, real=first.real, scenes=first.scenes,
        by_scene=first.by_scene, difference=None, difference_low=None, difference_high=None,
    )  # fmt: skip
    other, others_without = _mean(baseline)
    uneven = by_count and [each.counts for each in numbers] != [each.counts for each in baseline]
    if value is not None and other is not None and len(baseline) == len(numbers) and not uneven:
        line["difference"] = value - other
        if len(without) == len(others_without) and not few:
            differences = [mine - theirs for mine, theirs in zip(without, others_without, strict=True)]
            line["difference_low"], line["difference_high"] = _within(value - other, differences)
    return line


def _mean(numbers: Sequence[SetNumber]) -> tuple[float | None, list[float]]:
    """Return the mean number, and that without each block of scenes; None and nothing where one is not known."""
    values = [number.value for number in numbers if number.value is not None]
    if not values or len(values) < len(numbers):
        return None, []
    sides = [number.without for number in numbers]
    alike = len({len(side) for side in sides}) == 1
    without = [sum(block) / len(block) for block in zip(*sides, strict=True)] if alike else []
    return sum(values) / len(values), without


def _within(value: float | None, without: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    return (None, None) if value is None else jackknife_interval(value, without) or (None, None)
