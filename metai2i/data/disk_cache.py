"""Decoded images kept on the disk, so that an image is decoded once and not once in every run.

Each is a small file in the user's cache folder, named by all that decides what is in it. Files are put in place whole
by renaming them, carry a checksum over their name and content, and are made anew when they turn out to be broken. They
are read into memory, not mapped: a mapping holds a descriptor of which a process has a thousand or so, and ends the
process when somebody cuts the file. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from metai2i.data.places import cache_folder

log = logging.getLogger("metai2i")

HEAD = struct.Struct("<4sIIII")
"""Magic, CRC-32 of the file's name and of what follows, height, width, channels (0 for an array of two dimensions)."""
MAGIC = b"m2i2"
RESERVE = 0.1
"""The share of the disk that is left free."""
SETTLED, SETTLED_COARSE = 0.1, 2.5
"""Seconds for which a file must have been left alone to be kept: within a tick of the system's clock a second change
has the time of the first. Where times are whole seconds (FAT, old NFS) ticks are longer."""


def file_identity(path: Path) -> str:
    """Return a string that changes when the file does: place, number, size, and the times of its last changes.

    The time of the last change of the file's state cannot be set back, as that of its content can.

    Raises:
        OSError: when the file is not there.
    """
    state = path.stat()
    return f"{path.absolute()}|{state.st_ino}|{state.st_size}|{state.st_mtime_ns}|{state.st_ctime_ns}"


def settled(path: Path) -> bool:
    """Return whether a file's last change is so long ago that a further one has another time."""
    changed = path.stat().st_ctime_ns
    wait = SETTLED_COARSE if changed % 10**9 == 0 else SETTLED
    return abs(time.time_ns() - changed) > wait * 10**9


def cached(source: Path, how: object, decode: Callable[[], np.ndarray]) -> np.ndarray:
    """Return a decoded image, from the cache folder if it is there; else it is decoded and put there.

    Where there is no such folder, where it cannot be used or the disk is nearly full, it is decoded each time; so it is
    when the source is being changed.

    Args:
        source: the file that the image is decoded from.
        how: all else that decides how it turns out, as something whose `repr` tells: the reader's version, the size.
        decode: makes it: (H, W) or (H, W, channels) uint8.

    Returns:
        What `decode` gives, read-only.
    """
    folder = cache_folder()
    try:
        identity, steady = file_identity(source), settled(source)
    except OSError:  # decode tells what is wrong with it
        folder = None
    if folder is None:
        return decode()
    name = hashlib.sha256(repr((identity, how)).encode()).hexdigest()[:32]
    path = folder / "pictures" / name[:2] / name[2:]
    image = read(path)
    if image is not None:
        return image
    image = decode()
    with suppress(OSError):
        if steady and file_identity(source) == identity:
            write(path, image)
    return image


def read(path: Path) -> np.ndarray | None:
    """Return the image in a file, read-only; None when it cannot be read, and when it is broken (the log tells)."""
    try:
        data = path.read_bytes()
    except OSError:  # not there, or not for this user
        return None
    if len(data) >= HEAD.size:
        magic, checksum, height, width, channels = HEAD.unpack_from(data)
        shape = (height, width, channels) if channels else (height, width)
        whole = magic == MAGIC and len(data) == HEAD.size + height * width * max(channels, 1)
        if whole and _checksum(path, memoryview(data)[8:]) == checksum:
            return np.frombuffer(data, np.uint8, offset=HEAD.size).reshape(shape)
    log.warning("a kept image is broken and is decoded anew: %s", path)
    return None


def write(path: Path, image: np.ndarray) -> None:
    """Put an image in its file, whole or not at all; do nothing when the disk is nearly full.

    Raises:
        OSError: when it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    usage = shutil.disk_usage(path.parent)
    if usage.free < RESERVE * usage.total:
        return
    height, width, channels = (*image.shape, 0)[:3]
    body = struct.pack("<III", height, width, channels) + np.ascontiguousarray(image).tobytes()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")  # a shared folder has process ids twice
    try:
        with draft.open("xb") as file:
            file.write(struct.pack("<4sI", MAGIC, _checksum(path, body)) + body)
        os.replace(draft, path)
    finally:
        with suppress(OSError):
            draft.unlink()


def _checksum(path: Path, body: bytes | memoryview) -> int:
    return zlib.crc32(body, zlib.crc32(path.name.encode()))
