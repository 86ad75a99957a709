"""Where a run's folder is put: nobody else works there meanwhile, and it is the old run or the new one at every moment.

A run is written into a folder beside its own and then takes its place, by one exchange of two names. Where the folder
has to stay what it is (a user's files are in it, it is mounted, it is the current folder), its files are replaced one
by one; while that goes on `provenance.json` lists both runs, so that one which is stopped in the middle is noticed.
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from metai2i.data.digests import file_sha256
from metai2i.data.places import real_path
from metai2i.errors import Location, UserError
from metai2i.files import read_json, reason, write_json
from metai2i.pipeline.preflight import check_out
from metai2i.run_folder.alone import alone_in, beside_run
from metai2i.run_folder.apart import Apart, check_apart, is_in
from metai2i.run_folder.files import LIST, MARK, NAMES, Holdings, few, holdings

log = logging.getLogger("metai2i")

ANOTHER = "--out names another folder"
_KEPT = f"move them elsewhere and run again, which trains nothing anew; or {ANOTHER}"
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS


@dataclass(frozen=True)
class _Place:
    """A run's folder, which nobody else writes meanwhile.

    Args:
        out: the folder, absolute, links followed.
        home: where files may be put for a while, on the same disk: the folder above, or the folder itself.
        stem: how they are called.
    """

    out: Path
    home: Path
    stem: str

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Yield a new folder to write a run into; in the end it takes the place of the run's folder.

        Raises:
            UserError: when something cannot be written, or when files of somebody else are in the way by now; the run's
                folder is then as it was.
        """
        draft = self.home / f".{self.stem}.{os.getpid()}.part"
        exchanged = False
        try:
            with self._told_of_out(draft):
                draft.mkdir()
                (draft / MARK).touch()
                yield draft
                (draft / MARK).unlink()
                exchanged = self._put(draft)
        finally:
            if not exchanged:
                _throw_away(draft)

    @contextmanager
    def _told_of_out(self, draft: Path) -> Iterator[None]:
        """Name whatever cannot be written by where it would have been in the end."""
        try:
            yield
        except UserError as error:
            where = error.where
            if isinstance(where, Location):
                where = replace(where, file=self._final(where.file, draft))
            elif where is not None:
                where = self._final(str(where), draft)
            raise UserError(error.what, where=where, hint=error.hint) from error
        except OSError as error:
            named = error.filename2 or error.filename or draft
            raise UserError(
                f"cannot write: {reason(error)}", where=self._final(os.fsdecode(named), draft),
                hint="the run's folder is as it was",
            ) from error  # fmt: skip

    def _final(self, path: str, draft: Path) -> str:
        return str(self.out) + path.removeprefix(str(draft)) if path.startswith(str(draft)) else path

    def _put(self, draft: Path) -> bool:
        """Put a finished draft in the run's place; return whether the folders have exchanged their names."""
        if not self.out.exists():
            draft.rename(self.out)
            return True
        held = _check_ours(self.out)
        if self.home != self.out and held.untouched and not _is_current(self.out):
            shutil.copymode(self.out, draft)
            if _exchanged(draft, self.out):
                _clear(draft, held, self.out)
                return True
        _replace_files(draft, self.out, held)
        return False


@contextmanager
def claimed(out: Path, apart: Sequence[Apart]) -> Iterator[_Place]:
    """Hold a folder for a run, from before anything is trained until it is written.

    Args:
        out: the folder.
        apart: what must not be in it.

    Raises:
        UserError: when the folder cannot be written, has files that no run has written, holds what the run needs, or
            when another run works in it. Nothing is changed then.
    """
    check_out(out)
    place = real_path(out)
    if any(path.is_symlink() for path in (place, *place.parents)):
        raise UserError("links lead to each other in a circle here, expected a folder", where=out, hint=ANOTHER)
    for thing in apart:
        check_apart(place, thing)
    above = [path for path in place.parents if not path.exists()]
    home, stem = beside_run(place)
    with ExitStack() as stack:
        stack.callback(_take_away, above)
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write: {reason(error)}", where=out, hint=ANOTHER) from error
        stack.enter_context(alone_in(out, f"wait for it, or {ANOTHER}"))
        _clear_rests(home, stem, place)
        if place.exists():
            _check_ours(place)
        yield _Place(place, home, stem)


