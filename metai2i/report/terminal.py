"""The table of a run in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from metai2i.files import read_json
from metai2i.report.tables import mean_table, pair_table, seeds_table
from metai2i.report.wording import LEAKS, headline
from metai2i.statistics import Summary, baselines_in, measure_of

_ASCII = str.maketrans({"±": "+/-", "−": "-", "–": "-", "↓": "(lower)", "↑": "(higher)", "×": "x", LEAKS: "(!)"})


def print_table(summary: Summary | Path, console: Console | None = None) -> None:
    """Print rows, means with half intervals, and on the main metric ratio to the baseline, p, wins and verdict.

    Where rows have different baselines, the comparison names each row's.

    On a terminal that is too narrow the comparison becomes a second table. In a pipe or a file nothing is wrapped or
    cut off, whatever the width, and the table is drawn in ASCII.

    Args:
        summary: as `metai2i.statistics.summarise` makes it, or the folder of a run whose `summary.json` is there.
        console: where to; None for stdout.
    """
    loaded: Summary = read_json(summary / "summary.json") if isinstance(summary, Path) else summary
    _print(loaded, console or Console(markup=False, highlight=False, emoji=False))


def _print(summary: Summary, console: Console) -> None:
    plain = not console.is_terminal or not console.encoding.lower().startswith("utf")
    one = _table(summary, console, plain, means=True, pairs=bool(summary["pairs"]))
    natural = console.measure(one, options=console.options.update(width=10_000)).maximum
    by_seed = [_seeds_table(summary, console, plain)] if summary.get("seeds") else []
    if not console.is_terminal:
        _print_wide([one, *by_seed], console, max(natural, 10_000 if by_seed else 0))
    elif natural <= console.width or not summary["pairs"]:
        console.print(one)
    else:
        console.print(_table(summary, console, plain, means=True, pairs=False))
        console.print(_table(summary, console, plain, means=False, pairs=True))
    for table in by_seed if console.is_terminal else []:
        console.print("", table, sep="\n")
    lines = [headline(summary), *summary["notes"]]
    for line in lines:
        console.print(_text(line, console, plain), soft_wrap=not console.is_terminal)


def _print_wide(tables: list[Table], console: Console, width: int) -> None:
    before = console.width
    console.width = max(before, width)
    try:
        for place, table in enumerate(tables):
            console.print(*([""] if place else []), table, sep="\n")
    finally:
        console.width = before


def _table(summary: Summary, console: Console, plain: bool, *, means: bool, pairs: bool) -> Table:
    table = Table(box=box.ASCII2 if plain else box.SIMPLE_HEAD, show_edge=False, pad_edge=False)

    def text(value: str, style: str = "") -> Text:
        return _text(value, console, plain, style)

    title = measure_of(summary, summary["metric"]).title
    table.add_column(text("row"), overflow="fold", min_width=8)
    if means:
        for metric in summary["metrics"]:
            table.add_column(text(measure_of(summary, metric).label), justify="right")
        table.add_column(text("tasks × seeds" if summary.get("seeds") else "tasks"), justify="right")
    several = len(baselines_in(summary)) > 1
    if pairs:
        if several:
            table.add_column(text("against"), overflow="fold", min_width=8)
        for name in (f"{title} ratio", "p (Holm)", "wins"):
            table.add_column(text(name), justify="right")
        table.add_column(text("verdict"))
    compared = {line["row"]: line for line in pair_table(summary, summary["metric"])}
    for line in mean_table(summary):
        cells = [text(line["name"])]
        if means:
            for cell in line["cells"]:
                half = f" ± {cell['half']}" if cell["half"] else ""
                mark = "*" if cell["flag"] else ""
                cells.append(text(f"{cell['mean']}{mark}{half}", "bold" if cell["best"] else ""))
            cells.append(text(line["n"]))
        if pairs:
            pair = compared.get(line["row"])
            cells += [text(pair["against"] if pair else "")] if several else []
            cells += [text(value, style) for value, style in _comparison(pair, line["baseline"])]
        table.add_row(*cells)
    return table


def _seeds_table(summary: Summary, console: Console, plain: bool) -> Table:
    """What each seed gave alone: the main metric's mean and, in brackets, the ratio (or difference) to its baseline."""
    table = Table(box=box.ASCII2 if plain else box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    told = seeds_table(summary)
    assert told is not None
    whose = "its" if len(baselines_in(summary)) > 1 else "the"
    against = f" ({told['by']} to {whose} baseline)" if summary["pairs"] else ""
    name = f"{measure_of(summary, summary['metric']).title}{against}"
    table.add_column(_text(name, console, plain), overflow="fold", min_width=8)
    for label in (*told["labels"], "sd between seeds"):
        table.add_column(_text(label, console, plain), justify="right")
    for row in told["rows"]:
        cells = [f"{cell['mean']} ({cell['against']})" if cell["against"] else cell["mean"] for cell in row["cells"]]
        table.add_row(*(_text(cell, console, plain) for cell in (row["name"], *cells, row["sd"])))
    return table


def _comparison(pair: dict[str, str] | None, is_baseline: bool) -> list[tuple[str, str]]:
    if pair is None:
        return [("", ""), ("", ""), ("", ""), ("baseline" if is_baseline else "", "")]
    within = f" ({pair['ratio_interval']})" if pair["ratio_interval"] != "–" else ""
    style = {"better": "green", "worse": "red"}.get(pair["verdict"], "")
    return [(f"{pair['ratio']}{within}", ""), (pair["p"], ""), (pair["wins"], ""), (pair["verdict"], style)]


def _text(value: str, console: Console, plain: bool, style: str = "") -> Text:
    """Never read as markup; in ASCII where that is asked for, except for letters of names that the stream can write."""
    if plain:
        value = value.translate(_ASCII).encode(console.encoding, "replace").decode(console.encoding)
    return Text(value, style=style)
