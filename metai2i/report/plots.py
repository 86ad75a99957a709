"""Plots as inline SVG whose colours are CSS variables, so that they follow the page into the dark.

matplotlib draws with stand-in colours; `svg` puts `var(--NAME)` in their place, drops the XML prologue and the
metadata (they name addresses), and leaves text as text.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypedDict

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import NullFormatter

from metai2i.console.legible import on_one_line
from metai2i.metrics.display import MetricInfo
from metai2i.report.ticks import FullNumbers, room_for_numbers
from metai2i.report.wording import MINUS, marked, shortened
from metai2i.statistics import Summary, baselines_in

INK, MUTED, GRID, PAPER, BETTER, WORSE = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
SERIES = tuple(f"#07070{n}" for n in range(1, 9))
_LINES = SERIES[:2]
VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "line",
    PAPER: "paper",
    BETTER: "better",
    WORSE: "worse",
    **{colour: f"series-{n}" for n, colour in enumerate(SERIES, start=1)},
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
_KEPT: list[list[tuple[str, Figure]]] = []
"""Who wants to have the figures themselves (`keeping_plots`)."""
PairedMeans = Mapping[str, Mapping[str, tuple[float, float]]]  # row -> task -> its mean, and its baseline's


class SlopePanel(TypedDict):
    """A row's panel, for the template; `against`: its baseline."""

    title: str
    against: str
    svg: Markup


def difference_plot(
    summary: Summary, means: PairedMeans, metric: MetricInfo, places: Mapping[tuple[str, str], str] = {}
) -> Markup | None:
    """Draw one strip per row: a dot per test task (row - its baseline), the mean difference and its interval.

    A dot leads to the images of its task, where `places` has them by task and row. None where there is nothing to
    compare.
    """
    against, several = summary["against"], len(baselines_in(summary)) > 1
    drawn = [row for row in against if means.get(row)]
    if not drawn:
        return None
    with matplotlib.rc_context(STYLE):
        height = 0.7 * len(drawn) + 0.75
        figure = Figure(figsize=(6.4, height))
        axes = figure.add_axes((0.045, 0.58 / height, 0.91, 1 - 0.62 / height))
        axes.axvline(0, color=MUTED, linewidth=1)
        for place, row in enumerate(drawn):
            baseline, shared = against[row], list(means[row])
            differences = np.array([mean - base for mean, base in means[row].values()])
            y = -place
            # Dots of equal value are told apart by a small shift that depends on their order alone.
            shift = 0.06 * (np.arange(len(shared)) % 3 - 1)
            for task, value, offset in zip(shared, differences, shift, strict=True):
                dot = axes.plot(value, y + offset, "o", markersize=4.2, alpha=0.75, color=_colour(value, metric))
                if (task, row) in places:
                    dot[0].set_url(f"#{places[task, row]}")
            pair = summary["pairs"][row][metric.name]
            low, high = pair["low"], pair["high"]
            if low is not None and high is not None:
                axes.plot([low, high], [y - 0.24] * 2, color=INK, linewidth=2, solid_capstyle="butt")
            axes.plot(differences.mean(), y - 0.24, "D", markersize=5.5, color=INK, markeredgecolor=PAPER)
            axes.text(
                0.0,
                y + 0.29,
                _strip_title(marked(summary, row), marked(summary, baseline) if several else ""),
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=9.5,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},  # no line goes through a name
            )
        axes.set_ylim(-len(drawn) + 0.5, 0.55)
        axes.margins(x=0.06)
        axes.xaxis.set_major_formatter(FullNumbers())
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        unit = f" [{metric.unit}]" if metric.unit else ""
        subtracted = "its baseline" if several else shortened(marked(summary, against[drawn[0]]), 40)
        axes.set_xlabel(f"{metric.title}{unit}, row {MINUS} {subtracted}{_sides(metric)}")
        to = "each row's baseline" if several else against[drawn[0]]
        alt = f"Differences in {metric.title} to {to} per test task, for {', '.join(drawn)}"
        return svg(figure, alt, "wide")


