"""What the host makes of any metric's values."""

from __future__ import annotations

import math

import pytest
import torch

from metai2i import Batch, Metric, SetMetric, UserError
from metai2i.metric import fields_read, metric_values, of_sets, per_image, real_field


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


def test_images_are_held_against_photographs_only_where_there_are_some():
    class Bright(Class):
        def __call__(self, images, query):
            return images.mean((1, 2, 3))

    images, lone = torch.ones(2, 3, 4, 4), Batch(source=torch.zeros(2, 3, 8, 8))
    assert metric_values({"bright": Bright()}, images, lone)["bright"] == [1, 1]
    with pytest.raises(ValueError, match="differ in shape"):
        metric_values({"bright": Bright()}, images, Batch(target=torch.zeros(2, 3, 8, 8)))


def test_a_metric_of_several_outputs_sees_all_of_them_and_the_others_the_first():
    class Spread(Class):
        several = True

        def __call__(self, images, query):
            return images.amax((1, 2, 3, 4)) - images.amin((1, 2, 3, 4))

    class Bright(Class):
        def __call__(self, images, query):
            return images.mean((1, 2, 3))

    samples = torch.stack([torch.full((3, 3, 4, 4), level) for level in (0.0, 0.5, -0.25)], 1)
    values = metric_values({"spread": Spread(), "bright": Bright()}, samples[:, 0], query(), samples)
    assert values == {"spread": [0.75] * 3, "bright": [0] * 3}
    assert metric_values({"spread": Spread()}, samples[:, 0], query())["spread"] == [0] * 3


class Set(SetMetric):
    label, higher_is_better, against = "set", True, "source"

    def features(self, images):
        return images.flatten(1)

    def score(self, outputs, real):
        return 0.0


def test_a_set_metric_reads_what_it_is_held_against_and_measures_no_single_image():
    metrics = {"class": Class(), "set": Set()}
    assert fields_read(Set) == {"source"}
    assert fields_read(Class) == {"target"}
    assert fields_read(Class, {"reference"}) == {"target"}
    assert (list(per_image(metrics)), list(of_sets(metrics))) == (["class"], ["set"])
    with pytest.raises(TypeError, match="Set speaks of a set of images"):
        Set()(torch.zeros(1, 3, 4, 4), query(1))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"target", "structure"}, "target"),
        ({"target", "source", "reference"}, "target"),  # the right output is known
        ({"source", "reference"}, "reference"),
        ({"source"}, "target"),  # which is not there, and is refused
    ],
)
def test_outputs_are_held_against_exemplars_where_data_has_no_photographs_of_its_own(fields, expected):
    class Plain(Set):
        against = "target"

    assert real_field(Plain, fields) == real_field(Plain(), fields) == expected
    assert fields_read(Plain, fields) == {expected}
    assert real_field(Set, fields) == "source"
