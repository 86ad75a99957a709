"""The tables of a run for a paper or a page: LaTeX and Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from metai2i.console.legible import on_one_line
from metai2i.exporter import RunContent, RunExporter
from metai2i.files import write_text
from metai2i.report.tables import MeanCell, mean_table, pair_table, set_words, sets_table
from metai2i.report.wording import LEAKS, MINUS, NOTHING, leaking_note
from metai2i.statistics import Summary, baselines_in, measure_of


class Cell(NamedTuple):
    """A text, and whether it is the best of its column."""

    text: str
    best: bool = False


class TextTable(NamedTuple):
    """A table in words: `heads` above the columns, of which the first is of names, and the lines of cells."""

    caption: str
    heads: list[str]
    lines: list[list[Cell]]


def text_tables(name: str, summary: Summary) -> list[TextTable]:
    """Return the table of means, and that of comparisons where there are some.

    Args:
        name: of the run.
    """
    means = mean_table(summary)
    heads = ["row", *(measure_of(summary, metric).label for metric in summary["metrics"]), "tasks"]
    lines = [
        [Cell(line["name"]), *(Cell(mean_text(cell), cell["best"]) for cell in line["cells"]), Cell(line["n"])]
        for line in means
    ]
    flagged = any(cell["flag"] for line in means for cell in line["cells"])
    caption = f"{name}: means over test tasks ± half of the 95 % interval"
    caption += "; * some values are not finite and left out" if flagged else ""
    leaking = summary["leaking"]
    caption += f". {leaking_note(leaking)}" if leaking else ""
    tables = [TextTable(caption, heads, lines)]
    pairs = pair_table(summary, summary["metric"])
    if pairs:
        measure, several = measure_of(summary, summary["metric"]), len(baselines_in(summary)) > 1
        tables.append(
            TextTable(
                f"{name}: {measure.title} against {'the baselines' if several else pairs[0]['against']}, "
                "paired by test task",
                ["row", *(["against"] if several else []), "difference", "95 % interval", "ratio", "p (Holm)", "wins",
                 "verdict"],
                [
                    [Cell(cell) for cell in (
                        pair["name"], *([pair["against"]] if several else []), pair["difference"],
                        pair["difference_interval"], pair["ratio"], pair["p"], pair["wins"], pair["verdict"],
                    )]
                    for pair in pairs
                ],
            )
        )  # fmt: skip
    sets = sets_table(summary)
    if sets is not None:
        lines = [[Cell(line["name"]), *(Cell(set_words(cell)) for cell in line["cells"])] for line in sets["rows"]]
        tables.append(TextTable(f"{name}: all scenes together", ["row", *sets["labels"]], lines))
    return tables


def mean_text(cell: MeanCell) -> str:
    """Return a mean with half of its interval, and a mark where values are left out."""
    half = f" ± {cell['half']}" if cell["half"] else ""
    return f"{cell['mean']}{'*' if cell['flag'] else ''}{half}"


class Markdown(RunExporter):
    """The tables as Markdown, as GitHub and GitLab show them."""

    ending = ".md"

    def export(self, content: RunContent, out: Path) -> object:
        """Write the tables, each below its caption."""
        tables = text_tables(content.name, cast(Summary, content.summary))
        write_text(out, "\n".join(table_in_markdown(table) for table in tables))
        return None


class Latex(RunExporter):
    """The tables as LaTeX, to be read by `\\input`; they need the package booktabs."""

    ending = ".tex"

    def export(self, content: RunContent, out: Path) -> object:
        """Write the tables, each with its caption."""
        tables = text_tables(content.name, cast(Summary, content.summary))
        head = "% \\usepackage{booktabs} in the preamble\n"
        write_text(out, head + "\n".join(table_in_latex(table) for table in tables))
        return "\\input{{out}} takes it into a document with \\usepackage{booktabs}"


def table_in_markdown(table: TextTable) -> str:
    """Return a table with its caption; names stand as they are, whatever signs they hold."""
    rows = [[in_markdown(head) for head in table.heads]]
    rows += [[f"**{in_markdown(c.text)}**" if c.best else in_markdown(c.text) for c in line] for line in table.lines]
    ruler = ["---", *("---:" for _ in table.heads[1:])]
    lines = [f"| {' | '.join(cells)} |" for cells in (rows[0], ruler, *rows[1:])]
    return f"{in_markdown(table.caption)}\n\n" + "\n".join(lines) + "\n"


def table_in_latex(table: TextTable) -> str:
    """Return a table with its caption; names stand as they are, whatever signs they hold."""
    body = [_line_in_latex(line) for line in table.lines]
    return "\n".join(
        [
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{in_latex(table.caption)}}}",
            f"\\begin{{tabular}}{{l{'r' * (len(table.heads) - 1)}}}",
            "\\toprule",
            " & ".join(map(in_latex, table.heads)) + " \\\\",
            "\\midrule",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
            "",
        ]
    )


def _line_in_latex(line: Sequence[Cell]) -> str:
    cells = [f"\\textbf{{{in_latex(cell.text)}}}" if cell.best else in_latex(cell.text) for cell in line]
    # What begins with one of these would be the argument of the command that ends the line before.
    return ("{}" if cells[0].startswith(("*", "[")) else "") + " & ".join(cells) + " \\\\"


_LATEX: Mapping[str, str] = {
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "<": "$<$", ">": "$>$", "|": "$|$", '"': "\\textquotedbl{}", "±": "$\\pm$", "×": "$\\times$", "↑": "$\\uparrow$",
    "↓": "$\\downarrow$", MINUS: "$-$", NOTHING: "--", LEAKS: "$\\dagger$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip
"""How LaTeX writes what it would read as commands, and our signs."""


def in_latex(text: str) -> str:
    """Return a text as LaTeX shows it.

    >>> in_latex("50 % of a_b")
    '50 \\\\% of a\\\\_b'
    """
    return _spelled(text, _LATEX.get)


def in_markdown(text: str) -> str:
    """Return a text as Markdown shows it: no sign of a name begins a cell, an emphasis, a link or a tag."""
    return _spelled(text, lambda sign: f"\\{sign}" if sign in "\\`*_[]<>|~#" else None)


def _spelled(text: str, of_sign: Callable[[str], str | None]) -> str:
    signs: Sequence[str] = re.sub(r"\s+", " ", on_one_line(text))
    return "".join(of_sign(sign) or sign for sign in signs)
