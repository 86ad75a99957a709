"""A run's folder, read: what is there is used, what is missing is told, and only `results.csv` must be there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from metai2i.errors import UserError
from metai2i.files import check_folder
from metai2i.measures import Measure, read_measures
from metai2i.results import Record, read_results


@dataclass(frozen=True)
class Run:
    """What the files of a run say.

    Args:
        path: the folder.
        records: the numbers of `results.csv`.
        recipe: `recipe.yaml`, with its text as it stands in `recipe_text`; empty where there is none.
        provenance: `provenance.json`; empty where there is none.
        images: `images/index.json`; empty where there is none.
        log: the lines of `log.jsonl`; empty where there is none.
        notes: sentences about what is missing or damaged.
    """

    path: Path
    records: list[Record]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    recipe_text: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Any] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The recipe's name, or the folder's."""
        return str(self.recipe.get("name") or self.path.resolve().name)

    @property
    def rows(self) -> list[str]:
        """The rows in the recipe's order, then those that only `results.csv` knows."""
        rows = [str(row) for row in mapping(self.recipe.get("rows"))]
        return list(dict.fromkeys([*rows, *(record.row for record in self.records)]))

    @property
    def baseline(self) -> str | None:
        """The row that the recipe compares others with unless they name their own."""
        name = mapping(self.recipe.get("compare")).get("baseline")
        return None if name is None else str(name)

    @property
    def baselines(self) -> dict[str, str]:
        """Row -> the row that the recipe compares it with, for the rows that name one."""
        named = {str(row): mapping(told).get("baseline") for row, told in mapping(self.recipe.get("rows")).items()}
        return {row: str(name) for row, name in named.items() if name is not None}

    @property
    def measures(self) -> dict[str, Measure]:
        """How the run's metrics are read, as its provenance tells."""
        return read_measures(self.provenance.get("metrics"))

    @property
    def metric(self) -> str | None:
        """The recipe's main metric."""
        name = mapping(self.recipe.get("compare")).get("metric")
        return None if name is None else str(name)


def load_run(path: Path) -> Run:
    """Read a run's folder.

    Raises:
        UserError: there is no such folder, it has no `results.csv`, or that file is damaged. Other files that are
            missing or damaged are told in `Run.notes`.
    """
    check_folder(path, "expected the folder of a run")
    if not (path / "results.csv").is_file():
        hint = "no test task has been evaluated yet, or this is not the folder of a run"
        raise UserError("the folder has no results.csv", where=path, hint=hint)
    notes: list[str] = []
    recipe, recipe_text = _recipe(path / "recipe.yaml", notes)
    return Run(
        path=path,
        records=read_results(path / "results.csv"),
        recipe=recipe,
        recipe_text=recipe_text,
        provenance=_json(path / "provenance.json", notes),
        images=_json(path / "images" / "index.json", notes),
        log=_log(path / "log.jsonl", notes),
        notes=tuple(notes),
    )


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, otherwise an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Mapping[str, Any]]:
    """Those elements of a list that are mappings; empty for anything that is not a list."""
    return [element for element in value if isinstance(element, Mapping)] if isinstance(value, list) else []


def _recipe(path: Path, notes: list[str]) -> tuple[Mapping[str, Any], str]:
    text = _text(path, notes)
    try:
        recipe = yaml.safe_load(text) if text else {}
    except yaml.YAMLError as error:
        notes.append(f"{path.name} cannot be read: {str(error).splitlines()[0]}.")
        recipe = {}
    return mapping(recipe), text


def _json(path: Path, notes: list[str]) -> Mapping[str, Any]:
    text = _text(path, notes)
    try:
        return mapping(json.loads(text)) if text else {}
    except ValueError as error:
        notes.append(f"{path.name} cannot be read: {error}.")
        return {}


def _log(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    lines = _text(path, notes).split("\n")
    entries, damaged = [], 0
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line) if line.strip() else None
        except ValueError:
            entry = None
            damaged += number < len(lines)  # a last line without an end was being written when the run was stopped
        if isinstance(entry, dict):
            entries.append(entry)
    if damaged:
        notes.append(f"Lines of {path.name} that cannot be read and are left out: {damaged}.")
    return entries


def _text(path: Path, notes: list[str]) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        name = f"{path.parent.name}/{path.name}" if path.parent.name == "images" else path.name
        notes.append(f"There is no {name} in the folder of the run.")
        return ""