def _check_ours(out: Path) -> Holdings:
    """Return what is in a folder whose files a run may replace.

    Raises:
        UserError: when it holds files that no run has written where a run writes.
    """
    try:
        held = holdings(out)
    except OSError as error:
        raise UserError(f"cannot read: {reason(error)}", where=error.filename or out, hint=ANOTHER) from error
    if held is None:
        there = sorted(path.name for path in out.iterdir())
        raise UserError(
            f"this folder holds files that no run of metai2i has written: {few(there)}", where=out,
            hint="--out takes a new folder, an empty one or that of a run",
        )  # fmt: skip
    if held.changed:
        what = f"{few(held.changed)} changed since the run in this folder was written, and would be lost"
        raise UserError(what, where=out, hint=_KEPT)
    taken = [name for name in held.others if name in NAMES]
    if taken:
        raise UserError(f"no run has written what is in this folder: {few(taken)}", where=out, hint=_KEPT)
    return held


def _is_current(folder: Path) -> bool:
    """Return whether this program works in a folder, and so most likely the shell that has started it."""
    try:
        return is_in(Path.cwd(), folder)
    except OSError:
        return False


def _take_away(folders: Sequence[Path]) -> None:
    """Remove those folders that are empty, the innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _exchanged(folder: Path, other: Path) -> bool:
    """Return whether two folders have exchanged their names, in one step; some systems and disks cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(folder), os.fsencode(other)
    if hasattr(library, "renameat2"):
        here = ctypes.c_int(-100)  # AT_FDCWD
        return bool(library.renameat2(here, first, here, second, ctypes.c_uint(_EXCHANGE)) == 0)
    if hasattr(library, "renamex_np"):
        return bool(library.renamex_np(first, second, ctypes.c_uint(_EXCHANGE)) == 0)
    return False


def _replace_files(draft: Path, out: Path, held: Holdings) -> None:
    """Put a run's files into a folder that stays, one by one, and remove those of the run before."""
    files = sorted(path.relative_to(draft).as_posix() for path in draft.rglob("*") if path.is_file())
    blocked = [name for name in files if name not in held.ours and os.path.lexists(out / name)]
    blocked += [name for name in held.others if any(file.startswith(f"{name}/") for file in files) and
                not (out / name).is_dir()]  # fmt: skip
    if blocked:
        raise UserError(f"no run has written what is in this folder: {few(blocked)}", where=out, hint=_KEPT)
    for name in files:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
    journal = read_json(out / LIST) if LIST in held.ours else {"metai2i": "", "files": {}}
    if journal.get("files") is None:
        journal["files"] = dict.fromkeys(held.ours)
    write_json(out / LIST, {**journal, "next": {name: file_sha256(draft / name) for name in files}})
    for name in files:
        if name != LIST:
            os.replace(draft / name, out / name)
    _remove(out, held.ours - set(files) - {LIST}, held.folders)
    if LIST in files:
        os.replace(draft / LIST, out / LIST)


def _remove(folder: Path, names: frozenset[str], folders: frozenset[str]) -> None:
    """Remove files, the list of them last, and the folders that are empty then."""
    for name in sorted(names, key=lambda name: name == LIST):
        (folder / name).unlink(missing_ok=True)
    _take_away([folder / name for name in sorted(folders, key=lambda name: name.count("/"), reverse=True)])


def _throw_away(draft: Path) -> None:
    """Remove a draft, its mark last."""
    with suppress(OSError):
        for path in draft.iterdir():
            if path.name != MARK:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (draft / MARK).unlink(missing_ok=True)
        draft.rmdir()


def _clear(old: Path, held: Holdings, out: Path | None) -> None:
    """Remove a run that was replaced; what else is in its folder by now goes into the new one, or stays."""
    with suppress(OSError):
        for path in sorted(old.rglob("*")):
            name = path.relative_to(old)
            if name.as_posix() in held.ours or (path.is_dir() and not path.is_symlink()) or out is None:
                continue
            if not os.path.lexists(out / name):
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                path.rename(out / name)
        _remove(old, held.ours, held.folders)
    _take_away([*sorted(old.rglob("*"), reverse=True), old])
    if old.exists():
        log.warning("%s: files that no run has written are still here", old)


def _clear_rests(home: Path, stem: str, out: Path) -> None:
    """Remove what killed runs have left of folders that they were writing, or had replaced."""
    name = re.compile(rf"\.{re.escape(stem)}\.\d+\.part")
    for path in home.iterdir():
        if not name.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            continue
        with suppress(OSError):
            if (path / MARK).is_file():
                _throw_away(path)
            elif (held := holdings(path)) is not None:
                _clear(path, held, out if out.exists() and home != out else None)
            elif all(inner.is_dir() and not inner.is_symlink() for inner in path.rglob("*")):
                _clear(path, Holdings(), None)
