"""Mean ranks on a line, with the critical difference: rows that a bar joins cannot be told apart (Demsar, 2006).

Many rows stand below each other instead, each with a bar of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metai2i.report.plots import INK, MUTED, STYLE, svg
from metai2i.report.wording import shortened
from metai2i.statistics import RankingRecord

WIDTH, LINE, HEAD = 8.4, 0.21, 0.62  # inches: of the figure, of a line of text, of what stands above the axis
MOST_BESIDE = 12
"""Rows whose names stand at the sides of one axis."""
ALPHA = 0.05
"""Where Friedman's p is not below it, no two rows are told apart."""
LIST_LEFT, LIST_HEAD = 0.43, 0.3  # where the axis of a list begins; inches above it
LEFT, RIGHT = 0.34, 0.66  # where the axis begins and ends; names of 30 letters stand beside it


def rank_plot(ranking: RankingRecord) -> Markup:
    """Return the diagram of a comparison: names at both sides of the axis, best rank on the left; of many rows a line
    for each, best rank at the top.

    Args:
        ranking: one of `summary["ranks"]`.
    """
    drawn = _list_plot(ranking) if is_list(ranking) else _axis_plot(ranking)
    when = "" if ranking["steps"] is None else f" after {ranking['steps']} steps"
    rows = ", ".join(f"{ranking['names'][row]} {rank:.2f}" for row, rank in ranking["ranks"].items())
    return svg(drawn, f"Mean ranks{when}: {rows}", "wide")


def is_list(ranking: RankingRecord) -> bool:
    """Return whether rows are so many that each gets a line of its own."""
    return len(ranking["ranks"]) > MOST_BESIDE


def _axis_plot(ranking: RankingRecord) -> Figure:
    rows, names = list(ranking["ranks"]), ranking["names"]
    half = (len(rows) + 1) // 2
    bars = ranking["alike"] if ranking["critical_difference"] is not None else []
    below = 0.16 * len(bars) + LINE * half + 0.1
    height = HEAD + below
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((LEFT, 0, RIGHT - LEFT, 1))
        axes.set_xlim(1, len(rows))
        axes.set_ylim(-below, HEAD)  # in inches, so that lines of text keep their distance
        axes.axis("off")
        _axis(axes, len(rows))
        if ranking["critical_difference"] is not None:
            _critical(axes, ranking["critical_difference"], len(rows))
        for place, group in enumerate(bars):
            ends = [ranking["ranks"][row] for row in group]
            y = -0.14 - 0.16 * place
            axes.plot([min(ends) - 0.04, max(ends) + 0.04], [y, y], color=INK, linewidth=3, solid_capstyle="butt")
        top = -0.14 - 0.16 * len(bars)
        for n, row in enumerate(rows):
            left = n < half
            y = top - LINE * (n if left else len(rows) - 1 - n) - 0.05
            _arm(axes, ranking["ranks"][row], names[row], y, left=left, rows=len(rows))
        return figure


def _list_plot(ranking: RankingRecord) -> Figure:
    """Draw rows below each other, with bars half a critical difference to either side: two that do not overlap are told
    apart, which says the same as bars that join rows. Where the rows as a whole are not told apart there are none.
    """
    rows, names, difference = list(ranking["ranks"]), ranking["names"], ranking["critical_difference"]
    height = LIST_HEAD + LINE * len(rows) + 0.1
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((LIST_LEFT, 0.1 / height, 0.97 - LIST_LEFT, 1 - (LIST_HEAD + 0.1) / height))
        axes.set_xlim(0.5, len(rows) + 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        half = 0.0 if difference is None or ranking["p"] >= ALPHA else difference / 2
        for place, row in enumerate(rows):
            rank = ranking["ranks"][row]
            if half:
                bar = [max(rank - half, 0.5), min(rank + half, len(rows) + 0.5)]
                axes.plot(bar, [place, place], color=MUTED, linewidth=3, alpha=0.5, solid_capstyle="butt")
            axes.plot(rank, place, "o", color=INK, markersize=4.5)
        words = [f"{shortened(names[row], 44)}  {ranking['ranks'][row]:.2f}" for row in rows]
        axes.set_yticks(range(len(rows)), words, color=INK)
        axes.xaxis.tick_top()
        axes.set_xticks([rank for rank in range(1, len(rows) + 1) if rank == 1 or rank % 5 == 0])
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return figure


def _axis(axes: Axes, rows: int) -> None:
    axes.plot([1, rows], [0, 0], color=MUTED, linewidth=1)
    for rank in range(1, rows + 1):
        axes.plot([rank, rank], [0, 0.06], color=MUTED, linewidth=1)
        axes.text(rank, 0.1, str(rank), ha="center", va="bottom", color=MUTED)


def _critical(axes: Axes, difference: float, rows: int) -> None:
    end = min(1 + difference, rows)
    axes.plot([1, end], [0.36, 0.36], color=INK, linewidth=1.4)
    for x in (1, end) if 1 + difference <= rows else (1,):
        axes.plot([x, x], [0.32, 0.40], color=INK, linewidth=1.4)
    axes.text((1 + end) / 2, 0.42, f"critical difference {difference:.2f}", ha="center", va="bottom", fontsize=8.5)


def _arm(axes: Axes, rank: float, name: str, y: float, *, left: bool, rows: int) -> None:
    """Draw a row's place on the axis, and its name at the side."""
    end = 1 - 0.01 * (rows - 1) if left else rows + 0.01 * (rows - 1)
    axes.plot([rank, rank, end], [0, y, y], color=MUTED, linewidth=0.8, clip_on=False)
    axes.plot(rank, 0, "o", color=INK, markersize=4, clip_on=False)
    words: Sequence[str] = (shortened(name, 30), f"{rank:.2f}")
    text = "  ".join(words if left else reversed(words))
    axes.text(end, y, f"{text} " if left else f" {text}", ha="right" if left else "left", va="center", fontsize=9)
