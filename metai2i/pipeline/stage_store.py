"""The stage store: what has been trained once is looked up, not trained again.

A stage is named by the hash of all that determines it and of the stage it builds on. Its folder holds::

    stage.json             what determines it, for people, and for telling how it differs from another
    progress.safetensors   the model, the optimiser and the step, replaced atomically while it runs
    log.jsonl              one line per logged step
    model.safetensors      the result of training; of scoring it is results.json, sets.json and images/
    on-the-way/            images of the same inputs at intervals of training, where they were asked for
    done.json              the marker, written last: a stage without it is not done

The marker holds the stage's key and a digest of every file of the result, and of itself. A stage whose files are not
what the marker says is made anew. The marker is looked at whenever a stage is planned; weights are read through when
something is trained or scored from them, and scores and images each time.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

from metai2i.data.digests import file_sha256, in_parallel
from metai2i.errors import UserError, counted
from metai2i.files import reason, remove, write_json
from metai2i.locks import check_held, is_lock, locked
from metai2i.registry.options import json_default
from metai2i.training.file_names import LOG, PROGRESS, WEIGHTS
from metai2i.training.sealed import Broken, read_sealed, write_sealed
from metai2i.training.stage_records import DoneRecord, FileRecord

log = logging.getLogger("metai2i")

SCORES = ("results.json", "sets.json", "images")
FOLDERS = frozenset({"images", "tasks", "features", "tried", "on-the-way"})
"""What is a folder in a stage; everything else is a file."""


@dataclass(frozen=True)
class Stage:
    """A piece of work that rows may share.

    Args:
        name: "start", "pretrain", "continued", "metatrain", "tune" or "evaluate".
        determines: everything that decides the result, JSON-able.
        upstream: the stage whose model it starts from.
        others: stages of other rows whose weights it takes, by the parts that begin with them; what determines it has
            their keys.
    """

    name: str
    determines: Mapping[str, object]
    upstream: Stage | None = None
    others: Mapping[str, Stage] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Return the content address: 16 hexadecimal digits."""
        above = self.upstream.key if self.upstream else None
        text = json.dumps([self.name, self.determines, above], sort_keys=True, default=json_default)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def needs(self) -> tuple[Stage, ...]:
        """Return the stages that it takes something from."""
        return (*self.others.values(), *(() if self.upstream is None else (self.upstream,)))

    def below(self) -> list[Stage]:
        """Return all stages that must be done before this one, each behind those that it needs itself."""
        stages: dict[str, Stage] = {}
        for needed in self.needs:
            for each in (*needed.below(), needed):
                stages.setdefault(each.key, each)
        return list(stages.values())

    @property
    def model(self) -> Stage | None:
        """Return the stage whose weights it starts from: tuning above it has none of its own."""
        above = self.upstream
        return above.upstream if above is not None and above.name == "tune" else above

    @property
    def begun(self) -> Stage | None:
        """Return the stage that has gathered what its training began with; None where it began with what was drawn."""
        if self.name == "start":
            return self
        return None if self.upstream is None else self.upstream.begun


def find_stage(stages: Sequence[Stage], key: str) -> Stage:
    """Return the stage that a key or the beginning of one names.

    Raises:
        UserError: when none or several begin so.
    """
    matching = [stage for stage in stages if key and stage.key.startswith(key)]
    if len(matching) == 1:
        return matching[0]
    hint = "`metai2i plan` with the same recipe, overrides and device lists the keys"
    if not matching:
        raise UserError(f"no stage of this recipe is called {key!r}", hint=hint)
    raise UserError(f"{counted(len(matching), 'stage')} of this recipe begin with {key!r}", hint=hint)


class Marker(NamedTuple):
    """A stage's `done.json`: what it says of itself, and every file of its result by its name."""

    done: DoneRecord
    files: dict[str, FileRecord]


