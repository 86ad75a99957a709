"""From rows to stages: which work a recipe asks for, each piece once.

``start -> pretrain -> continued -> metatrain -> tune -> evaluate``; `start` (weights of another training or of a file),
`continued` (a plain continuation, for fair baselines), `metatrain` and `tune` (rates chosen on validation scenes) only
where the row has them. Two rows share a stage when
everything that determines it is the same.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from metai2i import __version__
from metai2i.data.digests import content_digest, content_digests
from metai2i.data.places import expanded
from metai2i.errors import UserError
from metai2i.losses.objective import Objective
from metai2i.pipeline.assemble import Assembler
from metai2i.pipeline.sources import core_files
from metai2i.pipeline.stage_store import Stage
from metai2i.pipeline.stage_weights import NOT_TRAINED
from metai2i.pipeline.starts import in_order
from metai2i.recipe.schema import Component, Pretrain, Row
from metai2i.registry.options import json_default
from metai2i.run_folder.provenance import installed

LIBRARIES = ("learn2learn", "lpips", "torchmetrics", "torchvision", "numpy", "scipy", "pillow", "safetensors")
"""Packages besides torch that numbers come from."""
LATER = frozenset({"way", "grid"})
"""Keys of `evaluate` that are null unless a recipe has a use for them."""


@dataclass(frozen=True)
class PlannedRow:
    """A row and the stages it runs through, evaluation last."""

    name: str
    row: Row
    stages: tuple[Stage, ...]

    @property
    def evaluate(self) -> Stage:
        """Return the stage that scores the row."""
        return self.stages[-1]


def plan(rows: Mapping[str, Row], assembler: Assembler, seed: int, images: str | None = None) -> list[PlannedRow]:
    """Return the stages of every row, in the order of the recipe.

    Args:
        images: a digest of the images that all rows are scored on; None where nobody has looked at them.
    """
    return [PlannedRow(name, row, stages_of(row, rows, assembler, seed, images)) for name, row in rows.items()]


def rows_alike(planned: Sequence[PlannedRow]) -> list[list[str]]:
    """Return the names of rows that are scored as one, since their settings are the same, one list for each score."""
    names: dict[str, list[str]] = {}
    for each in planned:
        names.setdefault(each.evaluate.key, []).append(each.name)
    return [alike for alike in names.values() if len(alike) > 1]


def stages_of(
    row: Row, rows: Mapping[str, Row], assembler: Assembler, seed: int, images: str | None = None
) -> tuple[Stage, ...]:
    """Return the chain of stages of one row."""
    strategy = assembler.strategy(row)
    about_strategy = {"strategy": component(assembler, "strategy", row.strategy), "episodes": shape(row)}
    reference = about_reference(row, assembler)
    testing = assembler.test_options(row)
    source = component(assembler, "task source", row.tasks, without=testing)
    about_inner = {"inner": row.adapt.model_dump(exclude={"iterations"}), "augment": row.augment}
    begun = start_of(row, rows, assembler, seed)
    stages = [
        Stage(
            "pretrain",
            {
                "core": {
                    "version": __version__,
                    "files": core_files(),
                    "packages": {"torch": str(torch.__version__), **computing()},
                },
                "device": assembler.device.type,
                "seed": seed,
                "translator": about_translator(row, assembler),
                "objective": row.objective,
                "networks": loss_networks(row, assembler),
                "tasks": source,
                "data": assembler.fingerprint(row, "train"),
                "augment": row.augment,
                "reference": reference,
                "colour_jitter": row.colour_jitter,
                "pretrain": about_training(row.pretrain),
                "precision": row.precision,
            },
            begun,
        )
    ]
    if row.continued is not None:
        changes = row.continued.model_dump(include={"lr", "anneal"})
        continued = {"iterations": continued_iterations(row, rows, assembler), **changes}
        stages.append(Stage("continued", continued, stages[-1]))
    if strategy.meta:
        training: dict[str, object] = {
            **about_strategy,
            **about_inner,
            "metatrain": row.metatrain.model_dump(exclude={"probe"}),
        }
        if trains_with_test_steps(row, assembler):
            training["steps"] = row.adapt.iterations
        stages.append(Stage("metatrain", training, stages[-1]))
    adapting = {**about_strategy, **about_inner, "adapt": row.adapt.model_dump(), "draws": row.episodes.draws}
    painting = about_painting(row, assembler)
    if row.tune is not None:
        # A row that is matched has the same training, so that its trials start from this row's model.
        tried = trying(row, rows)
        trials = about_trials(tried, assembler) | about_painting(tried, assembler)
        stages.append(Stage("tune", adapting | trials, stages[-1]))
    metrics = [dict(assembler.code("metric", name)) for name in row.evaluate.metrics]
    seen = {**about_test(row, testing), "data": assembler.fingerprint(row, row.evaluate.split), "images": images}
    retrieval = about_retrieval(row, assembler)
    scoring = {"retriever": retrieval, "evaluate": about_evaluation(row), "metrics": metrics, "seen": seen}
    stages.append(Stage("evaluate", {**adapting, **scoring, **painting}, stages[-1]))
    return tuple(stages if begun is None else [begun, *stages])


def start_of(row: Row, rows: Mapping[str, Row], assembler: Assembler, seed: int) -> Stage | None:
    """Return the stage that gathers what a row's training begins with; None where that is drawn.

    It is named by the numbers of the tensors, not by where they lie. Those of another row of the recipe are not there
    yet: its stage, which decides them, stands for them.
    """
    parts: dict[str, object] = {}
    others: dict[str, Stage] = {}
    for name, start in in_order(row):
        if start.file is None and start.run is None:
            chain = stages_of(rows[str(start.row)], rows, assembler, seed)
            others[name] = [stage for stage in chain if stage.name not in NOT_TRAINED][-1]
            parts[name] = {"stage": others[name].key, "part": start.part or name}
        else:
            parts[name] = {"tensors": assembler.start_digest(row, name, start)}
    return Stage("start", {"parts": parts}, None, others) if parts else None


def about_translator(row: Row, assembler: Assembler) -> dict[str, object]:
    """Return a translator for a stage's name; with the frozen networks that it asks for, if there are such.

    Raises:
        UserError: when the weights of one of them are not there.
    """
    record = component(assembler, "translator", trained_part(row, assembler))
    asked = frozen_networks(row, assembler)
    return {**record, "asked networks": asked} if asked else record


def frozen_networks(row: Row, assembler: Assembler) -> dict[str, str]:
    """Return digests of the frozen networks that a row's translator asks for.

    Raises:
        UserError: when the weights of one of them are not there, naming the translator.
    """
    try:
        return assembler.networks_asked(row)
    except UserError as error:
        hint = f"{error.hint}; `metai2i plugins {row.translator.use}` shows which option does without, if one does"
        what = f"the translator {row.translator.use!r} cannot be trained: {error.what}"
        raise UserError(what, where=error.where, hint=hint) from error


def about_training(settings: Pretrain) -> dict[str, object]:
    """Return what plain training is; with its parts only where a batch is not computed whole, so that names stay."""
    return settings.model_dump(exclude={"parts"} if settings.parts == 1 else None)


def about_reference(row: Row, assembler: Assembler) -> dict[str, object] | None:
    """Return what decides which exemplars a row's samples get; None where the host makes none."""
    if assembler.reference(row) is None:
        return None
    listed = row.reference.get("list")
    return row.reference if listed is None else {**row.reference, "list": content_digest(expanded(listed))}


