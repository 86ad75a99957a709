"""Verdicts, what is missing, and the summary as JSON holds it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from metai2i.errors import UserError
from metai2i.metrics.display import MetricInfo
from metai2i.run_folder.results import Record
from metai2i.statistics import (
    baseline_of,
    baselines_in,
    family,
    measure_of,
    summarise,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def records(values, metric="lpips"):
    """row -> one number per task (or a list with one per query; None is missing) as records."""
    return [
        Record(row, f"t{n:02d}", str(q), metric, float(value))
        for row, numbers in values.items()
        for n, number in enumerate(numbers)
        for q, value in enumerate(number if isinstance(number, list) else [number])
        if value is not None
    ]


def summary(values, *, baseline="base", metric="lpips"):
    return summarise(records(values, metric), list(values), baseline, metric)


def pair(values, row="row", metric="lpips"):
    return summary(values, metric=metric)["pairs"][row][metric]


def test_queries_of_a_task_are_averaged_first():
    # Ten queries of one task must not outweigh the single one of the other.
    entry = summary({"base": [[0.1] * 10, 0.5]})["rows"]["base"]["lpips"]
    assert entry["mean"] == pytest.approx(0.3)
    assert entry["n"] == 2


# Verdicts


def test_a_clear_improvement_is_better_where_lower_is_and_worse_where_higher_is():
    base = rng().uniform(0.3, 0.4, size=8)
    values = {"base": base, "row": base - 0.1 - 0.01 * rng(1).uniform(size=8)}
    assert pair(values)["verdict"] == "better"
    assert pair(values)["wins"] == 8
    assert pair(values, metric="ssim")["verdict"] == "worse"
    assert pair(values, metric="ssim")["win_rate"] == 0
    unknown = pair(values, metric="distance")
    assert unknown["verdict"] == "lower"
    assert unknown["wins"] is None


def test_identical_rows_show_no_difference_and_tie_everywhere():
    base = rng().uniform(0.3, 0.4, size=7)
    got = pair({"base": base, "row": base})
    assert (got["difference"], got["low"], got["high"], got["ratio"], got["p"]) == (0, 0, 0, 1, 1)
    assert got["wins"] == 3.5
    assert got["verdict"] == "no difference shown"


def test_under_six_tasks_there_is_no_verdict_whatever_the_difference():
    got = pair({"base": [0.5, 0.6, 0.7, 0.8, 0.9], "row": [0.1, 0.1, 0.2, 0.2, 0.1]})
    assert got["verdict"] == "no verdict (n < 6)"
    assert got["n"] == 5


def test_one_task_is_compared_without_intervals():
    got = pair({"base": [0.5], "row": [0.4]})
    assert got["difference"] == pytest.approx(-0.1)
    assert (got["low"], got["ratio_low"], got["p"], got["verdict"]) == (None, None, 1.0, "no verdict (n < 6)")


def test_correction_over_many_rows_takes_a_verdict_back():
    base = np.linspace(0.3, 0.5, 6)
    alone = {"base": base, "row": base - np.linspace(0.01, 0.02, 6)}
    more = alone | {"other": base + rng(1).normal(0, 0.01, 6)}
    assert pair(alone)["verdict"] == "better"
    assert pair(more)["p_holm"] == 0.0625
    assert pair(more)["verdict"] == "no difference shown"
    assert any("no p can fall below 0.05" in note for note in summary(more)["notes"])
    assert summary(alone)["notes"] == []


def test_a_rank_test_without_a_difference_of_means_is_no_verdict():
    # Eleven small wins and one huge loss: p is small, but the mean is worse.
    differences = np.array([-0.01 - 0.001 * n for n in range(11)] + [2.0])
    got = pair({"base": np.full(12, 0.5), "row": 0.5 + differences})
    assert got["p"] < 0.05
    assert got["verdict"] == "no difference shown"


# What is missing or not finite


def test_a_row_that_is_scored_by_fewer_metrics_than_others_is_complete():
    both = {"base": [[0.1, 0.2], [0.3, 0.4]], "row": [[0.2, 0.3], [0.4, 0.5]]}
    sets = [Record(row, task, "set", "kid", 0.5) for row in ("base", "row", "third") for task in ("t00", "t01")]
    notes = summarise([*records(both), *sets], ["base", "row", "third"], "base", "kid")["notes"]
    assert not any("incomplete" in note for note in notes)
    notes = summarise([*records(both), *sets[:-1]], ["base", "row", "third"], "base", "kid")["notes"]
    assert any("third is incomplete: 1 of 2 tasks" in note for note in notes)


def test_missing_tasks_are_left_out_of_both_sides_and_told():
    values = {"base": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 9.0], "row": [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, None]}
    got = summary(values)
    assert got["pairs"]["row"]["lpips"]["n"] == 6
    assert got["pairs"]["row"]["lpips"]["difference"] == pytest.approx(0.1)
    assert got["rows"]["base"]["lpips"]["n"] == 7
    assert any("row is incomplete: 1 of 7 tasks" in note and "t06" in note for note in got["notes"])


def test_missing_queries_are_left_out_of_both_sides():
    got = pair({"base": [[0.1, 0.9], 0.2], "row": [[0.2, None], 0.2]})
    assert got["difference"] == pytest.approx(0.05)


def test_rows_without_a_task_in_common_are_not_compared():
    got = pair({"base": [0.1, None], "row": [None, 0.2]})
    assert (got["n"], got["difference"], got["p"], got["win_rate"]) == (0, None, None, None)
    assert got["verdict"] == "no verdict (n < 6)"


def test_a_row_that_was_never_evaluated_is_told():
    got = summarise(records({"base": [0.1, 0.2]}), ["base", "late"], "base", None)
    assert got["rows"]["late"] == {}
    assert got["notes"] == ["late has no numbers: it has not been evaluated."]


def test_infinite_psnr_is_left_out_and_told_and_there_is_no_verdict():
    base = rng().uniform(20, 25, size=8)
    got = summary({"base": base, "row": [math.inf, *(base[1:] + 3)]}, metric="psnr")
    assert got["rows"]["row"]["psnr"]["n"] == 7
    assert got["rows"]["row"]["psnr"]["left_out"] == 1
    assert got["pairs"]["row"]["psnr"]["difference"] == pytest.approx(3)
    assert got["pairs"]["row"]["psnr"]["verdict"] == "no verdict (1 value is not finite)"
    assert got["notes"] == [
        "PSNR of row: 1 of 8 values is infinite, because images are identical. It is left out of its mean."
    ]


def test_a_row_that_is_not_a_number_where_it_failed_gets_no_verdict():
    values = {"base": [0.5] * 9, "row": [0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, math.nan, math.nan]}
    got = summary(values)
    assert got["pairs"]["row"]["lpips"]["verdict"] == "no verdict (2 values are not finite)"
    assert "2 of 9 values are not a number" in got["notes"][0]


def test_a_row_of_nothing_but_nan_is_still_json():
    got = summary({"base": [0.5, 0.4], "row": [math.nan, math.nan]})
    assert got["rows"]["row"]["lpips"]["mean"] is None
    assert json.loads(json.dumps(got, allow_nan=False)) == got


# The summary


def test_the_summary_is_json_without_nan_and_has_what_is_documented():
    got = summary({"base": [0.5, 0.4, math.inf], "row": [0.0, math.nan, 0.1]}, metric="psnr")
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert set(got) == {
        "rows", "pairs", "against", "baseline", "metric", "metrics", "measures", "tasks", "uneven", "notes",
    }  # fmt: skip
    assert set(got["rows"]["base"]["psnr"]) == {"mean", "low", "high", "n", "sd", "left_out"}
    assert {
        "difference",
        "low",
        "high",
        "ratio",
        "ratio_low",
        "ratio_high",
        "p",
        "p_holm",
        "wins",
        "n",
        "verdict",
    } <= set(got["pairs"]["row"]["psnr"])
    assert got["tasks"]["ids"] == ["t00", "t01", "t02"]


def test_the_hash_of_the_tasks_knows_tasks_and_queries_and_not_their_order():
    def tasks_hash(values):
        return summary(values)["tasks"]["hash"]

    first = records({"base": [0.1, 0.2]})
    assert summarise(first[::-1], ["base"], None, None)["tasks"]["hash"] == tasks_hash({"base": [0.3, 0.4]})
    assert tasks_hash({"base": [0.1, 0.2]}) != tasks_hash({"base": [0.1, 0.2, 0.3]})
    assert tasks_hash({"base": [0.1, 0.2]}) != tasks_hash({"base": [0.1, [0.2, 0.2]]})


def test_without_a_baseline_nothing_is_compared():
    assert summary({"base": [0.1], "row": [0.2]}, baseline=None)["pairs"] == {}


def test_metrics_stand_in_the_usual_order_and_lpips_is_the_main_one():
    mixed = [r for name in ("other", "psnr", "lpips") for r in records({"base": [1.0, 2.0]}, name)]
    got = summarise(mixed, ["base"], None, None)
    assert got["metrics"] == ["lpips", "psnr", "other"]
    assert got["metric"] == "lpips"


def test_unknown_names_are_told_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'base'"):
        summary({"base": [0.1]}, baseline="bas")
    with pytest.raises(UserError, match="did you mean 'lpips'"):
        summarise(records({"base": [0.1]}), ["base"], None, "lpisp")
    with pytest.raises(UserError, match="rows that are not in the table: base"):
        summarise(records({"base": [0.1]}), ["row"], None, None)
    with pytest.raises(UserError, match="no numbers"):
        summarise([], ["row"], None, None)


def test_the_better_side_of_a_plugins_metric_is_the_one_that_it_is_told():
    base, row = rng(3).uniform(0.4, 0.6, 12), rng(4).uniform(0.1, 0.2, 12)
    measures = {"nme": MetricInfo("nme", "NME", False)}
    values = {"base": base.tolist(), "row": row.tolist()}
    got = summarise(records(values, "nme"), list(values), "base", "nme", measures)
    assert got["pairs"]["row"]["nme"]["verdict"] == "better"
    assert got["pairs"]["row"]["nme"]["wins"] == 12
    assert measure_of(json.loads(json.dumps(got)), "nme") == measures["nme"]
    assert summary(values, metric="nme")["pairs"]["row"]["nme"]["verdict"] == "lower"  # nobody knows its better side


def test_a_summary_that_tells_of_no_measures_has_the_cores_own():
    assert measure_of({"metrics": ["psnr"]}, "psnr").label == "PSNR ↑"


def test_what_tells_of_a_query_is_compared_nowhere():
    values = {"base": [0.4, 0.5], "row": [0.3, 0.2]}
    mixed = [*records(values), *records(values, "map_iou")]
    assert summarise(mixed, list(values), "base", "lpips") == summary(values)
    with pytest.raises(UserError, match="no number was measured with the metric 'map_iou'"):
        summarise(mixed, list(values), "base", "map_iou")


def test_what_one_row_alone_could_not_be_measured_on_is_told():
    measures = {"nme": MetricInfo("nme", "NME", False)}
    both = {"base": [0.4, 0.5, 0.6], "row": [0.3, 0.2, 0.1]}
    mixed = [*records(both), *records(both, "nme")]
    whole = summarise(mixed, list(both), "base", "lpips", measures)["notes"]
    lost = next(r for r in mixed if (r.row, r.metric) == ("row", "nme"))
    notes = summarise([r for r in mixed if r != lost], list(both), "base", "lpips", measures)["notes"]
    assert [note for note in notes if note not in whole] == [
        "NME of row could not be measured on 1 query where other rows have it."
    ]
    nobody = [r for r in mixed if r.metric == "lpips" or (r.task, r.query) != (lost.task, lost.query)]
    assert summarise(nobody, list(both), "base", "lpips", measures)["notes"] == whole


# Rows with baselines of their own

FAMILIES = {
    "base": [0.30, 0.32, 0.34, 0.36, 0.38, 0.40],
    "row": [0.20, 0.22, 0.24, 0.26, 0.28, 0.30],
    "base 2": [0.80, 0.82, 0.84, 0.86, 0.88, 0.90],
    "row 2": [0.40, 0.41, 0.42, 0.43, 0.44, 0.45],
    "other": [0.31, 0.34, 0.37, 0.40, 0.43, 0.46],
}


def families(baseline="base", **baselines):
    named = {"row 2": "base 2"} | {row.replace("_", " "): other for row, other in baselines.items()}
    return summarise(records(FAMILIES), list(FAMILIES), baseline, None, baselines=named)


def test_a_row_is_compared_with_its_own_baseline_and_the_others_with_the_common_one():
    got = families()
    assert got["against"] == {"row": "base", "row 2": "base 2", "other": "base"}
    differences = {row: pair["lpips"]["difference"] for row, pair in got["pairs"].items()}
    assert differences == pytest.approx({"row": -0.1, "row 2": -0.425, "other": 0.035})
    assert got["pairs"]["row 2"]["lpips"]["ratio"] == pytest.approx(0.5)
    assert [baseline_of(got, row) for row in FAMILIES] == [None, "base", None, "base 2", "base"]


def test_baselines_and_who_is_compared_with_them_stand_in_the_order_of_the_table():
    got = families()
    assert baselines_in(got) == ["base", "base 2"]
    assert [family(got, compared) for compared in baselines_in(got)] == [["base", "row", "other"], ["base 2", "row 2"]]


def test_a_baseline_is_compared_only_if_it_names_a_baseline_itself():
    assert set(families()["pairs"]) == {"row", "row 2", "other"}
    assert families(base_2="base")["against"]["base 2"] == "base"
    assert families(base="base 2")["against"] == families()["against"] | {"base": "base 2"}


def test_without_a_common_baseline_only_rows_that_name_one_are_compared():
    got = families(baseline=None)
    assert (got["against"], list(got["pairs"])) == ({"row 2": "base 2"}, ["row 2"])


def test_holm_corrects_over_the_comparisons_of_all_baselines():
    got = families()["pairs"]
    assert [pair["lpips"]["p"] for pair in got.values()] == pytest.approx([2 / 64] * 3)
    assert [pair["lpips"]["p_holm"] for pair in got.values()] == pytest.approx([6 / 64] * 3)


@pytest.mark.parametrize(
    ("baselines", "message"),
    [
        ({"row": "bose"}, r"the baseline 'bose' of 'row' is not a row \(did you mean 'base'"),
        ({"row": "row"}, "the baseline 'row' of 'row' is the row itself"),
        ({"raw": "base"}, r"'raw' names a baseline and is not a row \(did you mean 'row'"),
    ],
)
def test_a_baseline_that_is_no_other_row_is_refused(baselines, message):
    with pytest.raises(UserError, match=message):
        families(**baselines)
