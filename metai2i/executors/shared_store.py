"""A stage store that several machines work in: whether it is the same one, and whether its locks reach them all."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from metai2i.errors import UserError
from metai2i.files import reason, write_text
from metai2i.locks import locked

_IDENTITY = ".identity"
_SHARED = "every machine needs to see one stage store: --stages or METAI2I_STAGES names a folder on a shared disk"


class _Held(Exception):
    """Somebody else holds the lock."""


def identity_of(store: Path) -> str:
    """Return what a stage store is known by; it is written when it is first asked for.

    Raises:
        UserError: when the store cannot be written.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write the stage store: {reason(error)}", where=error.filename or store) from error
    file = store / _IDENTITY
    with suppress(OSError):
        if known := file.read_text(encoding="utf-8").strip():
            return known
    write_text(file, f"{secrets.token_hex(16)}\n")
    return file.read_text(encoding="utf-8").strip()


def check_store(store: Path, identity: str) -> None:
    """Refuse a machine that does not see the stage store, or may not write there.

    Args:
        identity: what `identity_of` gave on the machine that has started the run.

    Raises:
        UserError: saying which of both.
    """
    try:
        seen = (store / _IDENTITY).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UserError(f"the stage store is not there: {reason(error)}", where=store, hint=_SHARED) from error
    if seen != identity:
        raise UserError("this is another stage store than that of the run", where=store, hint=_SHARED)
    trial = store / f".trial-{secrets.token_hex(8)}"
    try:
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise UserError(f"cannot write the stage store: {reason(error)}", where=store, hint=_SHARED) from error


@contextmanager
def held_probe(store: Path) -> Iterator[str]:
    """Hold the lock of a file in the store; yield its name, for `lock_is_seen`."""
    name = f".probe-{secrets.token_hex(8)}"

    def busy(_: str) -> None:
        raise _Held

    with locked(store / name, busy, what="cannot write the stage store", hint=_SHARED, removed=True):
        yield name


def lock_is_seen(probe: Path) -> bool:
    """Return whether a lock that another process holds, perhaps on another machine, is seen here."""

    def busy(_: str) -> None:
        raise _Held

    try:
        with locked(probe, busy, what="cannot write the stage store", hint=_SHARED):
            return False
    except _Held:
        return True
