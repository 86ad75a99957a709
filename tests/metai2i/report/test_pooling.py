"""Runs of one recipe with several seeds as one table: the unit stays the test task."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path

import numpy as np
import pytest
import yaml
from fake_run import make_run, uncounted

from metai2i.cli import invoke
from metai2i.errors import UserError
from metai2i.report import compare_runs, pool_seeds, write_comparison
from metai2i.report.run_summary import summarise_run
from metai2i.run_folder.reader import load_run
from metai2i.run_folder.results import Record, write_results
from metai2i.statistics import compare

ROWS = {"base": ("none", 1.0, 0.0), "row": ("bil", 0.9, 0.1), "Copy": ("copy", 1.1, 0.1)}
TASKS = 7


@pytest.fixture
def runs(tmp_path):
    return [seed_run(tmp_path / f"run-{seed}", seed) for seed in (0, 1, 2)]


def seed_run(path: Path, seed: int, **options) -> Path:
    options = {"rows": ROWS, "tasks": TASKS, "queries": 2, "images": False, "name": "street"} | options
    return make_run(path, seed=seed, **options)


def change(path: Path, name: str, edit) -> None:
    recipe = yaml.safe_load((path / name).read_text())
    edit(recipe)
    (path / name).write_text(yaml.safe_dump(recipe, sort_keys=False))


def by_task(path: Path, row: str) -> np.ndarray:
    """A run's LPIPS of a row, averaged over the queries of each task, in the order of tasks."""
    with (path / "results.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["row"] == row and line["metric"] == "lpips"]
    tasks = sorted({line["task"] for line in lines})
    return np.array([np.mean([float(line["value"]) for line in lines if line["task"] == task]) for task in tasks])


def test_statistics_are_over_tasks_of_the_mean_over_seeds(runs):
    summary = pool_seeds(runs).summary
    row, base = (np.mean([by_task(run, name) for run in runs], axis=0) for name in ("row", "base"))
    entry = summary["rows"]["row"]["lpips"]
    assert (entry["mean"], entry["sd"], entry["n"]) == pytest.approx((row.mean(), row.std(ddof=1), TASKS))
    expected, got = compare(row, base, higher_is_better=False), summary["pairs"]["row"]["lpips"]
    for name in ("difference", "low", "high", "ratio", "ratio_low", "ratio_high", "p", "wins", "n"):
        # Resampled means that tie but for rounding move the ends of an interval a little.
        assert got[name] == pytest.approx(getattr(expected, name), rel=2e-3), name


def test_each_seed_has_its_own_mean_and_ratio_and_the_spread_is_told(runs):
    seeds = pool_seeds(runs).summary["seeds"]
    means = [by_task(run, "row").mean() for run in runs]
    ratios = [by_task(run, "row").mean() / by_task(run, "base").mean() for run in runs]
    got = seeds["rows"]["row"]["lpips"]
    assert seeds["labels"] == ["seed 0", "seed 1", "seed 2"]
    assert got["means"] == pytest.approx(means)
    assert got["ratios"] == pytest.approx(ratios)
    assert got["sd"] == pytest.approx(statistics.stdev(means))
    assert seeds["rows"]["base"]["lpips"]["ratios"] == [None, None, None]  # compared with nothing


def test_a_row_is_compared_with_the_baseline_seed_by_seed(tmp_path):
    """Seeds of very different difficulty: what both rows share of it is gone from the difference."""
    paths = []
    for seed, level in ((0, 0.1), (1, 0.7)):
        path = seed_run(tmp_path / str(seed), seed)
        values = [
            (row, f"t{n}", level + 0.01 * n + gain) for row, gain in (("base", 0.0), ("row", -0.05)) for n in range(6)
        ]
        write_results(path / "results.csv", [Record(row, task, "0", "lpips", value) for row, task, value in values])
        uncounted(path)
        paths.append(path)
    pair = pool_seeds(paths).summary["pairs"]["row"]["lpips"]
    assert (pair["difference"], pair["low"], pair["high"]) == pytest.approx((-0.05, -0.05, -0.05))


def test_a_row_that_one_seed_lacks_is_told(runs):
    lines = (runs[2] / "results.csv").read_text().splitlines(keepends=True)
    (runs[2] / "results.csv").write_text("".join(line for line in lines if not line.startswith("row,street/test-003")))
    uncounted(runs[2])
    summary = pool_seeds(runs).summary
    assert any("row is incomplete: 1 of 7 tasks" in note for note in summary["notes"])
    assert summary["pairs"]["row"]["lpips"]["n"] == TASKS  # over the seeds that both have


def test_other_baselines_and_metrics_can_be_asked_for(runs):
    summary = pool_seeds(runs, metric="psnr", baseline="Copy").summary
    assert (summary["metric"], summary["baseline"], summary["copies"]) == ("psnr", "Copy", ["Copy"])
    with pytest.raises(UserError, match=r"no row is called 'bose'.*did you mean 'base'"):
        pool_seeds(runs, baseline="bose")


def test_the_harder_half_is_divided_over_all_seeds(tmp_path):
    paths = [seed_run(tmp_path / f"run-{seed}", seed, described=True) for seed in (0, 1)]
    halves = pool_seeds(paths).summary["harder_half"]["halves"]
    assert sum(half["queries"] for half in halves.values()) == 2 * TASKS * 2


# What is no set of seeds


def refused(paths, match):
    with pytest.raises(UserError, match=match):
        pool_seeds(paths)


def test_one_run_and_equal_seeds_are_refused(runs, tmp_path):
    refused(runs[:1], "1 run is given, expected two or more")
    refused([runs[0], seed_run(tmp_path / "again", 0)], "run-0 and again have the same seed, 0")
    change(runs[1], "recipe.yaml", lambda recipe: recipe.pop("seed"))
    refused(runs[:2], r"recipe\.yaml: run-1 does not say its seed")


def test_other_recipes_are_refused_with_what_differs(runs):
    change(runs[1], "recipe.yaml", lambda recipe: recipe["rows"]["row"].update(adapt={"lr": 1e-3}))
    refused(runs, r"run-0 and run-1 are not runs of one recipe: rows\.row\.adapt is null and a section with lr")
    change(runs[1], "recipe.yaml", lambda recipe: recipe["rows"].update(new=recipe["rows"]["row"]))
    uncounted(runs[1])
    refused(runs, "run-0 and run-1 do not have the same rows: only one has new")


def test_what_decides_no_number_may_differ(runs):
    def edit(recipe):
        recipe |= {"name": "other", "description": "of it", "figures": {}}
        recipe["rows"]["row"] |= {"evaluate": {"images": 3}, "metatrain": {"probe": 7}, "baseline": "Copy"}

    change(runs[0], "recipe.yaml", lambda r: r["rows"]["row"].update(evaluate={"images": 8}, metatrain={"probe": None}))
    change(runs[1], "recipe.yaml", edit)
    assert pool_seeds(runs[:2]).summary["seeds"]["labels"] == ["seed 0", "seed 1"]


@pytest.mark.parametrize(
    ("ours", "theirs", "alike"),
    [
        ("/data/1/prior-seed0", "/data/1/prior-seed1", True),
        ("/data/1/prior-seed0", "/data/1/prior-seed2", False),
        ("/data/1/prior-seed0", "/data/0/prior-seed1", False),
        ("/data/prior-10", "/data/prior-11", False),
        ("/data/prior", "/data/longer", False),
    ],
)
def test_each_seed_may_begin_with_a_training_of_its_own_that_is_called_by_it(runs, ours, theirs, alike):
    for run, path in zip(runs, (ours, theirs), strict=False):
        start = {"encoder": {"run": path, "row": "Prior"}}
        change(run, "recipe.yaml", lambda recipe, start=start: recipe["rows"]["row"].update(start=start))
    if alike:
        assert pool_seeds(runs[:2]).summary["seeds"]["labels"] == ["seed 0", "seed 1"]
    else:
        refused(runs[:2], r"rows\.row\.start\.encoder\.run is the string")


@pytest.mark.parametrize(
    ("ours", "theirs", "alike"),
    [
        ("models/objects-seed0.safetensors", "models/objects-seed1.safetensors", True),
        ("objects-0.safetensors", "objects-1.safetensors", True),
        ("objects-0.safetensors", "objects-2.safetensors", False),
        ("level0", "level1", False),  # no path, as far as it tells
        (0, 1, False),
        (0.5, 1.5, False),
    ],
)
def test_a_path_in_any_section_may_have_the_seed_in_it_and_nothing_else_may(runs, ours, theirs, alike):
    for run, value in zip(runs, (ours, theirs), strict=False):
        change(run, "recipe.yaml", lambda recipe, value=value: recipe["tasks"].update(model=value))
    if alike:
        assert pool_seeds(runs[:2]).summary["seeds"]["labels"] == ["seed 0", "seed 1"]
    else:
        refused(runs[:2], r"tasks\.model is ")


def test_other_test_tasks_are_refused(runs, tmp_path):
    refused([runs[0], seed_run(tmp_path / "more", 7, tasks=9)], "only one has street/test-007, street/test-008")


def test_other_data_is_told(runs):
    provenance = json.loads((runs[1] / "provenance.json").read_text())
    provenance["data"]["fingerprint"] = "another"
    (runs[1] / "provenance.json").write_text(json.dumps(provenance))
    assert any("differ in their data" in note for note in pool_seeds(runs).summary["notes"])


# What is shown


def test_the_terminal_says_tasks_times_seeds_and_what_each_seed_gave(runs, capsys):
    assert invoke(["compare", "--pool", "seeds", *map(str, runs)]) == 0
    printed = capsys.readouterr().out
    by_seed = printed.split("\n\n")[1]
    table = {line.split("|")[0].strip(): line for line in by_seed.splitlines() if "|" in line}
    assert "tasks x seeds" in printed
    assert printed.count(f"{TASKS} x 3") == len(ROWS)
    ratios = [by_task(run, "row").mean() / by_task(run, "base").mean() for run in runs]
    assert all(f"({ratio:.3f})" in table["row"] for ratio in ratios)
    assert "sd between seeds" in printed
    assert "Every value is the mean over 3 seeds." in printed


def test_the_page_and_the_csv_have_them_too(runs, tmp_path):
    comparison = pool_seeds(runs)
    write_comparison(comparison, tmp_path / "c.html")
    page = (tmp_path / "c.html").read_text()
    assert "<h1>street, 3 seeds</h1>" in page
    assert f"<td>{TASKS} × 3</td>" in page
    assert "<h2>Each seed alone</h2>" in page
    write_comparison(comparison, tmp_path / "c.csv")
    with (tmp_path / "c.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if (line["row"], line["metric"]) == ("row", "lpips")]
    assert [line["seeds"] for line in lines] == ["3"]
    expected = comparison.summary["seeds"]["rows"]["row"]["lpips"]["sd"]
    assert float(lines[0]["sd_between_seeds"]) == pytest.approx(expected)


def test_its_summary_is_json(runs):
    summary = pool_seeds(runs).summary
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_rows_that_lose_to_copying_are_told_of_seeds_and_of_comparisons_as_of_a_run(tmp_path):
    rows = {"base": ("none", 1.0, 0.0), "row": ("bil", 0.9, 0.1), "Copy": ("copy", 0.2, 0.1)}
    paths = [seed_run(tmp_path / f"run-{seed}", seed, rows=rows) for seed in (0, 1)]
    (alone,) = [note for note in summarise_run(load_run(paths[0]))["notes"] if note.startswith("Worse in LPIPS")]
    assert alone in pool_seeds(paths).summary["notes"]
    notes = [note for note in compare_runs(paths).summary["notes"] if note.startswith("Worse in LPIPS than run-")]
    assert [note.partition(", which")[0] for note in notes] == [f"Worse in LPIPS than run-{n}: Copy" for n in (0, 1)]