def trained_part(row: Row, assembler: Assembler) -> Component:
    """Return the row's translator without the options that matter only when it makes images."""
    painting = assembler.paint_options(row)
    options = {name: value for name, value in row.translator.options.items() if name not in painting}
    return row.translator.model_copy(update={"options": options})


def about_painting(row: Row, assembler: Assembler) -> dict[str, object]:
    """Return what decides how images are made and not what is trained, if there are options for that."""
    painting = assembler.paint_options(row)
    options = {name: value for name, value in row.translator.options.items() if name in painting}
    return {"painting": about_options(options)} if options else {}


def about_test(row: Row, testing: Collection[str]) -> dict[str, object]:
    """Return the task source's options that matter only for what is tested, with what is in files that they name."""
    options = plain(row.tasks.options)
    given = {name: value for name, value in row.tasks.options.items() if name in testing}
    return {"tasks": {name: options.get(name) for name in sorted(testing)}, **option_files(given)}


def about_evaluation(row: Row) -> dict[str, object]:
    """Return what a row's evaluation is; keys that came later only where they say something, so that names stay."""
    return {key: value for key, value in row.evaluate.model_dump().items() if key not in LATER or value is not None}


def trains_with_test_steps(row: Row, assembler: Assembler) -> bool:
    """Return whether a strategy meta-trains with as many inner steps as `adapt.iterations` says, as its cost tells."""
    adapt = row.adapt.model_copy(update={"iterations": row.adapt.iterations + 1})
    longer = assembler.strategy(row.model_copy(update={"adapt": adapt}))
    shots, queries = row.episodes.shots, row.episodes.queries
    return longer.cost(shots, queries) != assembler.strategy(row).cost(shots, queries)


