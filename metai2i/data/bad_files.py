"""Telling good samples from bad ones: all that is wrong at once, or left out and listed in the log."""

from __future__ import annotations

import logging
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from metai2i.errors import UserError, UserErrors, counted

log = logging.getLogger("metai2i")

_SHOWN = 8
"""Bad files that are told one by one; the others are counted."""
_SKIP = "tasks.on_bad_file: skip leaves them out"

DAMAGED = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, NotImplementedError,
    struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip
"""What Pillow, NumPy and SciPy raise for damaged files."""

S = TypeVar("S", bound=Hashable)


def failing(samples: Sequence[S], check: Callable[[S], object]) -> dict[S, UserError]:
    """Return the samples for which a check raises a `UserError`, in their order, with it."""

    def outcome(sample: S) -> UserError | None:
        try:
            check(sample)
        except UserError as error:
            return error
        return None

    # Threads, for the time goes to waiting for disks and to decoders that let other threads run.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return {sample: error for sample, error in zip(samples, pool.map(outcome, samples), strict=True) if error}


def as_one_error(errors: Sequence[UserError], hint: str = _SKIP) -> UserError:
    """Return one error for all that is wrong; of many the first are spelled out.

    Args:
        errors: at least one.
        hint: what to do about many.
    """
    if len(errors) > _SHOWN:
        errors = [*errors[:_SHOWN], UserError(f"and {counted(len(errors) - _SHOWN, 'more bad file')}", hint=hint)]
    return errors[0] if len(errors) == 1 else UserErrors(errors)


def tell_left_out(source: str, errors: Sequence[UserError], count: int, what: str = "pairs") -> None:
    """List in the log what of `count` samples was left out; nothing where nothing was.

    Args:
        what: what they are.
    """
    if not errors:
        return
    log.warning("%s: skipped %d of %d %s:", source, len(errors), count, what)
    for error in errors[:_SHOWN]:
        log.warning("%s:   %s", source, error)
    if len(errors) > _SHOWN:
        log.warning("%s:   and %d more", source, len(errors) - _SHOWN)
