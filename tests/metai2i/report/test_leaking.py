"""Rows that are shown what they are to predict: marked in every table, and never the best."""

from __future__ import annotations

import csv
import json
import re

import pytest
import yaml
from fake_run import make_run

from metai2i.cli import invoke
from metai2i.report import build_report, compare_runs, load_run, summarise_run, write_comparison
from metai2i.report.wording import best_rows, headline, reading

ROWS = {"Pix2pix": ("none", 1.0, 0.0), "BiL": ("bil", 0.9, 0.02), "Letter": ("bil", 0.5, 0.02)}
LEAKS = {"reference": {"test": "target"}}


def leaking(path, *, rows=ROWS, leaks=("Letter",), **options):
    """A run in whose recipe some rows say `reference: {test: target}`."""
    options = {"tasks": 7, "queries": 1, "images": False} | options
    path = make_run(path, rows=rows, **options)
    recipe = yaml.safe_load((path / "recipe.yaml").read_text())
    for row in recipe["rows"]:
        recipe["rows"][row]["reference"] = {"test": "target" if row in leaks else "support"}
    (path / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def cells(page: str, section: str) -> list[str]:
    part = page[page.index(f'<section id="{section}">') :].partition("</section>")[0]
    return re.findall(r'<th scope="row">([^<]*?)(?: <span[^>]*>baseline</span>)?</th>', part)


def test_the_best_is_chosen_among_the_others(tmp_path):
    summary = summarise_run(load_run(leaking(tmp_path / "run")))
    assert summary["leaking"] == ["Letter"]
    assert best_rows(summary, "lpips") == {"BiL"}
    assert headline(summary).startswith("BiL lowers LPIPS by 10 % against Pix2pix")
    assert reading(summary, "Letter", "lpips").startswith("Letter † lowers LPIPS by 50 % against Pix2pix")


def test_every_table_of_the_page_marks_them_and_says_why(tmp_path):
    page = build_report(leaking(tmp_path / "run", images=True, described=True)).read_text()
    assert cells(page, "results")[:3] == ["Pix2pix", "BiL", "Letter †"]
    assert cells(page, "halves") == ["Pix2pix", "BiL", "Letter †"]
    means = page[page.index('<section id="results">') :].partition("</table>")[0]
    assert ["<strong>" in row for row in means.split("<tr>")[2:]] == [False, True, False]
    values = page[page.index("<summary>The values") :].partition("</thead>")[0]
    assert re.findall(r'<th scope="col">([^<]*)</th>', values) == ["task", "Pix2pix", "BiL", "Letter †"]
    footnote = "† Letter is shown an augmented copy of the very image that is to be predicted"
    assert page.count(footnote) == 4  # among the notes, and under three tables
    images = page[page.index('<section id="images">') :]
    assert '<th scope="col"><span>Letter †</span></th>' in images
    best = re.findall(r'alt="[^"]*: (\w+)"[^>]*></button>\s*<span class="score best">', images)
    assert set(best) == {"BiL"}


def test_the_terminal_marks_them(tmp_path, capsys):
    assert invoke(["report", str(leaking(tmp_path / "run"))]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^Letter \(!\) +\|", printed, re.MULTILINE)
    assert "(!) Letter is shown an augmented copy" in printed


def test_a_comparison_marks_them_by_run(tmp_path, capsys):
    first, two = leaking(tmp_path / "one"), leaking(tmp_path / "two", leaks=())
    comparison = compare_runs([first, two])
    assert comparison.summary["leaking"] == ["one: Letter"]
    assert best_rows(comparison.summary, "lpips") == {"two: Letter"}
    assert invoke(["compare", str(first), str(two)]) == 0
    assert re.search(r"^one: Letter \(!\) +\|", capsys.readouterr().out, re.MULTILINE)
    write_comparison(comparison, tmp_path / "c.html")
    assert '<th scope="row">one: Letter †</th>' in (tmp_path / "c.html").read_text()
    write_comparison(comparison, tmp_path / "c.csv")
    with (tmp_path / "c.csv").open() as file:
        leaking_rows = {line["row"]: line["leaking"] for line in csv.DictReader(file)}
    assert {row for row, leaks in leaking_rows.items() if leaks == "yes"} == {"one: Letter"}


def test_the_headline_neither_denies_nor_praises_them(tmp_path):
    worse = {"Pix2pix": ("none", 1.0, 0.0), "BiL": ("bil", 1.2, 0.02), "Letter": ("bil", 0.5, 0.02)}
    text = headline(summarise_run(load_run(leaking(tmp_path / "a", rows=worse))))
    assert text == "Apart from Letter †, no row has a better mean LPIPS than the baseline, Pix2pix."
    alone = {row: ROWS[row] for row in ("Pix2pix", "Letter")}
    text = headline(summarise_run(load_run(leaking(tmp_path / "b", rows=alone))))
    assert text == "Nothing is compared with Pix2pix but rows that are shown what they are to predict."


@pytest.mark.parametrize("shown", [["Letter"], []])
def test_a_row_whose_translator_is_shown_no_reference_does_not_leak(tmp_path, shown):
    path = leaking(tmp_path / "run", leaks=ROWS)
    provenance = json.loads((path / "provenance.json").read_text())
    (path / "provenance.json").write_text(json.dumps(provenance | {"references": shown}))
    assert summarise_run(load_run(path))["leaking"] == shown


def test_what_the_recipe_says_for_all_rows_counts_for_all_but_those_that_copy(tmp_path):
    rows = ROWS | {"Copy": ("copy", 1.1, 0.0)}
    path = make_run(tmp_path / "run", rows=rows, tasks=6, queries=1, images=False, **LEAKS)
    assert summarise_run(load_run(path))["leaking"] == list(ROWS)
