"""Decoded pictures kept on the disk, so that a picture is decoded once and not once in every run.

Each is a small file in the user's cache folder, named by all that decides what is in it, and is mapped into memory, so
that processes which read the same pictures share it. Files are put in place whole by renaming them, carry a checksum,
and are made anew when they turn out to be broken. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

log = logging.getLogger("metai2i")

ENVIRONMENT = "METAI2I_CACHE"
HEAD = struct.Struct("<4sIIII")
"""Magic, CRC-32 of what follows it, height, width, channels (0 for an array of two dimensions)."""
MAGIC = b"m2i1"
MAPPED = 64 * 2**10
"""Smaller pictures are read, not mapped: a system has a limited number of mappings."""
RESERVE = 0.1
"""The share of the disk that is left free."""


def cache_folder() -> Path | None:
    """`METAI2I_CACHE`, or else `metai2i` in `$XDG_CACHE_HOME` or `~/.cache`; None when the variable is empty."""
    named = os.environ.get(ENVIRONMENT)
    if named is not None:
        return Path(named).expanduser() if named else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "metai2i"


def file_identity(path: Path) -> str:
    """A string that changes when the file does: place, size and time."""
    state = path.stat()
    return f"{path.absolute()}|{state.st_size}|{state.st_mtime_ns}"


def kept(source: Path, how: object, decode: Callable[[], np.ndarray]) -> np.ndarray:
    """A decoded picture, from the cache folder if it is there; else it is decoded and put there.

    Where the folder cannot be written or the disk is nearly full, the picture is decoded each time.

    Args:
        source: the file that the picture is decoded from.
        how: all else that decides how it turns out, as something whose `repr` tells: the reader's version, the size.
        decode: makes it: (H, W) or (H, W, channels) uint8.

    Returns:
        What `decode` gives, read-only.
    """
    folder = cache_folder()
    try:
        identity = file_identity(source)
    except OSError:  # decode tells what is wrong with it
        folder = None
    if folder is None:
        return decode()
    name = hashlib.sha256(repr((identity, how)).encode()).hexdigest()[:32]
    path = folder / "pictures" / name[:2] / name[2:]
    found = read(path)
    if found is not None:
        return found
    made = decode()
    with suppress(OSError):
        write(path, made)
    return made


def read(path: Path) -> np.ndarray | None:
    """The picture in a file, read-only; None when it is not there, and when it is broken, which the log tells."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data: bytes | mmap.mmap = (
                file.read() if size < MAPPED else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            )
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("cannot read a kept picture: %s: %s", path, error)
        return None
    if len(data) >= HEAD.size:
        magic, checksum, height, width, channels = HEAD.unpack_from(data)
        shape = (height, width, channels) if channels else (height, width)
        whole = magic == MAGIC and len(data) == HEAD.size + height * width * max(channels, 1)
        if whole and zlib.crc32(memoryview(data)[8:]) == checksum:
            return np.frombuffer(data, np.uint8, offset=HEAD.size).reshape(shape)
    log.warning("a kept picture is broken and is decoded anew: %s", path)
    return None


def write(path: Path, picture: np.ndarray) -> None:
    """Puts a picture in its file, whole or not at all; does nothing when the disk is nearly full.

    Raises:
        OSError: when it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    usage = shutil.disk_usage(path.parent)
    if usage.free < RESERVE * usage.total:
        return
    height, width, channels = (*picture.shape, 0)[:3]
    body = struct.pack("<III", height, width, channels) + np.ascontiguousarray(picture).tobytes()
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(struct.pack("<4sI", MAGIC, zlib.crc32(body)) + body)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
