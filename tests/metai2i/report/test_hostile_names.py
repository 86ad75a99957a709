"""Names that are code elsewhere (in rich, regular expressions, TeX, HTML, CSV, templates) go through a report, a table,
a comparison and every plot, and come out as they are."""

from __future__ import annotations

import csv
import html
import html.parser
import io
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from fake_run import make_run
from matplotlib.figure import Figure
from rich.console import Console

from metai2i.console.legible import legible, on_one_line
from metai2i.metrics.display import MEASURES
from metai2i.report import build_report, compare_runs, load_run, print_table, summarise_run, write_comparison
from metai2i.report.adaptation_plots import Look, Point, _seconds_plot, _steps_plot
from metai2i.report.plots import svg
from metai2i.report.rank_plot import rank_plot
from metai2i.report.wording import shortened
from metai2i.run_folder.results import Record, as_csv, read_results, write_results

NAMES = {
    "rich": "[/red]", "a link": "[link=http://x]a[/link]", "an emoji code": ":smile:", "a style": "[bold]",
    "a pattern": r"a\d", "a group": r"\g<0>", "a reference": r"\1", "TeX": r"$\frac{$", "a formula": "$x$",
    "an entity": "&lt;", "a tag": "<b>x</b>", "a script": "</title><script>x</script>", "an end": "</svg>",
    "cdata": "]]>", "a comment": "<!-- --", "quotes": "\"q\" 'r'", "a newline": "a\nb", "a tab": "a\tb",
    "a return": "a\rb", "a line separator": "a\u2028b", "right to left": "\u202eevil", "hebrew": "שלום",
    "nul": "\x00x", "an escape": "\x1b[31mred", "long": "x" * 254, "emoji": "😀👨\u200d👩", "han": "人物",
    "hidden from a legend": "_x", "our own colour": "#010101", "an attribute": "xlink:href", "jinja": "{{7*7}}{%raw%}",
    "a format": "{x} %s", "a formula of a sheet": "=1+1", "a comma": 'a,"b', "a blank": " a ", "null": "null",
}  # fmt: skip


