"""The numbers of an axis, which stand there in full."""

from __future__ import annotations

import re

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from metai2i.report.plots import STYLE, curve_plot, full_numbers
from metai2i.report.ticks import numbers


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.0, 5e-6, 1e-5], ["0", "5e−6", "1e−5"]),
        ([1.00002, 1.00004], ["1.00002", "1.00004"]),
        ([-0.5, -0.0, 0.5], ["−0.5", "0", "0.5"]),
        ([9e5, 1.2e6], ["9e5", "1.2e6"]),
        ([3.0, 3.0], ["3", "3"]),
        ([1.0, 1.0 + 2**-52], ["1", "1"]),
        ([], []),
    ],
)
def test_numbers_have_as_few_digits_as_tell_them_apart(values, words):
    assert numbers(values) == words


@pytest.mark.parametrize(
    "values", [[1e-5, 7e-6, 4e-6, 1e-6], [1.000021, 1.000028, 1.000024], [1.2e6, 1e6, 7e5], [-2e-7, 0.0, 1e-7]]
)
def test_nothing_stands_above_a_panel_where_its_title_is_and_no_number_is_cut_off(values):
    """matplotlib writes a factor such as 1e−5 there, from which the numbers beside the axis would have to be read."""
    image = curve_plot("loss", {"loss": (list(range(len(values))), values)})
    height = float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', image)[1])
    texts = re.findall(r'text-anchor: (\w+)[^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)<', image)
    beside = [(float(x), text) for anchor, x, _, text in texts if anchor == "end"]
    assert len(beside) >= 3
    assert all(float(y) > 0.05 * height for _, _, y, _ in texts)
    for x, text in beside:
        assert x >= 0.6 * 9 * len(text)
        assert min(abs(float(text.replace("−", "-")) - value) for value in values) < max(map(abs, values))


@pytest.mark.parametrize("ends", [(0.4982, 0.4988), (-0.4988, -0.4982), (0.1, 0.9)])
def test_small_panels_have_room_for_their_numbers(ends):
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.3, 2.5))  # that of a row's lines from its baseline
        axes = figure.add_axes((0.2, 0.12, 0.74, 0.84))
        axes.set_ylim(*ends)
        full_numbers(axes)
        FigureCanvasAgg(figure).draw()
        assert min(label.get_window_extent().x0 for label in axes.get_yticklabels()) >= 0
