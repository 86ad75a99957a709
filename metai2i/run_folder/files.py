"""Whose the files in a run's folder are: those that a run has written there, as it wrote them, and a user's.

`provenance.json` lists every file of a run with its digest (`files`), but for itself and for what `metai2i report`
writes anew: `report.html`, which ends with a digest of itself, and `summary.json`. In folders of older versions it
lists nothing; there the files are known by their names.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from metai2i.data.digests import file_sha256
from metai2i.errors import UserError
from metai2i.files import read_json, write_text
from metai2i.run_folder.record import ImageIndex, NewerRun, Provenance, read_record, read_run_recipe
from metai2i.run_folder.results import HEADER

LIST = "provenance.json"
RECIPE = "recipe.yaml"
RESULTS = "results.csv"
IMAGE_INDEX = "images/index.json"
PAGE = "report.html"
SUMMARY = "summary.json"
NAMES = (RECIPE, LIST, RESULTS, SUMMARY, "images", "log.jsonl", PAGE)
"""All that stands in a run's folder."""
_FEW = 3
"""How many names a message has."""
MARK = ".metai2i-draft"
"""A file that stands in the folder of a run while it is being written."""
Digests = str | None | tuple[str | None, ...]
"""What a file's digest may be; None where it is not known."""
_AT_WORK = re.compile(rf"\.run\.(lock|at-work\.json|\d+\.part)|{re.escape(MARK)}")
"""What a run that is being written has in its folder, or has there where it cannot have it beside."""
_LEFT = re.compile(rf"\.({'|'.join(map(re.escape, NAMES))})\.\d+\.part")
_SEAL = re.compile(r"<!-- metai2i report ([0-9a-f]{64}) -->\n\Z")
_HEAD = '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport"'


@dataclass(frozen=True)
class Holdings:
    """What lies in a folder.

    Args:
        ours: files that a run has written, as they were written, or rests of them that a killed run has left.
        changed: files that a run has written and somebody has changed since.
        others: whatever else there is.
        folders: those that a run's files are in, or were in.
    """

    ours: frozenset[str] = frozenset()
    changed: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    folders: frozenset[str] = frozenset()

    @property
    def untouched(self) -> bool:
        """Return whether nothing is here but what runs have written."""
        return not self.changed and not self.others


def holdings(folder: Path) -> Holdings | None:
    """Return what lies in a run's folder; None for any other folder.

    An empty folder holds nothing, and so does one with nothing but rests of a killed run. Links are never followed.
    """
    entries = dict(_entries(folder))
    rests = {name for name in entries if _LEFT.fullmatch(name)}
    if entries.keys() == rests:
        return Holdings(frozenset(rests))
    listed = _listed(folder)
    if listed is None:
        return None
    files = {name for name, is_file in entries.items() if is_file}
    named = {name for name in files if name in listed or name in (LIST, PAGE, SUMMARY)}
    unchanged = {name for name in named if _as_written(folder, name, listed)}
    folders = {parent for name in listed for parent in _parents(name)} & entries.keys() - files
    others = [name for name in entries if name not in named | rests | folders]
    return Holdings(
        frozenset(unchanged | rests), tuple(sorted(named - unchanged)), tuple(sorted(others)), frozenset(folders)
    )


def few(names: Iterable[str], between: str = ", ") -> str:
    """Return names for a message: three of them, and how many more there are."""
    every = list(names)
    shown = between.join(every[:_FEW])
    return f"{shown} and {len(every) - _FEW} more" if len(every) > _FEW else shown


def list_files(folder: Path) -> dict[str, str]:
    """Return the files of a run that has just been written, with their digests, for its provenance."""
    return {name: file_sha256(folder / name) for name, is_file in sorted(_entries(folder)) if is_file and name != LIST}


def check_one_run(folder: Path, provenance: Provenance, *, images: bool) -> None:
    """Refuse a folder in which not all is of the run that its provenance tells of.

    Args:
        provenance: of the run; a folder of an older version lists no files, and passes.
        images: whether those in `images/` are looked at, too, and not their list alone.

    Raises:
        UserError: naming files that are of another run, or were changed. A file that is missing is none of them.
    """
    if provenance.next is not None:
        raise UserError(
            "a run was stopped while it was put in the place of another one here, so the files are of two runs",
            where=folder, hint="run it again: what it trained is kept, and it replaces both",
        )  # fmt: skip
    listed = provenance.files or {}
    wanted = [name for name in listed if images or name == IMAGE_INDEX or not name.startswith("images/")]
    wrong = [name for name in wanted if os.path.lexists(folder / name) and not _as_written(folder, name, listed)]
    if wrong:
        are = "are not the files" if len(wrong) > 1 else "is not the file"
        raise UserError(
            f"{few(wrong)} {are} that this run wrote: changed since, or of another run", where=folder,
            hint=f"take the folder anew from where it was made, or run its recipe again with another --out; {LIST} "
            "lists the digests",
        )  # fmt: skip


