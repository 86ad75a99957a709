"""Faults of plugins while they work: told by where they happened, with the traceback kept in a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from metai2i.console.exits import Ended
from metai2i.distributed.processes import Elsewhere, Lost
from metai2i.errors import UserError
from metai2i.guards.fault_report import fault
from metai2i.guards.surroundings import LIGHT, put_back
from metai2i.registry.discovery import plugin_behind

MEMORY = "lower the batch, episodes.queries or strategy.steps; order: first needs least"


class EndedOutside(BaseException):
    """Whoever manages this process wants it to end.

    Args:
        end: what is to end it.
    """

    def __init__(self, end: BaseException) -> None:
        super().__init__(str(end))
        self.end = end


NOBODYS = (KeyboardInterrupt, GeneratorExit, Elsewhere, Lost, EndedOutside)
"""What is raised and is no fault of the code that it is raised in."""


@contextmanager
def user_errors_from(where: str, folder: Path | None, kept: str | None = None) -> Iterator[None]:
    """Turn whatever is raised within it into one message that begins with `where`, and put back what a plugin has
    changed for the whole process.

    Args:
        where: "pretrain (4 rows), step 7".
        folder: where `error.txt` with the traceback goes, for whoever wrote the plugin; None for the system's folder
            for temporary files.
        kept: what is kept of it, added to the hint.

    Raises:
        UserError: always, when anything but an interruption was raised; also for a plugin that tries to end the process
            by `sys.exit()`.
    """
    try:
        with put_back(f"{where}: a plugin", LIGHT, streams=False):
            yield
    except UserError as error:
        hint = "; ".join(filter(None, (error.hint, kept))) or None
        raise UserError(f"{where}: {error.what}", where=error.where, hint=hint) from error
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(f"{where}: the GPU's memory is full", hint="; ".join(filter(None, (MEMORY, kept)))) from error
    except NOBODYS:
        raise
    except BaseException as error:
        raise fault(where, error, folder, kept) from error


@contextmanager
def plugins_answer(where: str, folder: Path | None = None) -> Iterator[None]:
    """Turn what a plugin raises within it into one message, as `user_errors_from` does; let errors of the core pass.

    For code of the core that asks plugins something now and then.

    Raises:
        UserError: for a fault of a plugin, or for one that tries to end the process.
    """
    try:
        with put_back(f"{where}: a plugin", LIGHT, streams=False):
            yield
    except (UserError, *NOBODYS):
        raise
    except SystemExit as error:
        if isinstance(error, Ended):
            raise
        raise fault(where, error, folder) from error
    except BaseException as error:
        if plugin_behind(error) is None or (isinstance(error, OSError) and error.filename):
            raise  # a file that cannot be read is told by its name
        raise fault(where, error, folder) from error
