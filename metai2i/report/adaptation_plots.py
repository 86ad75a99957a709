"""Quality against adaptation steps, and against the seconds that adapting to a scene takes, a line per strategy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from metai2i.metrics.display import MetricInfo
from metai2i.report.budget import short_duration
from metai2i.report.plots import INK, MUTED, SERIES, STYLE, full_numbers, svg
from metai2i.report.wording import marked, shortened
from metai2i.statistics import BudgetRecord, EstimateRecord, LineRecord, Summary, measure_of

MARKERS = "os^DvPX<>*"
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
_SIZE = (7.6, 4.2)  # inches, legend included
PLACE = (0.085, 0.125, 0.605, 0.845)


class Look(NamedTuple):
    """How a line looks in both figures: colours come round after eight lines, markers after ten."""

    colour: str
    marker: str
    dash: Any


class Point(NamedTuple):
    """A row in a figure: where it stands, with the interval of its quality and the quartiles of its seconds."""

    row: str
    x: float
    mean: float
    low: float
    high: float
    left: float
    right: float


class TradeOffFigure(TypedDict):
    """The two plots of a group, for the template; `front`: the rows that no other of them beats in quality and seconds;
    `elsewhere`: the rows of the table that are not drawn.
    """

    steps: Markup | None
    seconds: Markup | None
    front: list[str]
    elsewhere: list[str]


def trade_off_figures(summary: Summary) -> list[TradeOffFigure]:
    """Return the figures of every group of rows that differ only in how they adapt.

    Returns:
        Those of each group: against steps where a line has several, against seconds where at least two rows have
        recorded theirs.
    """
    measure = measure_of(summary, summary["metric"])
    figures: list[TradeOffFigure] = []
    for group in summary.get("trade_offs", ()):
        looks = {line["label"]: _look(n) for n, line in enumerate(group["lines"])}
        steps = {line["label"]: _against_steps(line, group["points"]) for line in group["lines"]}
        seconds = {
            line["label"]: _against_seconds(line, group["points"], summary["budgets"]) for line in group["lines"]
        }
        timed = [point for line in seconds.values() for point in line]
        front = pareto_front(timed, measure) if measure.higher_is_better is not None else []
        figures.append(
            {
                "steps": _steps_plot(steps, looks, measure) if any(len(line) > 1 for line in steps.values()) else None,
                "seconds": _seconds_plot(seconds, looks, front, measure) if len(timed) > 1 else None,
                "front": [marked(summary, point.row) for point in front],
                "elsewhere": [marked(summary, row) for row in summary["budgets"] if row not in group["points"]],
            }
        )
    return [figure for figure in figures if figure["steps"] or figure["seconds"]]


def pareto_front(points: Iterable[Point], measure: MetricInfo) -> list[Point]:
    """Return the points that no other beats in mean quality without taking longer, fastest first."""
    sign = -1 if measure.higher_is_better else 1
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.x, sign * point.mean)):
        if not front or sign * (point.mean - front[-1].mean) < 0:
            front.append(point)
    return front


def _look(n: int) -> Look:
    return Look(SERIES[n % len(SERIES)], MARKERS[n % len(MARKERS)], DASHES[n // len(SERIES) % len(DASHES)])


def _against_steps(line: LineRecord, points: Mapping[str, EstimateRecord]) -> list[Point]:
    line_points: list[Point] = []
    for steps, row in line["rows"].items():
        line_points += _point(row, float(steps), points[row], float(steps), float(steps))
    return line_points


def _against_seconds(
    line: LineRecord, points: Mapping[str, EstimateRecord], budgets: Mapping[str, BudgetRecord]
) -> list[Point]:
    line_points: list[Point] = []
    for row in line["rows"].values():
        if row in budgets:
            left, middle, right = (
                max(each, 1e-4) for each in budgets[row]["scene_seconds"]
            )  # a logarithm of 0 is none
            line_points += _point(row, middle, points[row], left, right)
    return line_points


def _point(row: str, x: float, estimate: EstimateRecord, left: float, right: float) -> list[Point]:
    """Return a row's point; none where it has no mean."""
    mean, low, high = estimate["mean"], estimate["low"], estimate["high"]
    if mean is None:
        return []
    return [Point(row, x, mean, mean if low is None else low, mean if high is None else high, left, right)]


