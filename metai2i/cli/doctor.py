"""`metai2i doctor`: what this machine has of what metai2i needs, and how to get the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from click.exceptions import Exit

from metai2i.cli.common_options import plugins_option
from metai2i.cli.paths import UserPath

if TYPE_CHECKING:
    from metai2i.console.examination import Examined


@click.command(
    epilog="""\b
Examples:
  metai2i doctor
  metai2i doctor --weights weights --plugins-dir my_plugins
"""
)
@click.option("--stages", type=UserPath(),
              help="The stage store.  [default: METAI2I_STAGES, else runs/.stages]")  # fmt: skip
@plugins_option
@click.option("--weights", type=UserPath(),
              help="A folder with the weights of frozen networks.  [default: METAI2I_WEIGHTS]")  # fmt: skip
def command(stages: Path | None, plugins_dir: tuple[Path, ...], weights: Path | None) -> None:
    """Tell what this machine has: versions, device, plugins, weights, disk, and what is missing and how to get it.

    Nothing is downloaded or written. The exit code is 2 when something must be put right before recipes can run.
    """
    from metai2i.console.examination import examination
    from metai2i.console.exits import EXIT_USER_ERROR
    from metai2i.data.places import stages_folder

    findings = list(examination(stages_folder(stages, "runs/.stages"), plugins_dir, weights))
    _show(findings)
    if any(finding.state == "wrong" for finding in findings):
        raise Exit(EXIT_USER_ERROR)


def _show(findings: list[Examined]) -> None:
    from metai2i.cli.tables import print_rows

    print_rows(
        ["", "what", "on this machine", "what to do"],
        [[finding.state, finding.what, finding.seen, finding.remedy] for finding in findings],
    )
