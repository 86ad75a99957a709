"""The harder half of the queries, against numbers worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from fake_run import BASELINE, alike, make_run

from metai2i.report import build_report, compare_runs, load_run, summarise_run
from metai2i.report.harder_half import harder_half
from metai2i.report.tables import halves_table
from metai2i.run_folder.results import Record
from metai2i.statistics import difference_interval, ratio_of_means, summarise


def records(likeness, **rows):
    """row -> task -> one LPIPS per query; likeness: task -> one per query, the same for all rows."""
    scores = [
        Record(r, t, str(q), "lpips", v)
        for r, tasks in rows.items()
        for t, vs in tasks.items()
        for q, v in enumerate(vs)
    ]
    likenesses = [
        Record(r, t, str(q), "map_iou", v) for r in rows for t, vs in likeness.items() for q, v in enumerate(vs)
    ]
    return [*scores, *likenesses]


def summary(of, baseline="base", copies=()):
    rows = list(dict.fromkeys(r.row for r in of))
    return summarise(of, rows, baseline, None) | {"copies": list(copies)}


LIKENESS = {"a": [0.1, 0.9], "b": [0.2, 0.8], "c": [0.3, 0.7]}
BASE = {"a": [0.5, 0.2], "b": [0.6, 0.2], "c": [0.7, 0.2]}
ROW = {"a": [0.4, 0.2], "b": [0.3, 0.2], "c": [0.2, 0.2]}
COPY = {"a": [0.9, 0.1], "b": [0.9, 0.1], "c": [0.9, 0.1]}


def test_queries_below_the_median_are_the_harder_half():
    of = records(LIKENESS, base=BASE, row=ROW)
    halves = harder_half(of, summary(of))
    assert halves["median"] == pytest.approx(0.5)
    harder, easier = halves["halves"]["harder"], halves["halves"]["easier"]
    assert (harder["queries"], easier["queries"]) == (3, 3)
    assert harder["rows"]["base"]["mean"] == pytest.approx(0.6)
    assert harder["rows"]["row"]["mean"] == pytest.approx(0.3)
    assert easier["rows"]["row"]["mean"] == pytest.approx(0.2)


def test_rows_are_compared_with_the_baseline_and_the_row_that_copies_over_tasks():
    of = records(LIKENESS, base=BASE, row=ROW, copy=COPY, other=COPY)
    harder = harder_half(of, summary(of, copies=["copy", "other"]))["halves"]["harder"]["rows"]
    row, base, copy = (np.array(values) for values in ([0.4, 0.3, 0.2], [0.5, 0.6, 0.7], [0.9, 0.9, 0.9]))
    got = harder["row"]["against"]
    assert list(got) == ["base", "copy"]
    assert got["base"]["ratio"] == pytest.approx(0.5)
    assert (got["base"]["ratio_low"], got["base"]["ratio_high"]) == ratio_of_means(row, base)[1]
    assert (got["base"]["low"], got["base"]["high"]) == difference_interval(row, base)
    assert (got["copy"]["ratio"], got["copy"]["n"]) == (pytest.approx(1 / 3), 3)
    assert (got["copy"]["ratio_low"], got["copy"]["ratio_high"]) == ratio_of_means(row, copy)[1]
    assert list(harder["base"]["against"]) == ["copy"]
    assert list(harder["copy"]["against"]) == ["base"]


def test_a_task_counts_in_a_half_by_its_queries_that_are_in_it():
    # The queries of "a" are both harder, those of "c" both easier; of "b" one is each.
    likeness = {"a": [0.1, 0.2], "b": [0.3, 0.7], "c": [0.8, 0.9]}
    of = records(likeness, base={"a": [0.2, 0.4], "b": [0.5, 0.9], "c": [0.1, 0.1]})
    halves = harder_half(of, summary(of))["halves"]
    assert halves["harder"]["rows"]["base"]["n"] == 2
    assert halves["harder"]["rows"]["base"]["mean"] == pytest.approx((0.3 + 0.5) / 2)
    assert halves["easier"]["rows"]["base"]["mean"] == pytest.approx((0.9 + 0.1) / 2)


def test_queries_at_the_median_are_not_the_harder_ones():
    of = records({"a": [0.1, 0.5, 0.5, 0.5, 0.9]}, base={"a": [0.1, 0.2, 0.3, 0.4, 0.5]})
    halves = harder_half(of, summary(of))["halves"]
    assert (halves["harder"]["queries"], halves["easier"]["queries"]) == (1, 4)


def test_a_query_without_a_number_is_in_neither_half():
    of = records({"a": [0.1, math.nan, 0.9]}, base={"a": [0.1, 5.0, 0.3]})
    halves = harder_half(of, summary(of))["halves"]
    assert [half["rows"]["base"]["mean"] for half in halves.values()] == [0.1, 0.3]


def test_there_are_no_halves_where_nothing_is_told_or_all_queries_are_alike():
    of = [r for r in records(LIKENESS, base=BASE) if r.metric == "lpips"]
    assert harder_half(of, summary(of)) is None
    of = records({"a": [0.5, 0.5], "b": [0.5, 0.5]}, base=BASE | {"c": []})
    assert harder_half(of, summary(of)) is None


def test_rows_with_other_supports_are_divided_as_the_baseline_is_and_it_is_told():
    of = records(LIKENESS, base=BASE, row=ROW)
    assert harder_half(of, summary(of))["alike"]
    of = [r._replace(value=1 - r.value) if r[::3] == ("row", "map_iou") else r for r in of]
    halves = harder_half(of, summary(of))
    assert (halves["of"], halves["alike"]) == ("base", False)
    assert halves["halves"]["harder"]["rows"]["row"]["mean"] == pytest.approx(0.3)
    table = halves_table(summary(of) | {"harder_half": halves})
    assert "nearest support map of base" in table["sentence"]


def test_without_a_baseline_there_are_means_only():
    of = records(LIKENESS, base=BASE, row=ROW)
    harder = harder_half(of, summary(of, baseline=None))["halves"]["harder"]["rows"]
    assert harder["row"]["against"] == {}


# On the page


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = make_run(tmp_path_factory.mktemp("runs") / "run", tasks=6, queries=3, images=False, described=True)
    build_report(path)
    return path


def test_the_page_says_what_the_harder_half_is_and_shows_its_numbers(run):
    record = json.loads((run / "summary.json").read_text(), parse_constant=pytest.fail)["harder_half"]
    text = (run / "report.html").read_text()
    section = text[text.index('<section id="halves">') :].partition("</section>")[0]
    middle = np.median([alike(f"street/test-{n:03d}", str(q)) for n in range(6) for q in range(3)])
    assert record["median"] == pytest.approx(middle)
    assert "The harder half are the 9 queries whose label map is less like the nearest support map" in section
    assert f"(mean IoU below {middle:.2f})" in section
    assert section.count("ratio to") == 4
    for half in record["halves"].values():
        for row in half["rows"].values():
            assert f"{row['mean']:.3f}" in section
        assert f"{half['rows']['BiL-Pix2pix (5-shot)']['against'][BASELINE]['ratio']:.3f}" in section


def test_how_like_a_map_is_stands_nowhere_as_a_metric(run):
    summary_read = json.loads((run / "summary.json").read_text())
    assert summary_read["metrics"] == ["lpips", "ssim", "mse", "psnr"]
    assert "map_iou" not in (run / "report.html").read_text()
    assert not any("map_iou" in note for note in summary_read["notes"])


def test_a_run_that_does_not_tell_has_no_such_section(tmp_path):
    path = make_run(tmp_path / "run", tasks=6, images=False)
    assert summarise_run(load_run(path))["harder_half"] is None
    assert 'id="halves"' not in build_report(path).read_text()


def test_decibels_are_compared_by_difference(tmp_path):
    path = make_run(
        tmp_path / "run", tasks=6, images=False, described=True, compare={"baseline": BASELINE, "metric": "psnr"}
    )
    summary = summarise_run(load_run(path))
    table = halves_table(summary)
    row = next(line for line in table["rows"] if line["name"] == "BiL-Pix2pix (5-shot)")
    pair = summary["harder_half"]["halves"]["harder"]["rows"]["BiL-Pix2pix (5-shot)"]["against"][BASELINE]
    assert table["by"] == "difference"
    assert row["cells"][0]["against"][0]["value"] == f"{pair['difference']:+.2f}"


def test_several_runs_are_divided_too(tmp_path):
    paths = [make_run(tmp_path / name, tasks=6, images=False, described=True) for name in ("one", "two")]
    comparison = compare_runs(paths)
    harder = comparison.summary["harder_half"]["halves"]["harder"]["rows"]
    assert harder["two: Copy"]["against"].keys() == {f"one: {BASELINE}", "one: Copy"}
