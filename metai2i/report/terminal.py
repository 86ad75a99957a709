"""The table of a run in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from metai2i.console.consoles import speaks_unicode, stdout_console
from metai2i.console.legible import on_one_line
from metai2i.files import read_json
from metai2i.report.best_table import best_table
from metai2i.report.budget import budget_table
from metai2i.report.by_scene import SceneTable, scene_tables
from metai2i.report.compared import compared_words
from metai2i.report.tables import PairLine, mean_table, pair_table, rank_tables, seeds_table, set_words, sets_table
from metai2i.report.wording import LEAKS, NOTHING, headline
from metai2i.statistics import Summary, baselines_in, measure_of

_ASCII = str.maketrans({"±": "+/-", "−": "-", "–": "-", "↓": "(lower)", "↑": "(higher)", "×": "x", LEAKS: "(!)"})


def print_table(summary: Summary | Path, console: Console | None = None) -> None:
    """Print rows, means with half intervals, and on the main metric ratio to the baseline, p, wins and verdict; then
    how three rows or more rank, and what they cost where the run has recorded it.

    Where rows have different baselines, the comparison names each row's.

    On a terminal that is too narrow the comparison becomes a second table. In a pipe or a file nothing is wrapped or
    cut off, whatever the width, and the table is drawn in ASCII.

    Args:
        summary: as `metai2i.statistics.summarise` makes it, or the folder of a run whose `summary.json` is there.
        console: where to; None for stdout.
    """
    loaded: Summary = read_json(summary / "summary.json") if isinstance(summary, Path) else summary
    _print(loaded, console or stdout_console())


def _print(summary: Summary, console: Console) -> None:
    plain = not console.is_terminal or not speaks_unicode(console)
    main_table = _table(summary, console, plain, means=True, pairs=bool(summary["pairs"]))
    natural = console.measure(main_table, options=console.options.update(width=10_000)).maximum
    further = [
        *([_best_table(summary, console, plain)] if summary.get("best") else []),
        *([_sets_table(summary, console, plain)] if summary.get("sets") else []),
        *(_scene_table(table, console, plain) for table in scene_tables(summary)),
        *([_seeds_table(summary, console, plain)] if summary.get("seeds") else []),
        *([_ranks_table(summary, console, plain)] if summary.get("ranks") else []),
        *([_budget_table(summary, console, plain)] if summary.get("budgets") else []),
    ]
    if not console.is_terminal:
        _print_wide([main_table, *further], console, max(natural, 10_000 if further else 0))
    elif natural <= console.width or not summary["pairs"]:
        console.print(main_table)
    else:
        console.print(_table(summary, console, plain, means=True, pairs=False))
        console.print(_table(summary, console, plain, means=False, pairs=True))
    for table in further if console.is_terminal else []:
        console.print("", table, sep="\n")
    ranks = rank_tables(summary)
    lines = [headline(summary), *(ranks["sentences"] if ranks else []), *summary["notes"]]
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


def _best_table(summary: Summary, console: Console, plain: bool) -> Table:
    """Return best against best: of each group the row that was taken, and how those compare."""
    table = Table(box=box.ASCII2 if plain else box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    best = best_table(summary)
    assert best is not None
    title = measure_of(summary, summary["metric"]).title
    table.add_column(_text("best of", console, plain), overflow="fold", min_width=8)
    table.add_column(_text(f"by {best['by']} on validation scenes", console, plain), overflow="fold", min_width=8)
    for name in (best["metric"], f"{title} ratio", "p (Holm)", "wins"):
        table.add_column(_text(name, console, plain), justify="right")
    table.add_column(_text("verdict", console, plain))
    for line in best["rows"]:
        taken = "; ".join(f"{each['run']}: {each['row']}" if each["run"] else each["row"] for each in line["taken"])
        half = f" ± {line['mean']['half']}" if line["mean"]["half"] else ""
        cells = [(line["name"], ""), (taken, ""), (f"{line['mean']['mean']}{half}", "")]
        cells += _comparison(line["pair"], line["pair"] is None)
        table.add_row(*(_text(value, console, plain, style) for value, style in cells))
    return table


def _seeds_table(summary: Summary, console: Console, plain: bool) -> Table:
    """Return what each seed gave alone: the main metric's mean and, in brackets, the ratio (or difference) to its
    baseline.
    """
    table = Table(box=box.ASCII2 if plain else box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    seeds = seeds_table(summary)
    assert seeds is not None
    whose = "its" if len(baselines_in(summary)) > 1 else "the"
    against = f" ({seeds['by']} to {whose} baseline)" if summary["pairs"] else ""
    name = f"{measure_of(summary, summary['metric']).title}{against}"
    table.add_column(_text(name, console, plain), overflow="fold", min_width=8)
    for label in (*seeds["labels"], "sd between seeds"):
        table.add_column(_text(label, console, plain), justify="right")
    for row in seeds["rows"]:
        cells = [f"{cell['mean']} ({cell['against']})" if cell["against"] else cell["mean"] for cell in row["cells"]]
        table.add_row(*(_text(cell, console, plain) for cell in (row["name"], *cells, row["sd"])))
    return table


def _sets_table(summary: Summary, console: Console, plain: bool) -> Table:
    """Return what metrics of sets say of all scenes together, each with its interval and the number of images."""
    table = Table(box=box.ASCII2 if plain else box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    sets = sets_table(summary)
    assert sets is not None
    table.add_column(_text("all scenes together", console, plain), overflow="fold", min_width=8)
    for label in sets["labels"]:
        table.add_column(_text(label, console, plain), justify="right")
    for row in sets["rows"]:
        cells = [
            _text(set_words(each), console, plain, "bold" if each["excludes_zero"] else "") for each in row["cells"]
        ]
        table.add_row(_text(row["name"], console, plain), *cells)
    return table


def _scene_table(table: SceneTable, console: Console, plain: bool) -> Table:
    """Return one metric on each scene, with intervals over its images; behind it the difference from the baseline."""
    drawn = Table(box=box.ASCII2 if plain else box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    drawn.add_column(_text(f"{table['label']}, scene by scene", console, plain), overflow="fold", min_width=8)
    for scene in table["scenes"]:
        drawn.add_column(_text(scene, console, plain), justify="right")
    for line in table["rows"]:
        cells = []
        for cell in line["cells"]:
            look = "bold" if cell["excludes_zero"] and not line["baseline"] else ""
            cells.append(_text(compared_words(cell, alone=line["baseline"]), console, plain, look))
        drawn.add_row(_text(line["name"], console, plain), *cells)
    return drawn


def _ranks_table(summary: Summary, console: Console, plain: bool) -> Table:
    """Return the mean ranks of the rows, a column for each number of steps."""
    table = Table(box=box.ASCII2 if plain else box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    tables = rank_tables(summary)
    assert tables is not None
    title = f"rank by {measure_of(summary, summary['metric']).title}"
    table.add_column(_text(title, console, plain), overflow="fold", min_width=8)
    for column in tables["columns"]:
        table.add_column(_text(column, console, plain), justify="right")
    for row in tables["rows"]:
        cells = [_text(cell["rank"], console, plain, "bold" if cell["best"] else "") for cell in row["cells"]]
        table.add_row(_text(row["name"], console, plain), *cells)
    return table


def _budget_table(summary: Summary, console: Console, plain: bool) -> Table:
    """Return what the rows cost."""
    table = Table(box=box.ASCII2 if plain else box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    lines = budget_table(summary)
    shown = {"training": "training", "tuning": "tuning", "adapting": "per scene", "numbers": "its own numbers",
             "stored": "stored"}  # fmt: skip
    if all(line["tuning"] == NOTHING for line in lines):
        del shown["tuning"]
    table.add_column(_text("cost", console, plain), overflow="fold", min_width=8)
    for title in shown.values():
        table.add_column(_text(title, console, plain), justify="right")
    for line in lines:
        table.add_row(*(_text(line[key], console, plain) for key in ("name", *shown)))
    return table


def _comparison(pair: PairLine | None, is_baseline: bool) -> list[tuple[str, str]]:
    if pair is None:
        return [("", ""), ("", ""), ("", ""), ("baseline" if is_baseline else "", "")]
    within = f" ({pair['ratio_interval']})" if pair["ratio_interval"] != "–" else ""
    style = {"better": "green", "worse": "red"}.get(pair["verdict"], "")
    return [(f"{pair['ratio']}{within}", ""), (pair["p"], ""), (pair["wins"], ""), (pair["verdict"], style)]


def _text(value: str, console: Console, plain: bool, style: str = "") -> Text:
    """Return a text that is never read as markup; in ASCII where that is asked for, except for letters of names that
    the stream can write.
    """
    value = on_one_line(value)
    if plain:
        value = value.translate(_ASCII).encode(console.encoding, "replace").decode(console.encoding)
    return Text(value, style=style)
