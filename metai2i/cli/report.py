"""`metai2i report`: the report of a run, made again from its files."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from metai2i.cli.paths import UserPath


@click.command(
    epilog="""\b
Examples:
  metai2i report runs/quickstart
  metai2i report runs/street-1shot | less -S
"""
)
@click.argument("run", type=UserPath(), metavar="RUN")
def command(run: Path) -> None:
    """Write the report of a run anew and print its table.

    RUN is the folder of a run. From its results.csv, and whatever else is in it, summary.json and report.html are made
    again. report.html is one file that opens without a network.
    """
    from metai2i.cli import say
    from metai2i.report import build_report, load_run, print_table
    from metai2i.run_folder.alone import alone_in
    from metai2i.run_folder.at_work import check_run_folder

    check_run_folder(run)
    with alone_in(run, "it writes the report itself"):
        page = build_report(run)
    print_table(run)
    for note in load_run(run).notes:
        click.echo(f"note: {note}", err=True)
    say(f"\n{page}")
