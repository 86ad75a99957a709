"""The share of outputs that a classifier of the training photographs recognises."""

from __future__ import annotations

import logging

import pytest
import torch
from metai2i_sketches.recognition import ClassAccuracy, ClassSpec, fit, fitted, held_back, tell_unknown

from metai2i import Batch, Task, TaskSpec, UserError

CLASSES = 2


class Coloured(Task):
    """Photographs of one class, all of them dark or all of them bright, under noise."""

    def __init__(self, number: int, count: int = 20) -> None:
        self.id, self.number, self.count = f"train/{number}", number, count

    def __len__(self) -> int:
        return self.count

    def load(self, indices):
        rng = torch.Generator().manual_seed(self.number)
        noise = 0.1 * torch.randn(self.count, 3, 16, 16, generator=rng)[list(indices)]
        return Batch(target=noise + (0.5, -0.5)[self.number], domain=torch.full((len(indices),), self.number))


SPEC = ClassSpec(1, (16, 16), domains=CLASSES, training=[Coloured(0), Coloured(1)])


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("metai2i_sketches.recognition.fit", lambda *given: fit(*given, steps=30))
    monkeypatch.setattr("metai2i_sketches.recognition._fitted", {})


def test_an_output_counts_where_it_is_taken_for_an_object_of_its_class():
    images = torch.cat([task.load([0, 1])["target"] for task in SPEC.training])
    of_its_class = ClassAccuracy(spec=SPEC)(images, Batch(domain=torch.tensor([0, 1, 0, 1])))
    assert of_its_class.tolist() == [1, 0, 0, 1]


def test_a_class_that_does_not_train_has_no_number_and_once_it_is_said_why(caplog):
    tell_unknown.cache_clear()
    images = SPEC.training[0].load([0, 1])["target"]
    metric = ClassAccuracy(spec=SPEC)
    metric(images, Batch(domain=torch.tensor([0, 1])))
    assert "do not train" not in caplog.text
    for _ in range(2):
        values = metric(images, Batch(domain=torch.tensor([0, CLASSES])))
        assert values[0] == 1
        assert values[1].isnan()
    assert caplog.text.count("class_accuracy has no number for classes that do not train") == 1


def test_the_classifier_depends_on_the_photographs_alone_and_draws_nothing_from_others():
    first = fitted(SPEC.training, CLASSES, torch.device("cpu")).state_dict()
    torch.manual_seed(5)
    expected = torch.rand(())
    torch.manual_seed(5)
    again = fitted([Coloured(0), Coloured(1)], CLASSES, torch.device("cpu")).state_dict()
    assert torch.equal(torch.rand(()), expected)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_classifier_that_is_right_by_chance_is_told(caplog):
    noise = torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with caplog.at_level(logging.WARNING, "metai2i"):
        fit(noise, torch.arange(40) % 4, 4, steps=1)
    assert "of 4 classes: its numbers say little" in caplog.text


def test_what_is_held_back_is_the_end_of_each_class():
    labels = torch.tensor([0] * 20 + [1] * 39 + [2] * 5)
    assert torch.nonzero(held_back(labels)).flatten().tolist() == [18, 19, 56, 57, 58]


def test_it_is_said_how_good_the_classifier_is(caplog):
    with caplog.at_level(logging.INFO, "metai2i"):
        fitted(SPEC.training, CLASSES, torch.device("cpu"))
    assert "right about 100 % of 4 photographs that it was not shown, of 2 classes" in caplog.text


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (TaskSpec(1, (16, 16), domains=2), "this data does not say which photographs train"),
        (
            ClassSpec(1, (16, 16), domains=1, training=[Coloured(0)]),
            "needs two classes or more that train, there are 1",
        ),
        (None, "this data does not say which photographs train"),
    ],
)
def test_data_without_classes_that_train_is_refused(spec, why):
    with pytest.raises(UserError, match=why):
        ClassAccuracy(spec=spec)
