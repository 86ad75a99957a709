"""Telling good pairs from bad ones before anything is trained.

The scan looks at names and headers only. Reading every pixel finds the rest (files cut short, ids out of range); that
is done for `on_bad_file: skip`, and remembered in the user's cache folder, so that it is done once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress

from metai2i import UserError
from metai2i.data import cache_folder, check_name, failing, file_identity, refuse_twins, settled
from metai2i_street.records import Record

log = logging.getLogger("metai2i")

Check = Callable[[Record], None]
Bad = tuple[Record, UserError]
Entry = tuple[str | None, str | None, str | None]
"""What is wrong with a pair, where, and a hint; three times None for a good one."""


def headers(records: Sequence[Record], check: Check) -> list[Bad]:
    """Return the records that do not pass a check, those that several files may be meant by, and those whose name
    another has already.
    """

    def check_all(record: Record) -> None:
        check_name(record.photo)
        for files in (record.photos, record.labels):
            refuse_twins(files)
        check(record)

    bad = list(failing(records, check_all).items())
    failed = {record for record, _ in bad}
    seen: dict[str, Record] = {}
    for record in records:
        first = seen.setdefault(record.name, record)
        if first is not record and record not in failed:
            what = f"the data set has two images called {record.name}, the other is {first.photo}"
            bad.append((record, UserError(what, where=record.photo)))
    return bad


def pixels(records: Sequence[Record], check: Check, salt: str) -> list[Bad]:
    """Return the records that cannot be read to the last pixel; known from before where the files have not changed.

    Args:
        records: pairs whose headers are good.
        check: reads a pair fully.
        salt: whatever else the outcome depends on.
    """
    index = Index(salt)
    keys = {record: index.key(record) for record in records}
    unknown = [record for record in records if keys[record] not in index]
    failures = failing(unknown, check)
    for record in unknown:
        if index.key(record) == keys[record] and all(map(settled, record.files)):
            index.put(keys[record], failures.get(record))
    if unknown:
        index.save()
    known = [(record, index.get(key)) for record, key in keys.items() if key in index]
    failures |= {record: error for record, error in known if error is not None}
    return [(record, failures[record]) for record in records if record in failures]


class Index:
    """What reading every pixel has told before, in the user's cache folder.

    Entries hold for files that have not changed since. Where there is no such folder, or it cannot be used, nothing is
    kept.
    """

    def __init__(self, salt: str) -> None:
        folder = cache_folder()
        name = f"{hashlib.sha256(salt.encode()).hexdigest()[:16]}.json"
        self.path = None if folder is None else folder / "street" / name
        self._entries: dict[str, Entry] = {}
        if self.path is not None:
            with suppress(OSError, ValueError, RecursionError):
                self._entries = _entries(json.loads(self.path.read_text(encoding="utf-8")))

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def get(self, key: str) -> UserError | None:
        """Return what is wrong with a known pair."""
        what, where, hint = self._entries[key]
        return None if what is None else UserError(what, where=where, hint=hint)

    def put(self, key: str, error: UserError | None) -> None:
        """Remember a pair."""
        where = None if error is None or error.where is None else str(error.where)
        self._entries[key] = (None, None, None) if error is None else (error.what, where, error.hint)

    def save(self) -> None:
        """Write the file, whole or not at all."""
        if self.path is None:
            return
        draft = self.path.with_suffix(f".{secrets.token_hex(8)}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(self._entries), encoding="utf-8")
            draft.replace(self.path)
        except OSError as error:
            log.debug("street: what was read is not kept: %s", error)
        finally:
            with suppress(OSError):
                draft.unlink()

    @staticmethod
    def key(record: Record) -> str:
        """Return what changes when one of a pair's files does."""
        return "|".join(file_identity(path) for path in record.files)


def _entries(content: object) -> dict[str, Entry]:
    """Return the entries in a file's content; what is no entry is left out."""
    if not isinstance(content, dict):
        return {}
    kept: dict[str, Entry] = {}
    for key, value in content.items():
        match value:
            case [None, None, None]:
                kept[key] = (None, None, None)
            case [str(what), str() | None as where, str() | None as hint]:
                kept[key] = (what, where, hint)
    return kept
