"""What is refused before anything is trained."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from metai2i.data.images import to_uint8
from metai2i.errors import UserError, counted
from metai2i.guards.handed_over import check_sample, check_spec, check_strategy, check_tasks, check_translator
from metai2i.losses.lpips import SMALLEST
from metai2i.losses.objective import Objective
from metai2i.meta.preparing import prepare_strategy
from metai2i.metric import Metric, SetMetric
from metai2i.pipeline.assemble import Assembler, scored_tasks
from metai2i.pipeline.plan import frozen_networks
from metai2i.pipeline.starts import check_starts
from metai2i.randomness import Randomness
from metai2i.recipe import Recipe, Row
from metai2i.registry.options import describe_options
from metai2i.stages.tune import candidates
from metai2i.tasks import Task, TaskSource, batch_digest
from metai2i.training.driving import drawn_by
from metai2i.training.named_players import check_players
from metai2i.translator import Step, Translator


def check_row(name: str, row: Row, assembler: Assembler) -> None:
    """Go through all that can be known of a row before anything is trained.

    Raises:
        UserError: for what would fail hours later.
    """
    source = assembler.source(row)
    check_spec(source)
    for split in dict.fromkeys(("train", row.evaluate.split, *(("val",) if row.tune is not None else ()))):
        for task in check_tasks(source, split)[:1]:
            check_sample(source, task)
    tasks = scored_tasks(row, assembler)
    if not tasks or not source.tasks("train"):
        empty = "train" if tasks else row.evaluate.split
        raise UserError(f"row {name!r}: the task source {row.tasks.use!r} has no {empty} tasks")
    check_lengths(name, row, assembler)
    if row.tune is not None and not source.tasks("val"):
        raise UserError(
            f"row {name!r} is tuned on validation scenes, and the task source {row.tasks.use!r} has none",
            hint=f"{_set_aside(assembler, row)}, or leave `tune` out",
        )
    # Constructors know which sizes they can take, and LPIPS says at once when its weights are nowhere.
    check_perceptual(name, row, source.spec().size)
    try:
        check_precision(row, assembler)
        assembler.sampling(row)
    except UserError as error:
        raise UserError(f"row {name!r}: {error.what}", hint=error.hint) from None
    translator, strategy = assembler.translator(row), assembler.strategy(row)
    check_translator(translator)
    check_read(name, row, source, translator.needs | strategy.needs, assembler)
    named: dict[str, Iterable[str]] = {
        "adapt.freeze": row.adapt.freeze,
        "metatrain.freeze": row.metatrain.freeze,
        "pretrain.players": row.pretrain.players,
    }
    for key, average in (("pretrain", row.pretrain.average), ("metatrain", row.metatrain.average)):
        named[f"{key}.average.players"] = average.players if average else ()
    for key, names in named.items():
        check_players(key, names, translator)
    check_as_new(row, assembler, translator)
    prepare_strategy(strategy, translator, assembler.seed)
    check_strategy(strategy, row.episodes.shots, row.episodes.queries)
    reference = assembler.reference(row)
    if reference is not None:
        reference.listed(source.tasks("train"))
    assembler.unindexed(row)
    assembler.metrics(row)
    if row.tune is not None and row.tune.match is None:
        assembler.metrics(candidates(row, row.tune)[0][1])
    for net in sorted(networks_of(row, assembler)):
        assembler.networks([net])
    frozen_networks(row, assembler)


def _set_aside(assembler: Assembler, row: Row) -> str:
    """Return how some scenes of a row's task source are set aside to validate, in words."""
    options = [option.name for option in describe_options(assembler.registry.get("task source", row.tasks.use))]
    limits = ("val_tasks",)  # of how many are taken
    names = [f"tasks.{name}" for name in options if name.split("_")[0] == "val" and name not in limits]
    if not names:
        return "take a source with more of them"
    return f"{' or '.join(names)} {'set' if len(names) > 1 else 'sets'} some aside"


