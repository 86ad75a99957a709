"""Writes the folder of a finished run: recipe, provenance, results, pictures, log."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from metai2i.batch import Batch
from metai2i.data.images import save_map, save_photo, slugs
from metai2i.errors import UserError
from metai2i.files import copy_file, read_json, write_json, write_text
from metai2i.pipeline.assemble import Assembler, scored_tasks
from metai2i.pipeline.plan import PlannedRow
from metai2i.pipeline.stage_store import StageStore, read_log, read_marker
from metai2i.randomness import Randomness
from metai2i.recipe import Recipe, dump_yaml
from metai2i.recipe.schema import Row
from metai2i.run_folder.files import list_files
from metai2i.run_folder.provenance import describe
from metai2i.run_folder.results import MOST, Record, is_number, write_results
from metai2i.run_folder.spec_json import spec_data
from metai2i.tasks import SPLITS, TaskSpec
from metai2i.training.sealed import Broken

log = logging.getLogger("metai2i")

SHOWN_QUERIES = 5
"""Queries of a task whose pictures are kept."""

FURTHER = ("general", "reference")
"""What is kept of a row beside its output."""


def write_run(
    out: Path,
    recipe: Recipe,
    planned: Sequence[PlannedRow],
    told: Sequence[Mapping[str, Any]],
    store: StageStore,
    assembler: Assembler,
    about: Mapping[str, Any],
) -> None:
    """Writes a run into an empty folder.

    Args:
        out: the folder.
        told: what every stage says of itself, in the order in which they were done.
        about: what provenance the runner knows: the command, when it started, how long it took.
    """
    results = {one.name: read_json(store.folder(one.evaluate) / "results.json") for one in planned}
    write_text(out / "recipe.yaml", dump_yaml(recipe.resolved))
    write_log(out / "log.jsonl", told, store)
    write_images(out / "images", recipe.seed, planned, results, store, assembler)
    gone = sum(has_lost_files(store.root / stage["key"], stage["key"]) for stage in told)
    if gone:
        log.warning(
            "%s: %d of %d stages have lost files while the run was written; pictures or log lines may be missing",
            store.root,
            gone,
            len(told),
        )
    numbers = records(results)
    check_numbers(numbers)
    write_results(out / "results.csv", numbers)
    tasks = [(one["task"], len(one["queries"])) for one in next(iter(results.values()))]
    provenance = describe(assembler.registry, list(recipe.rows.values()), assembler.device) | {
        **{name: value for name, value in about.items() if name != "test_hash"},
        "data": {
            "fingerprint": fingerprint(assembler, planned[0].row),
            "test_tasks": len(tasks),
            "test_hash": about["test_hash"],
        },
        "measured": measured(numbers),
        "references": [one.name for one in planned if assembler.reference(one.row) is not None],
        "spec": specs(planned, assembler),
        "stages": list(told),
        "files": list_files(out),
    }
    write_json(out / "provenance.json", provenance)


def has_lost_files(folder: Path, key: str) -> bool:
    """Whether a finished stage's folder has its files no more, because somebody has taken them away."""
    try:
        return not all((folder / name).is_file() for name in read_marker(folder, key)["files"])
    except Broken:
        return True


def fingerprint(assembler: Assembler, row: Row) -> str:
    """What a row's data is, all of its splits, in 16 digits."""
    return sha256(repr([assembler.fingerprint(row, split) for split in SPLITS]).encode()).hexdigest()[:16]


def specs(planned: Sequence[PlannedRow], assembler: Assembler) -> list[dict[str, Any]]:
    """What the rows' translators were told of the data, each with its rows: they can be built again without it."""
    found: list[dict[str, Any]] = []
    for one in planned:
        data = spec_data(assembler.source(one.row).spec())
        known = next((each for each in found if {**each, "rows": None} == {"rows": None, **data}), None)
        if known is None:
            found.append({"rows": [one.name], **data})
        else:
            known["rows"].append(one.name)
    return found


def measured(numbers: Sequence[Record]) -> dict[str, Any]:
    """How much was measured of each row, by which a `results.csv` that has lost or gained lines is known."""
    rows: dict[str, list[Record]] = {}
    for record in numbers:
        rows.setdefault(record.row, []).append(record)
    return {
        row: {
            "tasks": len({record.task for record in of_row}),
            "queries": len({(record.task, record.query) for record in of_row}),
            "numbers": dict(Counter(record.metric for record in of_row)),
        }
        for row, of_row in rows.items()
    }


def check_numbers(numbers: Sequence[Record]) -> None:
    """Refuses numbers that no statistics can be made of.

    Raises:
        UserError: naming the metric and where it gave such a number.
    """
    wrong = next((record for record in numbers if not is_number(record.value)), None)
    if wrong is not None:
        raise UserError(
            f"the metric {wrong.metric!r} gave {wrong.value!r} for row {wrong.row!r}, task {wrong.task!r}, query "
            f"{wrong.query}; expected infinity or no more than {MOST:g} either side of 0",
            hint="mend the metric, or leave it out of evaluate.metrics",
        )


def holds_another(out: Path, recipe: Recipe) -> bool:
    """Whether the folder has a run of a recipe that says something else."""
    try:
        return (out / "recipe.yaml").read_bytes() != dump_yaml(recipe.resolved).encode("utf-8", "surrogatepass")
    except OSError:
        return False


