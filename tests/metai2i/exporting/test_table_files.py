"""Tables for papers and pages: the numbers of the report, and names that stand as they are."""

from __future__ import annotations

import re

import pytest
from fake_run import BASELINE, ROWS, make_run

from metai2i.exporting.run_content import run_content
from metai2i.exporting.table_files import (
    Cell,
    Latex,
    Markdown,
    TextTable,
    in_latex,
    table_in_latex,
    table_in_markdown,
    text_tables,
)
from metai2i.report.tables import mean_table, pair_table


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return run_content(make_run(tmp_path_factory.mktemp("tables") / "run", tasks=6, images=False))


def test_markdown_has_the_numbers_of_the_report(content, tmp_path):
    Markdown().export(content, tmp_path / "run.md")
    lines = (tmp_path / "run.md").read_text().splitlines()
    for line in mean_table(content.summary):
        row = next(each for each in lines if each.startswith(f"| {line['name']} |"))
        cells = [cell.strip().strip("*") for cell in row.strip("|").split("|")]
        expected = [f"{cell['mean']} ± {cell['half']}" if cell["half"] else cell["mean"] for cell in line["cells"]]
        assert cells == [line["name"], *expected, line["n"]]
        assert ["**" in cell for cell in row.strip("|").split("|")[1:-1]] == [cell["best"] for cell in line["cells"]]
    for pair in pair_table(content.summary, content.summary["metric"]):
        cells = [pair[key] for key in ("name", "difference", "difference_interval", "ratio", "p", "wins", "verdict")]
        assert f"| {' | '.join(cells).replace('<', chr(92) + '<')} |" in lines


def test_latex_has_a_line_for_each_row_of_as_many_cells_as_columns(content, tmp_path):
    Latex().export(content, tmp_path / "run.tex")
    tables = (tmp_path / "run.tex").read_text().split("\\begin{table}")[1:]
    assert len(tables) == 2
    for table, rows in zip(tables, (len(ROWS), len(ROWS) - 1), strict=True):
        columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", table)[1])
        body = table.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
        assert len(body) == rows
        assert all(line.endswith(" \\\\") and line.count(" & ") == columns - 1 for line in body)
    assert f"against {BASELINE}" in tables[1]


def test_signs_of_names_are_no_commands():
    assert in_latex("a_b & 50 % #1 {x} ^~\\ $ ± −") == (
        r"a\_b \& 50 \% \#1 \{x\} \textasciicircum{}\textasciitilde{}\textbackslash{} \$ $\pm$ $-$"
    )
    odd = TextTable("t", ["row", "n"], [[Cell("a | b\n*c* <i>"), Cell("1", best=True)]])
    assert table_in_markdown(odd).splitlines()[-1] == r"| a \| b\\n\*c\* \<i\> | **1** |"
    assert "a $|$ b\\textbackslash{}n*c* $<$i$>$ & \\textbf{1} \\\\" in table_in_latex(odd)


@pytest.mark.parametrize("name", ["[5-shot] Pix2pix", "*starred"])
def test_no_name_is_the_argument_of_the_command_before_it(name):
    table = TextTable("runs", ["row", "LPIPS"], [[Cell("a"), Cell("1")], [Cell(name), Cell("2", best=True)]])
    latex = table_in_latex(table)
    assert f"{{}}{name} & \\textbf{{2}} \\\\" in latex
    assert not re.search(r"(\\\\|\\midrule)\s*[\[*]", latex)


def test_the_sign_of_rows_that_see_what_they_predict_is_explained_and_sets_are_told(content):
    summary = dict(content.summary) | {"leaking": [BASELINE]}
    assert "shown an augmented copy of the very image" in text_tables("run", summary)[0].caption
    measures = {"kid": dict(summary["measures"][summary["metric"]])}
    record = {"value": 0.25, "low": 0.125, "high": 0.5, "outputs": 6, "real": 7, "scenes": 3, "by_scene": [2, 2, 2, 2]}
    record |= {"difference": -0.25, "difference_low": None, "difference_high": None}
    sets = {"measures": measures, "rows": {BASELINE: {"kid": record}}}
    *_, last = text_tables("run", dict(content.summary) | {"sets": sets})
    assert [cell.text for cell in last.lines[0]] == [BASELINE, "0.250 (0.125 to 0.500); −0.250 [n = 6, 7 real]"]
