"""What plugins hand over in a wrong type is told by the plugin and the method."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from metai2i_baselines import FineTune
from metai2i_bil import Bil
from torch import nn
from toys import LastTasks, Toy, ToySource, ToyTask

from metai2i import Adaptation, Batch, Match, Step, TaskSpec, UserError
from metai2i.guards.handed_over import (
    adapted_by,
    check_sample,
    check_spec,
    check_strategy,
    check_tasks,
    check_translator,
    matches_of,
)

SPEC = TaskSpec(structure_channels=3, size=(16, 16), classes=("a", "b", "c"))


def message(call, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)
    return caught.value.what


def named(name) -> ToyTask:
    task = ToyTask("x", 3)
    task.id = name
    return task


SPECS = {
    "None": (None, "gives None, expected a TaskSpec"),
    "no size": (replace(SPEC, size=16), "gives the size 16, expected (H, W) in pixels, each from 1 to 8192"),
    "a size of three": (replace(SPEC, size=(3, 16, 16)), "gives the size (3, 16, 16), expected (H, W) in pixels"),
    "a side of 0": (replace(SPEC, size=(0, 16)), "gives the size (0, 16)"),
    "a huge side": (replace(SPEC, size=(100_000, 16)), "gives the size (100000, 16)"),
    "sides that are no whole numbers": (replace(SPEC, size=(16.0, True)), "gives the size (16.0, True)"),
    "channels below 0": (replace(SPEC, structure_channels=-1), "gives structure_channels -1"),
    "too few names": (replace(SPEC, classes=("a",)), "gives classes ('a',), expected 3 of them"),
    "a colour of two": (replace(SPEC, palette=((0, 0),) * 3), "gives the colour (0, 0), expected (R, G, B)"),
    "a colour out of range": (replace(SPEC, palette=((0, 0, 256),) * 3), "gives the colour (0, 0, 256)"),
    "one name of fields": (replace(SPEC, fields="structure"), "gives the fields 'structure', expected a set of names"),
}


@pytest.mark.parametrize("what", SPECS)
def test_a_spec_that_does_not_fit_together(what):
    spec, wrong = SPECS[what]
    source = ToySource()
    source.spec = lambda: spec
    said = message(check_spec, source)
    assert said.startswith("spec() of ToySource (")
    assert wrong in said


TASKS = {
    "None": (lambda: None, "gives None, expected a list of tasks"),
    "a generator": (lambda: (task for task in [named("a")]), "expected a list of tasks"),
    "names": (lambda: ["a"], "gives 'a', expected tasks only"),
    "an id that is a number": (lambda: [named(3)], "gives a scene with the id 3, expected a text"),
    "an empty id": (lambda: [named("")], "gives a scene with the id '', expected a text with at least one letter"),
    "an id of blanks": (lambda: [named("  ")], "gives a scene with the id '  '"),
    "an id with a null byte": (lambda: [named("a\0b")], "gives a scene with the id 'a\\x00b'"),
    "an id that is no UTF-8": (lambda: [named("a\udce9")], "gives a scene with the id 'a\\udce9'"),
    "an id that comes twice": (lambda: [named("a"), named("a")], "gives several scenes with the id 'a', expected one"),
    "no samples": (lambda: [ToyTask("a", 0)], "gives the scene 'a' of 0 samples, expected one or more"),
    "a length below 0": (lambda: [ToyTask("a", -1)], "gives the scene 'a', whose len() fails"),
    "a length that is no number": (lambda: [ToyTask("a", "3")], "gives the scene 'a', whose len() fails"),
}


@pytest.mark.parametrize("what", TASKS)
def test_scenes_that_cannot_be_worked_with(what):
    make, wrong = TASKS[what]
    source = ToySource()
    source.tasks = lambda split: make()
    said = message(check_tasks, source, "train")
    assert said.startswith("tasks('train') of ToySource (")
    assert wrong in said


def test_ids_in_other_scripts_and_with_spaces_are_all_right():
    source = ToySource()
    names = ["李娜", "caf\xe9 1", "no\xa0break", "a/b"]
    source.tasks = lambda split: [named(name) for name in names]
    assert [task.id for task in check_tasks(source, "train")] == names


FULL = ToyTask("a", 3).load([0])
SAMPLES = {
    "a dict": (dict(FULL), "gives a dict, expected a Batch"),
    "no photograph": (Batch(structure=FULL["structure"]), "gives no target, expected the fields structure, target"),
    "two samples": (ToyTask("a", 3).load([0, 1]), "gives 2 samples, expected 1"),
    "another size": (FULL.map(lambda t: t[..., :8]), "(1, 3, 16, 8) of torch.float32, expected (1, 3, 16, 16)"),
    "bytes": (FULL.map(torch.Tensor.byte), "of torch.uint8, expected (1, 3, 16, 16) of floats"),
    "NaN": (FULL.replace(target=FULL["target"] * float("nan")), "gives values of target that are not finite"),
}


@pytest.mark.parametrize("what", SAMPLES)
def test_a_sample_that_is_not_what_the_source_says(what):
    batch, wrong = SAMPLES[what]
    task = ToyTask("a", 3)
    task.load = lambda indices: batch
    said = message(check_sample, ToySource(), task)
    assert said.startswith("load([0]) of the scene 'a' of ToySource (")
    assert wrong in said


def changed(**attributes) -> Toy:
    toy = Toy(spec=SPEC)
    for name, value in attributes.items():
        setattr(toy, name, value)
    return toy


def lazy() -> Toy:
    toy = Toy(spec=SPEC)
    toy.generator = nn.LazyConv2d(3, 1)
    return toy


def frozen() -> Toy:
    toy = Toy(spec=SPEC)
    toy.generator.bias.requires_grad_(False)
    return toy


SHARED = nn.Parameter(torch.zeros(1))
TRANSLATORS = {
    "players None": (lambda: changed(players=lambda: None), "players() of Toy", "gives None, expected the parameters"),
    "no players": (lambda: changed(players=dict), "players() of Toy", "gives {}"),
    "a player that is a number": (lambda: changed(players=lambda: {"g": 3}), "players()['g']", "gives 3, expected par"),
    "a player of nothing": (lambda: changed(players=lambda: {"g": []}), "players()['g']", "gives no parameters"),
    "a player of tensors": (
        lambda: changed(players=lambda: {"g": [torch.zeros(1)]}),
        "players()['g']",
        "expected nn.Parameters that require gradients",
    ),
    "a parameter of two": (
        lambda: changed(players=lambda: {"g": [SHARED], "h": [SHARED]}),
        "players()['h']",
        "which 'g' has too, expected parameters of its own",
    ),
    "a lazy module": (lazy, "players()['generator']", "generator.weight, which is not initialised"),
    "a frozen parameter": (frozen, "players()['generator']", "gives generator.bias, expected nn.Parameters that"),
    "on no device": (lambda: Toy(spec=SPEC).to("meta"), "players()['discriminator']", "on the device meta"),
    "one phase as a text": (lambda: changed(phases="train"), "phases of Toy", "gives 'train', expected a tuple"),
    "a phase twice": (lambda: changed(phases=("a", "a")), "phases of Toy", "gives ('a', 'a')"),
    "no phases": (lambda: changed(phases=()), "phases of Toy", "gives ()"),
    "rates in a list": (lambda: changed(rates=[0.1]), "rates of Toy", "gives [0.1], expected a mapping"),
    "a rate of nobody": (lambda: changed(rates={"x": 1}), "rates of Toy", "gives one for 'x', expected players"),
    "a rate below 0": (lambda: changed(rates={"generator": -1}), "rates of Toy", "gives -1 for 'generator'"),
    "a rate that is NaN": (lambda: changed(rates={"generator": float("nan")}), "rates of Toy", "gives nan for"),
    "a rate that is a text": (lambda: changed(rates={"generator": "1"}), "rates of Toy", "gives '1' for 'generator'"),
    "needs as a text": (lambda: changed(needs="target"), "needs of Toy", "gives 'target', expected a set of names"),
}


@pytest.mark.parametrize("what", TRANSLATORS)
def test_a_translator_that_cannot_be_worked_with(what):
    make, begins, wrong = TRANSLATORS[what]
    said = message(check_translator, make())
    assert said.startswith(begins)
    assert wrong in said


STRATEGIES = {
    "meta": (1, "meta of Bil", "gives 1, expected True or False"),
    "order": ("third", "order of Bil", "gives 'third', expected 'first' or 'second'"),
    "meta_parameters": (lambda: [nn.Parameter(torch.zeros(1))], "meta_parameters() of Bil", "nn.Parameters by name"),
    "cost": (lambda shots, queries: 2.5, "cost(2, 3) of Bil", "gives 2.5, expected a whole number of 1 or more"),
    "choices": (lambda: {"order": 1}, "choices() of Bil", "gives {'order': 1}, expected texts"),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_that_cannot_be_worked_with(name):
    value, begins, wrong = STRATEGIES[name]
    strategy = Bil(inner=Adaptation())
    setattr(strategy, name, value)
    said = message(check_strategy, strategy, 2, 3)
    assert said.startswith(begins)
    assert wrong in said


def test_what_is_adapted_must_be_a_translator():
    strategy = FineTune(inner=Adaptation())
    strategy.adapt = lambda gp, support, step: None
    assert "gives None, expected a Translator" in message(adapted_by, strategy, Toy(spec=SPEC), FULL, Step())


@pytest.mark.parametrize(
    ("matches", "wrong"),
    [
        (None, "gives None, expected a list of Match"),
        ([ToyTask("a", 3)], "expected a list of Match"),
        ([Match(ToyTask("a", 3), float("nan"))], "expected tasks with finite scores"),
        ([Match(ToyTask("a", 3), 1.0)] * 3, "gives 3 scenes, expected 2 at most"),
    ],
)
def test_what_is_retrieved_must_be_matches(matches, wrong):
    retriever = LastTasks()
    retriever.query = lambda support, k: matches
    assert wrong in message(matches_of, retriever, FULL, 2)
