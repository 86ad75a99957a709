"""Files that are either there whole or not there: a killed process or a full disk never leaves half a file."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from metai2i.errors import Location, UserError

LONGEST_NAME = 255
"""Bytes that a file's name has at most on the usual file systems."""


def check_folder(path: Path, hint: str) -> None:
    """Refuses what is no folder.

    Args:
        hint: what kind of folder is expected.

    Raises:
        UserError: for a file, and for what is not there.
    """
    if not path.is_dir():
        what = "this is a file, expected a folder" if path.exists() else "there is no such folder"
        raise UserError(what, where=path, hint=hint)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` make a file beside `path`, and puts it in its place only once it is on the disk.

    Raises:
        UserError: when the disk is full or the folder cannot be written; `path` is then as it was.
    """
    draft = path.with_name(draft_name(path.name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(draft)
        with draft.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise UserError(f"cannot write: {reason(error)}", where=path, hint="nothing was overwritten") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def draft_name(name: str) -> str:
    """Return what a file is called while it is written: no longer in bytes than its own name may be."""
    end = f".{os.getpid()}.part"
    kept = os.fsencode(name)[: LONGEST_NAME - len(end) - 1].decode("utf-8", "ignore")
    return f".{kept}{end}"


def reason(error: OSError) -> str:
    """Why the system refused, in words."""
    return "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))


def remove(path: Path) -> None:
    """Delete a file, a link, or a folder with all that is in it; nothing where there is nothing.

    Raises:
        OSError: when the system refuses.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def append_line(path: Path, text: str) -> None:
    """Adds a line to a file; a killed process or a full disk may leave a part of it, without its end.

    Raises:
        UserError: when the disk is full or the file cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise UserError(f"cannot write: {reason(error)}", where=path) from error


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically.

    Raises:
        UserError: as `write_atomically`, and for a text with a lone surrogate, which is no letter (Python makes one of
            each byte of a file's name that is no UTF-8).
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        near = text[max(0, error.start - 20) : error.end + 20]
        raise UserError(f"cannot write {near!r}: it is no Unicode text", where=path, hint="name it anew") from None
    write_atomically(path, lambda draft: draft.write_bytes(content))


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically; NaN is refused, since it is not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON: UTF-8, or UTF-16 or UTF-32 as editors on Windows write it, each with or without a byte order mark.

    Raises:
        UserError: when the file is not JSON, with its place; when it has a key twice, or is in another encoding.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read JSON: {reason(error)}", where=path) from error
    encoding = json.detect_encoding(data)
    try:
        return json.loads(data.decode(encoding), object_pairs_hook=_once_each)
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, data, error) from error
    except RecursionError:
        raise UserError("cannot read JSON: it is nested too deep", where=path) from None
    except ValueError as error:
        raise UserError(f"cannot read JSON: {error}", where=path) from error


def _wrong_encoding(path: Path, data: bytes, error: UnicodeDecodeError) -> UserError:
    if error.encoding == "utf-8":
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        return UserError(
            f"cannot read JSON: byte 0x{data[error.start]:02x} is not UTF-8",
            where=Location(str(path), line, column),
            hint="the file may be in Latin-1 or Windows-1252; save it as UTF-8",
        )
    return UserError(f"cannot read JSON: it is cut short, or not {error.encoding.upper()}", where=path)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, if it has no key twice: the first would be lost."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if any(key == other for other, _ in pairs[:i]))
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return content
