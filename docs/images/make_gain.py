"""Draw how much rows of finished runs gain on their baselines, as the charts of the studies do.

    python docs/images/make_gain.py gain.png --panel "20 steps" runs/ablation-bootstrap
    python docs/images/make_gain.py gain.png --by " after {} steps" --otherwise 20 --axis "adaptation steps" \
        --panel "5 shots" runs/five-seed0 runs/five-seed1 --panel "1 shot" runs/one-seed0 runs/one-seed1

A panel is of one run, or of runs that differ in their seed, which are averaged scene by scene. Without --by every row
has a line of its own. With it the number in a row's name says where the row lies on the axis, and rows of one name
apart from it are joined; --otherwise is the number of rows that have none. Shown is the ratio of the main metric to
that of the row's own baseline, with its 95 % interval: 1 is as good as the baseline.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from metai2i.errors import UserError
from metai2i.files import write_atomically
from metai2i.report.pooling import pool_seeds
from metai2i.report.run_summary import summarise_run
from metai2i.run_folder.reader import load_run
from metai2i.statistics import Summary

INK = (125 / 255, 133 / 255, 144 / 255)
"""A grey that reads on white and on black; the ground is transparent."""
COLOURS = ("#3b82c4", "#d97a1e", "#3f9e5c", "#b5559c", "#c2504a", "#8d77c9")
WIDTH, HEIGHT, DOTS = 4.6, 3.3, 160
"""Inches of a panel, and pixels for each."""


class Gain(NamedTuple):
    """A row's ratio to its baseline, with the ends of the interval."""

    row: str
    ratio: float
    low: float
    high: float


class Place(NamedTuple):
    """Where a row lies: in which series, at which number."""

    series: str
    number: float


def gains_of(runs: Sequence[Path]) -> tuple[str, list[Gain]]:
    """Return what the main metric is called, and the gains of all rows that are compared, in their order."""
    summary: Summary = summarise_run(load_run(runs[0])) if len(runs) == 1 else pool_seeds(runs).summary
    metric = summary["metric"]
    if metric is None:
        raise UserError(f"{runs[0]}: no number of a main metric is there")
    gains = []
    for row, pairs in summary["pairs"].items():
        pair = pairs.get(metric)
        if pair is not None and pair["ratio"] is not None:
            low, high = pair["ratio_low"], pair["ratio_high"]
            gains.append(Gain(row, pair["ratio"], low if low is not None else pair["ratio"],
                              high if high is not None else pair["ratio"]))  # fmt: skip
    if not gains:
        raise UserError(f"{runs[0]}: no row is compared with another by ratio")
    return summary["measures"][metric]["title"], gains


def place_of(row: str, by: str, otherwise: float | None) -> Place | None:
    """Return where a row lies: `by` is what stands around the number in its name, as in " after {} steps".

    A row without it lies at `otherwise`; None where that is not given.
    """
    before, _, behind = by.partition("{}")
    found = re.search(re.escape(before) + r"(\d+(?:\.\d+)?)" + re.escape(behind), row)
    if found:
        return Place((row[: found.start()] + row[found.end() :]).strip(" ,"), float(found[1]))
    return None if otherwise is None else Place(row, otherwise)


def joined(gains: Sequence[Gain], by: str, otherwise: float | None) -> dict[str, list[tuple[float, Gain]]]:
    """Return series, each with its rows from the lowest number to the highest; a series of one row is left out."""
    series: dict[str, list[tuple[float, Gain]]] = {}
    for gain in gains:
        place = place_of(gain.row, by, otherwise)
        if place is not None:
            series.setdefault(place.series, []).append((place.number, gain))
    return {name: sorted(points) for name, points in series.items() if len(points) > 1}


def draw_lines(axes: Axes, series: dict[str, list[tuple[float, Gain]]], colours: dict[str, str]) -> None:
    """Draw each series over its numbers, on a logarithmic axis that names those that are there."""
    numbers = sorted({number for points in series.values() for number, _ in points})
    for shift, (name, points) in enumerate(series.items()):
        apart = 1.03 ** (shift - (len(series) - 1) / 2)  # intervals at one number do not lie on each other
        at, ratios = [number * apart for number, _ in points], [gain.ratio for _, gain in points]
        reach = [[g.ratio - g.low for _, g in points], [g.high - g.ratio for _, g in points]]
        axes.errorbar(at, ratios, yerr=reach, color=colours[name], marker="o", markersize=4, capsize=2, label=name)
    axes.set_xscale("log")
    axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axhline(1, color=INK, linewidth=0.8, linestyle="--")


