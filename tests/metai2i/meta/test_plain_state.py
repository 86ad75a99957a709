"""What a translator keeps in plain attributes: copies have their own of it, and a change of it is named."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter, deque
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from metai2i_baselines import FineTune
from torch import nn
from toys import Toy, ToyTask

from metai2i import Adaptation, Objective, Step, TaskSpec
from metai2i.meta.inner_loop import adapted
from metai2i.meta.instance import detach, instance_of
from metai2i.meta.plain_state import changed_names, plain_state, shared_state

SPEC = TaskSpec(structure_channels=3, size=(16, 16))


class Pool(Toy):
    """Keeps whatever it is given, and changes it with every training step."""

    def __init__(self, kept, change) -> None:
        super().__init__(spec=SPEC)
        self.kept, self.change = kept, change

    def training_step(self, batch, step):
        self.change(self)
        yield from super().training_step(batch, step)


class Slotted:
    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


def set_at(index, value):
    return lambda pool: pool.kept.__setitem__(index, value)


def add_one(name):
    return lambda pool: setattr(pool.kept, name, getattr(pool.kept, name) + 1)


KINDS = {
    "list": (list, lambda pool: pool.kept.append(1)),
    "dict": (dict, set_at("a", 1)),
    "set": (set, lambda pool: pool.kept.add(1)),
    "deque": (lambda: deque(maxlen=3), lambda pool: pool.kept.append(1)),
    "counter": (Counter, lambda pool: pool.kept.update("ab")),
    "array": (lambda: np.zeros(3), set_at(0, 1.0)),
    "array of objects": (lambda: np.array([[1], None], dtype=object), lambda pool: pool.kept[0].append(2)),
    "tensor": (lambda: torch.zeros(3), lambda pool: pool.kept.add_(1)),
    "list of tensors": (lambda: [torch.zeros(1)], lambda pool: pool.kept[0].add_(1)),
    "nested": (lambda: {"a": [{"b": (1, [2])}]}, lambda pool: pool.kept["a"][0]["b"][1].append(3)),
    "object": (lambda: SimpleNamespace(count=0), add_one("count")),
    "object with slots": (Slotted, add_one("count")),
    "number": (lambda: 0, lambda pool: setattr(pool, "kept", pool.kept + 1)),
    "new attribute": (lambda: None, lambda pool: setattr(pool, "later", 1)),
    "iterator": (itertools.count, lambda pool: next(pool.kept)),
    "list iterator": (lambda: iter([1, 2, 3, 4]), lambda pool: next(pool.kept)),
    "generator of Python": (lambda: random.Random(0), lambda pool: pool.kept.random()),
    "generator of numpy": (lambda: np.random.default_rng(0), lambda pool: pool.kept.random()),
    "bytearray": (lambda: bytearray(2), set_at(0, 7)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_adapted_copy_keeps_is_its_own_and_is_told_by_its_name(kind):
    make, change = KINDS[kind]
    pool = Pool(make(), change)
    before = plain_state(pool)
    copied = adapted(pool, ToyTask("scene", 4).load(range(2)), Adaptation(iterations=1, lr=0.1), Step())
    assert changed_names(before, plain_state(pool)) == []
    assert changed_names(before, plain_state(copied)) == ["later" if kind == "new attribute" else "kept"]


def test_a_lists_parameters_and_modules_are_the_copys():
    toy = Toy(spec=SPEC)
    toy.parts, toy.biases = [toy.generator], {"generator": toy.generator.bias}
    copied = detach(instance_of(toy))
    assert copied.parts[0] is copied.generator
    assert copied.parts[0] is not toy.generator
    connected = instance_of(toy)
    assert connected.biases["generator"] is connected.generator.bias


def test_what_cannot_be_copied_and_networks_outside_of_the_tree_stay_shared():
    toy, features = Toy(spec=SPEC), nn.Conv2d(3, 3, 1)
    toy.lock, toy.features, toy.objective = threading.Lock(), [features], Objective(perceptual=0.0)
    copied = detach(instance_of(toy))
    assert (copied.lock, copied.objective) == (toy.lock, toy.objective)
    assert copied.features[0] is features
    assert copied.features is not toy.features


def test_a_value_that_holds_itself_is_copied_and_told_by_its_content():
    toy = Toy(spec=SPEC)
    toy.ring = [1]
    toy.ring.append(toy.ring)
    copied = detach(instance_of(toy))
    assert copied.ring[1] is copied.ring
    assert changed_names(plain_state(toy), plain_state(copied)) == []


def test_equal_state_of_two_objects_is_equal():
    first, second = (Pool({"a": [torch.ones(2), {1, 2}], "b": np.arange(3)}, print) for _ in range(2))
    assert changed_names(plain_state(first), plain_state(second)) == []


def test_what_a_closure_holds_counts():
    seen = []
    toy = Toy(spec=SPEC)
    toy.note = lambda: seen.append(1)
    before = plain_state(toy)
    toy.note()
    assert changed_names(before, plain_state(toy)) == ["note"]


def test_variables_of_a_plugins_module_and_attributes_of_its_classes_count(monkeypatch):
    strategy = FineTune(inner=Adaptation())
    before = shared_state(strategy)
    monkeypatch.setattr(FineTune, "seen", [1], raising=False)
    monkeypatch.setattr("metai2i_baselines.COUNT", 3, raising=False)
    assert changed_names(before, shared_state(strategy)) == ["FineTune.seen", "metai2i_baselines.COUNT"]


def test_a_part_of_a_module_is_told_by_its_path():
    toy = Toy(spec=SPEC)
    before = plain_state(toy)
    toy.generator.temperature = 2
    assert changed_names(before, plain_state(toy)) == ["generator.temperature"]
