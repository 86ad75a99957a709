"""The weights of a finished stage, whole: those in its file, and those of its start that the file leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metai2i.errors import UserError
from metai2i.pipeline.stage_store import check_weights
from metai2i.run_folder.record import Provenance
from metai2i.training.checkpoint import Named, load
from metai2i.training.file_names import WEIGHTS
from metai2i.training.sealed import Broken
from metai2i.training.start_weights import left_out_of

NOT_TRAINED = ("start", "tune", "evaluate")
"""Stages of a row whose model is not what its training has made."""


def read_weights(file: Path, stores: Sequence[Path]) -> Named:
    """Return the tensors of a stage's file, which has been read through, with those that it leaves out.

    Args:
        file: of the stage.
        stores: where the stage of its start is looked for, behind that of the file itself.

    Raises:
        UserError: when that stage is nowhere, or is damaged.
    """
    tensors, state = load(file, check=False)
    left = left_out_of(state)
    if left is None:
        return tensors
    key, names = left
    looked_in = list(dict.fromkeys([file.parent.parent, *stores]))
    for store in looked_in:
        start = store / key / WEIGHTS
        if start.is_file():
            try:
                check_weights(store / key, key)
            except Broken as error:
                raise UserError(
                    f"the weights that this training began with are damaged: {error}", where=start
                ) from error
            begun = load(start, check=False)[0]
            return {**tensors, **{name: begun[name] for name in names}}
    raise UserError(
        f"{len(names)} tensors that training has left as they were are in the stage {key} (start), which is not in the "
        f"stage store, looked in {', '.join(map(str, looked_in))}",
        where=file,
        hint="run the recipe again: what is missing is made anew",
    )


def trained_weights(
    provenance: Provenance, name: str, stores: Sequence[Path], folder: Path, again: str
) -> tuple[str, Path]:
    """Return the key of the last training stage of a run's row, and the file with its weights, read through.

    Args:
        provenance: the run's.
        name: of the row.
        stores: where its stages may lie.
        folder: of the run, for messages.
        again: how the run is made once more, for messages.

    Raises:
        UserError: when they are nowhere, or are not those that training wrote.
    """
    stages = [stage for stage in provenance.stages_of(name) if stage.name not in NOT_TRAINED]
    if not stages:
        raise UserError(f"no training stage of row {name!r} is in provenance.json", where=folder, hint=again)
    key = stages[-1].key
    damaged = None
    for store in stores:
        if (store / key / "done.json").is_file() and (store / key / WEIGHTS).is_file():
            try:
                check_weights(store / key, key)
                return key, store / key / WEIGHTS
            except Broken as error:
                damaged = UserError(f"the weights of row {name!r} are damaged: {error}", where=store / key, hint=again)
    if damaged is not None:
        raise damaged
    raise UserError(
        f"the weights of row {name!r} ({stages[-1].name} {key}) are not in the stage store, looked in "
        f"{', '.join(map(str, stores))}",
        where=folder,
        hint=f"--stages or METAI2I_STAGES names the store; {again}",
    )