def check_as_new(row: Row, assembler: Assembler, translator: Translator) -> None:
    """Refuse episodes of new domains where the translator has nothing for one, and scenes that test of known domains.

    Raises:
        UserError: saying why.
    """
    sampling = assembler.sampling(row)
    if sampling.as_new is None:
        return
    here, plain = Step(Randomness(("as new",))), replace(sampling, as_new=None)
    for task in scored_tasks(row, assembler) if row.evaluate.split == "test" else ():
        episode = plain.episode(task, row.test_shots, row.test_queries, here.rng, unseen=True)
        if sampling.as_new.known_domain(episode) is not None:
            what = f"episodes.as_new: {task.id!r} tests a domain that trains, which would be asked for as a new one"
            raise UserError(what, hint="let other domains test, such as tasks.unseen, or leave as_new out")
    shots, queries = row.episodes.shots, row.episodes.queries
    long_enough = [task for task in assembler.source(row).tasks("train") if len(task) >= shots + queries]
    for task in long_enough[:1]:
        drawn_by(translator, sampling.episode(task, shots, queries, here.rng).query, here)


def check_read(name: str, row: Row, source: TaskSource, reads: frozenset[str], assembler: Assembler) -> None:
    """Refuse a row that passes over a field without which the samples are not what they seem.

    Args:
        reads: what its translator and its strategy read.

    Raises:
        UserError: naming the field, and the strategies that read it.
    """
    unread = sorted(source.must_be_read - reads)
    if unread:
        strategies = assembler.registry.components("strategy").items()
        fitting = [other for other, each in strategies if set(unread) <= each.needs]
        raise UserError(
            f"row {name!r}: what the task source {row.tasks.use!r} gives with these options is to be read with its "
            f"{', '.join(unread)}, which neither the translator {row.translator.use!r} nor the strategy "
            f"{row.strategy.use!r} reads",
            hint=f"strategies that do: {', '.join(fitting) or 'none that is installed'}",
        )


def check_begun_row(name: str, recipe: Recipe, assembler: Assembler) -> None:
    """Refuse a row whose translator cannot begin with the weights that the recipe names.

    Raises:
        UserError: with the row, and the place in the recipe.
    """
    row = recipe.rows[name]
    if not row.start:
        return
    others = {other: partial(assembler.translator, each) for other, each in recipe.rows.items()}
    try:
        check_starts(row, assembler.translator(row), others, assembler.stores, recipe.start_places.get(name, {}))
    except UserError as error:
        raise UserError(f"row {name!r}: {error.what}", where=error.where, hint=error.hint) from error


def networks_of(row: Row, assembler: Assembler) -> set[str]:
    """Return the feature networks that a row looks through, as a loss, by its retriever, or as a metric that it is
    scored or tuned by.
    """
    objective = Objective(**row.objective)
    networks: set[str] = {objective.net} if objective.weights["perceptual"] else set()
    tuned = row.tune is not None and row.tune.match is None
    names = {*row.evaluate.metrics, *([row.tune.metric] if row.tune is not None and tuned else [])}
    components: list[type] = [assembler.registry.get("metric", name) for name in names]
    if row.retriever is not None:
        components.append(assembler.registry.get("retriever", row.retriever.use))
    return networks.union(*(getattr(component, "feature_networks", ()) for component in components))


def watched_metric(row: Row, main: str, assembler: Assembler) -> dict[str, Metric]:
    """Return by what the drift of the general model is watched: the main metric if it measures single images, else the
    first of the row's that does, else nothing.
    """
    names = sorted(row.evaluate.metrics, key=lambda name: name != main)
    classes = {name: assembler.registry.get("metric", name) for name in names}
    single = [name for name, each in classes.items() if not issubclass(each, SetMetric) and not each.several]
    return {name: metric for name, metric in assembler.metrics(row).items() if name == single[0]} if single else {}


def check_perceptual(name: str, row: Row, size: tuple[int, int]) -> None:
    """Refuse photographs that the feature network of the perceptual loss is too deep for.

    Args:
        size: (H, W) in pixels.

    Raises:
        UserError: saying what it needs.
    """
    objective = Objective(**row.objective)
    if objective.weights["perceptual"] and min(size) < SMALLEST[objective.net]:
        raise UserError(
            f"row {name!r}: objective.perceptual by {objective.net!r} needs photographs of at least "
            f"{SMALLEST[objective.net]} pixels a side, {row.tasks.use!r} gives {size[0]}x{size[1]}",
            hint="objective: {perceptual: 0} does without",
        )