def write_log(path: Path, told: Sequence[Mapping[str, Any]], store: StageStore) -> None:
    """All stages' logs, one after the other, each line with its stage and rows."""
    lines: list[str] = []
    for stage in told:
        about = {"stage": stage["name"], "key": stage["key"], "rows": stage["rows"]}
        logged = read_log(store.root / stage["key"], stage["key"])
        if logged is not None:
            lines += [json.dumps(about | line) for line in logged]
        elif (store.root / stage["key"] / "results.json").exists():
            scored = read_json(store.root / stage["key"] / "results.json")
            lines += [json.dumps(about | {"task": task["task"], "seconds": task["seconds"]}) for task in scored]
    write_text(path, "".join(f"{line}\n" for line in lines))


def write_images(
    images: Path,
    seed: int,
    planned: Sequence[PlannedRow],
    results: Mapping[str, Sequence[Mapping[str, Any]]],
    store: StageStore,
    assembler: Assembler,
) -> None:
    """Inputs, truth and every row's pictures of the first tasks, for the report.

    `index.json` says which folders of a task hold a row's output (`rows`), what its general model paints unadapted
    (`general`) and what photographs it was shown (`reference`). `support` names the pictures of the one support that
    all rows adapt to; where rows have different numbers of shots, `supports` has each: `shots`, `dir`, `rows` and
    `pictures`.
    """
    index: dict[str, dict[str, Any]] = {}
    pictured = {one.name: scored_tasks(one.row, assembler)[: one.row.evaluate.images] for one in planned}
    task_folders = slugs(task.id for tasks in pictured.values() for task in tasks)
    supports = support_folders(one.row.test_shots for one in planned)
    given = [name for folder in supports.values() for name in (folder, f"{folder}-structure")]
    row_folders = slugs(pictured, taken=("truth", "structure", *given, *FURTHER))
    for one in planned:
        row, spec = one.row, assembler.source(one.row).spec()
        found = store.folder(one.evaluate) / "images"
        aux = {task["task"]: [f"{name} ({score:.2f})" for name, score in task["aux"]] for task in results[one.name]}
        folders = slugs(task.id for task in pictured[one.name])  # as evaluate named them
        for task in pictured[one.name]:
            entry = index.setdefault(task.id, {"id": task.id, "dir": task_folders[task.id], "rows": {}, "aux": {}})
            shots = row.test_shots
            shown = entry.setdefault("supports", {})
            if shots not in shown:
                rng = Randomness((seed, "evaluate", task.id, 0))
                episode = task.episode(shots, row.test_queries, rng, assembler.augment(row))
                if not shown:
                    entry["queries"] = [str(q) for q in range(min(episode.query.size, SHOWN_QUERIES))]
                    queries = episode.query.select(range(len(entry["queries"])))
                    save_pairs(images / entry["dir"], "truth", "structure", queries, spec)
                given_to = supports[shots]
                save_pairs(images / entry["dir"], given_to, f"{given_to}-structure", episode.support, spec)
                pictures = [str(s) for s in range(episode.support.size)]
                shown[shots] = {"shots": shots, "dir": given_to, "rows": [], "pictures": pictures}
            shown[shots]["rows"].append(one.name)
            entry["rows"][one.name] = row_folders[one.name]
            entry["aux"] |= {one.name: aux[task.id]} if aux[task.id] else {}
            place = images / entry["dir"]
            copy_pictures(found / folders[task.id], place / row_folders[one.name], entry["queries"])
            for kind in FURTHER:
                target = f"{kind}/{row_folders[one.name]}"
                if copy_pictures(found / folders[task.id] / kind, place / target, entry["queries"]):
                    entry.setdefault(kind, {})[one.name] = target
    write_json(images / "index.json", {"tasks": [_listed(entry) for entry in index.values()]})


def support_folders(shots: Iterable[int]) -> dict[int, str]:
    """Return the folder of the support for each number of shots: `support` where all rows have the same."""
    numbers = sorted(set(shots))
    return {number: "support" if len(numbers) == 1 else f"support-{number}-shot" for number in numbers}


def save_pairs(place: Path, photos: str, maps: str, pairs: Batch, spec: TaskSpec) -> None:
    """Write the photographs of pairs to one folder of `place`, and their maps, where they have any, to another."""
    for n, photo in enumerate(pairs["target"]):
        save_photo(place / photos / f"{n}.png", photo)
    for n, structure in enumerate(pairs.get("structure", ())):
        save_map(place / maps / f"{n}.png", structure, spec)


def _listed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A task as `index.json` has it."""
    supports = list(entry["supports"].values())
    told = {"supports": supports} if supports[0]["dir"] != "support" else {"support": supports[0]["pictures"]}
    return {name: value for name, value in entry.items() if name != "supports"} | told


def copy_pictures(source: Path, target: Path, queries: Sequence[str]) -> int:
    """Copies the pictures of those queries that `source` has (a row may have fewer than the first); how many it was."""
    found = [source / f"{q}.png" for q in queries if (source / f"{q}.png").exists()]
    for picture in found:
        copy_file(picture, target / picture.name)
    return len(found)


def records(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Record]:
    """One record per number, in the order of rows, tasks, queries, metrics."""
    return [
        Record(row, task["task"], str(q), metric, float(value))
        for row, tasks in results.items()
        for task in tasks
        for q, scores in enumerate(task["queries"])
        for metric, value in scores.items()
    ]
