"""What a run that is at work says of itself, beside its folder: which stages it wants, and where they are worked on.

The folder itself is there only when all is done. The record is written before the first stage and goes when the folder
is written; one that is left is of a run that was stopped.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metai2i.data.places import real_path
from metai2i.errors import GOES_ON, UserError
from metai2i.files import check_folder, read_json, write_json
from metai2i.guards.system import birth_of_process
from metai2i.run_folder.alone import beside_run

Key = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class WantedStage(BaseModel):
    """A stage that a run wants.

    Args:
        key: in the store.
        name: pretrain, evaluate, …
        rows: that share it.
        total: its iterations; 0 where nothing is counted.
    """

    model_config = ConfigDict(frozen=True)

    key: Key
    name: str
    rows: tuple[str, ...]
    total: int


class AtWork(BaseModel):
    """A run at work.

    Args:
        recipe: its name.
        store: the folder of its stages.
        started: when, as text.
        host: where it works.
        process: its number there.
        born: when that process began, as the system tells it; empty where it does not.
        stages: in the order in which they are worked on.
    """

    model_config = ConfigDict(frozen=True)

    recipe: str
    store: str
    started: str
    host: str
    process: int
    born: str
    stages: tuple[WantedStage, ...]

    def state(self) -> Literal["at work", "stopped", "elsewhere"]:
        """Return whether it goes on; "elsewhere" for a run on another machine, of which that cannot be seen."""
        if self.host != socket.gethostname():
            return "elsewhere"
        return "at work" if birth_of_process(self.process) == self.born else "stopped"


def record_file(run: Path) -> Path:
    """Return where the record of a run is.

    Args:
        run: its folder, which need not be there.
    """
    home, stem = beside_run(real_path(run))
    return home / f".{stem}.at-work.json"


def tell_at_work(run: Path, recipe: str, store: Path, stages: tuple[WantedStage, ...]) -> None:
    """Write the record of a run that begins in this process.

    Raises:
        UserError: when it cannot be written.
    """
    record = AtWork(
        recipe=recipe,
        store=str(store),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        host=socket.gethostname(),
        process=os.getpid(),
        born=birth_of_process(os.getpid()) or "",
        stages=stages,
    )
    write_json(record_file(run), record.model_dump())


def end_work(run: Path) -> None:
    """Take the record of a run away, whose folder is written."""
    with suppress(OSError):
        record_file(run).unlink(missing_ok=True)


def at_work_in(run: Path) -> AtWork | None:
    """Return what a run that works or was stopped says of itself; None where there is none.

    Raises:
        UserError: when the record cannot be read.
    """
    file = record_file(run)
    try:
        return AtWork.model_validate(read_json(file))
    except UserError:
        if file.exists():
            raise
        return None
    except ValidationError as error:
        raise UserError("not the record of a run at work", where=file, hint="run the recipe again") from error


def check_run_folder(run: Path) -> None:
    """Refuse what is no folder, and tell a run that is not written yet.

    Raises:
        UserError: for a file, for what is not there, and for a run at work or stopped, with how it goes on.
    """
    if not run.exists() and (work := at_work_in(run)) is not None:
        if work.state() == "stopped":
            what = f"this run of {work.recipe!r} was stopped before it was done, and its folder is written at the end"
            raise UserError(what, where=run, hint=GOES_ON)
        if work.state() == "elsewhere":
            what = f"this run of {work.recipe!r} was begun on {work.host!r} and cannot be seen from here"
            hint = f"its folder is written at the end; if it has been stopped, {GOES_ON}"
            raise UserError(what, where=run, hint=hint)
        what = f"this run of {work.recipe!r} is at work, and its folder is written at the end"
        raise UserError(what, where=run, hint="`metai2i watch` shows it")
    check_folder(run, "expected the folder of a run")
