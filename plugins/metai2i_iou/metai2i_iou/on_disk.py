"""Arrays in files that are read a piece at a time, each file held against its digest when it is opened.

The pieces are read, not mapped: a mapped file that somebody cuts ends the process, without a word.
"""

from __future__ import annotations

import hashlib
import io
import os
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from metai2i import UserError
from metai2i_iou.packed import Packed, Rows


class Damaged(Exception):
    """A file is not what was written; in words."""


class ArrayFile:
    """An array in an `.npy` file, of which rows are read when they are asked for.

    Args:
        path: the file, which stays open: one that is removed or replaced afterwards is read on.
        known: its `size` in bytes and `sha256`, as `save` gave them.

    Raises:
        Damaged: when it is not what was written.
        OSError: when it cannot be read.
    """

    def __init__(self, path: Path, known: Mapping[str, Any]) -> None:
        self.path = path
        with path.open("rb") as file:
            check(file, path.name, known)
            file.seek(0)
            self.shape, self.dtype = _header(file)
            self._begin = file.tell()
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        self._state = self._state_now()

    @property
    def nbytes(self) -> int:
        """Return the size of the whole array."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def rows(self, first: Rows, length: int) -> NDArray[Any]:
        """Return (rows, length): so many values from each of these places on, as they lie in the file.

        Args:
            first: the number of each row's first value, counted from the array's first.
            length: how many.

        Raises:
            UserError: when the file has been changed since it was opened, or cannot be read.
        """
        out = np.empty((len(first), length), self.dtype)
        try:
            for row, start in zip(out, first.tolist(), strict=True):
                self._fill(memoryview(row).cast("B"), self._begin + start * self.dtype.itemsize)
            unchanged = self._state_now() == self._state
        except (OSError, EOFError):
            unchanged = False
        if not unchanged:
            raise UserError(
                "the index was changed while it was in use",
                where=self.path,
                hint="run again: what is damaged of an index is made anew",
            )
        return out

    def _fill(self, out: memoryview, at: int) -> None:
        while len(out):
            piece = os.pread(self._file, len(out), at)
            if not piece:
                raise EOFError
            out[: len(piece)] = piece
            out, at = out[len(piece) :], at + len(piece)

    def _state_now(self) -> tuple[int, int]:
        state = os.fstat(self._file)
        return state.st_size, state.st_mtime_ns


@dataclass(frozen=True)
class OnDisk:
    """N packed label maps whose planes and cells stay in their files; see `Packed`.

    Args:
        planes: of the file's maps.
        cells: of the file's maps.
        areas: (C, N) uint32 of these maps, in memory.
        start: which of the file's maps is the first of these.
    """

    planes: ArrayFile
    cells: ArrayFile
    areas: NDArray[np.uint32]
    start: int = 0

    def __len__(self) -> int:
        return int(self.areas.shape[1])

    @property
    def classes(self) -> int:
        """Return C, the greatest label + 1."""
        return int(self.areas.shape[0])

    @property
    def bits(self) -> int:
        """Return how many planes a map has."""
        return int(self.planes.shape[1])

    @property
    def words(self) -> int:
        """Return how many words a plane has."""
        return int(self.planes.shape[2])

    @property
    def nbytes(self) -> int:
        """Return the size of the files' arrays."""
        return self.planes.nbytes + self.cells.nbytes + self.areas.nbytes

    def between(self, start: int, stop: int) -> OnDisk:
        """Return the maps from `start` up to `stop`; nothing is read."""
        return OnDisk(self.planes, self.cells, self.areas[:, start:stop], self.start + start)

    def planes_of(self, rows: Rows) -> NDArray[np.uint64]:
        """Return (rows, bits, words): the planes of some maps."""
        length = self.bits * self.words
        return self.planes.rows((rows + self.start) * length, length).reshape(len(rows), self.bits, self.words)

    def cells_of(self, label: int, cells: Rows) -> NDArray[np.uint8]:
        """Return (cells, N): how many pixels of a class some cells have."""
        _, groups, maps = self.cells.shape
        return self.cells.rows((label * groups + cells) * maps + self.start, len(self))

    def loaded(self) -> Packed:
        """Return the maps in memory."""
        groups = np.arange(self.cells.shape[1])
        cells = np.stack([self.cells_of(label, groups) for label in range(self.classes)])
        return Packed(self.planes_of(np.arange(len(self))), cells, self.areas)


def save(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    """Write an array to an `.npy` file and wait until it is on the disk.

    Returns:
        What is to be known of the file: its `size` in bytes and its `sha256`, of what was meant to be written.

    Raises:
        OSError: when it cannot be written.
    """
    with path.open("wb") as file:
        digesting = _Digesting(file)
        np.save(digesting, np.ascontiguousarray(array))
        file.flush()
        os.fsync(file.fileno())
    return {"size": digesting.size, "sha256": digesting.digest.hexdigest()}


def load(path: Path, known: Mapping[str, Any]) -> NDArray[Any]:
    """Return the array of a file in memory.

    Args:
        known: what `save` gave.

    Raises:
        Damaged: when it is not what was written.
        OSError: when it cannot be read.
    """
    whole = path.read_bytes()
    check(io.BytesIO(whole), path.name, known)
    return np.asarray(np.load(io.BytesIO(whole)))


def check(file: IO[bytes], name: str, known: Mapping[str, Any]) -> None:
    """Hold an open file against what is known of it.

    Raises:
        Damaged: when it is not what was written.
    """
    size = file.seek(0, os.SEEK_END)
    if size != known["size"]:
        raise Damaged(f"{name} has {size} bytes, {known['size']} were written")
    file.seek(0)
    if hashlib.file_digest(file, "sha256").hexdigest() != known["sha256"]:  # type: ignore[arg-type]
        raise Damaged(f"{name} is not what was written, by its digest")


class _Digesting:
    """A file that is being written, and the size and digest of what goes into it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.size, self.digest = file, 0, hashlib.sha256()

    def write(self, piece: bytes) -> int:
        self.size += len(piece)
        self.digest.update(piece)
        return self._file.write(piece)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type of an `.npy` file's array; the file stands at its first value afterwards."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise Damaged("another version of .npy")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    if by_columns or dtype.hasobject:
        raise Damaged("another order or type of values")
    return shape, dtype