def _steps_plot(lines: Mapping[str, Sequence[Point]], looks: Mapping[str, Look], measure: MetricInfo) -> Markup:
    with matplotlib.rc_context(STYLE):
        figure, axes = _axes(measure)
        ticks = sorted({point.x for line in lines.values() for point in line})
        shown = {label: line for label, line in lines.items() if line}
        drawn: list[tuple[str, Line2D]] = []
        for n, (label, line) in enumerate(shown.items()):
            # Lines that stand at the same steps are set apart, or their intervals would hide each other.
            aside = 0.035 * (n - (len(shown) - 1) / 2)
            places = [_symlog_back(_symlog(point.x) + aside) for point in line]
            apart = [point._replace(x=x) for point, x in zip(line, places, strict=True)]
            drawn.append((label, _draw(axes, apart, looks[label])))
        axes.set_xscale("function", functions=(_symlog, _symlog_back))
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("adaptation steps")
        scale_quality(axes, [point.low for line in shown.values() for point in line])
        _legend(figure, drawn)
        return svg(figure, f"{measure.title} against adaptation steps, for {', '.join(shown)}", "wide")


def _seconds_plot(
    lines: Mapping[str, Sequence[Point]], looks: Mapping[str, Look], front: Sequence[Point], measure: MetricInfo
) -> Markup:
    with matplotlib.rc_context(STYLE):
        figure, axes = _axes(measure)
        shown = {label: line for label, line in lines.items() if line}
        drawn: list[tuple[str, Line2D]] = []
        for label, line in shown.items():
            for point in line:
                axes.plot(
                    [point.left, point.right], [point.mean] * 2, color=looks[label].colour, alpha=0.45, linewidth=1
                )
            drawn.append((label, _draw(axes, line, looks[label])))
        if front:
            last = max(point.x for line in shown.values() for point in line)
            (steps,) = axes.step(
                [*(p.x for p in front), max(last, front[-1].x)],
                [*(p.mean for p in front), front[-1].mean],
                where="post",
                color=INK,
                linewidth=1.1,
                linestyle=(0, (2, 2)),
                zorder=1,
            )
            drawn.append(("Pareto front", steps))
        every = [point.x for line in shown.values() for point in line]
        if max(every) > 8 * min(every):
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: short_duration(seconds)))
        axes.set_xlabel("time to adapt to a scene (median over test tasks, quartiles)")
        scale_quality(axes, [point.low for line in shown.values() for point in line])
        _legend(figure, drawn)
        return svg(figure, f"{measure.title} against seconds per scene, for {', '.join(shown)}", "wide")


def _axes(measure: MetricInfo) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE)
    axes = figure.add_axes(PLACE)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.set_ylabel(f"{measure.label}{f' [{measure.unit}]' if measure.unit else ''}")
    return figure, axes


def scale_quality(axes: Axes, values: Sequence[float]) -> None:
    """Make the quality axis logarithmic where values differ fivefold, for after many steps all errors are small; make
    room for long numbers.
    """
    if min(values) > 0 and max(values) > 5 * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
    full_numbers(axes)


def _draw(axes: Axes, line: Sequence[Point], look: Look) -> Line2D:
    xs = [point.x for point in line]
    axes.vlines(xs, [p.low for p in line], [p.high for p in line], color=look.colour, alpha=0.45, linewidth=1.4)
    (curve,) = axes.plot(
        xs,
        [point.mean for point in line],
        color=look.colour,
        marker=look.marker,
        linestyle=look.dash,
        linewidth=1.3,
        markersize=4.6,
    )
    return curve


def _legend(figure: Figure, drawn: Sequence[tuple[str, Line2D]]) -> None:
    """Name the curves; by matplotlib's own labels a name that begins with _ would be left out."""
    figure.legend(
        [curve for _, curve in drawn],
        [shortened(label, 30) for label, _ in drawn],
        loc="center left",
        bbox_to_anchor=(PLACE[0] + PLACE[2] + 0.01, 0.55),
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        edgecolor=MUTED,
    )


def _symlog(steps: Any) -> Any:
    """Return log2(1 + steps): 0 has a place, and doubling a large number of steps is always as wide."""
    return np.log2(1 + np.maximum(steps, -0.999))


def _symlog_back(place: Any) -> Any:
    return np.exp2(place) - 1
