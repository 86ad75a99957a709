"""Rows with baselines of their own: every table, plot and sentence names the row that is compared with."""

from __future__ import annotations

import copy
import csv
import re
import shutil

import numpy as np
import pytest
import yaml
from fake_run import make_run

from metai2i.cli import invoke
from metai2i.report import build_report, compare_runs, load_run, pool_seeds, summarise_run, write_comparison
from metai2i.report.figures import suggested
from metai2i.report.plots import difference_plot, slope_plots
from metai2i.report.tables import halves_table, pair_table
from metai2i.report.wording import headline
from metai2i.run_folder.results import read_results
from metai2i.statistics import measure_of, task_means

ROWS = {
    "Copy": ("copy", 1.25, 0.06),
    "PG2 (5-shot)": ("finetune", 1.4, 0.02),
    "BiL-PG2 (5-shot)": ("bil", 1.1, 0.03),
    "Pix2pix (5-shot)": ("finetune", 1.0, 0.0),
    "BiL-Pix2pix (5-shot)": ("bil", 0.86, 0.05),
}
PIX, PG2 = "Pix2pix (5-shot)", "PG2 (5-shot)"
AGAINST = {"Copy": PIX, "BiL-PG2 (5-shot)": PG2, "BiL-Pix2pix (5-shot)": PIX}


def families(path, *, baselines=None, **options):
    """A run whose rows BiL-PG2 and BiL-Pix2pix have a baseline each; `baselines`: row -> baseline, else BiL-PG2's."""
    options = {"rows": ROWS, "tasks": 7, "queries": 2, "images": False, "described": True} | options
    make_run(path, **options)
    recipe = yaml.safe_load((path / "recipe.yaml").read_text())
    for row, section in recipe["rows"].items():
        section["baseline"] = ({"BiL-PG2 (5-shot)": PG2} if baselines is None else baselines).get(row)
        section["translator"] = {"use": "pg2" if "PG2" in row else "pix2pix"}
    (path / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = families(tmp_path_factory.mktemp("runs") / "run")
    build_report(path)
    return path


@pytest.fixture(scope="module")
def summary(run):
    return summarise_run(load_run(run))


@pytest.fixture(scope="module")
def means(run):
    values = {}
    for r in read_results(run / "results.csv"):
        if r.metric == "lpips":
            values.setdefault(r.row, {}).setdefault(r.task, {})[r.query] = r.value
    return {row: task_means(of_row) for row, of_row in values.items()}


def mean(means, row):
    return np.mean(list(means[row].values()))


def paired(means, against):
    return {row: {task: (means[row][task], means[base][task]) for task in means[row]} for row, base in against.items()}


def test_the_recipe_says_who_is_compared_with_whom(summary):
    assert summary["against"] == AGAINST
    assert [line["against"] for line in pair_table(summary, "lpips")] == list(AGAINST.values())


def test_the_headline_has_a_sentence_for_every_baseline(summary, means):
    first, second = re.split(r"(?<=\.) (?=BiL)", headline(summary))
    for sentence, row in ((first, "BiL-PG2 (5-shot)"), (second, "BiL-Pix2pix (5-shot)")):
        change = round(100 * (1 - mean(means, row) / mean(means, AGAINST[row])))
        assert sentence.startswith(f"{row} lowers LPIPS by {change} % against {AGAINST[row]} (")


def test_a_baseline_that_nobody_beats_is_named(tmp_path):
    rows = ROWS | {"BiL-PG2 (5-shot)": ("bil", 1.6, 0.02)}
    text = headline(summarise_run(load_run(families(tmp_path / "run", rows=rows))))
    assert text.startswith(
        "No row that is compared with PG2 (5-shot) has a better mean LPIPS. BiL-Pix2pix (5-shot) low"
    )


def test_a_row_that_lacks_values_and_is_ahead_where_it_has_them_is_not_passed_over(summary):
    lacking = copy.deepcopy(summary)
    for row in ROWS:
        if row not in (PIX, PG2):
            lacking["rows"][row]["lpips"]["left_out"] = 1
    assert "No row" not in headline(lacking)
    assert "BiL-PG2 (5-shot) lowers LPIPS by" in headline(lacking)


def test_the_page_names_every_baseline_and_tags_it(run):
    page = (run / "report.html").read_text()
    assert "<h3>Against each row&#39;s baseline</h3>" in page
    lines = re.findall(r'<tr><th scope="row">([^<]*)</th><td class="name">([^<]*)</td>', page)
    assert lines[: len(AGAINST)] == list(AGAINST.items())
    assert {row for row in ROWS if f'{row} <span class="tag">baseline</span>' in page} == {PIX, PG2}
    assert "None" not in re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)


def test_plots_subtract_each_rows_own_baseline(summary, means):
    metric = measure_of(summary, "lpips")
    plot = difference_plot(summary, paired(means, AGAINST), metric)
    assert plot.count("BiL-PG2 (5-shot) against PG2 (5-shot)") == 1
    assert "row − its baseline" in plot
    panels = slope_plots(summary, paired(means, AGAINST), metric)
    assert {panel["title"]: panel["against"] for panel in panels} == AGAINST
    # No dot of BiL-PG2 is right of zero: it is better than its own baseline, and worse than the common one.
    only = {**summary, "against": {"BiL-PG2 (5-shot)": PG2}}
    assert "var(--worse)" not in difference_plot(only, paired(means, only["against"]), metric)
    only["against"] = {"BiL-PG2 (5-shot)": PIX}
    assert "var(--worse)" in difference_plot(only, paired(means, only["against"]), metric)