def write_signed_page(path: Path, page: str) -> None:
    """Write an HTML page with a digest of itself at the end, by which it is known again."""
    page = page.rstrip("\n") + "\n"
    write_text(path, f"{page}<!-- metai2i report {_digest(page)} -->\n")


def check_report(folder: Path, provenance: Provenance) -> None:
    """Refuse to write the report of a run over files that metai2i has not written.

    Raises:
        UserError: naming them.
    """
    listed = provenance.files or {}
    wrong = [
        name for name in (PAGE, SUMMARY) if os.path.lexists(folder / name) and not _as_written(folder, name, listed)
    ]
    if wrong:
        raise UserError(
            f"{' and '.join(wrong)} here {'were' if len(wrong) > 1 else 'was'} not written by metai2i, or changed "
            "since, and would be lost", where=folder, hint="move it away, then write the report",
        )  # fmt: skip


def _entries(folder: Path, below: str = "") -> Iterator[tuple[str, bool]]:
    """Yield everything in a folder, by its path in it, and whether it is an ordinary file; links are not followed."""
    with os.scandir(folder / below) as entries:
        for entry in entries:
            name = f"{below}{entry.name}"
            if _AT_WORK.fullmatch(name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield name, False
                yield from _entries(folder, f"{name}/")
            else:
                yield name, entry.is_file(follow_symlinks=False)


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _listed(folder: Path) -> dict[str, tuple[str | None, ...]] | None:
    """Return the files that a folder's provenance lists, each with the digests that it may have; None where it is no
    run's.
    """
    if (folder / LIST).is_symlink():
        return None
    try:
        provenance, _ = read_record(folder / LIST, Provenance)
    except NewerRun:
        raise
    except UserError:
        return None
    if provenance.metai2i is None:
        return None
    if provenance.files is None:
        return _known_by_name(folder, provenance)
    digests: dict[str, tuple[str | None, ...]] = {name: (digest,) for name, digest in provenance.files.items()}
    for name, digest in (provenance.next or {}).items():
        digests[name] = (*digests.get(name, ()), digest)
    return digests


def _known_by_name(folder: Path, provenance: Provenance) -> dict[str, tuple[str | None, ...]] | None:
    """Return the files of a run of an older version, whose digests are not known."""
    if not provenance.stages:
        return None
    try:
        recipe, _ = read_run_recipe(folder / RECIPE)
        with (folder / RESULTS).open("rb") as file:
            header = file.readline(1000).decode("utf-8", "replace").strip()
    except (UserError, OSError):
        return None
    if header != ",".join(HEADER) or not isinstance(recipe.get("rows"), dict):
        return None
    names = [RECIPE, RESULTS, "log.jsonl"]
    with suppress(UserError):
        index, _ = read_record(folder / IMAGE_INDEX, ImageIndex)
        names.append(IMAGE_INDEX)
        for task in index.tasks:
            given = [("support", task.support), *((each.dir, each.pictures) for each in task.supports)]
            support = [f"{dir}{kind}/{shot}" for dir, shots in given for kind in ("", "-structure") for shot in shots]
            places = ["truth", "structure", *task.rows.values(), *task.general.values(), *task.reference.values()]
            places += [folder for rows in task.shown.values() for folder in rows.values()]
            queries = [f"{place}/{query}" for place in places for query in task.queries]
            names += [f"images/{task.dir}/{image}.png" for image in (*support, *queries)]
    return dict.fromkeys(names, (None,))


def _as_written(folder: Path, name: str, listed: Mapping[str, Digests]) -> bool:
    """Return whether a file is as a run has written it."""
    path = folder / name
    if any((folder / part).is_symlink() for part in (*_parents(name), name)) or not path.is_file():
        return False
    if name == LIST:
        return True
    if name == PAGE:
        return _is_sealed(path, unsealed=not _knows_digests(listed))
    if name == SUMMARY:
        return _is_summary(path)
    known = listed[name]
    digests = known if isinstance(known, tuple) else (known,)
    return None in digests or file_sha256(path) in digests


def _knows_digests(listed: Mapping[str, Digests]) -> bool:
    return any(digests not in (None, (None,)) for digests in listed.values())


def _is_sealed(path: Path, *, unsealed: bool) -> bool:
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    seal = _SEAL.search(text)
    if seal is None:
        return unsealed and text.startswith(_HEAD)
    return _digest(text[: seal.start()]) == seal[1]


def _is_summary(path: Path) -> bool:
    try:
        summary = read_json(path)
    except UserError:
        return False
    return isinstance(summary, dict) and isinstance(summary.get("rows"), dict)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
