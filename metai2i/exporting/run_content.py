"""What exporters are handed of a run, read off its folder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from metai2i.exporter import RowNumber, RunContent, RunImage, SeriesCurve
from metai2i.report.curves import training_stages
from metai2i.report.run_summary import summarise_run
from metai2i.run_folder.reader import Run, load_run
from metai2i.statistics import Summary, measure_of

MOST_IMAGES = 200
"""Of a run: those of the first tasks."""


def run_content(folder: Path) -> RunContent:
    """Return what a finished run has to say.

    Raises:
        UserError: when it is not the folder of a run, or damaged.
    """
    run = load_run(folder)
    summary = summarise_run(run)
    versions = {name: value for name in ("metai2i", "torch", "python") if isinstance(value := _said(run, name), str)}
    return RunContent(
        name=run.name,
        folder=folder,
        recipe=run.recipe,
        summary=summary,
        numbers=row_numbers(summary),
        curves=list(curves_of(run)),
        images=images_of(run),
        versions=versions,
    )


def series_name(stage: str, key: str, rows: Sequence[str]) -> str:
    """Return what a stage's curves are called, the same while it trains and afterwards.

    >>> series_name("pretrain", "0123456789abcdef", ["A", "B"])
    'pretrain A, B (012345)'
    """
    shown = ", ".join(rows[:2]) + (f" and {len(rows) - 2} more" if len(rows) > 2 else "")
    return f"{stage} {shown} ({key[:6]})"


def row_numbers(summary: Summary) -> list[RowNumber]:
    """Return the means of all rows, by row and metric."""
    return [
        RowNumber(
            row=row,
            metric=metric,
            title=measure_of(summary, metric).title,
            mean=_finite(mean["mean"]),
            low=_finite(mean["low"]),
            high=_finite(mean["high"]),
            n=mean["n"],
        )
        for row, means in summary["rows"].items()
        for metric, mean in means.items()
    ]


def curves_of(run: Run) -> Iterator[SeriesCurve]:
    """Yield the losses of all training stages."""
    for stage in training_stages(run.log):
        series = series_name(stage["name"], stage["key"], stage["rows"])
        for term, (steps, values) in stage["curves"].items():
            yield SeriesCurve(series=series, term=term, steps=[int(step) for step in steps], values=values)


def images_of(run: Run) -> list[RunImage]:
    """Return the images that the run has kept of its first tasks: truth, inputs, supports, and every row's outputs."""
    images: list[RunImage] = []
    for task in run.images.tasks:
        folder = run.path / "images" / task.dir
        named: Mapping[str, str] = {"truth": "truth", "structure": "structure", **task.rows}
        for name, place in named.items():
            files = [(query, folder / place / f"{query}.png") for query in task.queries]
            images += [RunImage(tag=f"{task.id}/{name}/{query}", path=file) for query, file in files if file.is_file()]
        supports = [(each.dir, each.pictures) for each in task.supports] or [("support", task.support)]
        for place, names in supports:
            files = [(name, folder / place / f"{name}.png") for name in names]
            images += [RunImage(tag=f"{task.id}/{place}/{name}", path=file) for name, file in files if file.is_file()]
    return images[:MOST_IMAGES]


def _said(run: Run, name: str) -> object:
    value = run.raw_provenance.get(name)
    versions = run.raw_provenance.get("versions")
    return value if value is not None else versions.get(name) if isinstance(versions, Mapping) else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
