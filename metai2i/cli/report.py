"""`metai2i report`: the report of a run, made again from its files."""

from __future__ import annotations

from pathlib import Path

import rich_click as click


@click.command(
    epilog="""\b
Examples:
  metai2i report runs/quickstart
  metai2i report runs/street-1shot | less -S
"""
)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
def command(run: Path) -> None:
    """Write the report of a run anew and print its table.

    RUN is the folder of a run. From its results.csv, and whatever else is in it, summary.json and report.html are made
    again. report.html is one file that opens without a network.
    """
    from metai2i.cli import say
    from metai2i.report import build_report, print_table

    page = build_report(run)
    print_table(run)
    say(f"\n{page}")
