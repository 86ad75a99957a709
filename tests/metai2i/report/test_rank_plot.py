"""The diagram of mean ranks."""

from __future__ import annotations

import re

import numpy as np
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


def many(count: int) -> dict:
    rows = [f"r{n}" for n in range(count)]
    names = {row: f"{row} of a strategy ({row}-shot)" for row in rows}
    ranks = {row: n + 1.25 for n, row in enumerate(rows)}
    return {"ranks": ranks, "names": names, "critical_difference": 5.0, "alike": [rows[:5]], "steps": None, "p": 0.01}


@pytest.mark.parametrize("count", [13, 19, 40])
def test_many_rows_stand_below_each_other_and_no_two_texts_touch(count):
    image = rank_plot(many(count))
    texts = re.findall(r'text-anchor: (end|middle)[^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)<', image)
    names = [(float(y), text) for anchor, _, y, text in texts if anchor == "end"]
    assert [text.split()[0] for _, text in sorted(names)] == [f"r{n}" for n in range(count)]
    assert min(np.diff(sorted(y for y, _ in names))) > 12
    heads = sorted((float(x), text) for anchor, x, _, text in texts if anchor == "middle")
    assert [text for _, text in heads] == ["1", *(str(n) for n in range(5, count + 1, 5))]
    assert min(np.diff([x for x, _ in heads])) > 2 * EM * 9


def test_bars_of_many_rows_overlap_where_rows_are_not_told_apart():
    """Half a critical difference to either side, so that ranks that differ by less have bars that overlap."""
    image = rank_plot(many(20))
    bars = [
        (float(start), float(end))
        for start, end in re.findall(r'd="M ([\d.]+) [\d.]+ \nL ([\d.]+) [\d.]+ \n"[^>]*stroke-width: 3', image)
    ]
    assert len(bars) == 20
    inner = bars[3:-3]  # those at the ends of the axis are cut off there
    for first, one_bar in enumerate(inner):
        for second, other in enumerate(inner[first:]):
            assert (one_bar[1] > other[0] + 1e-3) == (second < 5)


def test_rows_that_friedmans_test_does_not_tell_apart_have_no_bars():
    told_apart, alike = rank_plot(many(13)), rank_plot({**many(13), "p": 0.05})
    assert told_apart.count("stroke-opacity: 0.5") - alike.count("stroke-opacity: 0.5") == 13
