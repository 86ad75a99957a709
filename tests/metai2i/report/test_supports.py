"""Rows that adapt to different numbers of pairs: each support is kept and shown, and comparisons across them say so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from fake_run import make_run
from PIL import Image

from metai2i.cli import invoke
from metai2i.report import build_report, load_run, summarise_run
from metai2i.report.figures import Column, figures, suggested
from metai2i.report.supports import Support, supports_of
from metai2i.report.wording import headline, reading
from metai2i.run_folder.record import TaskImages

ONE, FIVE, BIL = "Finetune, one", "Finetune, five", "BiL, five"
ROWS = {ONE: ("finetune", 1.0, 0.0), FIVE: ("finetune", 0.95, 0.02), BIL: ("bil", 0.8, 0.03)}
SHOTS = {ONE: 1, FIVE: 5, BIL: 5}


def crossed(path: Path, *, images: bool = True, baseline: str = ONE, shots: dict[str, int] = SHOTS) -> Path:
    """A run of rows with one and with five shots; the support of one shot is dark, that of five is light."""
    run = make_run(path, rows=ROWS, tasks=6, queries=1, images=images)
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    for row, number in shots.items():
        recipe["rows"][row]["episodes"] = {"shots": number}
        recipe["rows"][row]["retriever"] = None
    recipe["compare"]["baseline"] = baseline
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    if images:
        index = json.loads((run / "images" / "index.json").read_text())
        for task in index["tasks"]:
            del task["support"]
            task["supports"] = []
            for number, level in ((5, 200), (1, 50)):
                names = [str(n) for n in range(number)]
                rows = [row for row in ROWS if shots[row] == number]
                folder = f"support-{number}-shot"
                task["supports"].append({"shots": number, "dir": folder, "rows": rows, "pictures": names})
                for name in names:
                    for place in (folder, f"{folder}-structure"):
                        file = run / "images" / task["dir"] / place / f"{name}.png"
                        file.parent.mkdir(exist_ok=True)
                        Image.new("RGB", (24, 24), (level,) * 3).save(file)
        (run / "images" / "index.json").write_text(json.dumps(index))
    return run


def test_the_page_shows_each_support_under_its_number_of_shots_and_for_whom(tmp_path):
    page = build_report(crossed(tmp_path / "run")).read_text()
    first = page[page.index('<article class="task"') :]
    groups = re.findall(r'<span class="label">(.*?)</span>(.*?)<span class="whose">(.*?)</span>', first, re.DOTALL)[:2]
    assert [(label, block.count('class="shot"'), whose) for label, block, whose in groups] == [
        ("Support (1-shot)", 1, f"for {ONE}"),
        ("Support (5-shot)", 5, f"for {FIVE}, {BIL}"),
    ]


def test_a_support_that_all_rows_share_is_read_as_before():
    assert supports_of(TaskImages(id="a", dir="a", support=["0", "1"])) == [Support(None, "support", (), ("0", "1"))]
    assert supports_of(TaskImages(id="a", dir="a")) == []


def test_the_automatic_figure_has_the_fine_tuned_rows_of_both_numbers_of_shots(tmp_path):
    run = load_run(crossed(tmp_path / "run", images=False))
    rows = [Column("row", name) for name in (ONE, FIVE, BIL)]
    assert suggested(run) == {
        "pix2pix, 5-shot": ([Column("structure"), *rows, Column("truth"), Column("general", BIL)], 4, 1)
    }


def test_a_row_says_its_shots_where_a_figure_has_several(tmp_path):
    (figure,) = figures(load_run(crossed(tmp_path / "run")))
    assert figure["headings"][1:4] == [f"{ONE} (1-shot)", f"{FIVE} (5-shot)", f"{BIL} (5-shot)"]
    assert figure["left_out"] == []


def test_a_baseline_of_other_shots_that_finds_no_place_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("metai2i.report.figures.ROWS", 2)
    run = crossed(tmp_path / "run")
    (figure,) = figures(load_run(run))
    assert figure["left_out"] == [ONE]
    assert f"Not shown, though rows here are compared with it: {ONE}." in build_report(run).read_text()


def test_a_figure_with_the_support_has_a_column_for_each_number_of_its_rows(tmp_path):
    run = crossed(tmp_path / "run")
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    asked = {"both": ["support", ONE, BIL], "five": ["support", BIL], "no row": ["support", "truth"]}
    recipe["figures"] = {title: {"columns": columns, "tasks": 1} for title, columns in asked.items()}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    both, five, no_row = figures(load_run(run))
    assert both["headings"][:2] == ["Support (1-shot)", "Support (5-shot)"]
    assert [len(cell["images"]) for cell in both["tasks"][0]["lines"][0]] == [1, 5, 1, 1]
    assert five["headings"][0] == "Support (5-shot)"
    assert len(five["tasks"][0]["lines"][0][0]["images"]) == 5
    assert no_row["headings"][:2] == ["Support (1-shot)", "Support (5-shot)"]


def test_the_headline_and_every_reading_say_that_a_comparison_crosses_shots(tmp_path):
    summary = summarise_run(load_run(crossed(tmp_path / "run", images=False)))
    assert summary["shots"] == SHOTS
    assert headline(summary).endswith(", 5-shot against 1-shot.")
    assert reading(summary, FIVE, "lpips").endswith(", 5-shot against 1-shot.")
    (note,) = [note for note in summary["notes"] if "another number of pairs" in note]
    assert note.endswith(f": {FIVE} (5-shot against 1-shot), {BIL} (5-shot against 1-shot).")


def test_the_headline_about_a_baseline_that_nobody_beats_says_it_too(tmp_path):
    summary = summarise_run(load_run(crossed(tmp_path / "run", images=False, baseline=BIL)))
    message = f"No row has a better mean LPIPS than the baseline, {BIL} (1-shot against 5-shot)."
    assert headline(summary) == message


def test_rows_of_one_number_of_shots_are_compared_without_a_word_on_it(tmp_path):
    same = dict.fromkeys(ROWS, 5)
    summary = summarise_run(load_run(crossed(tmp_path / "run", images=False, shots=same)))
    assert "-shot" not in headline(summary) + " ".join(summary["notes"])


RECIPE = """
plugins: {plugins}
tasks: {{use: stripes, scenes: 3, pairs: 8}}
episodes: {{queries: 2}}
augment: null
translator: {{use: line}}
objective: {{l1: 1, adversarial: 0, perceptual: 0}}
pretrain: {{iterations: 1, batch: 2}}
adapt: {{iterations: 1}}
strategy: {{use: finetune}}
evaluate: {{images: 1, tasks: 1, metrics: [mse]}}
compare: {{metric: mse}}
rows:
  one: {{episodes: {{shots: 1}}}}
  three: {{evaluate: {{shots: 3}}}}
  Support 1 shot: {{episodes: {{shots: 1}}}}
"""


def test_a_run_keeps_the_support_of_each_number_of_shots(tmp_path):
    plugins = Path(__file__).parents[2] / "downstream" / "one_file"
    (tmp_path / "r.yaml").write_text(RECIPE.format(plugins=plugins))
    out = tmp_path / "run"
    assert invoke(["run", str(tmp_path / "r.yaml"), "--out", str(out), "--stages", str(tmp_path / "stages")]) == 0
    (task,) = json.loads((out / "images" / "index.json").read_text())["tasks"]
    assert "support" not in task
    assert supports_of(TaskImages.model_validate(task)) == [
        Support(1, "support-1-shot", ("one", "Support 1 shot"), ("0",)),
        Support(3, "support-3-shot", ("three",), ("0", "1", "2")),
    ]
    place = out / "images" / task["dir"]
    for number in (1, 3):
        for folder in (f"support-{number}-shot", f"support-{number}-shot-structure"):
            assert sorted(file.name for file in (place / folder).iterdir()) == [f"{n}.png" for n in range(number)]
    assert task["rows"]["Support 1 shot"] != "support-1-shot"
    assert (place / task["rows"]["Support 1 shot"] / "0.png").is_file()
