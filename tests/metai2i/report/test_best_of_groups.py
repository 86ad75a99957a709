"""Best against best: of each group the row that was best on validation scenes, whatever test scenes say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from fake_run import make_run
from record_types import misfits

from metai2i.cli import invoke
from metai2i.report import build_report, pool_seeds
from metai2i.report.run_summary import summarise_run
from metai2i.report.terminal import print_table
from metai2i.run_folder.reader import Run, load_run
from metai2i.statistics import BestRecord, compare, task_means, values_by_task

ROWS = {
    "plain": ("none", 1.0, 0.05),
    "plain, jitter": ("none", 1.1, 0.05),
    "meta": ("bil", 0.9, 0.05),
    "meta, jitter": ("bil", 0.8, 0.05),
}
GROUPS = {"Plain": ["plain", "plain, jitter"], "Meta": ["meta", "meta, jitter"]}
SCORES = {"plain": 0.30, "plain, jitter": 0.31, "meta": 0.25, "meta, jitter": 0.26}


def a_run(
    path: Path, scores: Mapping[str, float | None] = SCORES, seed: int = 0, metric: str = "lpips", **more
) -> Path:
    """A run whose rows were tuned with these scores, each beside a worse candidate."""
    compared = {"baseline": "plain", "metric": "lpips", "best": GROUPS, **more}
    path = make_run(path, rows=ROWS, tasks=9, images=False, name="street", seed=seed, compare=compared)
    provenance = json.loads((path / "provenance.json").read_text())
    provenance["stages"] += [
        {
            "name": "tune", "rows": [row], "key": f"key{n}", "chosen": {"lr": 1e-3, "iterations": 20},
            "tried": [{"lr": 1e-3, "iterations": 20, metric: score}, {"lr": 1e-2, "iterations": 20, metric: 0.9}],
        }
        for n, (row, score) in enumerate(scores.items())
    ]  # fmt: skip
    (path / "provenance.json").write_text(json.dumps(provenance))
    return path


def means(run: Run, row: str) -> np.ndarray:
    return np.array(list(task_means(values_by_task(run.records, "lpips")[row]).values()))


def best_in(path: Path) -> BestRecord:
    best = summarise_run(load_run(path))["best"]
    assert misfits(best, BestRecord) == []
    return best


def test_the_row_that_was_best_on_validation_scenes_is_taken_though_another_is_better_on_test_scenes(tmp_path):
    run = load_run(a_run(tmp_path / "run"))
    best = best_in(run.path)
    assert (best["baseline"], best["metric"], best["runs"]) == ("Plain", "lpips", [])
    assert {group: record["chosen"] for group, record in best["groups"].items()} == {
        "Plain": ["plain"],
        "Meta": ["meta"],
    }
    assert best["groups"]["Meta"]["validation"] == [{"meta": 0.25, "meta, jitter": 0.26}]
    assert means(run, "meta, jitter").mean() < means(run, "meta").mean()
    assert best["groups"]["Plain"]["against"] is None
    expected, record = compare(means(run, "meta"), means(run, "plain"), higher_is_better=False), best["groups"]["Meta"]
    assert record["mean"]["mean"] == pytest.approx(means(run, "meta").mean())
    for name in ("difference", "ratio", "p", "wins", "n"):
        assert record["against"][name] == pytest.approx(getattr(expected, name)), name


def test_the_first_of_equals_is_taken_and_higher_is_better_where_the_metric_says_so(tmp_path):
    assert best_in(a_run(tmp_path / "a", dict.fromkeys(ROWS, 0.3)))["groups"]["Meta"]["chosen"] == ["meta"]
    by_ssim = best_in(a_run(tmp_path / "b", SCORES, metric="ssim"))
    assert {group: record["chosen"] for group, record in by_ssim["groups"].items()} == {
        "Plain": ["plain, jitter"],
        "Meta": ["meta, jitter"],
    }


def test_pooled_seeds_choose_each_for_itself(tmp_path):
    other = SCORES | {"meta": 0.27}
    paths = [a_run(tmp_path / "0", seed=0), a_run(tmp_path / "1", other, seed=1)]
    best = pool_seeds(paths).summary["best"]
    assert best["runs"] == ["seed 0", "seed 1"]
    assert best["groups"]["Meta"]["chosen"] == ["meta", "meta, jitter"]
    first, second = map(load_run, paths)
    expected = np.concatenate([means(first, "meta"), means(second, "meta, jitter")]).mean()
    assert best["groups"]["Meta"]["mean"]["mean"] == pytest.approx(expected)
    ratio = expected / np.concatenate([means(first, "plain"), means(second, "plain")]).mean()
    assert best["groups"]["Meta"]["against"]["ratio"] == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ({"plain": 0.3, "plain, jitter": 0.3, "meta": 0.3}, "meta, jitter has no number on validation scenes"),
        (SCORES | {"plain": None}, "plain has no number on validation scenes"),
    ],
)
def test_a_row_without_a_score_is_told_and_nothing_is_compared(tmp_path, scores, why):
    summary = summarise_run(load_run(a_run(tmp_path / "run", scores)))
    assert f"Best against best is not told: {why}." in summary["notes"]
    assert "best" not in summary


@pytest.mark.parametrize("groups", [{}, {"Plain": ["plain"]}, {"Plain": ["plain"], "Gone": ["no row"]}])
def test_without_two_groups_nothing_is_told(tmp_path, groups: Mapping[str, Sequence[str]]):
    summary = summarise_run(load_run(a_run(tmp_path / "run", best=groups)))
    assert "best" not in summary
    assert not any("Best against best" in note for note in summary["notes"])


def test_terminal_and_page_show_what_was_taken_and_how_it_compares(tmp_path, capsys):
    path = a_run(tmp_path / "run")
    summary = summarise_run(load_run(path))
    print_table(summary)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Meta ")]
    ratio = f"{summary['best']['groups']['Meta']['against']['ratio']:.3f}"
    assert line.split("|")[1].strip() == "meta"
    assert ratio in line
    page = build_report(path).read_text()
    assert '<section id="best">' in page
    assert f"<td>{ratio}<br>" in page
    assert '<td class="words">meta <small>0.250</small></td>' in page


def test_pooling_on_the_command_line_shows_the_row_of_each_seed(tmp_path, capsys):
    paths = [a_run(tmp_path / "0", seed=0), a_run(tmp_path / "1", SCORES | {"meta": 0.27}, seed=1)]
    assert invoke(["compare", "--pool", "seeds", *map(str, paths)]) == 0
    assert "seed 0: meta; seed 1: meta, jitter" in capsys.readouterr().out
