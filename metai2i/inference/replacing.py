"""Which adapted model another one may take the place of: the same scene's, from the same run, as it was written."""

from __future__ import annotations

from pathlib import Path

import torch

from metai2i.batch import Batch
from metai2i.errors import UserError
from metai2i.inference.model_file import is_adapted
from metai2i.inference.model_header import digest_of, read_header
from metai2i.inference.support_bytes import packed_support
from metai2i.inference.trained_run import TrainedRun
from metai2i.training.checkpoint import load, part


def check_replaced(out: Path, run: TrainedRun, support: Batch, *, overwrite: bool) -> None:
    """Refuse a file in whose place an adapted model may not be put.

    Args:
        out: the file.
        run: that the model is adapted from.
        support: that it is adapted to.
        overwrite: whether any adapted model may be replaced.

    Raises:
        UserError: when the file holds something else than an adapted model; also, unless `overwrite`, when it is one of
            another run or scene, or was changed since it was written.
    """
    if not out.exists():
        return
    if not is_adapted(out):
        what = "this file holds something else than an adapted model, which would be lost"
        raise UserError(what, where=out, hint="--out names another")
    why = None if overwrite else _differs(out, run, support)
    if why is not None:
        hint = "--out names another; --overwrite replaces it"
        raise UserError(f"this adapted model {why}, and would be lost", where=out, hint=hint)


def _differs(out: Path, run: TrainedRun, support: Batch) -> str | None:
    """Return why an adapted model is not one that adapting the same run to the same scene has made; None if it is."""
    try:
        tensors, about = load(out, check=False)
        header = read_header(about)
    except UserError:
        return "is damaged"
    if header.tensors not in (None, digest_of(tensors)):
        return "was changed since it was written"
    if header.origin.get("stage") not in {stage.key for stage in run.provenance.stages}:
        return f"is of another run ({header.origin.get('run')}, row {header.origin.get('row')!r})"
    before, now = part("support", tensors), packed_support(support, header.spec.task_spec())
    same = before.keys() == now.keys() and all(torch.equal(before[name], now[name]) for name in now)
    return None if same else f"is of other pairs ({len(next(iter(before.values()), ()))} of them)"
