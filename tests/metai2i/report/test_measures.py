"""Reports take what a metric is called, and which side of it is better, from the run's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_run import make_run
from rich.console import Console

from metai2i.errors import UserError
from metai2i.metrics.display import MetricInfo, tell_measures
from metai2i.report import build_report, compare_runs, load_run, print_table, summarise_run
from metai2i.run_folder.results import read_results, write_results

ROWS = {"Pix2pix": ("none", 1.0, 0.0), "BiL": ("bil", 0.8, 0.02)}
NME = MetricInfo("nme", "NME", higher_is_better=False, digits=4)


def make(path: Path, measure: MetricInfo | None = NME, **options) -> Path:
    """A run whose rows are also measured by `nme` (a tenth of LPIPS), and whose queries have `map_iou`."""
    folder = make_run(path, rows=ROWS, tasks=8, images=False, **options)
    records = read_results(folder / "results.csv")
    lpips = [r for r in records if r.metric == "lpips"]
    further = [r._replace(metric="nme", value=r.value / 10) for r in lpips]
    further += [r._replace(metric="map_iou", value=0.5) for r in lpips]
    write_results(folder / "results.csv", [*records, *further])
    provenance = json.loads((folder / "provenance.json").read_text())
    provenance |= {} if measure is None else {"metrics": tell_measures({"nme": measure})}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    recipe = (folder / "recipe.yaml").read_text().replace("metric: lpips", "metric: nme")
    (folder / "recipe.yaml").write_text(recipe)
    return folder


def printed(summary, capsys) -> str:
    print_table(summary, Console(force_terminal=False, width=200))
    return capsys.readouterr().out


def test_the_page_and_the_table_call_a_plugins_metric_as_its_run_does(tmp_path, capsys):
    folder = make(tmp_path / "run")
    page = build_report(folder).read_text()
    assert "NME ↓" in page
    assert "BiL lowers NME by" in page
    assert "is better on all of them" in page
    assert "NME (lower)" in printed(folder, capsys)


def test_a_run_that_does_not_say_has_no_better_side_for_it_and_the_cores_own_for_the_rest(tmp_path, capsys):
    folder = make(tmp_path / "run", measure=None)
    summary = summarise_run(load_run(folder))
    assert summary["pairs"]["BiL"]["nme"]["verdict"] == "lower"
    assert summary["pairs"]["BiL"]["lpips"]["verdict"] == "better"
    text = printed(summary, capsys)
    assert "nme (" not in text
    assert "LPIPS (lower)" in text


def test_what_tells_of_a_query_is_no_column_and_no_main_metric(tmp_path, capsys):
    folder = make(tmp_path / "run")
    summary = summarise_run(load_run(folder))
    assert summary["metrics"] == ["lpips", "ssim", "mse", "psnr", "nme"]
    assert "map_iou" not in printed(summary, capsys)
    recipe = (folder / "recipe.yaml").read_text().replace("metric: nme", "metric: map_iou")
    (folder / "recipe.yaml").write_text(recipe)
    summary = summarise_run(load_run(folder))
    assert summary["metric"] == "lpips"
    assert "The main metric 'map_iou' of the recipe was not measured." in summary["notes"]


def test_runs_are_compared_by_a_plugins_metric(tmp_path):
    runs = [make(tmp_path / name, seed=seed) for name, seed in (("one", 0), ("two", 1))]
    summary = compare_runs(runs).summary
    assert summary["metric"] == "nme"
    assert summary["pairs"]["one: BiL"]["nme"]["verdict"] == "better"
    with pytest.raises(UserError, match="no number of the metric 'map_iou'"):
        compare_runs(runs, metric="map_iou")


def test_runs_that_read_one_name_in_two_ways_are_not_compared(tmp_path):
    other = MetricInfo("nme", "NME", higher_is_better=True)
    runs = [make(tmp_path / "one"), make(tmp_path / "two", measure=other)]
    with pytest.raises(UserError, match="do not agree on the better side of the metric 'nme', two has the other one"):
        compare_runs(runs)