def draw_bars(axes: Axes, gains: Sequence[Gain]) -> None:
    """Draw each row on a line of its own, the first at the top."""
    for line, gain in enumerate(reversed(gains)):
        reach = [[gain.ratio - gain.low], [gain.high - gain.ratio]]
        axes.errorbar([gain.ratio], [line], xerr=reach, color=COLOURS[0], marker="o", markersize=4, capsize=2)
    axes.set_yticks(range(len(gains)), [gain.row for gain in reversed(gains)])
    axes.set_ylim(-0.6, len(gains) - 0.4)
    axes.axvline(1, color=INK, linewidth=0.8, linestyle="--")


def chart(
    panels: Sequence[tuple[str, str, Sequence[Gain]]], by: str | None, otherwise: float | None, axis: str
) -> Figure:
    """Return the figure of panels, each a heading, the metric's name and the gains."""
    lines = [joined(gains, by, otherwise) for _, _, gains in panels] if by else []
    names = list(dict.fromkeys(name for series in lines for name in series))
    if by and not names:
        raise UserError(f"no two rows differ by the number in {by!r} alone",
                        hint="--by is what stands around the number in the rows' names")  # fmt: skip
    if len(names) > len(COLOURS):
        raise UserError(f"{len(names)} series, expected {len(COLOURS)} at most", hint="leave some out by --rows")
    rows = max(len(gains) for _, _, gains in panels)
    size = (WIDTH * len(panels), HEIGHT) if by else (WIDTH + 2.5 * len(panels), 0.9 + 0.28 * rows)
    figure = Figure(figsize=size, layout="constrained")
    for place, (heading, metric, gains) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        axes.set_title(heading, color=INK, fontsize=10)
        if by:
            draw_lines(axes, lines[place], dict(zip(names, COLOURS, strict=False)))
            axes.set_xlabel(axis, color=INK)
            axes.set_ylabel(f"{metric} / baseline's" if place == 0 else "", color=INK)
        else:
            draw_bars(axes, gains)
            axes.set_xlabel(f"{metric} / baseline's", color=INK)
        axes.set_facecolor("none")
        axes.tick_params(colors=INK, labelcolor=INK)
        for name, spine in axes.spines.items():
            spine.set_visible(name in ("left", "bottom"))
            spine.set_color(INK)
    if by:
        shared = (min(a.get_ylim()[0] for a in figure.axes), max(a.get_ylim()[1] for a in figure.axes))
        for axes in figure.axes:
            axes.set_ylim(shared)
        handles = {
            label: handle for a in figure.axes for handle, label in zip(*a.get_legend_handles_labels(), strict=True)
        }
        beside = int(size[0] / (0.6 + 0.075 * max(len(name) for name in handles)))  # inches of a line and its name
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=max(1, min(beside, len(handles))),
                      frameon=False, labelcolor=INK, fontsize=9)  # fmt: skip
    figure.patch.set_alpha(0)
    return figure


def main(words: list[str] | None = None) -> int:
    """Write the chart; return the exit code."""
    parser = argparse.ArgumentParser(description="Draw how much rows gain on their baselines.")
    parser.add_argument("out", type=Path, help="the PNG file to write")
    parser.add_argument("--panel", nargs="+", action="append", required=True, metavar=("HEADING", "RUN"),
                        help="a heading and one run, or several of one recipe with other seeds")  # fmt: skip
    parser.add_argument("--by", help="what stands around the number in a row's name: ' after {} steps'")
    parser.add_argument("--otherwise", type=float, help="the number of rows that have none")
    parser.add_argument("--axis", default="", help="what the number is")
    parser.add_argument("--rows", default="", metavar="REGEX", help="only rows in whose name this is found")
    parser.add_argument("--sort", action="store_true", help="the row that gains least first, not in the run's order")
    given = parser.parse_args(words)
    try:
        if given.by is not None and given.by.count("{}") != 1:
            raise UserError(f"--by: got {given.by!r}, expected {{}} in it once, where the number stands")
        panels = []
        for heading, *runs in given.panel:
            if not runs:
                raise UserError(f"--panel {heading!r}: no run is given", hint="a heading stands before the runs")
            metric, gains = gains_of([Path(run) for run in runs])
            kept = [gain for gain in gains if re.search(given.rows, gain.row)]
            if not kept:
                raise UserError(f"--rows {given.rows!r}: no row is called so", hint=", ".join(g.row for g in gains))
            panels.append((heading, metric, sorted(kept, key=lambda gain: -gain.ratio) if given.sort else kept))
        figure = chart(panels, given.by, given.otherwise, given.axis)
    except (UserError, OSError, re.error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS, metadata={"Software": None})
    write_atomically(given.out, lambda draft: draft.write_bytes(buffer.getvalue()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
