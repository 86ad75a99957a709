"""Lock files that nobody holds whose process has died.

On the disks of a machine, and on shared ones whose locks reach every machine, the system lets go of a lock when the
process that holds it dies (`flock`). Elsewhere the file itself is the lock: whoever holds it writes to it now and then,
and one that nobody has written to for `LEASE` seconds is taken over.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLease, SoftFileLock, Timeout

from metai2i.errors import GOES_ON, UserError
from metai2i.files import reason
from metai2i.guards.mounts import mount_of

log = logging.getLogger("metai2i")

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
"""What a file system answers that has no locks."""
LEASE = 60.0
"""Seconds after which a lock counts as left behind, where the file itself is the lock."""
_lost: set[Path] = set()
"""Files that were the locks of this process until another machine took them over."""


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

    def failed(error: OSError) -> UserError:
        return UserError(f"{what}: {reason(error)}", where=where or path, hint=hint)

    lock = _kind(path)
    try:
        _take(lock, path, busy, failed)
    except _NoLocks:
        lock = _lease(path)
        _take(lock, path, busy, failed)
    _lost.discard(Path(lock.lock_file))
    # Where the file itself is the lock, what stands in it is not ours to write, and it goes with the lock.
    ours = lock.is_locked and isinstance(lock, FileLock) and not isinstance(lock, SoftFileLock)
    try:
        if ours:
            with suppress(OSError):  # a full disk is no reason to stop here
                path.write_text(whoami(), encoding="utf-8")
        yield
    finally:
        if removed and (ours or isinstance(lock, SoftFileLease)):
            with suppress(OSError):
                path.unlink()
        with suppress(OSError):
            lock.release()


class _NoLocks(Exception):
    """The file system has no locks."""


def _kind(path: Path) -> BaseFileLock:
    """Return the lock that reaches every machine which sees the file."""
    mount = mount_of(path.parent)
    if mount is None or mount.locks_reach_others:
        return FileLock(path, fallback_to_soft=False)
    return _lease(path)


def _lease(path: Path) -> SoftFileLease:
    """Return the file itself as a lock, of a name that `flock` does not use."""
    return SoftFileLease(
        path.with_name(f"{path.name}.lease"),
        lease_duration=LEASE,
        on_compromise=lambda loss: _lost.add(Path(loss.lock_file)),
    )


def check_held(path: Path) -> None:
    """Refuse to write what a lock protects, when another machine has taken that over since.

    Args:
        path: as for `locked`.

    Raises:
        UserError: when it has.
    """
    if path.with_name(f"{path.name}.lease") in _lost:
        raise UserError(
            f"another machine works here now, since nothing was heard of this process for {LEASE:g} seconds",
            where=path.parent,
            hint=f"{GOES_ON}, with what that one leaves",
        )


def is_lock(path: Path) -> bool:
    """Return whether a file is the lock called `lock` of its folder, in either form."""
    return path.name == "lock" or path.name.startswith("lock.")


def whoami() -> str:
    """Name this process, its machine and the time, for another one that waits."""
    return f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _take(
    lock: BaseFileLock, path: Path, busy: Callable[[str], object], failed: Callable[[OSError], UserError]
) -> None:
    """Take the lock, after waiting where `busy` lets it.

    Raises:
        _NoLocks: when the file system has none.
    """
    try:
        path.parent.stat()  # or else it would be made, wherever it is
        try:
            lock.acquire(blocking=False)
        except Timeout:
            if not isinstance(lock, SoftFileLease):
                path.open("a").close()  # one that cannot be made at all looks as if it were held
            holder = _holder(Path(lock.lock_file))
            elsewhere = isinstance(lock, SoftFileLease) and not holder.endswith(f" on {socket.gethostname()}")
            if elsewhere and _outlived(lock, path, holder):
                return
            busy(holder)
            _wait_for(lock, path)
    except OSError as error:
        if error.errno not in _NO_LOCKS or isinstance(lock, SoftFileLease):
            raise failed(error) from error
        log.debug("%s cannot be locked (%s): the file itself is the lock", path, reason(error))
        raise _NoLocks from error


def _outlived(lock: BaseFileLock, path: Path, holder: str) -> bool:
    """Return whether the lock was taken: its holder has written nothing to it for as long as a lease lasts."""
    log.info("%s is held by %s; looking for %g seconds whether that one lives", path, holder, LEASE)
    try:
        lock.acquire(timeout=1.2 * LEASE + 1)
    except Timeout:
        return False
    return True


def _wait_for(lock: BaseFileLock, path: Path) -> None:
    while not lock.is_locked:
        try:
            lock.acquire()
        except FileNotFoundError:  # whoever held it has taken its folder away
            path.parent.mkdir(parents=True, exist_ok=True)


def _holder(path: Path) -> str:
    """Return what the process that holds the lock says of itself; Windows lets nobody read a locked file."""
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        words = file.read(200).strip()
        lease = dict(line.split("=", 1) for line in words.splitlines() if "=" in line)
        if {"pid", "host"} <= lease.keys():
            return f"process {lease['pid']} on {lease['host']}"
        return words or "another process"
    return "another process"
