"""Files that are either there whole or not there: a killed process or a full disk never leaves half a file."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from metai2i.errors import Location, UserError

_LARGEST = 512 * 2**20
"""Bytes of the largest JSON file that is read."""
_DEEPEST = 100
"""How deep JSON may be nested."""
_JSON_WORDS = {
    "Expecting value": "expected a value",
    "Expecting property name enclosed in double quotes": "expected a name in double quotes",
    "Expecting ',' delimiter": "expected a comma",
    "Expecting ':' delimiter": "expected a colon",
    "Illegal trailing comma before end of object": "there is a comma too many",
    "Illegal trailing comma before end of array": "there is a comma too many",
    "Extra data": "expected the end, got more",
    "Unterminated string starting at": "a text has no closing quote",
    "Invalid control character at": "a text has a line break or another control character",
}
"""How the reader's messages are told."""
LONGEST_NAME = 255
"""Bytes that a file's name has at most on the usual file systems."""


class CannotWrite(UserError):
    """What the system refuses to write: no fault of what was read, so that going on with the next input is no use."""


def check_folder(path: Path, hint: str) -> None:
    """Refuse what is no folder.

    Args:
        hint: what kind of folder is expected.

    Raises:
        UserError: for a file, and for what is not there.
    """
    if not path.is_dir():
        what = "this is a file, expected a folder" if path.exists() else "there is no such folder"
        raise UserError(what, where=path, hint=hint)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, and put it in its place only once it is on the disk.

    Raises:
        CannotWrite: when the disk is full or the folder cannot be written; `path` is then as it was.
    """
    draft = path.with_name(draft_name(path.name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.touch()
        usual = draft.stat().st_mode
        write(draft)
        draft.chmod(draft.stat().st_mode | usual)  # a library may make files that nobody else may read
        with draft.open("r+b") as handle:  # Windows syncs only what may be written
            os.fsync(handle.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise CannotWrite(f"cannot write: {reason(error)}", where=path, hint="nothing was overwritten") from error
    except CannotWrite as error:  # of a draft that `write` itself writes atomically
        raise CannotWrite(error.what, where=path if error.where == draft else error.where, hint=error.hint) from error
    finally:
        with suppress(OSError):
            draft.unlink()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a folder to write into, which takes its place only when all is written.

    Args:
        path: of a folder that is empty or not there.

    Raises:
        UserError: when something is there.
        CannotWrite: when the disk is full or the folder cannot be made; nothing is left then.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError("something is there already", where=path, hint="name a folder that is empty or not there")
    draft = path.with_name(draft_name(path.name))
    try:
        remove(draft)  # what a killed process of the same number has left
        draft.mkdir(parents=True)
        yield draft
        if path.exists():
            path.rmdir()
        draft.rename(path)
    except OSError as error:
        raise CannotWrite(f"cannot write: {reason(error)}", where=path, hint="nothing was written") from error
    except CannotWrite as error:
        raise CannotWrite(error.what, where=path, hint="nothing was written") from error
    finally:
        with suppress(OSError):
            remove(draft)


def draft_name(name: str) -> str:
    """Return what a file is called while it is written: no longer in bytes than its own name may be."""
    end = f".{os.getpid()}.part"
    kept = os.fsencode(name)[: LONGEST_NAME - len(end) - 1].decode("utf-8", "ignore")
    return f".{kept}{end}"


def reason(error: OSError) -> str:
    """Return why the system refused, in words."""
    return "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))


def refusal(error: OSError) -> str:
    """Return what the system refused, in words: the file that it is about, and why."""
    name = error.filename2 or error.filename
    if name is not None:
        return f"{os.fsdecode(name) if isinstance(name, bytes) else name}: {reason(error)}"
    gone = isinstance(error, FileNotFoundError)  # whoever asks where it is learns so
    return f"{'the current folder' if gone else 'the system'}: {reason(error)}"


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
    """Add a line to a file; a killed process or a full disk may leave a part of it, without its end.

    Raises:
        CannotWrite: when the disk is full or the file cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise CannotWrite(f"cannot write: {reason(error)}", where=path) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically.

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


def copy_file(source: Path, target: Path) -> None:
    """Copy a file atomically.

    Raises:
        UserError: naming `source` when it cannot be read, `target` when it cannot be written.
    """
    try:
        content = source.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read: {reason(error)}", where=source) from error
    write_atomically(target, lambda draft: draft.write_bytes(content))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN is refused, since it is not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_fresh(path: Path, text: str) -> Path:
    """Write UTF-8 text to a file that is not there yet: `path`, or else `NAME-2.SUFFIX`, `NAME-3.SUFFIX` and so on.

    Returns:
        the file.

    Raises:
        OSError: when nothing can be written there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        candidate = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        with suppress(FileExistsError), candidate.open("x", encoding="utf-8", errors="backslashreplace") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                candidate.unlink()
                raise
            return candidate
    raise AssertionError("there are numbers enough")


def refuse_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to write files that are there already, unless that is asked for.

    Raises:
        UserError: naming the first of them, and how many there are.
    """
    there = [path for path in paths if os.path.lexists(path)]
    if there and not overwrite:
        more = (
            f", as {'is' if len(there) == 2 else 'are'} {len(there) - 1} more of the files to write"
            if len(there) > 1
            else ""
        )
        raise UserError(f"this is there already{more}", where=there[0],
                        hint="--overwrite writes it anew; or name another")  # fmt: skip


def read_json(path: Path, largest: int = _LARGEST) -> Any:
    """Read JSON: UTF-8, or UTF-16 or UTF-32 as editors on Windows write it, each with or without a byte order mark.

    Args:
        largest: how many bytes the file may have.

    Raises:
        UserError: when the file is not there, no ordinary file, too large, or not JSON, with its place; when it is
            nested more than 100 deep, has a key twice, or is in another encoding.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise UserError("cannot read JSON: this is no ordinary file", where=path)
        if state.st_size > largest:
            what = f"cannot read JSON: the file has {state.st_size:,} bytes, more than {largest:,}"
            raise UserError(what, where=path)
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read JSON: {reason(error)}", where=path) from error
    try:
        return parse_json(data.decode(json.detect_encoding(data)))
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, data, error) from error
    except json.JSONDecodeError as error:
        what = _JSON_WORDS.get(error.msg, error.msg[:1].lower() + error.msg[1:])
        where = Location(str(path), error.lineno, error.colno)
        raise UserError(f"cannot read JSON: {what}", where=where) from error
    except ValueError as error:
        raise UserError(f"cannot read JSON: {error}", where=path) from error


def parse_json(text: str) -> Any:
    """Return the data in a JSON text.

    Raises:
        ValueError: when it is not JSON, nested more than 100 deep, or an object has a key twice.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once_each)
    except RecursionError:
        raise ValueError(f"it is nested more than {_DEEPEST} deep") from None
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
        if not level:
            return value
    raise ValueError(f"it is nested more than {_DEEPEST} deep")


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


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
    """Return an object, if it has no key twice: the first would be lost."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if any(key == other for other, _ in pairs[:i]))
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return content
