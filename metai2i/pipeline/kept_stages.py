"""What a stage store keeps: of which rows, how large, since when; and what may go."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from metai2i.errors import UserError
from metai2i.files import check_folder, read_json, reason, remove
from metai2i.locks import is_lock, locked
from metai2i.pipeline.stage_store import stage_files

_KEY = re.compile(r"[0-9a-f]{16}")


class KeptStage(NamedTuple):
    """A folder of a stage store.

    Args:
        key: its name.
        name: pretrain, evaluate, …
        rows: that it was worked on for; the rows of other recipes may have found it since.
        done: whether it is finished; an interrupted run may go on with one that is not.
        bytes: of all its files.
        written: seconds since 1970 when its last file was written.
    """

    key: str
    name: str
    rows: tuple[str, ...]
    done: bool
    bytes: int
    written: float


class _InUse(Exception):
    """Somebody works on the stage."""


def kept_stages(root: Path) -> list[KeptStage]:
    """Return the stages of a store, the oldest first. Folders that are no stages are left alone.

    Raises:
        UserError: when there is no such folder, or it cannot be read.
    """
    check_folder(root, "the stage store")
    try:
        stages = [_kept(folder) for folder in root.iterdir() if _KEY.fullmatch(folder.name)]
    except OSError as error:
        raise UserError(f"cannot read the stage store: {reason(error)}", where=error.filename or root) from error
    return sorted((stage for stage in stages if stage is not None), key=lambda stage: (stage.written, stage.key))


def keys_of_runs(runs: Sequence[Path]) -> set[str]:
    """Return the keys of the stages that finished runs were made of.

    Args:
        runs: their folders.

    Raises:
        UserError: when a folder has no `provenance.json` that names stages.
    """
    return {key for run in runs for key in _keys_of_run(run)}


def removed(root: Path, stages: Collection[KeptStage]) -> Iterator[tuple[KeptStage, bool]]:
    """Delete stages one by one; yield each with whether it is gone. One that somebody works on stays.

    The marker goes first, so that a stage that is deleted in part is never taken for one that is done.

    Raises:
        UserError: when the system refuses.
    """
    for stage in stages:
        yield stage, _remove(root / stage.key, stage)


def _remove(folder: Path, listed: KeptStage) -> bool:
    """Delete a stage; return whether it is gone. One that has changed since it was listed stays."""

    def busy(_: str) -> None:
        raise _InUse

    try:
        with locked(
            folder / "lock", busy, what="cannot delete the stage", hint="see who may write there", removed=True
        ):
            now = _kept(folder)
            if now is None or (now.done, now.written) != (listed.done, listed.written):
                return False
            remove(folder / "done.json")
            for path in folder.iterdir():
                if not is_lock(path):
                    remove(path)
        folder.rmdir()
    except _InUse:
        return False
    except OSError as error:
        raise UserError(f"cannot delete the stage: {reason(error)}", where=error.filename or folder) from error
    return True


def _kept(folder: Path) -> KeptStage | None:
    """Return what a folder says of itself; None where nothing in it says that it is a stage."""
    try:
        record = read_json(folder / "stage.json")
    except (OSError, UserError):
        return None
    if not isinstance(record, dict) or record.get("key") != folder.name:
        return None
    rows = record.get("rows")
    sizes = {path: path.lstat() for path in stage_files(folder)}
    return KeptStage(
        key=folder.name,
        name=str(record.get("name")),
        rows=tuple(map(str, rows)) if isinstance(rows, list) else (),
        done=(folder / "done.json").exists(),
        bytes=sum(size.st_size for size in sizes.values()),
        written=max((size.st_mtime for path, size in sizes.items() if not is_lock(path)), default=0.0),
    )


def _keys_of_run(run: Path) -> set[str]:
    file = run / "provenance.json"
    check_folder(run, "--keep names the folder of a run")
    record = read_json(file)
    stages = record.get("stages") if isinstance(record, dict) else None
    if not isinstance(stages, list):
        raise UserError("no stages are named", where=file, hint="a folder that `metai2i run` has written names them")
    return {str(stage.get("key")) for stage in stages if isinstance(stage, dict)}
