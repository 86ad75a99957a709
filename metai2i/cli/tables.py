"""Tables on stdout whose names can be read in a narrow terminal and in a pipe alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table

from metai2i.console.consoles import stdout_console
from metai2i.console.legible import on_one_line


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table with a head; cells that do not fit the terminal are folded, never cut. A pipe gets no rules."""
    console = stdout_console()
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(on_one_line, row))
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())
