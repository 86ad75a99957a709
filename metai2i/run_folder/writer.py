"""Writes the folder of a finished run: recipe, provenance, results, images, log."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from metai2i.batch import Batch
from metai2i.data.exemplar_grid import GRID
from metai2i.data.folders import subfolders
from metai2i.data.images import save_map, save_photo, slugs
from metai2i.errors import UserError
from metai2i.field import EXEMPLAR, PHOTOGRAPH
from metai2i.files import copy_file, write_json, write_text
from metai2i.metrics.display import SetRecord
from metai2i.pipeline.assemble import Assembler, scored_tasks
from metai2i.pipeline.plan import PlannedRow
from metai2i.pipeline.stage_store import StageStore, read_log, read_marker
from metai2i.randomness import Randomness
from metai2i.recipe import Recipe, dump_yaml
from metai2i.recipe.schema import Row
from metai2i.run_folder.files import list_files
from metai2i.run_folder.provenance import CountRecord, DataFacts, ProvenanceRecord, describe
from metai2i.run_folder.record import RUN_FORMAT
from metai2i.run_folder.results import ALL_TASKS, LARGEST_VALUE, SET, Record, is_number, write_results
from metai2i.run_folder.spec_json import RowsSpecRecord, SpecRecord, spec_data
from metai2i.stages.scene_scores import SCENE_SCORES, SceneScore, read_scores
from metai2i.stages.sets import read_sets
from metai2i.tasks import SPLITS, TaskSpec
from metai2i.training.on_the_way import ON_THE_WAY, strip_files
from metai2i.training.sealed import Broken
from metai2i.training.stage_records import RunStageRecord

log = logging.getLogger("metai2i")

SHOWN_QUERIES = 5
"""Queries of a task whose images are kept."""

KEPT_STEPS = 12
"""Steps of a training whose images on the way are kept."""

SHOWN_FOLDER = "shown"
"""The folder of what else rows are shown and have to show."""
GRIDS_FOLDER = "grid"
"""The folder of the images that show every input with every exemplar, one for each row."""
FURTHER: tuple[Literal["general"], Literal["reference"]] = ("general", "reference")
"""What is kept of a row beside its output."""


@dataclass(frozen=True)
class RunFacts:
    """What the runner knows of a run.

    Args:
        images: a hash of the images that all rows were scored on.
        command: that started it.
        started: when, as text.
        finished: when its stages were done.
        seconds: how long they took.
        processes: how many worked on it.
    """

    images: str
    command: list[str]
    started: str
    finished: str
    seconds: float
    processes: int


class SupportEntry(TypedDict):
    """The support of the rows of one number of shots; `dir`: its folder in the task's."""

    shots: int
    dir: str
    rows: list[str]
    pictures: list[str]


class TaskEntry(TypedDict):
    """A task in `images/index.json`: `dir` is its folder, and what rows have is folders in that.

    `rows`: a row's output; `general`: what its general model paints unadapted; `reference`: what photographs it was
    shown; `shown`: what else, and the further images of its translator, by their names; `grid`: the image of every
    input with every exemplar, without its ending; `aux`: the scenes that were retrieved for it. `support` names the
    images of the one support that all rows adapt to; where rows have different numbers of shots, `supports` has each.
    """

    id: str
    dir: str
    rows: dict[str, str]
    aux: dict[str, list[str]]
    queries: list[str]
    general: NotRequired[dict[str, str]]
    reference: NotRequired[dict[str, str]]
    shown: NotRequired[dict[str, dict[str, str]]]
    grid: NotRequired[dict[str, str]]
    support: NotRequired[list[str]]
    supports: NotRequired[list[SupportEntry]]