def check_precision(row: Row, assembler: Assembler) -> None:
    """Refuse bf16 under a strategy that takes second derivatives.

    Raises:
        UserError: saying why.
    """
    if row.precision == "bf16" and assembler.strategy(row).order == "second":
        raise UserError(
            "precision bf16 does not go with second order: its rounding changes the generator's meta-gradient by about "
            "a quarter, eight times as much as second order does",
            hint="precision: fp32, or order: first",
        )


def check_out(out: Path) -> None:
    """Refuse a run folder that could not be written in the end."""
    place = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not place.is_dir():
        raise UserError("this is a file, expected a folder for the run", where=place, hint="--out names another")
    if not os.access(place, os.W_OK):
        raise UserError("this folder cannot be written", where=place, hint="--out names another")


def check_same_images(rows: Mapping[str, Row], assembler: Assembler) -> str:
    """Refuse rows that are scored on different images, which no paired comparison could hold together.

    Returns:
        a hash of all query images: runs can be compared exactly when theirs are equal.
    """
    known: dict[str, str] = {}
    digests: dict[str, str] = {}  # rows mostly share what decides their images, which are read once then
    for name, row in rows.items():
        deciding = repr((row.tasks, row.episodes, row.augment, row.evaluate))
        if deciding not in digests:
            digests[deciding] = image_digest(row, assembler)
        known[name] = digests[deciding]
    first = next(iter(known))
    other = next((name for name in known if known[name] != known[first]), None)
    if other is not None:
        raise UserError(
            f"rows {first!r} and {other!r} are scored on different images, so they cannot be compared",
            hint="put them into recipes of their own; tasks, episodes and evaluate decide the images",
        )
    return known[first]


def image_digest(row: Row, assembler: Assembler) -> str:
    """Return a hash of the query images of every draw of every scene that the row is scored on: of their photographs,
    or else of all their fields.
    """
    hasher = sha256()
    for task in scored_tasks(row, assembler):
        hasher.update(task.id.encode())
        for draw in range(row.episodes.draws):
            rng = Randomness((assembler.seed, "evaluate", task.id, draw))
            episode = task.episode(row.test_shots, row.test_queries, rng, assembler.augment(row))
            if "target" in episode.query:
                hasher.update(to_uint8(episode.query["target"]).numpy().tobytes())
            else:
                hasher.update(batch_digest(episode.query).encode())
    return hasher.hexdigest()[:16]


def check_lengths(name: str, row: Row, assembler: Assembler) -> None:
    """Refuse scenes that are too short for an episode."""
    source = assembler.source(row)
    if assembler.strategy(row).meta:
        train = source.tasks("train")
        if row.augment is None and any(len(task) == 1 for task in train):
            raise UserError(
                f"row {name!r}: training scenes of a single pair need `augment`, or support and query are equal",
                hint="set augment, or a strategy that does not meta-train",
            )
        # A training scene of a single pair is no obstacle: two augmentations of it are support and query.
        several = [task for task in train if len(task) > 1]
        refuse_short(name, "train", several, row.episodes.shots, row.episodes.queries)
    at_test = (row.test_shots, row.test_queries)
    refuse_short(name, row.evaluate.split, scored_tasks(row, assembler), *at_test)
    if row.tune is not None:
        refuse_short(name, "val", source.tasks("val")[: row.tune.tasks], *at_test, further=_set_aside(assembler, row))


def refuse_short(
    name: str, split: str, tasks: Sequence[Task], shots: int, queries: int, *, further: str | None = None
) -> None:
    """Refuse scenes of a split that have fewer pairs than a row's episodes take.

    Args:
        further: what else can be done about it.
    """
    short = [task for task in tasks if len(task) < shots + queries]
    if short:
        tasks_have = f"{counted(len(short), f'{split} task')} {'has' if len(short) == 1 else 'have'}"
        raise UserError(
            f"row {name!r}: {tasks_have} fewer pairs than {shots} shots + {queries} queries, "
            f"{short[0].id!r} has {len(short[0])}",
            hint="lower shots or queries, of episodes or of evaluate" + (f"; {further}" if further else ""),
        )