def about_trials(row: Row, assembler: Assembler) -> dict[str, object]:
    """Return what decides the rate and the steps that are chosen for a row that tries some."""
    assert row.tune is not None
    tuning = {**row.tune.model_dump(), "metric": dict(assembler.code("metric", row.tune.metric))}
    tried = row.adapt.model_dump() | ({} if row.tune.at is None else {"iterations": row.tune.at})
    seen: dict[str, object] = {"shots": row.test_shots, "queries": row.test_queries}
    seen |= {"data": assembler.fingerprint(row, "val"), "samples": row.evaluate.samples, "real": row.evaluate.real}
    seen |= {} if row.evaluate.way is None else {"way": row.evaluate.way}
    return {"adapt": tried, "retriever": about_retrieval(row, assembler), "tune": tuning, "seen": seen}


def about_retrieval(row: Row, assembler: Assembler) -> dict[str, object] | None:
    """Return what decides which training scenes are retrieved for a row, and what is done with them; None for none."""
    if row.retriever is None:
        return None
    retriever = component(assembler, "retriever", row.retriever)
    of_no_effect = {"rows"} if row.aux.into == "model" else {"iterations", "tasks", "lr"}
    aux = row.aux.model_dump(exclude=of_no_effect)
    return {**retriever, "k": row.retriever.k, "aux": aux, "lr": row.metatrain.lr}


def trying(row: Row, rows: Mapping[str, Row]) -> Row:
    """Return the row whose trials decide with what `row` adapts: itself, or the one that its `tune.match` names."""
    return row if row.tune is None or row.tune.match is None else rows[row.tune.match]


def continued_iterations(row: Row, rows: Mapping[str, Row], assembler: Assembler) -> int:
    """Return how long the plain continuation is: as said, or as many samples as another row's meta-training takes."""
    assert row.continued is not None
    if row.continued.iterations is not None:
        return row.continued.iterations
    matched = rows[str(row.continued.match)]
    strategy = assembler.strategy(matched)
    if not strategy.meta:
        raise UserError(
            f"continued.match names {row.continued.match!r}, which has no meta-training to match",
            hint="name a row whose strategy meta-trains, or give continued.iterations",
        )
    samples = strategy.cost(matched.episodes.shots, matched.episodes.queries)
    return -(-matched.metatrain.iterations * matched.metatrain.tasks * samples // row.pretrain.batch)


def component(assembler: Assembler, kind: str, section: Component, without: Collection[str] = ()) -> dict[str, object]:
    """Return a component for a stage's name: which code it is, its options, and what is in files that these name.

    Args:
        without: names of options that are left out.
    """
    return {**assembler.code(kind, section.use), **about_options(section.options, without)}


def about_options(options: Mapping[str, Any], without: Collection[str] = ()) -> dict[str, object]:
    """Return options for a stage's name, with what is in files that they name.

    Args:
        without: names of options that are left out.
    """
    left = {name: value for name, value in options.items() if name not in without}
    return {"options": plain(left), **option_files(left)}


def option_files(options: Mapping[str, Any]) -> dict[str, object]:
    """Return digests of the files that options name, by the options' names; nothing where none is a file."""
    named = [(name, value) for name, value in options.items() if is_file(value)]
    digests = content_digests([value for _, value in named])
    return {"option files": dict(zip((name for name, _ in named), digests, strict=True))} if named else {}


def plain(options: Mapping[str, object]) -> dict[str, object]:
    """Return options as JSON has them, by the order of their names."""
    data: dict[str, object] = json.loads(json.dumps(options, default=json_default, sort_keys=True))
    return data


def is_file(value: object) -> bool:
    """Return whether the value of an option is a file that is there."""
    try:
        return isinstance(value, Path) and value.is_file()
    except OSError:  # the component tells what is wrong with it
        return False


def loss_networks(row: Row, assembler: Assembler) -> dict[str, str]:
    """Return digests of the feature networks that the row's loss looks through."""
    objective = Objective(**row.objective)
    return assembler.networks([objective.net] if objective.weights["perceptual"] else [])


def computing() -> dict[str, str | None]:
    """Return the versions of the packages besides torch that numbers come from: clones, features, SSIM, decoding."""
    return {name: installed(name) for name in LIBRARIES}


def shape(row: Row) -> dict[str, object]:
    """Return what decides episodes of training; keys that came later only where they say something, so that names
    stay.
    """
    as_new = {"as_new": True} if row.episodes.as_new else {}
    return {"shots": row.episodes.shots, "queries": row.episodes.queries, **as_new}
