"""Each scene by itself, where there are too few for a verdict."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from fake_run import make_run
from record_types import misfits
from rich.console import Console
from scipy import stats

from metai2i.report import build_report
from metai2i.report.by_scene import scene_tables, tell_by_scene
from metai2i.report.run_summary import summarise_run
from metai2i.report.terminal import print_table
from metai2i.run_folder.reader import load_run
from metai2i.run_folder.results import Record, read_results, write_results
from metai2i.statistics import SceneNumberRecord, summarise, values_by_task

ROWS = {"plain": ("none", 1.0, 0.05), "meta": ("bil", 0.7, 0.05)}
SINGLE = {
    "plain": {"sides": [[0.5, 0.6, 0.7], [0.55, 0.65]], "images": "ab"},
    "meta": {"sides": [[0.2, 0.3, 0.4], [0.35, 0.25]], "images": "ab"},
}
KID = {"plain": 0.6, "meta": 0.3}


def a_run(path, *, tasks=2, queries=8):
    """A run with a metric of sets that knows its first scene without some images, and not its second."""
    make_run(path, rows=ROWS, tasks=tasks, queries=queries, images=False, name="pairs")
    numbers = read_results(path / "results.csv")
    scenes = sorted({r.task for r in numbers})
    write_results(
        path / "results.csv",
        [*numbers, *(Record(row, scene, "*", "kid", KID[row]) for row in ROWS for scene in scenes)],
    )
    provenance = json.loads((path / "provenance.json").read_text())
    provenance["sets"] = {
        row: {"kid": {"value": KID[row], "outputs": 16, "real": 20, "scenes": tasks, "by_scene": [8, 8, 10, 10],
                      "single": {scenes[0]: SINGLE[row]}}}
        for row in ROWS
    }  # fmt: skip
    provenance.setdefault("metrics", {})["kid"] = {"title": "KID", "higher_is_better": False, "unit": "", "digits": 4}
    (path / "provenance.json").write_text(json.dumps(provenance))
    return path


def test_a_mean_over_queries_has_its_t_interval_and_the_difference_that_of_paired_queries(tmp_path):
    run = load_run(a_run(tmp_path / "run"))
    by_row = summarise_run(run)["single_scenes"]["lpips"]
    values = values_by_task(run.records, "lpips")
    scene = "street/test-001"
    meta, plain = (np.array(list(values[row][scene].values())) for row in ("meta", "plain"))
    for numbers, name in ((meta, ""), (meta - plain, "difference_")):
        expected = stats.t.interval(0.95, 7, numbers.mean(), stats.sem(numbers))
        assert [by_row["meta"][scene][f"{name}{side}"] for side in ("low", "high")] == pytest.approx(expected)
    assert by_row["meta"][scene]["difference"] == pytest.approx((meta - plain).mean())
    assert [by_row["plain"][scene][name] for name in ("difference", "difference_low")] == [None, None]
    for of_row in by_row.values():
        assert all(misfits(each, SceneNumberRecord) == [] for each in of_row.values())


def test_a_metric_of_sets_has_the_interval_of_the_jackknife_and_rows_are_compared_without_the_same_images(tmp_path):
    numbers = summarise_run(load_run(a_run(tmp_path / "run")))["single_scenes"]["kid"]["meta"]
    first, second = numbers["street/test-000"], numbers["street/test-001"]
    t = stats.t.ppf(0.975, 1)
    half = t * np.sqrt(2 * np.var([0.2, 0.3, 0.4]) + np.var([0.35, 0.25]))
    assert [first["low"], first["high"]] == pytest.approx([0.3 - half, 0.3 + half])
    half = t * np.sqrt(np.var([-0.2, -0.4]))  # without any of the queries the rows differ by as much
    assert [first["difference"], first["difference_low"]] == pytest.approx([-0.3, -0.3 - half])
    assert [second["value"], second["low"], second["difference_low"]] == [0.3, None, None]
    assert second["difference"] == pytest.approx(-0.3)


def test_rows_that_were_held_against_other_images_are_not_compared_without_some(tmp_path):
    path = a_run(tmp_path / "run")
    provenance = json.loads((path / "provenance.json").read_text())
    provenance["sets"]["plain"]["kid"]["single"]["street/test-000"]["images"] = "cd"
    (path / "provenance.json").write_text(json.dumps(provenance))
    first = summarise_run(load_run(path))["single_scenes"]["kid"]["meta"]["street/test-000"]
    assert first["low"] is not None
    assert [first["difference"], first["difference_low"]] == [pytest.approx(-0.3), None]


def test_images_that_several_draws_may_share_have_no_interval(tmp_path):
    run = load_run(a_run(tmp_path / "run"))
    summary = summarise(run.records, run.rows, "plain", "lpips", run.measures)
    for draws, known in ({"meta": 1}, True), ({"meta": 2}, False):
        tell_by_scene(summary, run.records, {}, draws)
        cell = summary["single_scenes"]["lpips"]["meta"]["street/test-000"]
        assert (cell["low"] is not None, cell["difference_high"] is not None) == (known, known)
        assert cell["value"] is not None


def test_where_a_number_is_not_finite_the_others_have_no_interval(tmp_path):
    run = load_run(a_run(tmp_path / "run"))
    spoilt = next(r for r in run.records if (r.row, r.metric, r.task) == ("meta", "lpips", "street/test-000"))
    records = [r._replace(value=math.inf) if r is spoilt else r for r in run.records]
    summary = summarise(run.records, run.rows, "plain", "lpips", run.measures)
    tell_by_scene(summary, records, {})
    rows = summary["single_scenes"]["lpips"]
    spoilt_cell, other = rows["meta"]["street/test-000"], rows["meta"]["street/test-001"]
    assert [spoilt_cell[name] for name in ("low", "difference_low")] == [None, None]
    assert None not in (other["low"], other["difference_low"], rows["plain"]["street/test-000"]["low"])


def test_six_scenes_are_enough_for_a_verdict_and_a_single_query_for_no_interval(tmp_path):
    assert "single_scenes" not in summarise_run(load_run(a_run(tmp_path / "six", tasks=6)))
    summary = summarise_run(load_run(a_run(tmp_path / "one", queries=1)))
    assert list(summary["single_scenes"]) == ["kid"]


def test_the_report_and_the_terminal_show_them_with_what_is_clear(tmp_path, capsys):
    run = a_run(tmp_path / "run")
    build_report(run)
    page = (run / "report.html").read_text()
    assert "Each scene by itself" in page
    main, *_, kid = scene_tables(summarise_run(load_run(run)))
    assert (main["label"], kid["label"]) == ("LPIPS ↓", "KID (n = 8) ↓")
    cell = main["rows"][1]["cells"][0]
    assert cell["excludes_zero"]
    assert f"<strong>{cell['difference']}</strong>" in page
    assert not kid["rows"][1]["cells"][0]["excludes_zero"]
    difference = kid["rows"][1]["cells"][0]["difference"]
    assert f"<small>{difference} (" in page
    assert f"<strong>{difference}</strong>" not in page
    print_table(run, Console(width=400, force_terminal=False))
    line = next(line for line in capsys.readouterr().out.splitlines() if "scene by scene" in line)
    assert "street/test-000" in line
