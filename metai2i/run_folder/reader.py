"""A run's folder, read: what is there is used, what is missing is told, and only `results.csv` must be there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from metai2i.errors import UserError
from metai2i.files import parse_json, reason
from metai2i.metrics.display import MetricInfo
from metai2i.run_folder.at_work import check_run_folder
from metai2i.run_folder.files import IMAGE_INDEX, LIST, RECIPE, RESULTS, check_one_run
from metai2i.run_folder.record import AnyFile, ImageIndex, NewerRun, Provenance, read_record, read_run_recipe
from metai2i.run_folder.results import Record, read_results
from metai2i.run_folder.whole import check_whole


@dataclass(frozen=True)
class Run:
    """What the files of a run say.

    Args:
        path: the folder.
        records: the numbers of `results.csv`.
        recipe: `recipe.yaml`, with its text as it stands in `recipe_text`; empty where there is none.
        provenance: what is read of `provenance.json`; empty where there is none.
        raw_provenance: all that it says, for the page.
        images: `images/index.json`; empty where there is none.
        log: the lines of `log.jsonl`; empty where there is none.
        notes: sentences about what is missing or damaged.
    """

    path: Path
    records: list[Record]
    recipe: Mapping[str, object] = field(default_factory=dict)
    recipe_text: str = ""
    provenance: Provenance = field(default_factory=Provenance)
    raw_provenance: Mapping[str, object] = field(default_factory=dict)
    images: ImageIndex = field(default_factory=ImageIndex)
    log: list[Mapping[str, object]] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the recipe's name, or the folder's."""
        return str(self.recipe.get("name") or self.path.resolve().name)

    @property
    def rows(self) -> list[str]:
        """Return the rows in the recipe's order, then those that only `results.csv` knows."""
        rows = [str(row) for row in mapping(self.recipe.get("rows"))]
        return list(dict.fromkeys([*rows, *(record.row for record in self.records)]))

    def section(self, row: str) -> Mapping[str, object]:
        """Return what the recipe says of a row; nothing for one that it does not have."""
        return mapping(mapping(self.recipe.get("rows")).get(row))

    @property
    def baseline(self) -> str | None:
        """Return the row that the recipe compares others with unless they name their own."""
        name = mapping(self.recipe.get("compare")).get("baseline")
        return None if name is None else str(name)

    @property
    def baselines(self) -> dict[str, str]:
        """Return row -> the row that the recipe compares it with, for the rows that name one."""
        named = {
            str(row): mapping(section).get("baseline") for row, section in mapping(self.recipe.get("rows")).items()
        }
        return {row: str(name) for row, name in named.items() if name is not None}

    @property
    def measures(self) -> dict[str, MetricInfo]:
        """Return how the run's metrics are read, as its provenance tells."""
        return self.provenance.measures

    @property
    def metric(self) -> str | None:
        """Return the recipe's main metric."""
        name = mapping(self.recipe.get("compare")).get("metric")
        return None if name is None else str(name)


def load_run(path: Path) -> Run:
    """Read a run's folder.

    Raises:
        UserError: there is no such folder; it has no `results.csv`, or that is damaged or not all that the run has
            measured; or its files are not of one run. Other files that are missing or damaged are told in `Run.notes`.
    """
    check_run_folder(path)
    if not (path / RESULTS).is_file():
        hint = "no test task has been evaluated yet, or this is not the folder of a run"
        raise UserError(f"the folder has no {RESULTS}", where=path, hint=hint)
    notes: list[str] = []
    provenance, raw = _record(path, LIST, Provenance, notes)
    records = read_results(path / RESULTS)
    recipe, recipe_text = _recipe(path, notes)
    if provenance.next is None:  # else the numbers are of one run, and what they are held against of another
        check_whole(path / RESULTS, records, provenance, recipe)
    check_one_run(path, provenance, images=False)
    images, _ = _record(path, IMAGE_INDEX, ImageIndex, notes)
    log = _log(path / "log.jsonl", notes)
    return Run(path, records, recipe, recipe_text, provenance, raw, images, log, tuple(notes))


def mapping(value: object) -> Mapping[str, object]:
    """Return the value if it is a mapping, otherwise an empty one."""
    return value if isinstance(value, Mapping) else {}


def _recipe(folder: Path, notes: list[str]) -> tuple[Mapping[str, object], str]:
    if not _is_there(folder, RECIPE, notes):
        return {}, ""
    try:
        return read_run_recipe(folder / RECIPE)
    except UserError as error:
        notes.append(f"{RECIPE} cannot be read and is left out: {error.what}.")
        return {}, ""


def _record(folder: Path, name: str, kind: type[AnyFile], notes: list[str]) -> tuple[AnyFile, Mapping[str, object]]:
    """Return what is read of a file, and all that it says; nothing of one that is missing or damaged."""
    if not _is_there(folder, name, notes):
        return kind(), {}
    try:
        return read_record(folder / name, kind)
    except NewerRun:
        raise
    except UserError as error:
        hint = f" ({error.hint})" if error.hint else ""
        notes.append(f"{name} cannot be read and is left out: {error.what}{hint}.")
        return kind(), {}


def _is_there(folder: Path, name: str, notes: list[str]) -> bool:
    if not (folder / name).exists():
        notes.append(f"There is no {name} in the folder of the run.")
        return False
    return True


def _log(path: Path, notes: list[str]) -> list[Mapping[str, object]]:
    if not _is_there(path.parent, path.name, notes):
        return []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        notes.append(f"{path.name} cannot be read and is left out: {reason(error)}.")
        return []
    entries: list[Mapping[str, object]] = []
    damaged = 0
    for number, line in enumerate(lines, start=1):
        try:
            entry = parse_json(line) if line.strip() else None
        except ValueError:
            entry = None
            damaged += number < len(lines)  # a last line without an end was being written when the run was stopped
        if isinstance(entry, dict):
            entries.append(entry)
    if damaged:
        notes.append(f"Lines of {path.name} that cannot be read and are left out: {damaged}.")
    return entries
