"""What a file holds, as a digest that is computed once and not once in every run.

Digests are kept in the user's cache folder under the file's device, inode, size and times. The time of the inode's last
change (`ctime`) cannot be set back, so a file that is changed in place is read again whatever its other times say. What
changed less than `SETTLED` before it was read is not kept: it may change again within one tick of the clock. Without a
cache folder, or with a damaged one, files are read each time. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from metai2i.data.places import CACHE_VARIABLE, cache_folder
from metai2i.errors import UserError
from metai2i.files import reason

T = TypeVar("T")
R = TypeVar("R")

SETTLED = 2 * 10**9
"""Nanoseconds."""
_PATIENCE = 5.0
"""Seconds to wait for another process that writes digests; after that they are not kept."""
_AT_ONCE = 500
"""Rows in one question to the database."""
STAYS = frozenset(
    [
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
    ]
)
"""Errors that say nothing against the database itself; with any other it is damaged."""

State = tuple[int, int, int, int, int]
"""Device, inode, size, and the times in nanoseconds of the last change of the content and of the inode."""
_known: dict[State, str] = {}


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        UserError: when the file cannot be read.
    """
    return content_digests([path])[0]


def content_digests(paths: Sequence[Path]) -> list[str]:
    """Return the SHA-256 of each file's bytes, in the order of `paths`; several files are read at a time.

    Raises:
        UserError: naming a file that cannot be read.
    """
    states = [_state(path) for path in paths]
    database = _database()
    if database is not None:
        _known.update(_ask(database, {state for state in states if state not in _known}))
    missing = {path: None for path, state in zip(paths, states, strict=True) if state not in _known}
    fresh = dict(zip(missing, in_parallel(_read, missing), strict=True))
    settled = {state: digest for state, digest in fresh.values() if state is not None}
    _known.update(settled)
    if database is not None and settled:
        _keep(database, settled)
    return [fresh[path][1] if path in fresh else _known[state] for path, state in zip(paths, states, strict=True)]


@contextmanager
def reading_anew() -> Iterator[None]:
    """Remember, within it, nothing that was read before, and keep nothing."""
    before, named = dict(_known), os.environ.get(CACHE_VARIABLE)
    _known.clear()
    os.environ[CACHE_VARIABLE] = ""
    try:
        yield
    finally:
        _known.update(before)
        os.environ.pop(CACHE_VARIABLE) if named is None else os.environ.__setitem__(CACHE_VARIABLE, named)


def in_parallel(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return what `work` gives for each item; threads, for hashing and waiting for disks let others run."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(work, items))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read now.

    Raises:
        OSError: when it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(path: Path) -> State:
    try:
        return _state_of(path.stat())
    except OSError as error:
        raise UserError(f"cannot read: {reason(error)}", where=path) from error


def _state_of(stat: os.stat_result) -> State:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _read(path: Path) -> tuple[State | None, str]:
    """Return the digest of a file and the state it was read in; None for that when it may still change unseen."""
    try:
        with path.open("rb") as file:
            began, before = time.time_ns(), _state_of(os.fstat(file.fileno()))
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = _state_of(os.fstat(file.fileno()))
    except OSError as error:
        raise UserError(f"cannot read: {reason(error)}", where=path) from error
    return (before if before == after and began - max(before[3:]) > SETTLED else None), digest


def _database() -> Path | None:
    """Return the file in which digests are kept; None where there is no place for it."""
    with suppress(OSError, RuntimeError):  # no home, a cache that may not be entered
        folder = cache_folder()
        return None if folder is None else folder / "digests-1.sqlite3"
    return None


def _ask(database: Path, states: set[State]) -> dict[State, str]:
    """Return the digests that are kept of some states."""
    digests: dict[State, str] = {}
    wanted = {_row(state): state for state in states}
    places = sorted(place for place, _ in wanted)

    def ask(connection: sqlite3.Connection) -> None:
        for at in range(0, len(places), _AT_ONCE):
            some = places[at : at + _AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = connection.execute(f"SELECT place, state, digest, seal FROM digests WHERE place IN ({marks})", some)
            for place, state, digest, seal in rows:
                key = wanted.get((place, state))
                if key is not None and seal == _seal(place, state, digest):
                    digests[key] = digest

    if states and _exists(database):
        _within(database, ask)
    return digests


def files_digest(paths: Sequence[Path], root: Path, *how: object) -> str:
    """Return a hash over the relative names and the content of files, and how they are read.

    Times do not count, so that a copied folder has the same.

    Args:
        paths: the files.
        root: the folder in which they are.
        how: all else that decides what comes of them; its `repr` tells.
    """
    relative = [path.relative_to(root).as_posix() for path in paths]
    return hashlib.sha256(repr((*how, relative, content_digests(paths))).encode()).hexdigest()


def _keep(database: Path, digests: dict[State, str]) -> None:
    rows = [(*_row(state), digest, _seal(*_row(state), digest)) for state, digest in digests.items()]

    def keep(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous=OFF")  # each row carries a seal of its own
        connection.execute(
            "CREATE TABLE IF NOT EXISTS digests (place TEXT PRIMARY KEY, state TEXT, digest TEXT, seal TEXT)"
        )
        connection.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)", rows)
        connection.commit()

    with suppress(OSError):
        database.parent.mkdir(parents=True, exist_ok=True)
        _within(database, keep)


def _within(database: Path, work: Callable[[sqlite3.Connection], None]) -> None:
    """Let `work` use the database; one that turns out to be damaged is deleted, and made anew by whoever keeps next."""
    try:
        with closing(sqlite3.connect(database, timeout=_PATIENCE)) as connection:
            work(connection)
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in STAYS:
            for path in (database, database.with_name(f"{database.name}-journal")):
                with suppress(OSError):
                    path.unlink()


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _row(state: State) -> tuple[str, str]:
    """Return the file's place and its state there, as the database has them."""
    return f"{state[0]}:{state[1]}", ":".join(map(str, state[2:]))


def _seal(place: str, state: str, digest: str) -> str:
    return hashlib.sha256(f"{place}|{state}|{digest}".encode()).hexdigest()[:16]