def write_run(
    out: Path,
    recipe: Recipe,
    planned: Sequence[PlannedRow],
    stages: Sequence[RunStageRecord],
    store: StageStore,
    assembler: Assembler,
    facts: RunFacts,
) -> None:
    """Write a run into an empty folder.

    Args:
        out: the folder.
        stages: what every stage says of itself, in the order in which they were done.
    """
    results = {planned_row.name: read_scores(store.folder(planned_row.evaluate)) for planned_row in planned}
    sets = {planned_row.name: read_sets(store.folder(planned_row.evaluate)) for planned_row in planned}
    write_text(out / "recipe.yaml", dump_yaml(recipe.resolved))
    write_log(out / "log.jsonl", stages, store)
    write_images(out / "images", recipe.seed, planned, results, store, assembler)
    write_images_on_the_way(out / "images", [stage["key"] for stage in stages], store)
    gone = sum(has_lost_files(store.root / stage["key"], stage["key"]) for stage in stages)
    if gone:
        log.warning(
            "%s: %d of %d stages have lost files while the run was written; images or log lines may be missing",
            store.root,
            gone,
            len(stages),
        )
    numbers = records(results, sets)
    check_numbers(numbers)
    write_results(out / "results.csv", numbers)
    tasks = [(scene["task"], len(scene["queries"])) for scene in next(iter(results.values()))]
    provenance: ProvenanceRecord = {
        **describe(assembler.registry, list(recipe.rows.values()), assembler.device),
        "format": RUN_FORMAT,
        "command": facts.command,
        "started": facts.started,
        "finished": facts.finished,
        "seconds": facts.seconds,
        "processes": facts.processes,
        "data": DataFacts(
            fingerprint=fingerprint(assembler, planned[0].row), test_tasks=len(tasks), test_hash=facts.images
        ),
        "measured": measured_rows(numbers),
        "sets": {row: of_row for row, of_row in sets.items() if of_row},
        "references": [planned_row.name for planned_row in planned if assembler.reference(planned_row.row) is not None],
        "spec": specs(planned, assembler),
        "stages": list(stages),
        "starts": starts_of(planned),
        "files": list_files(out),
    }
    write_json(out / "provenance.json", provenance)


def starts_of(planned: Sequence[PlannedRow]) -> dict[str, dict[str, dict[str, str]]]:
    """Return with which weights parts of the rows' translators began: as the recipe says it, and as stages know it."""
    starts: dict[str, dict[str, dict[str, str]]] = {}
    for planned_row in planned:
        begun = planned_row.stages[0].begun
        known = begun.determines["parts"] if begun is not None else {}
        assert isinstance(known, Mapping)
        for name, start in planned_row.row.start.items():
            said = {} if start is None else start.model_dump(exclude_none=True)
            starts.setdefault(planned_row.name, {})[name] = {**said, **known.get(name, {})}
    return starts


def has_lost_files(folder: Path, key: str) -> bool:
    """Return whether a finished stage's folder has its files no more, because somebody has taken them away."""
    try:
        return not all((folder / name).is_file() for name in read_marker(folder, key).files)
    except Broken:
        return True


def fingerprint(assembler: Assembler, row: Row) -> str:
    """Return what a row's data is, all of its splits, in 16 digits."""
    return sha256(repr([assembler.fingerprint(row, split) for split in SPLITS]).encode()).hexdigest()[:16]


def specs(planned: Sequence[PlannedRow], assembler: Assembler) -> list[RowsSpecRecord]:
    """Return what the rows' translators were told of the data, each with its rows: they can be built again
    without it.
    """
    specs_by_rows: list[tuple[list[str], SpecRecord]] = []
    for planned_row in planned:
        data = spec_data(assembler.source(planned_row.row).spec())
        rows = next((rows for rows, known in specs_by_rows if known == data), None)
        if rows is None:
            specs_by_rows.append(([planned_row.name], data))
        else:
            rows.append(planned_row.name)
    return [{"rows": rows, **data} for rows, data in specs_by_rows]


def measured_rows(numbers: Sequence[Record]) -> dict[str, CountRecord]:
    """Return how much was measured of each row, by which a `results.csv` that has lost or gained lines is known."""
    rows: dict[str, list[Record]] = {}
    for record in numbers:
        rows.setdefault(record.row, []).append(record)
    return {
        row: CountRecord(
            tasks=len({record.task for record in of_row}),
            queries=len({(record.task, record.query) for record in of_row}),
            numbers=dict(Counter(record.metric for record in of_row)),
        )
        for row, of_row in rows.items()
    }


