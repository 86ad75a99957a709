"""What the host makes of any metric's values."""

from __future__ import annotations

import math

import pytest
import torch

from metai2i import Batch, Metric, UserError
from metai2i.metric import metric_values


class Class(Metric):
    """How bright the pixels of class 1 are; nothing where there are none."""

    label, higher_is_better = "brightness ↑", True

    def __call__(self, images, query):
        inside = query["structure"][:, 1]
        return (images.mean(1) * inside).sum((1, 2)) / inside.sum((1, 2))


class Whole(Class):
    """Forgets that images are several."""

    def __call__(self, images, query):
        return images.mean()


def query(size: int = 3) -> Batch:
    structure = torch.zeros(size, 2, 4, 4)
    structure[1:, 1, :2] = 1
    return Batch(structure=structure, target=torch.zeros(size, 3, 4, 4))


def test_a_metric_sees_every_field_of_the_query_and_may_find_nothing_to_measure():
    images = torch.full((3, 3, 4, 4), -1.0)
    images[2, :, 0] = 1
    values = metric_values({"class": Class()}, images, query())["class"]
    assert math.isnan(values[0])
    assert values[1:] == [-1, 0]


def test_no_gradient_is_kept():
    seen = []

    class Watching(Class):
        def __call__(self, images, query):
            seen.append((images * 2).requires_grad)
            return images.mean((1, 2, 3))

    metric_values({"watching": Watching()}, torch.zeros(3, 3, 4, 4, requires_grad=True), query())
    assert seen == [False]


def test_what_is_not_one_number_for_each_image_is_refused():
    with pytest.raises(UserError, match=r"metric 'whole' gave the shape \(\), expected \(3,\)"):
        metric_values({"whole": Whole()}, torch.zeros(3, 3, 4, 4), query())


def test_images_that_are_not_finite_are_refused_for_every_metric():
    with pytest.raises(UserError, match="not finite"):
        metric_values({"class": Class()}, torch.full((3, 3, 4, 4), math.inf), query())


def test_a_class_that_measures_nothing_cannot_be_made():
    class Half(Metric):
        label, higher_is_better = "half", True

    with pytest.raises(TypeError, match="__call__"):
        Half()