class Words(html.parser.HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words += data


def squeezed(text: str) -> str:
    return " ".join(text.split())


def texts(plot: str) -> list[str]:
    """The texts of a plot, as the browser shows them."""
    return [html.unescape(text) for text in re.findall(r"<text[^>]*>(.*?)</text>", plot, re.DOTALL)]


@pytest.fixture(params=NAMES.values(), ids=NAMES.keys())
def name(request) -> str:
    return request.param


@pytest.fixture(autouse=True)
def _no_warning():
    """Not even of a font that lacks a letter."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ResourceWarning)  # of what a test before has left open
        warnings.simplefilter("ignore", pytest.PytestUnraisableExceptionWarning)
        yield


def run_called(path: Path, name: str, **options) -> Path:
    """A run whose recipe, a row, a figure and a metric have that name, and whose tasks hold it."""
    rows = {"base": ("finetune", 1.0, 0.0), name: ("bil", 0.85, 0.03), "third": ("bil", 0.9, 0.05)}
    figure = {name: {"columns": ["truth", name, {"general": name}]}}
    run = make_run(path, rows=rows, tasks=6, queries=1, images=False, name=name, figures=figure, **options)
    records = read_results(run / "results.csv")
    named = [r._replace(task=f"{name}{r.task}", metric=f"{name}{r.metric}") for r in records if r.metric != "mse"]
    write_results(run / "results.csv", named)
    line = {"stage": name, "key": name, "rows": [name], "step": 1, "losses": {name: 1.0, f"probe/{name}": 2.0}}
    (run / "log.jsonl").write_text(json.dumps(line) + "\n")
    provenance = json.loads((run / "provenance.json").read_text())
    measure = {"title": name, "higher_is_better": False, "unit": name, "digits": 3}
    provenance |= {
        name: name,
        "command": [name],
        "metrics": {f"{name}{metric}": measure for metric in ("lpips", "ssim")},
    }
    (run / "provenance.json").write_text(json.dumps(provenance))
    return run


def test_a_report_a_table_and_a_comparison_show_the_name_as_it_is(tmp_path, name):
    run, other = run_called(tmp_path / "run", name), run_called(tmp_path / "other", name)
    page = Words(build_report(run).read_text(encoding="utf-8"))
    assert page.tags.count("script") == 1
    assert not {"b", "link"} & set(page.tags)
    assert page.words.count(legible(name)) > 10
    assert list(json.loads((run / "summary.json").read_text())["rows"]) == ["base", name, "third"]
    stream = io.StringIO()
    print_table(run, Console(file=stream, width=80))
    assert any(line.strip().startswith(on_one_line(name).strip()) for line in stream.getvalue().splitlines())
    comparison = compare_runs([run, other])
    write_comparison(comparison, tmp_path / "c.csv")
    with (tmp_path / "c.csv").open(encoding="utf-8", newline="") as file:
        assert {row[0] for row in csv.reader(file)} >= {f"run: {name}", f"other: {name}"}


def test_a_plot_has_the_name_once_as_text_and_no_name_is_anothers_place(name):
    figure = Figure(figsize=(4, 2))
    figure.add_axes((0, 0, 1, 1)).text(0, 0, name)
    plot = svg(figure, name, "wide")
    assert on_one_line(name).strip() in [text.strip() for text in texts(plot)]
    (label,) = re.findall(r'<svg[^>]*? aria-label="([^"]*)"', plot)
    assert html.unescape(label) == on_one_line(name)
    assert plot.count("<svg") == plot.count("</svg>") == 1


def test_the_plots_of_ranks_and_costs_name_every_row(name):
    ranking = {"ranks": {name: 1.0, "b": 2.0, "c": 3.0}, "names": {name: name, "b": "b", "c": "c"}, "alike": [],
            "critical_difference": None, "steps": None}  # fmt: skip
    short = on_one_line(shortened(name, 30))
    assert any(short.strip() in text for text in texts(rank_plot(ranking)))
    points = [Point(name, x, 0.3, 0.2, 0.4, x, x) for x in (1.0, 5.0)]
    lines, looks = {name: points, "b": points}, {name: Look("#070701", "o", "-"), "b": Look("#070702", "s", "-")}
    for plot in (_steps_plot(lines, looks, MEASURES["lpips"]), _seconds_plot(lines, looks, [], MEASURES["lpips"])):
        assert short.strip() in [text.strip() for text in texts(plot)]


def test_results_read_back_as_they_were_written(tmp_path, name):
    records = [Record(name, name, name, name, 0.1), Record(f"{name}\r\n", name, "0", "m", float(np.float32(0.3)))]
    write_results(tmp_path / "results.csv", records)
    assert read_results(tmp_path / "results.csv") == records


def test_ordinary_lines_are_not_quoted():
    assert as_csv([("a", "b c", 0.5), ("d\re", 1)]) == 'a,b c,0.5\n"d\re","1"\n'


@pytest.mark.parametrize("name", ["caf\udce9", "\ud800"])
def test_a_lone_surrogate_in_a_title_a_note_or_a_path_does_not_stop_a_report(tmp_path, name):
    run = make_run(tmp_path / "run", tasks=6, queries=1, images=False, name=name, description=name, figures={name: {}})
    provenance = json.loads((run / "provenance.json").read_text()) | {"command": [name], name: name}
    (run / "provenance.json").write_text(json.dumps(provenance))
    (run / "recipe.yaml").write_text((run / "recipe.yaml").read_text().replace("baseline:", "was:"))
    page = build_report(run).read_text(encoding="utf-8")
    assert f"<title>{legible(name)}</title>" in page
    assert summarise_run(load_run(run))["rows"]


def test_a_summary_with_a_lone_surrogate_reads_back_as_it_was(tmp_path):
    run = make_run(tmp_path / "run", tasks=6, queries=1, images=False)
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace("metric: lpips", 'metric: "caf\\uDCE9"'))
    build_report(run)
    notes = json.loads((run / "summary.json").read_text(encoding="utf-8"))["notes"]
    assert any("'caf\\udce9'" in note for note in notes)