def check_numbers(numbers: Sequence[Record]) -> None:
    """Refuse numbers that no statistics can be made of.

    Raises:
        UserError: naming the metric and where it gave such a number.
    """
    wrong = next((record for record in numbers if not is_number(record.value)), None)
    if wrong is not None:
        raise UserError(
            f"the metric {wrong.metric!r} gave {wrong.value!r} for row {wrong.row!r}, task {wrong.task!r}, query "
            f"{wrong.query}; expected infinity or no more than {LARGEST_VALUE:g} either side of 0",
            hint="mend the metric, or leave it out of evaluate.metrics",
        )


def holds_another(out: Path, recipe: Recipe) -> bool:
    """Return whether the folder has a run of a recipe that says something else."""
    try:
        return (out / "recipe.yaml").read_bytes() != dump_yaml(recipe.resolved).encode("utf-8", "surrogatepass")
    except OSError:
        return False


def write_log(path: Path, stages: Sequence[RunStageRecord], store: StageStore) -> None:
    """Write all stages' logs, one after the other, each line with its stage and rows."""
    lines: list[str] = []
    for stage in stages:
        about: dict[str, object] = {"stage": stage["name"], "key": stage["key"], "rows": stage["rows"]}
        logged = read_log(store.root / stage["key"], stage["key"])
        if logged is not None:
            lines += [json.dumps(about | line) for line in logged]
        elif (store.root / stage["key"] / SCENE_SCORES).exists():
            scored = read_scores(store.root / stage["key"])
            lines += [json.dumps(about | {"task": task["task"], "seconds": task["seconds"]}) for task in scored]
    write_text(path, "".join(f"{line}\n" for line in lines))


def write_images(
    images: Path,
    seed: int,
    planned: Sequence[PlannedRow],
    results: Mapping[str, Sequence[SceneScore]],
    store: StageStore,
    assembler: Assembler,
) -> None:
    """Write inputs, truth and every row's images of the first tasks, for the report, and `index.json` of them."""
    index: dict[str, TaskEntry] = {}
    shown: dict[str, dict[int, SupportEntry]] = {}
    with_images = {
        planned_row.name: scored_tasks(planned_row.row, assembler)[: planned_row.row.evaluate.images]
        for planned_row in planned
    }
    task_folders = slugs((task.id for tasks in with_images.values() for task in tasks), taken=(ON_THE_WAY,))
    supports = support_folders(planned_row.row.test_shots for planned_row in planned)
    given = [name for folder in supports.values() for name in (folder, f"{folder}-structure")]
    row_folders = slugs(with_images, taken=("truth", "structure", SHOWN_FOLDER, GRIDS_FOLDER, *given, *FURTHER))
    for planned_row in planned:
        row, spec = planned_row.row, assembler.source(planned_row.row).spec()
        source = store.folder(planned_row.evaluate) / "images"
        aux = {
            task["task"]: [f"{name} ({score:.2f})" for name, score in task["aux"]] for task in results[planned_row.name]
        }
        folders = slugs(task.id for task in with_images[planned_row.name])  # as evaluate named them
        for task in with_images[planned_row.name]:
            shots, place, known = row.test_shots, images / task_folders[task.id], shown.setdefault(task.id, {})
            if shots not in known:
                rng = Randomness((seed, "evaluate", task.id, 0))
                episode = task.episode(shots, row.test_queries, rng, assembler.augment(row))
                if task.id not in index:
                    count = min(episode.query.size, SHOWN_QUERIES)
                    save_pairs(place, "truth", "structure", episode.query.select(range(count)), spec)
                    index[task.id] = TaskEntry(
                        id=task.id, dir=place.name, rows={}, aux={}, queries=[str(q) for q in range(count)]
                    )
                given_to = supports[shots]
                save_pairs(place, given_to, f"{given_to}-structure", photographed(episode.support), spec)
                pictures = [str(s) for s in range(episode.support.size)]
                known[shots] = SupportEntry(shots=shots, dir=given_to, rows=[], pictures=pictures)
            known[shots]["rows"].append(planned_row.name)
            entry = index[task.id]
            entry["rows"][planned_row.name] = row_folders[planned_row.name]
            if aux[task.id]:
                entry["aux"][planned_row.name] = aux[task.id]
            copy_images(source / folders[task.id], place / row_folders[planned_row.name], entry["queries"])
            for kind in FURTHER:
                target = f"{kind}/{row_folders[planned_row.name]}"
                if copy_images(source / folders[task.id] / kind, place / target, entry["queries"]):
                    entry.setdefault(kind, {})[planned_row.name] = target
            for folder in subfolders(source / folders[task.id] / SHOWN_FOLDER):
                target = f"{SHOWN_FOLDER}/{folder.name}/{row_folders[planned_row.name]}"
                if copy_images(folder, place / target, entry["queries"]):
                    entry.setdefault("shown", {}).setdefault(folder.name, {})[planned_row.name] = target
            if (source / folders[task.id] / GRID).is_file():
                target = f"{GRIDS_FOLDER}/{row_folders[planned_row.name]}"
                copy_file(source / folders[task.id] / GRID, place / f"{target}.png")
                entry.setdefault("grid", {})[planned_row.name] = target
    tasks = [_with_supports(entry, list(shown[id].values())) for id, entry in index.items()]
    write_json(images / "index.json", {"tasks": tasks})


