"""What plugins hand over, looked at before it is used: what is of a wrong type is told by the plugin and the method.

Python would say `'NoneType' object is not iterable` somewhere in the core, hours later.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, get_args

import torch
from torch import Tensor, nn

from metai2i.batch import Batch
from metai2i.errors import UserError, did_you_mean
from metai2i.field import Field, FieldKind, exemplified, is_exemplars
from metai2i.registry.declared import are_phases, is_names, is_rate, is_whole, of_kind, shown
from metai2i.registry.discovery import label_of
from metai2i.registry.options import describe_options
from metai2i.retriever import Match, Retriever
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Split, Task, TaskSource, TaskSpec
from metai2i.translator import Step, Translator

LARGEST_SIDE = 8192
"""Of an image, in pixels."""
MOST_CHANNELS = 65536
"""Of a structure."""


def refused(component: object, method: str, got: str, expected: str, hint: str | None = None) -> UserError:
    """Return the error of a component whose method gives something wrong."""
    component_class = type(component)
    return UserError(
        f"{method} of {component_class.__name__} ({label_of(component_class)}) gives {got}, expected {expected}",
        hint=hint,
    )


def check_spec(source: TaskSource) -> TaskSpec:
    """Return the spec of a task source.

    Raises:
        UserError: when it is no `TaskSpec`, or does not fit together.
    """
    spec: Any = source.spec()
    if not isinstance(spec, TaskSpec):
        raise refused(source, "spec()", shown(spec), "a TaskSpec")
    wrong = wrong_spec(spec)
    if wrong is not None:
        raise refused(source, "spec()", *wrong)
    if not is_names(source.provides):
        raise refused(source, "provides", shown(source.provides), "a set of names of fields")
    return spec


def wrong_spec(spec: TaskSpec) -> tuple[str, str] | None:
    """Return what is wrong with a spec and what would be right; None when nothing is."""
    size: Any = spec.size
    sized = isinstance(size, Sequence) and len(size) == 2 and all(is_whole(side, 1, LARGEST_SIDE) for side in size)
    channels, count = spec.structure_channels, f"a whole number from 0 to {MOST_CHANNELS}"
    each = f"{shown(channels)} of them, one for each channel, or none"
    rules = (
        (sized, f"the size {shown(size)}", f"(H, W) in pixels, each from 1 to {LARGEST_SIDE}"),
        (is_whole(channels, 0, MOST_CHANNELS), f"structure_channels {shown(channels)}", count),
        (is_whole(spec.domains, 0, MOST_CHANNELS), f"domains {shown(spec.domains)}", count),
        (is_names(spec.fields), f"the fields {shown(spec.fields)}", "a set of names"),
        (_per_channel(spec.classes, channels), f"classes {shown(spec.classes)}", each),
        (_per_channel(spec.palette, channels), f"palette {shown(spec.palette)}", each),
    )
    for holds, got, expected in rules:
        if not holds:
            return got, expected
    names: Any = spec.classes
    if not all(isinstance(name, str) for name in names):
        return f"the classes {shown(names)}", "names"
    also: Any = spec.also
    if not isinstance(also, Mapping):
        return f"also {shown(also)}", "a mapping from names of fields to Field"
    for name, known in also.items():
        if (strange := wrong_field(name, known, channels)) is not None:
            return strange
    wrong = next((colour for colour in spec.palette if not _colour(colour)), None)
    return None if wrong is None else (f"the colour {shown(wrong)}", "(R, G, B), each from 0 to 255")


def wrong_field(name: Any, known: Any, structure_channels: int) -> tuple[str, str] | None:
    """Return what is wrong with what a spec says of a field and what would be right; None when nothing is."""
    if not isinstance(name, str) or not isinstance(known, Field):
        return f"{shown(known)} for the field {shown(name)}", "a Field for each name"
    if is_exemplars(name):
        return f"the field {name!r} in also", f"{exemplified(name)!r} alone: fields of exemplars are as those"
    least, kinds = int(known.kind in ("onehot", "map")), get_args(FieldKind)
    coloured = isinstance(known.palette, Sequence) and all(map(_colour, known.palette))
    rules = (
        (
            known.kind in kinds,
            f"the kind {shown(known.kind)}",
            f"one of {', '.join(kinds)}",
        ),
        (is_whole(known.channels, least, MOST_CHANNELS), f"{shown(known.channels)} channels", f"{least} or more"),
        (
            name != "structure" or known.channels == structure_channels,
            f"{known.channels} channels",
            f"{structure_channels}, as structure_channels says",
        ),
        (not known.drawn or known.kind == "map", f"drawn=True with the kind {shown(known.kind)}", "it of a map alone"),
        (_per_channel(known.names, known.channels), f"names {shown(known.names)}", "one for each channel, or none"),
        (_per_channel(known.palette, known.channels), f"palette {shown(known.palette)}", "one colour each, or none"),
        (coloured, f"palette {shown(known.palette)}", "(R, G, B), each from 0 to 255"),
    )
    wrong = next(((got, expected) for holds, got, expected in rules if not holds), None)
    return None if wrong is None else (f"{wrong[0]} for the field {name!r}", wrong[1])


def _per_channel(values: Any, channels: int) -> bool:
    return isinstance(values, Sequence) and not isinstance(values, str) and len(values) in (0, channels)


def _colour(colour: Any) -> bool:
    return isinstance(colour, Sequence) and len(colour) == 3 and all(is_whole(each, 0, 255) for each in colour)


def check_tasks(source: TaskSource, split: Split) -> Sequence[Task]:
    """Return the scenes of a split.

    Raises:
        UserError: when they are no sequence of tasks, or when a scene has no id, that of another, or no sample.
    """
    tasks: Any = source.tasks(split)
    method = f"tasks({split!r})"
    if not isinstance(tasks, Sequence) or isinstance(tasks, str):
        raise refused(source, method, shown(tasks), "a list of tasks")
    for task in tasks:
        if not isinstance(task, Task):
            raise refused(source, method, shown(task), "tasks only")
        name: Any = getattr(task, "id", None)
        if not isinstance(name, str) or not name.strip() or not readable(name):
            expected = "a text with at least one letter, without control characters"
            raise refused(source, method, f"a scene with the id {shown(name)}", expected)
        if name == "*":
            raise refused(source, method, "a scene with the id '*'", "another, for that stands for all scenes together")
        if not is_whole(length_of(task, source, method), 1, 2**40):
            raise refused(source, method, f"the scene {name!r} of {shown(len(task))} samples", "one or more")
    twice = [name for name, count in Counter(task.id for task in tasks).items() if count > 1]
    if twice:
        raise refused(source, method, f"several scenes with the id {twice[0]!r}", "one id for each")
    task_list: Sequence[Task] = tasks
    return task_list


def remarks_of(source: TaskSource) -> Sequence[str]:
    """Return what a task source says of the files that it has read.

    Raises:
        UserError: when it is no list of texts.
    """
    remarks: Any = source.remarks()
    if not isinstance(remarks, Sequence) or isinstance(remarks, str) or not all(isinstance(r, str) for r in remarks):
        raise refused(source, "remarks()", shown(remarks), "a list of texts")
    return list(remarks)


def length_of(task: Task, source: TaskSource, method: str) -> int:
    """Return how many samples a scene has.

    Raises:
        UserError: when Python does not take what it says for a length.
    """
    try:
        return len(task)
    except (TypeError, ValueError, OverflowError) as error:
        what = f"the scene {task.id!r}, whose len() fails ({error})"
        raise refused(source, method, what, "a number of samples") from error


def readable(name: str) -> bool:
    """Return whether a name has no control characters and can be written as UTF-8."""
    return not any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) <= 0xDFFF for letter in name)


def check_sample(source: TaskSource, task: Task) -> None:
    """Refuse a scene whose first sample is not what its source says of it.

    Raises:
        UserError: naming the field.
    """
    batch: Any = task.load([0])
    method, spec = f"load([0]) of the scene {task.id!r}", source.spec()
    if not isinstance(batch, Batch):
        raise refused(source, method, of_kind(batch), "a Batch")
    missing = sorted(source.provides - set(batch))
    if missing:
        raise refused(source, method, f"no {', '.join(missing)}", f"the fields {', '.join(sorted(source.provides))}")
    if batch.size != 1:
        raise refused(source, method, f"{batch.size} samples", "1, as many as were asked for")
    for name, tensor in batch.items():
        known = spec.known_field(name)
        if known is not None:
            shape = known.shape(spec.size)
            wanted = tuple(tensor.shape) if shape is None else (1, *shape)
            numbers, fits = (
                ("int64", tensor.dtype == torch.int64) if known.is_whole else ("floats", tensor.is_floating_point())
            )
            if tuple(tensor.shape) != wanted or not fits:
                raise refused(
                    source, method, f"{name} {tuple(tensor.shape)} of {tensor.dtype}", f"{wanted} of {numbers}"
                )
            if not bool(torch.isfinite(tensor).all()):
                raise refused(source, method, f"values of {name} that are not finite", "finite ones")


def check_translator(translator: Translator) -> None:
    """Refuse a translator whose players, phases, rates or fields cannot be worked with.

    Raises:
        UserError: naming the translator and what it gives.
    """
    players: Any = translator.players()
    if not isinstance(players, Mapping) or not players or not all(isinstance(name, str) for name in players):
        raise refused(translator, "players()", shown(players), "the parameters of each player by its name")
    owner: dict[int, str] = {}
    for player, parameters in players.items():
        check_player(translator, player, parameters, owner)
    phases: Any = translator.phases
    if not are_phases(phases):
        raise refused(translator, "phases", shown(phases), "a tuple of different names")
    rates: Any = translator.rates
    if not isinstance(rates, Mapping):
        raise refused(translator, "rates", shown(rates), "a mapping from players to multiples of the recipe's rate")
    for player, rate in rates.items():
        if player not in players:
            raise refused(translator, "rates", f"one for {shown(player)}", f"players ({', '.join(players)})")
        if not is_rate(rate):
            raise refused(translator, "rates", f"{shown(rate)} for {player!r}", "a finite number of 0 or more")
    options = [option.name for option in describe_options(type(translator))] if translator.paint_options else []
    for name in sorted(translator.paint_options):
        if name not in options:
            hint = did_you_mean(name, options)
            raise refused(translator, "paint_options", shown(name), "names of options of its constructor", hint)
    if not is_names(translator.needs):
        raise refused(translator, "needs", shown(translator.needs), "a set of names of fields")


def check_player(translator: Translator, player: str, parameters: Any, owner: dict[int, str]) -> None:
    """Refuse a player without parameters that an optimiser could take.

    Args:
        owner: whose each parameter is, by its id; added to.

    Raises:
        UserError: naming the translator and the player.
    """
    method = f"players()[{player!r}]"
    try:
        listed = list(parameters)
    except TypeError:
        raise refused(translator, method, shown(parameters), "parameters") from None
    if not listed:
        raise refused(translator, method, "no parameters", "one at least")
    names = {id(p): name for name, p in translator.named_parameters()}
    for each in listed:
        what = names.get(id(each), of_kind(each))
        if isinstance(each, nn.parameter.UninitializedParameter):
            hint = "lazy modules do not know their sizes before the first batch: use ordinary ones"
            raise refused(translator, method, f"{what}, which is not initialised", "parameters with values", hint)
        if not isinstance(each, nn.Parameter) or not each.requires_grad:
            raise refused(translator, method, what, "nn.Parameters that require gradients")
        if each.is_meta:
            raise refused(translator, method, f"{what} on the device meta", "parameters with values")
        if owner.setdefault(id(each), player) != player:
            raise refused(translator, method, f"{what}, which {owner[id(each)]!r} has too", "parameters of its own")


def check_strategy(strategy: MetaStrategy, shots: int, queries: int) -> None:
    """Refuse a prepared strategy whose declarations cannot be worked with.

    Raises:
        UserError: naming the strategy and what it gives.
    """
    if not isinstance(strategy.meta, bool):
        raise refused(strategy, "meta", shown(strategy.meta), "True or False")
    if strategy.order not in ("first", "second"):
        raise refused(strategy, "order", shown(strategy.order), "'first' or 'second'")
    learned: Any = strategy.meta_parameters()
    if not isinstance(learned, Mapping) or not all(isinstance(p, nn.Parameter) for p in learned.values()):
        raise refused(strategy, "meta_parameters()", shown(learned), "nn.Parameters by name")
    if not all(isinstance(name, str) and name for name in learned):
        raise refused(strategy, "meta_parameters()", f"the names {shown(list(learned))}", "texts")
    wild = [name for name, p in learned.items() if isinstance(p, nn.parameter.UninitializedParameter) or p.is_meta]
    if wild:
        raise refused(strategy, "meta_parameters()", f"{wild[0]!r} without values", "parameters with values")
    cost: Any = strategy.cost(shots, queries)
    if not is_whole(cost, int(strategy.meta), 2**40):
        expected = f"a whole number of {int(strategy.meta)} or more samples"
        raise refused(strategy, f"cost({shots}, {queries})", shown(cost), expected)
    choices: Any = strategy.choices()
    if not isinstance(choices, Mapping) or not all(isinstance(t, str) for item in choices.items() for t in item):
        raise refused(strategy, "choices()", shown(choices), "texts by the options' names")


def adapted_by(strategy: MetaStrategy, gp: Translator, support: Batch, step: Step) -> Translator:
    """Return what a strategy makes of a support.

    Raises:
        UserError: naming the strategy, when it is no translator.
    """
    adapted: Any = strategy.adapt(gp, support, step)
    if not isinstance(adapted, Translator):
        raise refused(strategy, "adapt()", of_kind(adapted), "a Translator")
    return adapted


def matches_of(retriever: Retriever, support: Batch, k: int) -> Sequence[Match]:
    """Return the scenes that a retriever gives for a support.

    Raises:
        UserError: naming the retriever, when they are no list of at most `k` matches with numbers as scores.
    """
    matches: Any = retriever.query(support, k)
    if not isinstance(matches, Sequence) or not all(isinstance(match, Match) for match in matches):
        raise refused(retriever, "query()", shown(matches), "a list of Match")
    if len(matches) > k:
        raise refused(retriever, "query()", f"{len(matches)} scenes", f"{k} at most")
    for match in matches:
        score: Any = match.score.item() if isinstance(match.score, Tensor) and match.score.numel() == 1 else match.score
        if not isinstance(match.task, Task) or not isinstance(score, Real) or not math.isfinite(float(score)):
            got = f"{shown(match.task)} with the score {shown(match.score)}"
            raise refused(retriever, "query()", got, "tasks with finite scores")
    return list(matches)
