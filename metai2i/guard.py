"""Faults of plugins while they work: told by where they happened, with the traceback kept in a file."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from metai2i.discovery import plugin_behind
from metai2i.errors import UserError

MEMORY = "lower the batch, episodes.queries or strategy.steps; order: first needs least"


@contextmanager
def told_as(where: str, folder: Path, kept: str | None = None) -> Iterator[None]:
    """Turns whatever is raised within it into one message that begins with `where`.

    Args:
        where: "pretrain (4 rows), step 7".
        folder: where `error.txt` with the traceback goes, for whoever wrote the plugin.
        kept: what is kept for `--resume`, added to the hint.

    Raises:
        UserError: always, when anything but an interruption was raised.
    """
    try:
        yield
    except UserError as error:
        hint = "; ".join(filter(None, (error.hint, kept))) or None
        raise UserError(f"{where}: {error.what}", where=error.where, hint=hint) from error
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(f"{where}: the GPU's memory is full", hint="; ".join(filter(None, (MEMORY, kept)))) from error
    except Exception as error:
        report = folder / "error.txt"
        folder.mkdir(parents=True, exist_ok=True)
        report.write_text(traceback.format_exc(), encoding="utf-8")
        at = traceback.extract_tb(error.__traceback__)[-1]
        by = plugin_behind(error)
        whose = f" of {by}" if by else ""
        raise UserError(
            f"{where}: {type(error).__name__} in {at.name} ({at.filename}:{at.lineno}){whose}: {error}",
            hint="; ".join(filter(None, (f"the traceback is in {report}", kept))),
        ) from error
