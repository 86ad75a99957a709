"""Mean ranks on a line, with the critical difference: rows that a bar joins cannot be told apart (Demsar, 2006)."""

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
LEFT, RIGHT = 0.34, 0.66  # where the axis begins and ends; names of 30 letters stand beside it


def rank_plot(ranking: RankingRecord) -> Markup:
    """Return the diagram of a comparison, best rank on the left.

    Args:
        ranking: one of `summary["ranks"]`.
    """
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
        when = "" if ranking["steps"] is None else f" after {ranking['steps']} steps"
        alt = f"Mean ranks{when}: " + ", ".join(f"{names[row]} {ranking['ranks'][row]:.2f}" for row in rows)
        return svg(figure, alt, "wide")


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
