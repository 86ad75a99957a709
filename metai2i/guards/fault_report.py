"""A plugin's fault in words: where it came up, in whose code, and where the traceback is."""

from __future__ import annotations

import os
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

from metai2i.errors import UserError
from metai2i.files import write_fresh
from metai2i.registry.discovery import plugin_behind


def fault(where: str, error: BaseException, folder: Path | None, kept: str | None = None) -> UserError:
    """Return what a user is told of an error that only the author of a plugin can put right; the traceback is kept.

    Args:
        where: what was done: "pretrain, step 7"; empty for nothing.
        folder: where `error.txt` goes.
        kept: added to the hint.
    """
    last = traceback.extract_tb(error.__traceback__)[-1]
    by = plugin_behind(error)
    at = f"{last.name} ({last.filename}:{last.lineno})" if by is None else f"{by.function} ({by.place})"
    whose = f" of {by.label}" if by is not None and by.label else ""
    prefix = f"{where}: " if where else ""
    words = error_in_words(error)
    ends = "a plugin may not end the process" if isinstance(error, SystemExit) else None
    return UserError(
        f"{prefix}{type(error).__name__} in {at}{whose}{words and f': {words}'}",
        hint="; ".join(filter(None, (ends, keep_traceback(error, folder), kept))) or None,
    )


def error_in_words(error: BaseException) -> str:
    """Return what an error says, whatever it does when it is asked."""
    try:
        return str(error).strip()
    except Exception:
        return "it cannot be put into words"


def keep_traceback(error: BaseException, folder: Path | None) -> str | None:
    """Write a traceback to `error.txt` in a folder (`error-2.txt` where there is one already), or else where temporary
    files go; say where it is.
    """
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # an error that cannot be put into words
        text = "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__ + "\n"
    with suppress(OSError):
        if folder is not None:
            return f"the traceback is in {write_fresh(folder / 'error.txt', text)}"
    with suppress(OSError):
        number, name = tempfile.mkstemp(prefix="metai2i-", suffix="-error.txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return f"the traceback is in {name}"
    return None