def write_images_on_the_way(images: Path, keys: Sequence[str], store: StageStore) -> None:
    """Write the images that were made while stages trained, those of at most `KEPT_STEPS` steps."""
    for key in keys:
        folder = store.root / key / ON_THE_WAY
        for name in strip_files(folder, KEPT_STEPS):
            copy_file(folder / name, images / ON_THE_WAY / key / name)


def support_folders(shots: Iterable[int]) -> dict[int, str]:
    """Return the folder of the support for each number of shots: `support` where all rows have the same."""
    numbers = sorted(set(shots))
    return {number: "support" if len(numbers) == 1 else f"support-{number}-shot" for number in numbers}


def save_pairs(place: Path, photos: str, maps: str, pairs: Batch, spec: TaskSpec) -> None:
    """Write the photographs of pairs to one folder of `place` and their maps to another, where they have any."""
    for n, photo in enumerate(pairs.get("target", ())):
        save_photo(place / photos / f"{n}.png", photo)
    for n, structure in enumerate(pairs.get("structure", ())):
        save_map(place / maps / f"{n}.png", structure, spec)


def photographed(support: Batch) -> Batch:
    """Return a support with what is shown of it as `target`: where it has none, its exemplars."""
    if PHOTOGRAPH in support or EXEMPLAR not in support:
        return support
    return support.replace(**{PHOTOGRAPH: support[EXEMPLAR]})


def _with_supports(entry: TaskEntry, supports: list[SupportEntry]) -> TaskEntry:
    """Return a task with its supports, or with the one that all rows have."""
    if supports[0]["dir"] == "support":
        return {**entry, "support": supports[0]["pictures"]}
    return {**entry, "supports": supports}


def copy_images(source: Path, target: Path, queries: Sequence[str]) -> int:
    """Copy the images of those queries that `source` has (a row may have fewer than the first); return how
    many it was.
    """
    files = [source / f"{q}.png" for q in queries if (source / f"{q}.png").exists()]
    for image in files:
        copy_file(image, target / image.name)
    return len(files)


def records(
    results: Mapping[str, Sequence[SceneScore]], sets: Mapping[str, Mapping[str, SetRecord]] = {}
) -> list[Record]:
    """Return one record per number, in the order of rows, tasks, queries, metrics; behind a task's queries what is said
    of its set of outputs, behind a row's tasks what is said of all of them together.
    """
    numbers: list[Record] = []
    for row, tasks in results.items():
        for task in tasks:
            scored = {str(q): scores for q, scores in enumerate(task["queries"])} | {SET: task.get("sets", {})}
            numbers += [
                Record(row, task["task"], query, metric, float(value))
                for query, scores in scored.items()
                for metric, value in scores.items()
            ]
        known = {name: record["value"] for name, record in sets.get(row, {}).items()}
        numbers += [Record(row, ALL_TASKS, SET, name, value) for name, value in known.items() if value is not None]
    return numbers