def slope_plots(summary: Summary, means: PairedMeans, metric: MetricInfo) -> list[SlopePanel]:
    """Draw one small panel per row: every test task as a line from its baseline's value to the row's, all on one
    scale.
    """
    against = summary["against"]
    drawn = [row for row in against if means.get(row)]
    values = [value for row in drawn for pair in means[row].values() for value in pair]
    panels = []
    for row in drawn:
        baseline = against[row]
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=(2.3, 2.5))
            axes = figure.add_axes((0.2, 0.12, 0.74, 0.84))
            for mean, base in means[row].values():
                colour = _colour(mean - base, metric)
                line = "o--" if colour == WORSE else "o-"
                axes.plot((0, 1), (base, mean), line, linewidth=1, markersize=3, alpha=0.8, color=colour)
            middle = np.mean(list(means[row].values()), axis=0)[::-1]
            axes.plot((0, 1), middle, "D-", color=INK, linewidth=2.2, markersize=5, markeredgecolor=PAPER)
            axes.set_xticks((0, 1), ("baseline", "this row"))
            axes.set_xlim(-0.25, 1.25)
            margin = 0.05 * (max(values) - min(values)) or 0.05 * abs(values[0]) or 0.05
            axes.set_ylim(min(values) - margin, max(values) + margin)
            full_numbers(axes)
            axes.grid(axis="y")
            axes.set_axisbelow(True)
            alt = f"{metric.title} of {baseline} and of {row}, a line per test task"
            title, against_it = marked(summary, row), marked(summary, baseline)
            panels.append(SlopePanel(title=title, against=against_it, svg=svg(figure, alt, "small")))
    return panels


def curve_plot(title: str, lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Markup:
    """Return a small panel with one or two curves over steps (name -> steps, values); values that are not finite are
    gaps.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.0, 1.9))
        axes = figure.add_axes((0.17, 0.15, 0.79, 0.81))
        everything = []
        for (name, (steps, values)), colour, dash in zip(lines.items(), _LINES, ("-", "--"), strict=False):
            marker = "o" if len(steps) < 4 else ""
            axes.plot(steps, values, dash, color=colour, linewidth=1.3, label=name, marker=marker, markersize=3)
            everything += [value for value in values if np.isfinite(value)]
        if everything and min(everything) > 0 and max(everything) > 30 * float(np.median(everything)):
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(NullFormatter())
        full_numbers(axes)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8, labelcolor=INK)
        axes.locator_params(axis="x", nbins=4)
        axes.xaxis.set_major_formatter(lambda step, _: f"{step / 1000:g}k" if abs(step) >= 1000 else f"{step:g}")
        axes.grid(axis="y")
        return svg(figure, f"{title} over steps", "small")


def full_numbers(axes: Axes) -> None:
    """Write the numbers of an upright axis in full, and make room for long ones."""
    axes.yaxis.set_major_formatter(FullNumbers())
    figure = axes.figure
    assert isinstance(figure, Figure)
    left, bottom, width, height = axes.get_position().bounds
    more = room_for_numbers(axes) / figure.get_figwidth()
    axes.set_position((left + more, bottom, width - more, height))


def _strip_title(row: str, baseline: str) -> str:
    return f"{shortened(row, 46)} against {shortened(baseline, 36)}" if baseline else shortened(row)


def _colour(difference: float, metric: MetricInfo) -> str:
    if difference == 0 or metric.higher_is_better is None:
        return MUTED
    return BETTER if (difference > 0) == metric.higher_is_better else WORSE


def _sides(metric: MetricInfo) -> str:
    if metric.higher_is_better is None:
        return ""
    return "   (right of the line is better)" if metric.higher_is_better else "   (left of the line is better)"


def svg(figure: Figure, alt: str, css: str) -> Markup:
    """Return a figure as inline SVG whose colours are those of the page.

    Its texts hold names of others: none is read as mathematics, as markup, or as something to put in another's place.

    Args:
        alt: what it shows, for those who do not see it.
        css: a class of the style sheet: "wide" or "small".
    """
    alt = on_one_line(alt)
    for text in figure.findobj(Text):
        text.set_text(on_one_line(text.get_text()))
        text.set_parse_math(False)
    for kept in _KEPT:
        kept.append((alt, figure))
    salt = hashlib.sha256(alt.encode()).hexdigest()  # ids of clip paths must differ between the plots of one page
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has fonts of its own
        figure.savefig(file, format="svg", metadata=nothing)
    drawn = file.getvalue()
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, count=1, flags=re.DOTALL)
    # The size in points gives way to the style sheet's; the view box keeps the proportions.
    head = re.search(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', drawn)
    assert head is not None
    opening = f'<svg class="plot {css}" role="img" aria-label="{escape(alt)}" viewBox="{head[1]}">'
    return Markup(opening + re.sub("<[^>]*>", _in_the_page, drawn[head.end() :]))


@contextmanager
def keeping_plots() -> Iterator[list[tuple[str, Figure]]]:
    """Give a list into which every plot goes that is drawn within it, with what it shows."""
    kept: list[tuple[str, Figure]] = []
    _KEPT.append(kept)
    try:
        yield kept
    finally:
        _KEPT.remove(kept)


def _in_the_page(tag: re.Match[str]) -> str:
    """Return a tag of a plot with the page's colours; what stands between tags is left alone, for it holds names."""
    text = tag[0].replace("xlink:href", "href")
    text = text.replace("<a ", '<a tabindex="-1" ')  # the table of the values has the same links for the keyboard
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    return text
