"""Rows that differ only in how they adapt: their lines, figures and ranks, and what they cost."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure

from metai2i.cli import invoke
from metai2i.metrics.display import MEASURES
from metai2i.report import build_report, compare_runs, pool_seeds
from metai2i.report.adaptation_curves import curve_label, groups
from metai2i.report.adaptation_plots import Point, pareto_front, scale_quality, trade_off_figures
from metai2i.report.budget import budget, budget_table, short_duration
from metai2i.report.wording import amount_of_bytes
from metai2i.run_folder.reader import load_run
from metai2i.run_folder.results import Record, write_results
from metai2i.statistics import LineRecord

GAINS = {"Fine-tuned": 0.0, "BiL": 0.1, "LoRA": -0.05}
STEPS = (0, 5, 20)
TASKS = 8


def section(strategy: str, steps: int, **more) -> dict:
    return {
        "tasks": {"use": "scenes"},
        "episodes": {"shots": 5},
        "translator": {"use": "pix2pix"},
        "strategy": {"use": strategy},
        "adapt": {"iterations": steps, "lr": 0.1},
        "evaluate": {"images": steps},
        **more,
    }


def sweep() -> dict[str, dict]:
    return {f"{name}, {steps} steps": section(name, steps) for name in GAINS for steps in STEPS}


def value(row: str, task: int, seed: int = 0) -> float:
    name, steps = row.rsplit(", ", 1)
    noise = 0.004 * np.random.default_rng([seed, task, len(row)]).standard_normal()
    learned = 1 - np.exp(-int(steps.split()[0]) / 5)
    return float(0.5 + 0.05 * np.sin(task) - learned * (0.2 + GAINS.get(name, 0.0)) + noise)


def spent(steps: int, numbers: int | None = 1000, aux: float = 0.0) -> dict:
    seconds = 0.01 * steps
    both = [max(0.0, seconds + aux - 0.001), seconds + aux, seconds + aux + 0.001]
    size = None if numbers is None else 4 * numbers
    return {"seconds": seconds, "aux_seconds": aux, "scene_seconds": both, "numbers": numbers, "bytes": size}


def stages(rows: dict[str, dict]) -> list[dict]:
    trained = [row for row in rows if row.startswith("BiL")]
    records = [
        {"name": "pretrain", "key": "p", "rows": list(rows), "seconds": 60.0, "cache": "hit"},
        {"name": "metatrain", "key": "m", "rows": trained, "seconds": 30.0},
        {"name": "tune", "key": "t", "rows": trained, "seconds": 12.0, "chosen": {"lr": 0.2}, "tried": []},
    ]
    for row, costs_of_row in rows.items():
        steps = costs_of_row["adapt"]["iterations"]
        adapting = spent(steps, 0 if steps == 0 else 10 if "LoRA" in row else 1000)
        records.append({"name": "evaluate", "key": row, "rows": [row], "seconds": 9.0, "adapting": adapting})
    return records


def make(path: Path, rows: dict[str, dict] | None = None, *, seed: int = 0, costs: bool = True) -> Path:
    rows = sweep() if rows is None else rows
    path.mkdir(parents=True)
    records = [Record(row, f"t{n}", "0", "lpips", value(row, n, seed)) for row in rows for n in range(TASKS)]
    write_results(path / "results.csv", records)
    (path / "recipe.yaml").write_text(yaml.safe_dump({"name": "sweep", "seed": seed, "rows": rows}, sort_keys=False))
    provenance = {"data": {"test_hash": "1"}, "stages": stages(rows) if costs else []}
    (path / "provenance.json").write_text(json.dumps(provenance))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    path = make(tmp_path_factory.mktemp("trade") / "sweep")
    build_report(path)
    return path


@pytest.fixture
def summary(run) -> dict:
    return json.loads((run / "summary.json").read_text())


# Lines


def grouped(path: Path, rows: dict[str, dict]) -> list[list[LineRecord]]:
    run = load_run(make(path, rows, costs=False))
    return groups({row: (run, row) for row in rows}, {})


def test_rows_that_differ_in_steps_alone_make_a_line(summary):
    (group,) = summary["trade_offs"]
    assert [(line["label"], list(line["rows"])) for line in group["lines"]] == [
        (name, ["0", "5", "20"]) for name in GAINS
    ]
    assert group["lines"][1]["rows"]["5"] == "BiL, 5 steps"


def test_other_data_networks_or_lengths_of_pretraining_are_no_part_of_the_figure(tmp_path):
    rows = {
        "A, 1 steps": section("A", 1),
        "B, 1 steps": section("B", 1, continued={"iterations": 3}, tune={"lr": [1]}),
        "other, 1 steps": section("A", 1, translator={"use": "pg2"}),
        "longer, 1 steps": section("A", 1, pretrain={"iterations": 7}),
    }
    (lines,) = grouped(tmp_path / "r", rows)
    assert [line["label"] for line in lines] == ["A, 1 steps", "B, 1 steps"]


def test_rows_with_other_rates_are_lines_of_their_own_unless_the_rate_was_tuned(tmp_path):
    rows = {"A, 1 steps": section("A", 1), "A, 5 steps": section("A", 5)}
    rows["A fast, 5 steps"] = section("A", 5, adapt={"iterations": 5, "lr": 0.9})
    (lines,) = grouped(tmp_path / "r", rows)
    assert [list(line["rows"]) for line in lines] == [["1", "5"], ["5"]]


def test_the_matched_row_may_be_the_one_at_the_same_number_of_steps(tmp_path):
    rows = {f"A, {n} steps": section("A", n, continued={"iterations": None, "match": f"B, {n} steps"}) for n in (1, 5)}
    (lines,) = grouped(tmp_path / "r", rows)
    assert len(lines) == 1


def test_a_tuned_number_of_steps_and_a_row_that_changes_nothing_stand_where_they_are(tmp_path):
    path = make(tmp_path / "r", {"A, 5 steps": section("A", 5), "B, 5 steps": section("B", 5)}, costs=False)
    tuned = {"name": "tune", "rows": ["A, 5 steps"], "chosen": {"lr": 1, "iterations": 40}}
    (path / "provenance.json").write_text(json.dumps({"stages": [tuned]}))
    run = load_run(path)
    (lines,) = groups({row: (run, row) for row in run.rows}, {"B, 5 steps": {"numbers": 0}})
    assert [list(line["rows"]) for line in lines] == [["40"], ["0"]]


def test_a_row_that_makes_another_kind_of_model_takes_no_steps(tmp_path):
    path = make(
        tmp_path / "r", {name: section(name, 5) for name in ("A, 5 steps", "B, 5 steps", "C, 5 steps")}, costs=False
    )
    run = load_run(path)
    (lines,) = groups({row: (run, row) for row in run.rows}, {"C, 5 steps": {"numbers": None}})
    assert [line["label"] for line in lines] == ["A, 5 steps", "B, 5 steps"]


@pytest.mark.parametrize(
    ("rows", "label"),
    [
        (["A, 0 steps", "A, 5 steps"], "A"),
        (["A, 10 steps", "A, 100 steps"], "A"),
        (["BiL (5-shot)", "BiL (5-shot) after 5 steps"], "BiL (5-shot)"),
        (["A after 5 steps", "A after 20 steps"], "A"),
        (["bil @5", "bil @20"], "bil"),
        (["5: mine", "20: mine"], "mine"),
        (["alone, 5 steps"], "alone, 5 steps"),
    ],
)
def test_a_line_is_called_what_its_rows_have_in_common(rows, label):
    assert curve_label(rows) == label


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (
            ["adapt.iterations={}, strategy.use=bil", "adapt.iterations={}, strategy.use=reptile"],
            ["strategy.use=bil", "strategy.use=reptile"],
        ),
        (["BiL ({} steps, lr 1e-3)", "BiL ({} steps, lr 1e-2)"], ["BiL, steps, lr 1e-3", "BiL, steps, lr 1e-2"]),
        (["{} steps of A", "{} steps of B"], ["steps of A", "steps of B"]),
    ],
)
def test_lines_that_differ_behind_the_steps_have_labels_of_their_own(names, labels):
    rows = {name.format(steps): section(f"s{n}", steps) for n, name in enumerate(names) for steps in (5, 20)}
    provenance = SimpleNamespace(stages_of=lambda row: [])
    run = SimpleNamespace(rows=rows, section=rows.get, recipe={}, provenance=provenance)
    (lines,) = groups({row: (run, row) for row in run.rows}, {})
    assert [line["label"] for line in lines] == labels
    assert [list(line["rows"]) for line in lines] == [["5", "20"]] * 2


# Cost


def test_training_counts_a_rows_own_stages_wherever_they_came_from(run):
    loaded = load_run(run)
    assert budget(loaded, "BiL, 5 steps") == {"training": 90.0, "metatraining": 30.0, "tuning": 12.0, **spent(5)}
    plain = budget(loaded, "Fine-tuned, 0 steps")
    assert (plain["training"], plain["metatraining"], plain["tuning"], plain["numbers"]) == (60.0, 0.0, None, 0)
    assert budget(loaded, "no such row") is None


def test_a_run_that_has_not_recorded_what_it_cost_shows_nothing_of_it(tmp_path):
    path = make(tmp_path / "r", costs=False)
    page = build_report(path).read_text()
    summary = json.loads((path / "summary.json").read_text())
    assert summary["budgets"] == {}
    assert "seconds per scene" not in page
    assert trade_off_figures(summary)[0]["seconds"] is None


def test_the_cost_in_words(summary):
    lines = {line["name"]: line for line in budget_table(summary)}
    assert lines["BiL, 5 steps"] == {
        "name": "BiL, 5 steps",
        "training": "1 min 30 s",
        "tuning": "12.0 s",
        "adapting": "50 ms",
        "numbers": "1,000",
        "stored": "4.0 kB",
    }
    assert lines["LoRA, 20 steps"]["stored"] == "40 B"
    copied = {**summary, "budgets": {"Copy": {**summary["budgets"]["BiL, 5 steps"], **spent(2, None, 0.3)}}}
    (line,) = budget_table(copied)
    assert (line["adapting"], line["numbers"], line["stored"]) == ("20 ms + 0.30 s", "–", "–")


def test_sizes_and_short_times_in_words():
    assert [amount_of_bytes(n) for n in (0, 999, 1000, 12_345, 4.5e6)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "12.3 kB",
        "4.5 MB",
    ]
    assert [short_duration(s) for s in (0, 0.012, 0.35, 12, 200)] == ["0 ms", "12 ms", "0.35 s", "12.0 s", "3 min 20 s"]


def test_pooled_seeds_cost_what_they_cost_on_average(tmp_path):
    runs = [make(tmp_path / f"s{seed}", seed=seed) for seed in (0, 1)]
    provenance = json.loads((runs[1] / "provenance.json").read_text())
    provenance["stages"][0]["seconds"] = 100.0
    (runs[1] / "provenance.json").write_text(json.dumps(provenance))
    summary = pool_seeds(runs).summary
    assert summary["budgets"]["BiL, 5 steps"]["training"] == 110.0
    assert summary["budgets"]["BiL, 5 steps"]["numbers"] == 1000
    assert len(summary["trade_offs"][0]["lines"]) == 3


def test_rows_of_several_runs_share_a_figure_if_they_differ_in_adapting_alone(tmp_path):
    rows = sweep()
    some = {row: costs_of_row for row, costs_of_row in rows.items() if "BiL" in row}
    two = {row: costs_of_row for row, costs_of_row in rows.items() if "BiL" not in row}
    comparison = compare_runs([make(tmp_path / "one", some), make(tmp_path / "two", two)])
    (group,) = comparison.summary["trade_offs"]
    assert [line["label"] for line in group["lines"]] == ["one: BiL", "two: Fine-tuned", "two: LoRA"]
    assert [costs_of_row["steps"] for costs_of_row in comparison.summary["ranks"]] == [0, 5, 20]


# Ranks


def test_strategies_are_ranked_at_each_number_of_steps(summary):
    assert [ranking["steps"] for ranking in summary["ranks"]] == [0, 5, 20]
    last = summary["ranks"][-1]
    assert [last["names"][row] for row in last["ranks"]] == ["BiL", "Fine-tuned", "LoRA"]
    assert last["n"] == TASKS
    assert last["p"] < 0.05
    assert len(last["alike"]) > 1


def test_rows_without_a_sweep_are_ranked_all_together(tmp_path):
    rows = {f"{name}, 5 steps": section(name, 5) for name in GAINS}
    path = make(tmp_path / "r", rows)
    build_report(path)
    (ranking,) = json.loads((path / "summary.json").read_text())["ranks"]
    assert ranking["steps"] is None
    assert next(iter(ranking["ranks"])) == "BiL, 5 steps"


def test_two_rows_are_not_ranked(tmp_path):
    path = make(tmp_path / "r", {f"{name}, 5 steps": section(name, 5) for name in ("BiL", "LoRA")})
    assert 'id="ranks"' not in build_report(path).read_text()


# Figures


def test_the_page_has_both_figures_the_ranks_and_the_cost(run):
    page = (run / "report.html").read_text()
    assert page.count("LPIPS against adaptation steps, for Fine-tuned, BiL, LoRA") == 1
    assert page.count("LPIPS against seconds per scene, for Fine-tuned, BiL, LoRA") == 1
    assert len(re.findall(r"Mean ranks after \d+ steps: ", page)) == 3
    assert "Pareto front" in page
    assert "critical difference" in page
    assert not re.search(r"#0[0-9]0[0-9]0[0-9]", page)


def test_the_front_is_one_of_the_figure_s_rows_and_the_others_are_named(tmp_path):
    wide = section("Fine-tuned", 5) | {"translator": {"use": "pix2pix", "width": 99}}
    path = make(tmp_path / "r", {**sweep(), "Wide, 5 steps": wide})
    page = " ".join(build_report(path).read_text().split())
    assert "On the Pareto front, where no other row of the figure is as good in as little time: " in page
    assert "Not drawn, for they differ in more than how they adapt: Wide, 5 steps." in page
    assert "Not drawn" not in build_report(make(tmp_path / "all", sweep())).read_text()


def test_means_and_intervals_of_the_figure_are_those_of_the_tasks(summary):
    point = summary["trade_offs"][0]["points"]["BiL, 5 steps"]
    values = [value("BiL, 5 steps", n) for n in range(TASKS)]
    assert point["mean"] == pytest.approx(np.mean(values))
    assert min(values) < point["low"] < point["mean"] < point["high"] < max(values)


def test_the_front_is_what_no_other_row_beats_in_both():
    def points(*places):
        return [Point(f"{x}", x, y, y, y, x, x) for x, y in places]

    front = points((1, 0.5), (2, 0.6), (3, 0.4), (3, 0.45), (4, 0.4), (9, 0.1))
    assert [point.row for point in pareto_front(front, MEASURES["lpips"])] == ["1", "3", "9"]
    assert [point.row for point in pareto_front(front, MEASURES["ssim"])] == ["1", "2"]


def test_a_line_of_one_number_of_steps_alone_makes_no_figure_against_steps(tmp_path):
    path = make(tmp_path / "r", {f"{name}, 5 steps": section(name, 5) for name in GAINS})
    build_report(path)
    (figure,) = trade_off_figures(json.loads((path / "summary.json").read_text()))
    assert figure["steps"] is None
    assert figure["seconds"] is not None
    assert figure["front"] == ["BiL, 5 steps"]


def test_more_strategies_than_colours_are_told_apart(tmp_path):
    names = [f"S{n}" for n in range(12)]
    path = make(tmp_path / "r", {f"{name}, {n} steps": section(name, n) for name in names for n in (1, 5)})
    page = build_report(path).read_text()
    svg = page[page.index("LPIPS against adaptation steps") :]
    assert all(f"var(--series-{n})" in svg for n in range(1, 9))
    assert all(f">{name}<" in svg for name in names)


def test_the_terminal_has_the_ranks_and_the_cost(run, capsys):
    assert invoke(["report", str(run)]) == 0
    out = capsys.readouterr().out
    ranks = out[out.index("rank by LPIPS") :].splitlines()
    assert [cell.strip() for cell in ranks[0].split("|")][1:] == ["after 0 steps", "after 5 steps", "after 20 steps"]
    assert [line.split("|")[0].strip() for line in ranks[2:5]] == ["BiL", "Fine-tuned", "LoRA"]
    assert re.search(r"LoRA, 20 steps +\| +1 min 0 s \| +- \| +0\.20 s \| +10 \| +40 B", out)
    assert "mean ranks that differ by more than" in out


@pytest.mark.parametrize(("values", "scale"), [([0.02, 0.4], "log"), ([0.1, 0.4], "linear"), ([0.0, 0.4], "linear")])
def test_the_quality_axis_is_logarithmic_where_values_differ_fivefold(values, scale):
    axes = Figure().add_subplot()
    scale_quality(axes, values)
    assert axes.get_yscale() == scale
