"""Telling good pairs from bad ones before anything is trained.

The scan looks at names and headers only. Reading every pixel finds the rest (files cut short, ids out of range); that
is done for `on_bad_file: skip`, and remembered in the user's cache folder, so that it is done once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from metai2i import UserError
from metai2i.errors import UserErrors
from metai2i_street.records import Record

SHOWN = 8
"""Bad files that are told one by one; the others are counted."""

Check = Callable[[Record], None]
Bad = tuple[Record, UserError]


def headers(records: Sequence[Record], check: Check) -> list[Bad]:
    """The records that do not pass a check, and those whose name another has already."""
    bad = _failing(records, check)
    failed = {record for record, _ in bad}
    seen: dict[str, Record] = {}
    for record in records:
        first = seen.setdefault(record.name, record)
        if first is not record and record not in failed:
            what = f"the data set has two pictures called {record.name}, the other is {first.photo}"
            bad.append((record, UserError(what, where=record.photo)))
    return bad


def pixels(records: Sequence[Record], check: Check, salt: str) -> list[Bad]:
    """The records that cannot be read to the last pixel; known from before where the files have not changed.

    Args:
        records: pairs whose headers are good.
        check: reads a pair fully.
        salt: whatever else the outcome depends on.
    """
    index = Index(salt)
    unknown = [record for record in records if index.unknown(record)]
    failures = dict(_failing(unknown, check))
    for record in unknown:
        index.put(record, failures.get(record))
    if unknown:
        index.save()
    return [(record, error) for record in records if (error := index.get(record)) is not None]


def _failing(records: Sequence[Record], check: Check) -> list[Bad]:
    def outcome(record: Record) -> UserError | None:
        try:
            check(record)
        except UserError as error:
            return error
        return None

    # Threads, for the time goes to waiting for disks and to decoders that let other threads run.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return [(record, error) for record, error in zip(records, pool.map(outcome, records), strict=True) if error]


def together(bad: Iterable[Bad]) -> UserError:
    """One error for all bad files."""
    errors = [error for _, error in bad]
    if len(errors) == 1:
        return errors[0]
    rest = len(errors) - SHOWN
    shown = errors[:SHOWN]
    if rest > 0:
        shown.append(UserError(f"and {rest} more bad files", hint="tasks.on_bad_file: skip leaves them out"))
    return UserErrors(shown)


class Index:
    """What reading every pixel has told before, in `$XDG_CACHE_HOME/metai2i/street` (or `~/.cache`).

    Entries hold for files of the same names, sizes and times. Where the folder cannot be written, nothing is kept.
    """

    def __init__(self, salt: str) -> None:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
        self.path = base / "metai2i" / "street" / f"{hashlib.sha256(salt.encode()).hexdigest()[:16]}.json"
        self._entries: dict[str, list[str | None]] = {}
        with suppress(OSError, ValueError):
            self._entries = dict(json.loads(self.path.read_text(encoding="utf-8")))

    def unknown(self, record: Record) -> bool:
        """Whether this pair has not been read yet as it lies there now."""
        return self._key(record) not in self._entries

    def get(self, record: Record) -> UserError | None:
        """What is wrong with a known pair."""
        what, where = self._entries[self._key(record)]
        return None if what is None else UserError(what, where=where)

    def put(self, record: Record, error: UserError | None) -> None:
        """Remembers a pair."""
        self._entries[self._key(record)] = [None, None] if error is None else [error.what, str(error.where)]

    def save(self) -> None:
        """Writes the file, whole or not at all."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft = self.path.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps(self._entries), encoding="utf-8")
            draft.replace(self.path)

    @staticmethod
    def _key(record: Record) -> str:
        times = []
        for path in (record.photo, record.label):
            state = path.stat()
            times.append(f"{path.absolute()}|{state.st_size}|{state.st_mtime_ns}")
        return "|".join(times)
