"""`metai2i stages`: shows what the stage store keeps, and deletes what nobody needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from metai2i.cli.paths import UserPath
from metai2i.errors import UserError, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metai2i.pipeline.kept_stages import KeptStage

_STORE = click.option("--stages", type=UserPath(),
                      help="The stage store.  [default: METAI2I_STAGES, else runs/.stages]")  # fmt: skip
DAY = 24 * 3600


@click.group(
    epilog="""\b
Examples:
  metai2i stages list
  metai2i stages prune --keep runs/quickstart --keep runs/faces
  metai2i stages prune --older-than 30 --yes
""",
)
def command() -> None:
    """Show what the stage store keeps, and delete what nobody needs.

    Whatever `metai2i run` has trained or scored lies there, so that the next run finds it.
    """


@command.command("list")
@_STORE
def list_stages(stages: Path | None) -> None:
    """List the stages, the oldest first: rows, size, and when they were written."""
    from metai2i.cli import say

    root, kept = _kept(stages)
    _show(kept)
    say(f"{_amount(kept)} in {root}")


@command.command("prune")
@_STORE
@click.option("--keep", metavar="RUN", type=UserPath(), multiple=True,
              help="Keep what this run was made of; may be given several times.")  # fmt: skip
@click.option("--older-than", metavar="DAYS", type=click.FloatRange(min=0), help="Only what was written before.")
@click.option("--unfinished", is_flag=True, help="Only what interrupted runs have left.")
@click.option("--yes", is_flag=True, help="Delete; without it is only shown what would go.")
def prune(stages: Path | None, keep: tuple[Path, ...], older_than: float | None, unfinished: bool, yes: bool) -> None:
    """Delete stages that no run of --keep was made of.

    A run's folder needs no stages to be shown; `metai2i adapt`, a new report, and further runs that share stages do.
    What somebody works on stays.
    """
    import time

    from metai2i.cli import say
    from metai2i.pipeline.kept_stages import keys_of_runs, removed

    if not keep and older_than is None and not unfinished:
        raise UserError(
            "got nothing that says what may go",
            hint="--keep RUN, --older-than DAYS or --unfinished; --older-than 0 is everything",
        )
    root, kept = _kept(stages)
    needed = keys_of_runs(keep)
    before = time.time() - (older_than or 0) * DAY
    going = [
        stage
        for stage in kept
        if stage.key not in needed and stage.written <= before and not (unfinished and stage.done)
    ]
    if not yes:
        _show(going)
        say(f"{_amount(going)} of {_amount(kept)} would go from {root}; --yes deletes them")
        return
    results = list(removed(root, going))
    gone = [stage for stage, is_gone in results if is_gone]
    stayed = [stage for stage, is_gone in results if not is_gone]
    say(f"{_amount(gone)} of {_amount(kept)} deleted from {root}")
    if stayed:
        say(f"{_amount(stayed)} stayed, since somebody works on them: {', '.join(stage.key for stage in stayed)}")


def _kept(named: Path | None) -> tuple[Path, list[KeptStage]]:
    from metai2i.data.places import stages_folder
    from metai2i.pipeline.kept_stages import kept_stages

    root = stages_folder(named, "runs/.stages")
    return root, kept_stages(root)


def _show(stages: Sequence[KeptStage]) -> None:
    from datetime import datetime

    from metai2i.cli.tables import print_rows
    from metai2i.report.wording import amount_of_bytes

    print_rows(
        ["key", "stage", "rows", "state", "size", "written"],
        [
            [
                stage.key,
                stage.name,
                ", ".join(stage.rows),
                "done" if stage.done else "unfinished",
                amount_of_bytes(stage.bytes),
                f"{datetime.fromtimestamp(stage.written):%Y-%m-%d %H:%M}",
            ]
            for stage in stages
        ],
    )


def _amount(stages: Sequence[KeptStage]) -> str:
    from metai2i.report.wording import amount_of_bytes

    return f"{counted(len(stages), 'stage')}, {amount_of_bytes(sum(stage.bytes for stage in stages))}"