def test_the_harder_half_is_compared_with_each_rows_own_baseline(summary):
    harder = summary["harder_half"]["halves"]["harder"]["rows"]
    got = harder["BiL-PG2 (5-shot)"]["against"]
    assert list(got) == [PG2, "Copy"]
    expected = harder["BiL-PG2 (5-shot)"]["mean"] / harder[PG2]["mean"]
    assert got[PG2]["ratio"] == pytest.approx(expected)
    assert [list(harder[row]["against"]) for row in (PIX, PG2)] == [["Copy"], ["Copy"]]
    table = halves_table(summary)
    assert table["others"] == ["its baseline", "Copy"]
    shown = {line["name"]: [pair["value"] for pair in line["cells"][0]["against"]] for line in table["rows"]}
    assert shown["BiL-PG2 (5-shot)"] == [f"{got[other]['ratio']:.3f}" for other in (PG2, "Copy")]
    assert [shown[PG2][0], shown["Copy"][1]] == ["", ""]


def test_the_terminal_has_a_column_only_where_baselines_differ(run, tmp_path, capsys):
    assert invoke(["report", str(run)]) == 0
    first = capsys.readouterr().out.partition("\n\n")[0]
    table = [[cell.strip() for cell in line.split("|")] for line in first.splitlines() if "|" in line]
    place = table[0].index("against")
    shown = {line[0]: (line[place], line[-1]) for line in table if line[0] in ROWS}
    assert {row: against for row, (against, _) in shown.items() if against} == AGAINST
    assert shown[PG2] == shown[PIX] == ("", "baseline")
    assert invoke(["report", str(families(tmp_path / "one", baselines={}, described=False))]) == 0
    assert "against" not in capsys.readouterr().out.splitlines()[0]


def test_one_baseline_that_all_rows_name_is_shown_as_the_common_one_is(tmp_path):
    baselines = {row: PIX for row in ROWS if row != PIX}
    named = build_report(families(tmp_path / "named" / "run", baselines=baselines)).read_text()
    common = build_report(families(tmp_path / "common" / "run", baselines={})).read_text()
    assert named.partition('<section id="losses">')[0] == common.partition('<section id="losses">')[0]


def test_a_baseline_that_is_no_other_row_is_told(tmp_path):
    baselines = {"BiL-PG2 (5-shot)": "PG3", "BiL-Pix2pix (5-shot)": "BiL-Pix2pix (5-shot)"}
    summary = summarise_run(load_run(families(tmp_path / "run", baselines=baselines)))
    assert set(summary["against"].values()) == {PIX}
    message = "is not another row, so it is compared as if it named none."
    assert f"The baseline 'PG3' of BiL-PG2 (5-shot) {message}" in summary["notes"]
    assert f"The baseline 'BiL-Pix2pix (5-shot)' of BiL-Pix2pix (5-shot) {message}" in summary["notes"]


def test_seeds_are_pooled_against_each_rows_own_baseline(run, tmp_path, capsys):
    paths = [families(tmp_path / f"run-{seed}", seed=seed, name="run") for seed in (0, 1)]
    summary = pool_seeds(paths).summary
    assert summary["against"] == AGAINST
    alone = [summarise_run(load_run(path))["pairs"]["BiL-PG2 (5-shot)"]["lpips"]["ratio"] for path in paths]
    assert summary["seeds"]["rows"]["BiL-PG2 (5-shot)"]["lpips"]["ratios"] == pytest.approx(alone)
    assert set(pool_seeds(paths, baseline=PG2).summary["against"].values()) == {PG2}
    assert invoke(["compare", "--pool", "seeds", *map(str, paths)]) == 0
    assert "LPIPS (ratio to its baseline)" in capsys.readouterr().out


def test_across_runs_a_row_keeps_the_baseline_of_its_own_run(run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    comparison = compare_runs([run, other])
    baselines = {f"{label}: BiL-PG2 (5-shot)": f"{label}: {PG2}" for label in ("run", "other")}
    common = [f"run: {row}" for row, base in AGAINST.items() if base == PIX]
    common += [f"other: {row}" for row in ROWS if "PG2" not in row]
    assert comparison.summary["against"] == baselines | dict.fromkeys(common, f"run: {PIX}")
    write_comparison(comparison, tmp_path / "c.csv")
    with (tmp_path / "c.csv").open() as file:
        compared = {line["row"]: line["baseline"] for line in csv.DictReader(file)}
    assert compared == {row: comparison.summary["against"].get(row, "") for row in comparison.summary["rows"]}
    asked = compare_runs([run, other], baseline=f"run/{PG2}").summary["against"]
    assert asked == {row: f"run: {PG2}" for row in compared if row != f"run: {PG2}"}


def test_a_suggested_figure_shows_the_baseline_that_its_rows_name(run):
    columns = {title: columns for title, (columns, *_) in suggested(load_run(run)).items()}
    shown = {title: [column.row for column in each if column.kind == "row"] for title, each in columns.items()}
    assert shown == {
        "pg2, 5-shot": [PG2, "BiL-PG2 (5-shot)"],
        "pix2pix, 5-shot": [PIX, "BiL-Pix2pix (5-shot)"],
    }
