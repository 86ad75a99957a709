"""HED, against its layers written out one by one."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d, interpolate, max_pool2d

from metai2i.losses.hed import HedEdges, _shapes


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in _shapes().items():
        state[f"module{name}.weight"] = torch.randn(shape, generator=draw) * (2 / torch.Size(shape[1:]).numel()) ** 0.5
        state[f"module{name}.bias"] = torch.randn(shape[0], generator=draw) * 0.1
    return state


def test_its_tensors_are_those_of_the_published_file():
    assert sum(torch.Size(shape).numel() + shape[0] for shape in _shapes().values()) == 14_716_171
    assert {name: shape for name, shape in _shapes().items() if "Two" in name} == {
        "ScoreTwo": (1, 128, 1, 1), "VggTwo.1": (128, 64, 3, 3), "VggTwo.3": (128, 128, 3, 3),
    }  # fmt: skip
    assert [name for name in _shapes() if "One" in name] == ["ScoreOne", "VggOne.0", "VggOne.2"]


def test_edges_are_a_combination_of_a_map_of_each_block_for_blue_first_less_the_mean(tensors):
    image = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1
    x = (image.flip(1) + 1) / 2 * 255
    x[:, 0] -= 104.00698793
    x[:, 1] -= 116.66876762
    x[:, 2] -= 122.67891434
    maps = []
    for block, places in {
        "One": (0, 2),
        "Two": (1, 3),
        "Three": (1, 3, 5),
        "Four": (1, 3, 5),
        "Five": (1, 3, 5),
    }.items():
        x = x if block == "One" else max_pool2d(x, 2, 2)
        for place in places:
            name = f"moduleVgg{block}.{place}"
            x = conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=1).clamp(min=0)
        score = conv2d(x, tensors[f"moduleScore{block}.weight"], tensors[f"moduleScore{block}.bias"])
        maps.append(interpolate(score, (16, 24), mode="bilinear", align_corners=False))
    weight, bias = tensors["moduleCombine.0.weight"].flatten(), tensors["moduleCombine.0.bias"]
    expected = torch.sigmoid(sum(w * each for w, each in zip(weight, maps, strict=True)) + bias)
    edges = HedEdges(tensors)(image)
    torch.testing.assert_close(edges, expected, atol=1e-4, rtol=1e-4)
    assert edges.shape == (1, 1, 16, 24)
    assert edges.std() > 0


def test_the_names_that_pytorch_hed_loads_them_by_will_do_as_well(tensors):
    renamed = {name.replace("module", "net", 1): tensor for name, tensor in tensors.items()}
    image = torch.zeros(1, 3, 16, 16)
    assert torch.equal(HedEdges(renamed)(image), HedEdges(tensors)(image))