class StageStore:
    """A folder of stages, shared by any number of runs and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, stage: Stage) -> Path:
        """Return where a stage lives."""
        return self.root / stage.key

    def done(self, stage: Stage) -> DoneRecord | None:
        """Return what the finished stage says of itself (seconds, iterations, ...); None while it is not done.

        None too for one that is damaged, which the log tells.
        """
        try:
            return self.checked(stage)
        except Broken as error:
            log.warning("%s (%s): %s; it is made anew", stage.name, stage.key, error)
            return None

    def checked(self, stage: Stage) -> DoneRecord | None:
        """Return what the finished stage says of itself; None while it is not done.

        Raises:
            Broken: when its marker or a file of its result is not what was written.
        """
        folder = self.folder(stage)
        if not (folder / "done.json").exists():
            return None
        done, files = read_marker(folder, stage.key)
        check_files(folder, {name: each for name, each in files.items() if name != LOG}, content=WEIGHTS not in files)
        return done

    def damage(self, stage: Stage) -> str | None:
        """Return what is wrong with the weights of a finished stage, which are read through; None when nothing is."""
        try:
            check_weights(self.folder(stage), stage.key)
        except Broken as error:
            return str(error)
        return None

    def begin(self, stage: Stage, *, resume: bool, about: Mapping[str, object] | None = None) -> Path:
        """Return the folder to work in; without `resume`, what an interrupted run has left there is cleared.

        A stage that was done is cleared in any case: it is damaged, or it would not be begun.

        Args:
            about: what `stage.json` says besides what determines the stage.

        Raises:
            UserError: when the folder cannot be written.
        """
        folder = self.folder(stage)
        resume = resume and not (folder / "done.json").exists()
        try:
            leftovers = [path for path in folder.iterdir() if not is_lock(path)] if folder.exists() else []
            if leftovers and not resume and not (folder / "done.json").exists():
                log.info("%s: starting over what an interrupted run has left", stage.name)
            for path in leftovers:
                misplaced = path.is_dir() != (path.name in FOLDERS)
                if not resume or path.suffix == ".part" or misplaced:  # .part: a killed run was writing it
                    remove(path)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write the stage store: {reason(error)}", where=error.filename or folder) from error
        record = {"name": stage.name, "key": stage.key, "determines": stage.determines, **(about or {})}
        write_json(folder / "stage.json", json.loads(json.dumps(record, default=json_default)))
        return folder

    def finish(self, stage: Stage, record: DoneRecord) -> None:
        """Mark a stage as done, and remove what only served to go on with it; everything else of it must be on the disk
        by now.

        Raises:
            UserError: when another machine has taken the stage over.
        """
        folder = self.folder(stage)
        check_held(folder / "lock")
        paths = [path for name in (WEIGHTS, LOG, *SCORES) for path in stage_files(folder / name)]
        names = [path.relative_to(folder).as_posix() for path in paths]
        files = dict(zip(names, in_parallel(entry, paths), strict=True))
        write_sealed(folder / "done.json", {**record, "stage": stage.key, "files": files})
        remove(folder / PROGRESS)
        remove(folder / "features")

    @contextmanager
    def lock(self, stage: Stage) -> Iterator[None]:
        """Hold the stage for this process; a second run that wants it waits for the first to finish it."""
        folder, hint = self.folder(stage), "--stages or METAI2I_STAGES names another folder"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write the stage store: {reason(error)}", where=error.filename or folder, hint=hint
            ) from error

        def wait(who: str) -> None:
            log.info("waiting for another run (%s), which works on the same %s (%s)", who, stage.name, stage.key)

        with locked(folder / "lock", wait, what="cannot write the stage store", hint=hint):
            yield


def read_marker(folder: Path, key: str) -> Marker:
    """Return what the marker of a stage says.

    Raises:
        Broken: when it is damaged, or that of another stage.
    """
    content = read_sealed(folder / "done.json", stage=key)
    files = take_files(content, "done.json")
    return Marker(cast(DoneRecord, {name: value for name, value in content.items() if name != "stage"}), files)


def take_files(content: dict[str, object], name: str) -> dict[str, FileRecord]:
    """Take the `files` out of what a sealed file says, and return them: what `entry` gave of each.

    Args:
        content: what the file says.
        name: of the file.

    Raises:
        Broken: when it names none.
    """
    files = content.pop("files", None)
    if not isinstance(files, dict):
        raise Broken(f"{name} names no files")
    return files


def check_weights(folder: Path, key: str) -> None:
    """Read the weights in a stage's folder through.

    Raises:
        Broken: when they are not those that its training wrote.
    """
    files = read_marker(folder, key).files
    if WEIGHTS not in files:
        raise Broken(f"done.json names no {WEIGHTS}")
    check_files(folder, {WEIGHTS: files[WEIGHTS]}, content=True)


def read_log(folder: Path, key: str) -> list[dict[str, object]] | None:
    """Return the lines of a stage's log; None where it has none.

    A log that is missing or not what was written is left out, which the log of the program tells: no number of a
    result is in it, so nothing is trained again for it.
    """
    try:
        known = read_marker(folder, key).files.get(LOG)
        if known is None:
            return None
        check_files(folder, {LOG: known}, content=True)
        return [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]
    except (Broken, OSError, ValueError) as error:
        log.warning("%s: %s; the loss curve is left out", folder, error)
        return []


def check_files(folder: Path, files: Mapping[str, FileRecord], *, content: bool) -> None:
    """Hold files against what is known of them, sizes first.

    Args:
        files: what `entry` gave, by names relative to `folder`.
        content: whether to read them through.

    Raises:
        Broken: naming the first that is another one.
    """
    try:
        for name, known in files.items():
            path = folder / name
            if not path.is_file():
                raise Broken(f"{name} is missing")
            if path.stat().st_size != known["size"]:
                raise Broken(f"{name} has {path.stat().st_size} bytes, {known['size']} were written")
        digests = in_parallel(lambda name: file_sha256(folder / name), files) if content else []
    except OSError as error:
        raise Broken(f"{error.filename or folder} cannot be read ({reason(error)})") from error
    for (name, known), digest in zip(files.items(), digests, strict=False):
        if digest != known["sha256"]:
            raise Broken(f"{name} is not what was written, by its digest")


def entry(path: Path) -> FileRecord:
    """Return what a marker says of a file."""
    return FileRecord(size=path.stat().st_size, sha256=file_sha256(path))


def stage_files(path: Path) -> list[Path]:
    """Return the files of a folder and all below it; of a file itself; nothing of what is not there."""
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    return [path] if path.is_file() else []
