from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from metai2i import TaskSpec
from metai2i.errors import UserError
from metai2i.paint.models import PageModels, check_one_data
from metai2i.paint.studio import PageRow, PaintRequest, Studio, instances_of
from metai2i.recipe.schema import Row
from metai2i.registry import Registry


def test_each_connected_region_of_a_class_is_an_instance():
    ids = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 1]])
    assert instances_of(ids).tolist() == [[1, 4, 2], [4, 4, 2], [3, 3, 5]]


@pytest.mark.parametrize("sample", ["-1", "1000", "x", "", "1e3", "²"])
def test_a_sample_that_translate_does_not_make_is_refused(sample):
    with pytest.raises(UserError, match="expected a number from 0 to 999"):
        PaintRequest.of({"model": "m1", "sample": sample})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (TaskSpec(3, (8, 16)), r"b has another size \(8x16\) than a \(8x8\)"),
        (TaskSpec(4, (8, 8)), r"b has another number of classes \(4\) than a \(3\)"),
        (TaskSpec(3, (8, 8), classes=("x", "y", "z")), r"b has another names of classes \(x, y, z\) than a \(none\)"),
    ],
)
def test_models_of_other_maps_are_refused(other, message):
    with pytest.raises(UserError, match=message):
        check_one_data([("a", TaskSpec(3, (8, 8))), ("b", other)])


ROW_PARTS = {"strategy": SimpleNamespace(use="finetune"), "adapt": SimpleNamespace(iterations=1, lr=1e-3)}


@pytest.mark.parametrize(("translator", "unpaired"), [("pix2pix", False), ("stargan2", True)])
def test_a_row_that_learns_without_pairs_asks_for_photographs_alone(tmp_path, translator, unpaired):
    fields = frozenset({"structure", "target", "source", "domain", "reference", "reference2", "reference_domain"})
    spec = TaskSpec(2, (32, 32), fields, domains=2, classes=("a", "b"))
    as_written = cast(Row, SimpleNamespace(**ROW_PARTS, translator=SimpleNamespace(use=translator)))
    row = PageRow("1", "A", cast(Any, None), "A", as_written, True)
    models = cast(PageModels, ())
    studio = Studio(Registry([]), torch.device("cpu"), tmp_path, cast(Any, None), spec, models, [row])
    assert studio.about()["unpaired"] == unpaired
