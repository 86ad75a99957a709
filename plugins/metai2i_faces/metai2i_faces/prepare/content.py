"""What a source holds, told by its content: a video, or the images of a folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from metai2i import UserError, reason
from metai2i_faces.prepare.sources import Source, images_in


@dataclass(frozen=True)
class Content:
    """The content of a source.

    Args:
        digest: of the bytes of its files and, in a folder, of their names.
        size: of its files, in bytes.
        state: of what the system says about its files; as long as it is the same, so are they.
    """

    digest: str
    size: int
    state: str


def files_of(source: Source) -> list[Path]:
    """Return the files that a source is made of."""
    return images_in(source.path) if source.kind == "images" else [source.path]


def state_of(source: Source) -> str:
    """Return a digest of places, sizes and times, of which the last change of a file's state cannot be put back.

    Raises:
        UserError: when a file cannot be looked at.
    """
    states = []
    for path in files_of(source):
        try:
            state = path.stat()
        except OSError as error:
            raise UserError(f"cannot read: {reason(error)}", where=path) from error
        states.append((path.name, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    return hashlib.sha256(repr(states).encode("utf-8", "surrogateescape")).hexdigest()


def content_of(source: Source) -> Content:
    """Read all files of a source.

    Raises:
        UserError: when one cannot be read.
    """
    state = state_of(source)
    files = files_of(source)
    size = sum(path.stat().st_size for path in files)
    if source.kind == "video":
        return Content(_digest(source.path), size, state)
    return Content(digest_of_files(files), size, state)


def digest_of_files(files: list[Path]) -> str:
    """Return a digest of the names and the bytes of files; one that cannot be read counts with why."""
    whole = hashlib.sha256()
    for path in files:
        try:
            content = _digest(path)
        except UserError as error:
            content = error.what
        whole.update(f"{path.name}\0{content}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read: {reason(error)}", where=path) from error
