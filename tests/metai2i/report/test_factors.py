"""Rows that fill a grid: which they are is read off the recipe, and shown as tables with colours."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
import yaml
from fake_run import make_run

from metai2i.metrics.display import info_of
from metai2i.report import build_report, load_run, summarise_run
from metai2i.report.factors import factor_tables, leaves
from metai2i.report.heat_map import factor_heat_maps, shares

STRATEGIES = {"Fine-tuned": "finetune", "BiL": "bil", "Reptile": "reptile"}


def row(strategy: str, steps: int, shots: int = 5, **other: object) -> dict:
    return {"strategy": {"use": strategy}, "adapt": {"iterations": steps}, "episodes": {"shots": shots}, **other}


def tables(rows: dict[str, dict]) -> list:
    return factor_tables({name: dict(leaves(section)) for name, section in rows.items()})


def by_steps(steps: tuple[int, ...] = (0, 5, 20)) -> dict[str, dict]:
    return {f"{name}, {n} steps": row(use, n) for name, use in STRATEGIES.items() for n in steps}


def written(path: Path, rows: dict[str, dict], values: dict[str, float] | None = None, **recipe: object) -> Path:
    """A run whose rows say this, with a mean LPIPS that is a multiple of what each task has."""
    values = values or {}
    run = make_run(path, rows={name: ("bil", values.get(name, 1.0), 0.0) for name in rows}, images=False, queries=1)
    said = yaml.safe_load((run / "recipe.yaml").read_text()) | {"rows": rows, **recipe}
    (run / "recipe.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    return run


# --- which rows are a grid


def test_strategies_at_several_numbers_of_steps_are_a_table_of_both():
    (table,) = tables(by_steps())
    assert table.factor.name == ("adapt", "iterations")
    assert table.levels == ["0", "5", "20"]
    assert [list(line.values()) for line in table.lines] == [
        [f"{name}, {n} steps" for n in (0, 5, 20)] for name in STRATEGIES
    ]


def test_numbers_stand_in_their_order_whatever_the_order_of_the_rows():
    rows = dict(reversed(by_steps((5, 100, 20)).items()))
    (table,) = tables(rows)
    assert table.levels == ["5", "20", "100"]
    assert all(list(line) == [0, 1, 2] for line in table.lines)


def test_three_factors_are_a_table_each():
    rows = {
        f"{name}, {shots}-shot, {n} steps": row(use, n, shots)
        for name, use in STRATEGIES.items()
        for shots in (1, 5)
        for n in (0, 20)
    }
    assert {table.factor.name for table in tables(rows)} == {
        ("adapt", "iterations"),
        ("episodes", "shots"),
        ("strategy", "use"),
    }


def test_a_table_is_not_shown_again_with_lines_and_columns_changed_about():
    rows = {f"{name}, {n}": {"strategy": {"use": use}, "adapt": {"iterations": n}}
            for name, use in STRATEGIES.items() for n in (5, 20)}  # fmt: skip
    assert [table.factor.name for table in tables(rows)] == [("adapt", "iterations")]


def test_what_changes_together_is_one_factor_under_the_name_that_people_know():
    rows = {
        f"{name}, {n}": {"strategy": {"use": use}, "adapt": {"batch": n, "zeal": 1 / n}, "episodes": {"shots": n}}
        for name, use in STRATEGIES.items()
        for n in (1, 5)
    }
    (table,) = tables(rows)
    assert table.factor.name == ("episodes", "shots")
    assert table.factor.paths == {("adapt", "batch"), ("adapt", "zeal"), ("episodes", "shots")}


def test_lines_without_names_are_called_by_what_a_section_uses_and_by_options_only_where_that_is_alike(
    tmp_path,
):
    sections = [{"use": "iou", "k": 1, "q": 3}, {"use": "iou", "k": 5, "q": 3}, {"use": "random", "k": 9, "q": 4}]
    rows = {
        f"adapt.iterations={n}, retriever={place}": {"adapt": {"iterations": n}, "retriever": section}
        for n in (1, 2)
        for place, section in enumerate(sections)
    }
    record = summarise_run(load_run(written(tmp_path / "run", rows)))["factors"][0]
    assert (record["factor"], record["by"]) == ("adapt.iterations", "retriever")
    assert [line["label"] for line in record["lines"]] == ["iou, k 1", "iou, k 5", "random"]


def test_a_section_that_one_row_has_and_another_has_not_is_called_by_what_stands_in_it():
    jitters = {"plain": None, "jitter": {"hue": 0.1, "tint": 0.2}}
    rows = {
        f"{shots} {title}": row("bil", 5, shots, colour_jitter=jitter)
        for shots in (1, 5, 9)
        for title, jitter in jitters.items()
    }
    rows |= {f"other {title}": row("finetune", 5, 1, colour_jitter=jitter) for title, jitter in jitters.items()}
    by_factor = {table.factor.name: table for table in tables(rows)}
    assert by_factor["colour_jitter",].levels == ["none", "hue 0.1, tint 0.2"]


def test_a_line_whose_rows_have_nothing_in_common_is_not_called_by_the_first_of_them(tmp_path):
    rows = {
        "Untrained": row("none", 5, adapt={"freeze": []}),
        "Tuned": row("finetune", 5, adapt={"freeze": []}),
        "Part": row("none", 5, adapt={"freeze": ["critic", "classifier"]}),
        "Part of it": row("finetune", 5, adapt={"freeze": ["critic", "classifier"]}),
    }
    (record,) = summarise_run(load_run(written(tmp_path / "run", rows)))["factors"]
    assert (record["factor"], record["by"]) == ("strategy.use", "adapt.freeze")
    assert [line["label"] for line in record["lines"]] == ["none", "critic, classifier"]


@pytest.mark.parametrize(
    "rows",
    [
        {"a": row("bil", 5), "b": row("bil", 20)},  # a single line
        {"a": row("bil", 5), "b": row("reptile", 20), "c": row("lora", 100)},  # nothing else is the same
        {"a": row("bil", 5), "b": row("bil", 5)},  # nothing differs
        {"a": row("bil", 5)},
        {},
    ],
)
def test_rows_that_fill_no_grid_make_no_table(rows):
    assert tables(rows) == []


def test_the_names_of_other_rows_and_what_is_kept_of_images_make_no_difference():
    rows = by_steps()
    for name, section in rows.items():
        section |= {"baseline": name[:3], "continued": {"match": name, "lr": 1}, "evaluate": {"images": len(name)}}
    (table,) = tables(rows)
    assert len(table.lines) == 3


def test_a_level_that_a_line_has_not_stays_empty(tmp_path):
    rows = by_steps()
    del rows["BiL, 20 steps"]
    summary = summarise_run(load_run(written(tmp_path / "run", rows)))
    (grid,) = factor_heat_maps(summary)
    line = next(line for line in grid["tables"][0]["lines"] if line["label"] == "BiL")
    assert [cell["row"] for cell in line["cells"]] == ["BiL, 0 steps", "BiL, 5 steps", ""]


# --- what the table says


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    values = {
        name: {"Fine": 1.0, "BiL,": 0.8, "Rept": 1.3}[name[:4]] - int(name.split()[-2]) / 100 for name in by_steps()
    }
    rows = by_steps()
    for name, section in rows.items():
        if not name.startswith("Fine"):
            section["baseline"] = "Fine-tuned, " + name.split(", ")[1]
    path = written(tmp_path_factory.mktemp("runs") / "grid", rows, values, compare={"metric": "lpips"})
    build_report(path)
    return path


def test_the_summary_says_which_rows_fill_which_grid(run):
    (record,) = json.loads((run / "summary.json").read_text())["factors"]
    assert (record["factor"], record["by"], record["levels"]) == ("adapt.iterations", "strategy.use", ["0", "5", "20"])
    assert record["lines"][1] == {
        "label": "BiL",
        "rows": {"0": "BiL, 0 steps", "5": "BiL, 5 steps", "20": "BiL, 20 steps"},
    }


def test_every_cell_holds_the_mean_of_its_row(run):
    summary = json.loads((run / "summary.json").read_text())
    (grid,) = factor_heat_maps(summary)
    cells = [cell for line in grid["tables"][0]["lines"] for cell in line["cells"]]
    assert [cell["value"] for cell in cells] == [
        f"{summary['rows'][cell['row']]['lpips']['mean']:.3f}" for cell in cells
    ]
    assert [cell["row"] for cell in cells if cell["best"]] == ["BiL, 20 steps"]
    assert max(cells, key=lambda cell: cell["heat"])["row"] == "BiL, 20 steps"
    assert min(cells, key=lambda cell: cell["heat"])["row"] == "Reptile, 0 steps"


def test_ratios_are_to_the_row_that_each_is_compared_with_and_have_the_verdicts(run):
    summary = json.loads((run / "summary.json").read_text())
    (grid,) = factor_heat_maps(summary)
    ratios = grid["tables"][1]
    assert [line["label"] for line in ratios["lines"]] == ["BiL", "Reptile"]  # baselines are compared with nothing
    for line in ratios["lines"]:
        for cell in line["cells"]:
            pair = summary["pairs"][cell["row"]]["lpips"]
            assert cell["value"] == f"{pair['ratio']:.3f}"
            assert cell["below"] == pair["verdict"] == cell["tone"]


def test_the_page_shows_the_table_with_its_factors_as_headings(run):
    page = (run / "report.html").read_text()
    section = re.search(r'<section id="factors">.*?</section>', page, flags=re.DOTALL)
    assert section is not None
    assert "strategy × adaptation steps" in section[0]
    assert re.findall(r'<th scope="col">(\d+)</th>', section[0])[:3] == ["0", "5", "20"]
    assert len(re.findall(r'class="tone better" style="--heat: [01]\.\d+"', section[0])) >= 9
    assert '<a href="#factors">' in page


def test_a_run_without_a_grid_has_no_such_part(tmp_path):
    page = build_report(make_run(tmp_path / "run", images=False, tasks=6)).read_text()
    assert 'id="factors"' not in page
    assert "#factors" not in page


# --- colours


def test_colours_go_from_the_worst_to_the_best():
    values = {"a": 0.1, "b": 0.2, "c": 0.5}
    assert shares(values, higher_is_better=True) == pytest.approx({"a": 0, "b": 0.25, "c": 1})
    assert shares(values, higher_is_better=False) == pytest.approx({"a": 1, "b": 0.75, "c": 0})
    assert shares({"a": 3.0, "b": 3.0}, higher_is_better=True) == {"a": 0.5, "b": 0.5}
    assert shares({}, higher_is_better=True) == {}


def test_twice_and_half_of_the_baseline_are_coloured_alike(tmp_path):
    values = {name: {"Fine": 1.0, "BiL,": 0.5, "Rept": 2.0}[name[:4]] for name in by_steps()}
    rows = by_steps()
    for name, section in rows.items():
        section["baseline"] = None if name.startswith("Fine") else "Fine-tuned, " + name.split(", ")[1]
    summary = summarise_run(load_run(written(tmp_path / "run", rows, values, compare={"metric": "lpips"})))
    (grid,) = factor_heat_maps(summary)
    cells = [cell for line in grid["tables"][1]["lines"] for cell in line["cells"]]
    assert {cell["tone"] for cell in cells[:3]} == {"better"}
    assert {cell["tone"] for cell in cells[3:]} == {"worse"}
    assert all(math.isclose(cell["heat"], 1.0, abs_tol=0.002) for cell in cells)


def test_amounts_in_decibel_are_compared_by_difference(tmp_path):
    rows = by_steps()
    for name, section in rows.items():
        section["baseline"] = None if name.startswith("Fine") else "Fine-tuned, " + name.split(", ")[1]
    values = {name: 0.5 if name.startswith("BiL") else 1.0 for name in rows}
    run = written(tmp_path / "run", rows, values, compare={"metric": "psnr"})
    (grid,) = factor_heat_maps(summarise_run(load_run(run)))
    assert info_of("psnr", {}).unit == "dB"
    assert grid["tables"][1]["title"] == "PSNR, difference to its baseline"
    assert all(cell["value"].startswith("+") for cell in grid["tables"][1]["lines"][0]["cells"])
