"""Reports: `report.html` and `summary.json` of a run, the table in the terminal, comparisons of several runs."""

from metai2i.report.comparison import Comparison, compare_runs, write_comparison
from metai2i.report.page import build_report
from metai2i.report.pooling import pool_seeds
from metai2i.report.run_summary import summarise_run
from metai2i.report.terminal import print_table
from metai2i.run_folder.reader import Run, load_run

__all__ = [
    "Comparison",
    "Run",
    "build_report",
    "compare_runs",
    "load_run",
    "pool_seeds",
    "print_table",
    "summarise_run",
    "write_comparison",
]
