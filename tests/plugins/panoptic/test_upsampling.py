from __future__ import annotations

import numpy as np
import pytest
import torch
from metai2i_panoptic.upsampling import CELLS, NearestUpsample, PanopticUpsample, aligned
from panoptic_by_loops import upsampled

LOW = torch.tensor([[[1, 2], [1, 3]]])
HIGH = torch.tensor([[[1, 1, 2, 2], [1, 1, 1, 2], [1, 2, 3, 3], [4, 1, 3, 3]]])
HOLE = 0.0


def pyramid(seed: int, count: int = 5, size: tuple[int, int] = (4, 5)) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (1, h, w), and ids (1, 2h, 2w) of which these are every other one."""
    fine = torch.randint(count, (1, 2 * size[0], 2 * size[1]), generator=torch.Generator().manual_seed(seed))
    return fine[:, ::2, ::2], fine


def test_the_worked_example_comes_out():
    features = torch.tensor([[[[10.0, 20.0], [30.0, 40.0]]]])
    out, matched = aligned(features, LOW, HIGH)
    expected = [[10, 10, 20, 20], [10, 10, HOLE, 20], [30, HOLE, 40, 40], [HOLE, 30, 40, 40]]
    assert out[0, 0].tolist() == expected
    assert matched[0, 0].tolist() == [[value != HOLE for value in row] for row in expected]


@pytest.mark.parametrize("neighbours", ["four", "nine"])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_loops_over_pixels_give(neighbours, seed):
    low, high = pyramid(seed)
    high = torch.where(torch.rand(high.shape) < 0.1, 99, high)  # some instances are not there at the smaller resolution
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    out, matched = aligned(features, low, high, CELLS[neighbours])
    slow, where = upsampled(features[0].numpy(), low[0].numpy(), high[0].numpy(), CELLS[neighbours])
    np.testing.assert_array_equal(out[0].numpy(), slow)
    np.testing.assert_array_equal(matched[0, 0].numpy(), where)
    assert 0 < matched.sum() < matched.numel()


def test_the_order_is_own_right_below_diagonal():
    high = torch.full((1, 4, 4), 7)
    features = torch.arange(4.0).view(1, 1, 2, 2)
    for low, expected in (
        ([[7, 7], [7, 7]], 0.0),
        ([[0, 7], [7, 7]], 1.0),
        ([[0, 0], [7, 7]], 2.0),
        ([[0, 0], [0, 7]], 3.0),
    ):
        out, matched = aligned(features, torch.tensor([low]), high)
        assert out[0, 0, 0, 0] == expected
        assert matched[0, 0, 0, 0]


def test_ids_carried_as_features_arrive_at_their_own_instance_or_nowhere():
    low, high = pyramid(8)
    out, matched = aligned(low[:, None].double(), low, high)
    assert torch.equal(out[matched].long(), high[:, None][matched])
    assert 0 < matched.sum() < matched.numel()


def test_ids_that_are_constant_on_blocks_of_two_give_nearest_neighbour_without_a_hole():
    low, _ = pyramid(9)
    features = torch.randn(1, 3, 4, 5)
    high = low.repeat_interleave(2, 1).repeat_interleave(2, 2)
    out, matched = aligned(features, low, high)
    assert matched.all()
    nearest = NearestUpsample()(features, low, high, features)
    assert torch.equal(out, nearest)
    assert torch.equal(nearest, torch.nn.functional.interpolate(features, scale_factor=2, mode="nearest"))


def test_beyond_the_border_is_no_instance_whatever_its_number():
    """Zeros lie around the image, and 0 is an id like others."""
    out, matched = aligned(torch.ones(1, 1, 1, 1), torch.tensor([[[5]]]), torch.zeros(1, 2, 2, dtype=torch.long))
    assert not matched.any()
    assert not out.any()


def test_other_numbers_for_the_same_instances_change_nothing():
    low, high = pyramid(3)
    names = torch.tensor([2**40 + 1, -1, 2**24 + 1, 2**24, 0])
    layer, features, structure = PanopticUpsample(3, 2), torch.randn(1, 3, 4, 5), torch.rand(1, 2, 8, 10)
    assert torch.equal(layer(features, low, high, structure), layer(features, names[low], names[high], structure))


@pytest.mark.parametrize("neighbours", ["four", "nine"])
def test_nothing_leaks_from_one_instance_into_another(neighbours):
    """Holes are filled by a convolution that keeps instances apart as well."""
    low, high = pyramid(4)
    features = torch.randn(1, 3, 4, 5, requires_grad=True)
    structure = torch.rand(1, 2, 8, 10, requires_grad=True)
    out = PanopticUpsample(3, 2, "conv", neighbours)(features, low, high, structure)
    filled = 0
    for number in high.unique():
        inside = out[:, :, high[0] == number].sum()
        to_features, to_structure = torch.autograd.grad(inside, (features, structure), retain_graph=True)
        assert not to_features[:, :, low[0] != number].any()
        assert not to_structure[:, :, high[0] != number].any()
        filled += int(to_structure.any())
    assert filled


def test_holes_are_filled_by_the_convolution_of_the_map_and_nothing_else_is():
    features, structure = torch.tensor([[[[10.0, 20.0], [30.0, 40.0]]]]), torch.rand(1, 2, 4, 4)
    layer = PanopticUpsample(1, 2)
    out, filled = layer(features, LOW, HIGH, structure), layer.fill(structure, HIGH)
    moved, matched = aligned(features, LOW, HIGH)
    assert torch.equal(out[matched], moved[matched])
    assert torch.equal(out[~matched], filled[~matched])
    assert (~matched).sum() == 3


def test_holes_can_take_the_cells_own_feature():
    features = torch.tensor([[[[10.0, 20.0], [30.0, 40.0]]]])
    layer = PanopticUpsample(1, 2, "nearest")
    assert not list(layer.parameters())
    assert layer(features, LOW, HIGH, torch.rand(1, 2, 4, 4))[0, 0].tolist() == [
        [10, 10, 20, 20], [10, 10, 20, 20], [30, 30, 40, 40], [30, 30, 40, 40],
    ]  # fmt: skip


def test_gradients_are_those_of_finite_differences():
    low, high = pyramid(5, 3, (2, 3))
    layer = PanopticUpsample(2, 2).double()
    inputs = (torch.randn(1, 2, 2, 3).double().requires_grad_(), torch.randn(1, 2, 4, 6).double().requires_grad_())
    assert torch.autograd.gradcheck(lambda features, structure: layer(features, low, high, structure), inputs)
