"""`metai2i compare`: the rows of several runs in one table."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from metai2i.cli.paths import UserPath


@click.command(
    epilog="""\b
Examples:
  metai2i compare runs/street-1shot runs/street-5shot
  metai2i compare runs/mine runs/theirs --baseline "theirs/Pix2pix (1-shot)"
  metai2i compare runs/mine runs/theirs --metric ssim --out comparison.html
  metai2i compare --pool seeds runs/street-0 runs/street-1 runs/street-2
"""
)
@click.argument("runs", type=UserPath(), nargs=-1, required=True, metavar="RUN RUN...")
@click.option("--pool", type=click.Choice(["seeds"]),
              help="Runs of one recipe with several seeds become one table: rows of the same name are averaged, task "
              "by task, over the runs.")  # fmt: skip
@click.option("--metric", help="The main metric; that of the first run's recipe unless given.")
@click.option("--baseline", metavar="RUN/ROW",
              help="The row all others are compared with, as RUN/ROW, or as ROW where only one run has it (and always "
              "with --pool). Unless given, rows are compared with the baseline of the first run, and those that name "
              "their own in their recipe with that.")  # fmt: skip
@click.option("--out", type=UserPath(), metavar="FILE",
              help="Write the comparison to a page (.html), or to a table with a line per row and metric "
              "(.csv).")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Write FILE anew where it is already.")
def command(
    runs: tuple[Path, ...],
    pool: str | None,
    metric: str | None,
    baseline: str | None,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Compare the rows of several runs, paired by test task.

    Each RUN is the folder of a run; its rows are called "RUN: ROW". All runs must have been measured on the same test
    tasks and queries; where they were not, the ones that differ are named and nothing is compared.

    With --pool seeds, the runs must be of one recipe and differ in the seed. The statistics are over test tasks, of the
    mean over seeds, and each seed's own result stands beside them.
    """
    from metai2i.cli import say
    from metai2i.files import refuse_existing
    from metai2i.report import compare_runs, pool_seeds, print_table, write_comparison
    from metai2i.report.comparison import check_comparison_path

    if out is not None:
        check_comparison_path(out)
        refuse_existing([out], overwrite=overwrite)
    comparison = (pool_seeds if pool else compare_runs)(runs, metric=metric, baseline=baseline)
    print_table(comparison.summary)
    if out is not None:
        write_comparison(comparison, out)
        say(f"\n{out}")
