"""Lock files: the system lets go of them when the process that holds one dies, so that none is ever stale."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from metai2i.errors import UserError
from metai2i.files import reason

log = logging.getLogger("metai2i")


@contextmanager
def locked(
    path: Path,
    busy: Callable[[str], object],
    *,
    what: str = "cannot write",
    hint: str,
    removed: bool = False,
    where: Path | None = None,
) -> Iterator[None]:
    """Hold a lock file for this process.

    Args:
        path: the file, in a folder that is there.
        busy: is called once when another process holds it, with what that one says of itself ("process 17 on HOST,
            since ..."); unless it raises, this process waits.
        what: is the matter where the file cannot be written.
        hint: what to do then.
        removed: whether the file goes when the lock is let go.
        where: what the message names then; by default the file itself.

    Raises:
        UserError: when the file cannot be written.
    """
    with _taken(
        path, busy, lambda error: UserError(f"{what}: {reason(error)}", where=where or path, hint=hint)
    ) as handle:
        with suppress(OSError):  # a full disk is no reason to stop here
            handle.seek(0)
            handle.truncate()
            handle.write(whoami())
            handle.flush()
        try:
            yield
        finally:
            if removed:
                with suppress(OSError):
                    path.unlink()


def whoami() -> str:
    """Name this process, its machine and the time, for another one that waits."""
    return f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _taken(path: Path, busy: Callable[[str], object], failed: Callable[[OSError], UserError]) -> IO[str]:
    """Return the file, locked; closing it lets go."""
    asked = False
    while True:
        try:
            handle = path.open("a+", encoding="utf-8", errors="replace")
        except OSError as error:
            raise failed(error) from error
        try:
            asked = _lock(handle, busy, asked=asked)
            if _is_still(path, handle):  # else whoever held it has taken the file away
                return handle
        except BaseException:
            handle.close()
            raise
        handle.close()
        with suppress(OSError):  # which may have been taken away with its folder
            path.parent.mkdir(parents=True, exist_ok=True)


def _lock(handle: IO[str], busy: Callable[[str], object], *, asked: bool) -> bool:
    """Lock an open file; return whether `busy` has been asked."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not asked:
            handle.seek(0)
            busy(handle.read(200).strip() or "another process")
        fcntl.flock(handle, fcntl.LOCK_EX)
        return True
    except OSError as error:  # a file system without locks
        log.warning("%s cannot be locked (%s): nothing else may work there meanwhile", handle.name, reason(error))
    return asked


def _is_still(path: Path, handle: IO[str]) -> bool:
    try:
        there, ours = path.stat(), os.fstat(handle.fileno())
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
