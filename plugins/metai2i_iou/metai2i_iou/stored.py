"""An index kept in a folder, to be read from there rather than made anew, and added to.

Each list of candidates has a folder of its own within the one that the user names, called by all that decides what is
packed and by the first candidate::

    manifest.json    format, options (the maps' size among them), and the parts in their order, with the size and digest
                     of each of their files; replaced with each part
    lock             held while parts are added
    NAME/            a part, which never changes: some tasks' maps, and which tasks these are
        planes.npy  cells.npy  areas.npy      as in `Packed`
        counts.npy                            (tasks,) int64, how many maps each task has
        tasks.npy                             (tasks, 16) uint8, a digest of each task's id and data

A part is renamed into its place when it is on the disk, and counts only once the manifest names it: a killed process
leaves nothing half-written, and the next one that adds to the store clears away what it has left. Every file is read
through when a part is opened; one that is not what was written is made anew, and all parts behind it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metai2i import Task, UserError, locked, read_json, reason, write_json
from metai2i_iou.building import PART_BYTES, Pack, parts_of
from metai2i_iou.index import Part
from metai2i_iou.on_disk import ArrayFile, Damaged, OnDisk, load, save
from metai2i_iou.packed import CELL

log = logging.getLogger("metai2i")

FORMAT = 2
"""Changes when the files of a store mean something else."""

ELSEWHERE = "retriever.store names another folder; null keeps the index in memory"

Digests = NDArray[np.uint8]


@dataclass(frozen=True)
class Stored:
    """A part in the store.

    Args:
        name: its folder's.
        part: its maps, which stay in their files.
        tasks: (tasks, 16) digests of its tasks.
        files: what is known of its files, by name.
    """

    name: str
    part: Part
    tasks: Digests
    files: Mapping[str, Mapping[str, Any]]


class Store:
    """The parts that are kept of one list of candidates.

    Args:
        root: the folder that the user names.
        options: all that decides how a task is packed, and the size of the maps, as JSON can hold it.
        tasks: (tasks, 16) digests of the candidates, which change when their maps do.
    """

    def __init__(self, root: Path, options: Mapping[str, Any], tasks: Digests) -> None:
        self.options = {"cell": CELL, **options}
        self.tasks = tasks
        key = json.dumps([FORMAT, self.options, tasks[0].tobytes().hex()], sort_keys=True)
        self.folder = root / hashlib.sha256(key.encode()).hexdigest()[:16]

    def parts(self, tasks: Sequence[Task], pack: Pack) -> list[Part]:
        """Return the candidates' maps. What is kept is used up to the first task that differs; the rest is packed and
        added.

        Args:
            tasks: the candidates, as many as there are digests.
            pack: packs one of them.

        Raises:
            UserError: when the folder cannot be written.
        """
        kept = self._open(log_skipped=False)
        same = self._same(kept)
        if same < len(tasks):
            with self._lock():
                kept = self._open(log_skipped=True)
                same = self._same(kept)
                if same < len(tasks):
                    return self._add(kept, same, tasks, pack)
        return _first([stored.part for stored in kept], len(tasks))

    def _add(self, kept: list[Stored], same: int, tasks: Sequence[Task], pack: Pack) -> list[Part]:
        """Pack the tasks from number `same` on, behind the parts of those that come before."""
        full: list[Stored] = []
        done, head = 0, None
        for stored in kept:
            if done + len(stored.tasks) > same:
                head = stored.part.first(same - done) if same > done else None
                break
            full.append(stored)
            done += len(stored.tasks)
        if head is None and full and full[-1].part.packed.nbytes < PART_BYTES:  # filled up, so that no crumbs are left
            last = full.pop()
            head, done = last.part, done - len(last.tasks)
        self._clear({stored.name for stored in kept})
        for part in parts_of(tasks[same:], pack, head):
            digests = self.tasks[done : done + len(part.counts)]
            with self._writing():
                full.append(self._write(part, digests, done))
            done += len(part.counts)
            self._list(full)
            log.info("iou: %d of %d candidates are packed in %s", done, len(tasks), self.folder)
        self._clear({stored.name for stored in full})
        return [stored.part for stored in full]

    def _same(self, kept: Sequence[Stored]) -> int:
        """Return how many of the candidates are kept, from the first on."""
        have = np.concatenate([np.zeros((0, 16), np.uint8), *(stored.tasks for stored in kept)])
        count = min(len(have), len(self.tasks))
        other = np.flatnonzero((have[:count] != self.tasks[:count]).any(axis=1))
        return int(other[0]) if len(other) else count

    def _open(self, *, log_skipped: bool) -> list[Stored]:
        """Return the parts that the manifest names, up to the first that is not whole.

        Args:
            log_skipped: whether to say in the log that something is damaged.
        """
        manifest = self.folder / "manifest.json"
        if not manifest.exists():
            return []
        opened: list[Stored] = []
        try:
            listed = read_json(manifest)
            if listed["format"] != FORMAT or listed["options"] != self.options:
                raise Damaged("manifest.json is of another index")
            for entry in listed["parts"]:
                opened.append(_read(self.folder / entry["name"], entry["files"], entry["tasks"], entry["maps"]))
        except (Damaged, UserError, OSError, ValueError, KeyError, TypeError) as error:
            if log_skipped:
                why = reason(error) if isinstance(error, OSError) else error
                log.warning("iou: the index in %s is damaged (%s): it is made anew from there on", self.folder, why)
        return opened

    def _write(self, part: Part, tasks: Digests, first: int) -> Stored:
        """Put a part on the disk; give it back as it is there.

        Raises:
            UserError: when it is not there as it was written.
        """
        name = f"{first:09d}-{hashlib.sha256(tasks.tobytes()).hexdigest()[:8]}"
        draft = self.folder / f".{name}.{os.getpid()}.part"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        maps = part.packed.loaded()
        arrays: dict[str, NDArray[Any]] = {"planes": maps.planes, "cells": maps.cells, "areas": maps.areas}
        arrays |= {"counts": part.counts.astype(np.int64), "tasks": tasks}
        files = {f"{name}.npy": save(draft / f"{name}.npy", array) for name, array in arrays.items()}
        shutil.rmtree(self.folder / name, ignore_errors=True)  # damaged, else it would have been used
        draft.rename(self.folder / name)
        return _read(self.folder / name, files, len(tasks), len(maps))

    def _list(self, parts: Sequence[Stored]) -> None:
        listed = [
            {"name": part.name, "tasks": len(part.tasks), "maps": len(part.part.packed), "files": part.files}
            for part in parts
        ]
        write_json(self.folder / "manifest.json", {"format": FORMAT, "options": self.options, "parts": listed})

    def _clear(self, used: set[str]) -> None:
        """Remove all but the named parts. A process that has opened one reads on in what it has opened."""
        for path in self.folder.iterdir():
            if path.is_dir() and path.name not in used:
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the store for this process; another one that adds to it is waited for."""
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)

        def wait(who: str) -> None:
            log.info("iou: waiting for another process (%s), which adds to %s", who, self.folder)

        with locked(self.folder / "lock", wait, what="cannot write the index", hint=ELSEWHERE):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Say what is wrong when the folder cannot be written."""
        try:
            yield
        except (OSError, Damaged) as error:
            why = reason(error) if isinstance(error, OSError) else error
            raise UserError(f"cannot write the index: {why}", where=self.folder, hint=ELSEWHERE) from error


def _read(folder: Path, files: Mapping[str, Mapping[str, Any]], tasks: int, maps: int) -> Stored:
    """Return a part, each file of which is read through.

    Args:
        files: what is known of its files, by name.

    Raises:
        Damaged, OSError: when a file is missing or not what was written.
    """
    planes, cells = (ArrayFile(folder / name, files[name]) for name in ("planes.npy", "cells.npy"))
    areas, counts, digests = (load(folder / name, files[name]) for name in ("areas.npy", "counts.npy", "tasks.npy"))
    sizes = (planes.shape[0], cells.shape[2], areas.shape[1], int(counts.sum()), len(counts), len(digests))
    if sizes != (maps, maps, maps, maps, tasks, tasks):
        raise Damaged(f"{folder.name} does not fit the manifest")
    return Stored(folder.name, Part(OnDisk(planes, cells, areas), counts.astype(np.intp)), digests, files)


def _first(parts: Sequence[Part], tasks: int) -> list[Part]:
    """Return the parts of the first so many tasks."""
    taken = []
    for part in parts:
        if tasks:
            taken.append(part.first(tasks))
            tasks -= len(taken[-1].counts)
    return taken
