"""Figures as in a paper: the columns that are asked for, or those that the rows suggest."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from fake_run import BASELINE, make_run
from PIL import Image

from metai2i.report import build_report, load_run
from metai2i.report.figures import Column, figures, headings, suggested

FULL, WITHOUT = "BiL-Pix2pix (5-shot)", "BiL-Pix2pix w/o Aux (5-shot)"
COLUMNS = ["structure", "support", {"general": FULL}, BASELINE, WITHOUT, FULL, "truth"]


def asked(**figure: object) -> dict[str, object]:
    return {"figures": {"Fig. 3": {"columns": COLUMNS, **figure}}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "run", tasks=5, queries=3, **asked(tasks=2, queries=2))


@pytest.fixture(scope="module")
def figure(folder):
    (figure_shown,) = figures(load_run(folder))
    return figure_shown


def change(path: Path, **keys: object) -> None:
    recipe = yaml.safe_load((path / "recipe.yaml").read_text())
    (path / "recipe.yaml").write_text(yaml.safe_dump(recipe | keys, sort_keys=False))


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_lines_are_queries_of_the_first_tasks_and_columns_as_asked(figure):
    assert figure["title"] == "Fig. 3"
    assert [task["id"] for task in figure["tasks"]] == ["street/test-000", "street/test-001"]
    first = figure["tasks"][1]["lines"][1]
    assert [cell["images"][0]["alt"] for cell in first] == [
        "street/test-001, query 1: Input",
        "street/test-001, query 1: BiL-Pix2pix (5-shot), not adapted",
        *(f"street/test-001, query 1: {row}" for row in (BASELINE, WITHOUT, FULL)),
        "street/test-001, query 1: Truth",
    ]


def test_the_support_stands_once_beside_all_lines_of_a_task(figure):
    for task in figure["tasks"]:
        support = task["lines"][0][1]
        assert (len(support["images"]), support["span"]) == (5, 2)
        assert [len(line) for line in task["lines"]] == [7, 6]


def test_images_are_those_of_the_folder(figure, folder):
    cells = figure["tasks"][0]["lines"][0]
    place = folder / "images" / "street-test-000"
    for cell, name in ((cells[0], "structure"), (cells[2], "general/bil-pix2pix--5-shot-"), (cells[-1], "truth")):
        assert (pixels(cell["images"][0]["uri"]) == np.asarray(Image.open(place / name / "0.png"))).all()


def test_what_stands_behind_every_row_is_said_once_below_the_figure(figure, folder):
    assert figure["headings"] == [
        "Input",
        "Support",
        "BiL-Pix2pix, not adapted",
        "Pix2pix",
        "BiL-Pix2pix w/o Aux",
        "BiL-Pix2pix",
        "Truth",
    ]
    text = build_report(folder).read_text()
    assert f"--shown: {figure['width']}px" in text
    assert "All rows: (5-shot)." in text
    assert re.search(r'<th scope="col"><span>BiL-Pix2pix w/o Aux</span></th>', text)


def test_only_an_ending_of_all_rows_is_left_out():
    rows = [Column("row", "A (5-shot)"), Column("general", "B (5-shot)")]
    assert headings(rows, ()) == (["A", "B, not adapted"], "(5-shot)")
    assert headings([*rows, Column("row", "C (1-shot)")], ())[1] == ""
    assert headings([*rows, Column("row", "C")], ())[0] == ["A (5-shot)", "B (5-shot), not adapted", "C"]
    assert headings(rows[:1], ()) == (["A (5-shot)"], "")


def test_rows_that_are_shown_what_they_are_to_predict_are_marked():
    assert headings([Column("row", "A (5-shot)"), Column("row", "B (5-shot)")], {"B (5-shot)"})[0] == ["A", "B †"]


def test_images_are_shown_at_128_pixels_or_more_however_wide_and_many(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "run")
    for image in (path / "images").rglob("*.png"):
        Image.new("RGB", (64, 32)).save(image)
    widths = []
    for columns in (["truth"], ["truth"] * 6, ["truth"] * 30):
        change(path, figures={"A": {"columns": columns}})
        widths.append(figures(load_run(path))[0]["width"])
    assert widths == [288, 196, 128]


# Without the key


def test_without_the_key_baseline_rows_without_and_with_retriever_the_truth_and_the_general_model_are_shown(tmp_path):
    run = load_run(make_run(tmp_path / "run", images=False))
    row = [Column("row", name) for name in (BASELINE, WITHOUT, FULL)]
    last = [Column("truth"), Column("general", WITHOUT)]
    assert suggested(run) == {"pix2pix, 5-shot": ([Column("structure"), *row, *last], 4, 1)}


def test_without_the_key_the_reference_is_shown_where_a_row_has_one(tmp_path):
    path = make_run(tmp_path / "run", images=False)
    provenance = json.loads((path / "provenance.json").read_text())
    (path / "provenance.json").write_text(json.dumps(provenance | {"references": [FULL]}))
    (columns, *_) = suggested(load_run(path))["pix2pix, 5-shot"]
    assert columns[:3] == [Column("structure"), Column("reference"), Column("row", BASELINE)]


def test_without_the_key_outputs_side_by_side_which_each_row_has_are_left_to_the_images(tmp_path):
    path = make_run(tmp_path / "run")
    index = json.loads((path / "images" / "index.json").read_text())
    for task in index["tasks"]:
        task["shown"] = {"samples": {FULL: "shown/samples/x"}, "warped": {FULL: "shown/warped/x"}}
    (path / "images" / "index.json").write_text(json.dumps(index))
    (columns, *_) = suggested(load_run(path))["pix2pix, 5-shot"]
    shown = [column.kind for column in columns if column.kind.startswith("shown.")]
    assert shown == ["shown.warped"]


def test_translators_and_shots_have_figures_of_their_own_with_the_baseline_that_is_theirs(tmp_path):
    path = make_run(tmp_path / "run", images=False)
    rows = yaml.safe_load((path / "recipe.yaml").read_text())["rows"]
    rows["Copy"] = {"translator": {"use": "pg2"}, "episodes": {"shots": 1}, "continued": {"match": WITHOUT}}
    rows["Pix2pix"] = rows["Copy"] | {"continued": {"match": FULL}}
    rows[WITHOUT] |= {"translator": {"use": "pg2"}, "episodes": {"shots": 1}}
    change(path, rows=rows)
    suggestions = {
        title: [column.row for column in figure[0] if column.kind == "row"]
        for title, figure in suggested(load_run(path)).items()
    }
    assert suggestions == {"pg2, 1-shot": ["Copy", WITHOUT], "pix2pix, 5-shot": [BASELINE, FULL]}
    rows["Copy"]["evaluate"] = rows[WITHOUT]["evaluate"] = {"shots": 3}  # what they are adapted to, not trained with
    change(path, rows=rows)
    assert {"pg2, 3-shot", "pix2pix, 5-shot"} == set(suggested(load_run(path)))


def test_where_no_row_meta_trains_or_too_many_do_nothing_is_suggested(tmp_path):
    many = {f"row {n}": ("bil", 1.0, 0.0) for n in range(7)}
    for name, rows in (("none", {"Pix2pix": ("none", 1.0, 0.0)}), ("many", many)):
        assert suggested(load_run(make_run(tmp_path / name, rows=rows, tasks=1, images=False))) == {}


def test_none_are_shown_where_none_are_asked_for_or_none_are_kept(tmp_path, folder):
    path = shutil.copytree(folder, tmp_path / "run")
    assert len(figures(load_run(path))) == 1
    change(path, figures={})
    assert figures(load_run(path)) == []
    change(path, **asked())
    shutil.rmtree(path / "images")
    assert figures(load_run(path)) == []


# Folders that lack something


def test_a_folder_without_images_of_the_general_model_still_reads(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "run")
    index = json.loads((path / "images" / "index.json").read_text())
    for task in index["tasks"]:
        del task["general"]  # as stages from before have left it
    (path / "images" / "index.json").write_text(json.dumps(index))
    (figure,) = figures(load_run(path))
    assert [len(cell["images"]) for cell in figure["tasks"][0]["lines"][0]] == [1, 5, 0, 1, 1, 1, 1]


def test_references_are_those_of_the_first_row_shown_that_has_any(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "run")
    index = json.loads((path / "images" / "index.json").read_text())
    for task in index["tasks"]:
        task["reference"] = {FULL: "reference/full", "Copy": "reference/copy"}
        for name, level in (("full", 9), ("copy", 5)):
            place = path / "images" / task["dir"] / "reference" / name
            place.mkdir(parents=True)
            Image.new("RGB", (24, 24), (level,) * 3).save(place / "0.png")
    (path / "images" / "index.json").write_text(json.dumps(index))
    columns = {"A": ["reference", BASELINE, FULL, "Copy"], "B": ["reference", "GP"]}
    change(path, figures={title: {"columns": shown} for title, shown in columns.items()})
    first, second = figures(load_run(path))
    assert pixels(first["tasks"][0]["lines"][0][0]["images"][0]["uri"])[0, 0, 0] == 9
    assert [cell["images"] for cell in second["tasks"][0]["lines"][0]] == [[], []]


@pytest.mark.parametrize(
    "figure_text", [{"A": 3}, {"A": {"columns": "truth"}}, {"A": {"columns": [[3], {}], "tasks": "x"}}]
)
def test_odd_figures_in_a_recipe_are_no_reason_to_fail(folder, tmp_path, figure_text):
    path = shutil.copytree(folder, tmp_path / "run")
    change(path, figures=figure_text)
    shown = [
        cell["images"] for figure in figures(load_run(path)) for line in figure["tasks"][0]["lines"] for cell in line
    ]
    assert shown in ([], [[], []])


def test_titles_and_names_are_escaped(tmp_path):
    evil = "<script>alert(1)</script>"
    rows = {evil: ("none", 1.0, 0.0), "b": ("bil", 1.0, 0.0)}
    path = make_run(tmp_path / "run", rows=rows, tasks=1, figures={evil: {"columns": [evil, {"general": evil}]}})
    text = build_report(path).read_text()
    assert "<script>alert" not in text
    assert text.count(f"<span>{html.escape(evil)}") == 3  # two columns of the figure, and one of the images
