"""The diagram of mean ranks."""

from __future__ import annotations

import re

import pytest

from metai2i.report.rank_plot import rank_plot

EM = 0.6  # of letters at 9 pixels in the page's fonts, on average


@pytest.mark.parametrize("letters", [4, 29, 80])
def test_names_beside_the_axis_are_not_cut_off(letters):
    ranks = {"a": 1.2, "b": 2.3, "c": 2.5, "d": 4.0}
    ranking = {
        "ranks": ranks,
        "names": {row: row * letters for row in ranks},
        "critical_difference": 0.8,
        "alike": [["b", "c"]],
    }
    image = rank_plot({**ranking, "steps": None})
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', image)[1])
    words = re.findall(r'text-anchor: (end|start)[^>]* x="([\d.]+)"[^>]*>([^<]+)<', image)
    words += [
        ("start", x, text) for x, text in re.findall(r'var\(--ink\)" x="([\d.]+)"[^>]*>([^<]*\d [a-d][^<]*)<', image)
    ]
    assert len(words) >= 4
    for anchor, x, text in words:
        room = float(x) if anchor == "end" else width - float(x)
        assert room >= EM * 9 * len(text.strip())
