"""A run's folder, read: what is there is used, what is missing is told, and only `results.csv` must be there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from metai2i.errors import UserError
from metai2i.measures import DESCRIPTORS, Measure, read_measures
from metai2i.report.halves import harder_half
from metai2i.report.wording import leaking_note
from metai2i.results import Record, read_results
from metai2i.statistics import Summary, measure_of, summarise


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
    if not path.is_dir():
        raise UserError("there is no such folder", where=path, hint="expected the folder of a run")
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


def summarise_run(run: Run) -> Summary:
    """The statistics of a run, compared as its recipe says (`metai2i.statistics.summarise`).

    A baseline or metric without any number yet (a run that was stopped) is told in the notes.
    """
    baseline, baselines, metric = run.baseline, run.baselines, run.metric
    measured = {record.metric for record in run.records} - DESCRIPTORS
    notes = []
    if metric is not None and metric not in measured and measured:
        notes.append(f"The main metric {metric!r} of the recipe was not measured.")
        metric = None
    if baseline is not None and baseline not in run.rows:
        notes.append(f"The baseline {baseline!r} of the recipe is not a row, so nothing is compared with it.")
        baseline = None
    for row, own in list(baselines.items()):
        if own not in run.rows or own == row:
            notes.append(f"The baseline {own!r} of {row} is not another row, so it is compared as if it named none.")
            del baselines[row]
    if not run.records:
        raise UserError("there is no number in it: no test task has been evaluated yet", where=run.path / "results.csv")
    summary = summarise(run.records, run.rows, baseline, metric, run.measures, baselines=baselines)
    tell_kinds(summary, {row: (run, row) for row in summary["rows"]})
    summary["harder_half"] = harder_half(run.records, summary)
    summary["notes"] += [*notes, *_worse_than_copying(summary)]
    return summary


def tell_kinds(summary: Summary, rows: Mapping[str, tuple[Run, str]]) -> None:
    """Puts into a summary which rows hand back a support image (`copies`), and which are shown what they are to
    predict (`leaking`, with a note).

    Args:
        summary: of one or several runs.
        rows: its rows, each with the run that it is of and what it is called there.
    """
    summary["copies"] = [name for name, (run, row) in rows.items() if _strategy(run, row) == "copy"]
    summary["leaking"] = [name for name, (run, row) in rows.items() if _leaks(run, row)]
    if summary["leaking"]:
        summary["notes"].append(leaking_note(summary["leaking"]))


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, otherwise an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Mapping[str, Any]]:
    """Those elements of a list that are mappings; empty for anything that is not a list."""
    return [element for element in value if isinstance(element, Mapping)] if isinstance(value, list) else []


def _worse_than_copying(summary: Summary) -> list[str]:
    """Rows that lose to handing back the most similar support image unchanged: nobody may do so unnoticed."""
    metric, rows = summary["metric"], summary["rows"]
    measure = measure_of(summary, metric)
    means = {row: rows[row][metric]["mean"] for row in rows if metric in rows[row]}
    notes = []
    for copy in (row for row in summary["copies"] if means.get(row) is not None):
        sign = -1 if measure.higher_is_better else 1
        others = [row for row, mean in means.items() if mean is not None and sign * (mean - means[copy]) > 0]
        if others and measure.higher_is_better is not None:
            worse = f"Worse in {measure.title} than {copy}, which hands back a support image unchanged"
            notes.append(f"{worse}: {', '.join(others)}.")
    return notes


def _strategy(run: Run, row: str) -> object:
    own = mapping(mapping(mapping(run.recipe.get("rows")).get(row)).get("strategy")).get("use")
    return own or mapping(run.recipe.get("strategy")).get("use")


def _leaks(run: Run, row: str) -> bool:
    """Whether a row's references are made of what is to be predicted; the provenance knows who has references.

    Who hands back a support image looks at no reference.
    """
    own = mapping(mapping(mapping(run.recipe.get("rows")).get(row)).get("reference")).get("test")
    asked = (own or mapping(run.recipe.get("reference")).get("test")) == "target"
    shown = run.provenance.get("references")
    return asked and _strategy(run, row) != "copy" and (row in shown if isinstance(shown, list) else True)


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
