"""Lock files: the system lets go of them when the process that holds one dies, so that none is ever stale."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from metai2i.errors import UserError
from metai2i.files import reason

log = logging.getLogger("metai2i")

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
"""What a file system answers that has no locks."""


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
    lock = FileLock(path, fallback_to_soft=False)
    _take(lock, path, busy, lambda error: UserError(f"{what}: {reason(error)}", where=where or path, hint=hint))
    # Where the system has no locks of files, the file itself is the lock, and what stands in it is not ours to write.
    ours = lock.is_locked and not isinstance(lock, SoftFileLock)
    try:
        if ours:
            with suppress(OSError):  # a full disk is no reason to stop here
                path.write_text(whoami(), encoding="utf-8")
        yield
    finally:
        if ours and removed:
            with suppress(OSError):
                path.unlink()
        with suppress(OSError):
            lock.release()


def whoami() -> str:
    """Name this process, its machine and the time, for another one that waits."""
    return f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _take(
    lock: BaseFileLock, path: Path, busy: Callable[[str], object], failed: Callable[[OSError], UserError]
) -> None:
    """Take the lock, after waiting where `busy` lets it."""
    try:
        path.parent.stat()  # or else it would be made, wherever it is
        try:
            lock.acquire(blocking=False)
        except Timeout:
            if not isinstance(lock, SoftFileLock):
                path.open("a").close()  # one that cannot be made at all looks as if it were held
            busy(_holder(path))
            _wait_for(lock, path)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise failed(error) from error
        log.warning("%s cannot be locked (%s): nothing else may work there meanwhile", path, reason(error))


def _wait_for(lock: BaseFileLock, path: Path) -> None:
    while not lock.is_locked:
        try:
            lock.acquire()
        except FileNotFoundError:  # whoever held it has taken its folder away
            path.parent.mkdir(parents=True, exist_ok=True)


def _holder(path: Path) -> str:
    """Return what the process that holds the lock says of itself; Windows lets nobody read a locked file."""
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        return file.read(200).strip() or "another process"
    return "another process"
