import math

import pytest
import torch
from metai2i_cocosnet.losses import (
    contextual,
    contextual_of_layers,
    feature_distance,
    mask_loss,
    weighted_distance,
)

X = torch.tensor([[[math.sin(1 + c + 2 * i) for i in range(4)] for c in range(3)]])[..., None]
Y = torch.tensor([[[math.cos(1 + 2 * c + i) for i in range(4)] for c in range(3)]])[..., None]


@pytest.mark.parametrize(
    ("variant", "centre", "value"),
    [("forward", "position", 0.011909), ("forward", "channel", 0.000795), ("original", "channel", 0.287715)],
)
def test_the_contextual_loss_of_fixed_features(variant, centre, value):
    assert float(contextual(X, Y, variant, centre)) == pytest.approx(value, abs=1e-6)


def test_the_contextual_loss_is_a_mean_over_the_batch_and_sends_no_gradient_to_the_exemplar():
    other = Y.roll(1, 2) * torch.tensor([1.0, -1.0, 0.5])[:, None, None]
    both = contextual(torch.cat([X, X]), torch.cat([Y, other]))
    assert float(both) == pytest.approx((float(contextual(X, Y)) + float(contextual(X, other))) / 2)
    ours, theirs = X.clone().requires_grad_(), Y.clone().requires_grad_()
    contextual(ours, theirs).backward()
    assert theirs.grad is None
    assert bool(ours.grad.any())


def test_an_output_that_is_the_exemplar_in_another_order_costs_nothing_where_channels_are_centred():
    features = torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    shuffled = features.flip(2, 3)
    assert float(contextual(shuffled, features, centre="channel")) == pytest.approx(0, abs=1e-4)
    strange = torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(1))
    assert float(contextual(strange, features, centre="channel")) > 0.1


def test_layers_of_the_contextual_loss_weigh_eight_four_and_two_and_the_third_is_pooled():
    draw = torch.Generator().manual_seed(0)
    layers = [[torch.randn(2, 4, side, side, generator=draw) for side in (16, 12, 8, 4, 2)] for _ in range(2)]
    ours, theirs = layers
    by_hand = (
        8 * contextual(ours[4], theirs[4])
        + 4 * contextual(ours[3], theirs[3])
        + 2 * contextual(*(torch.nn.functional.avg_pool2d(side[2], 2) for side in layers))
    )
    assert float(contextual_of_layers(*layers)) == pytest.approx(float(by_hand))


def test_distances_of_exemplars_of_the_sample_itself_are_divided_by_the_batch_once_more():
    outputs, target = (
        torch.zeros(4, 3, 2, 2),
        torch.tensor([1.0, 2.0, 4.0, 8.0])[:, None, None, None].expand(4, 3, 2, 2),
    )
    flags = torch.tensor([1, 0, 1, 0])
    assert float(weighted_distance(outputs, target, flags)) == pytest.approx((0.5 * 1 + 0.5 * 4) / 4)
    assert float(weighted_distance(outputs, target, torch.ones(4))) == pytest.approx((15 / 4) / 4)
    assert float(weighted_distance(outputs, target, torch.zeros(4))) == 0.0


def test_deeper_features_weigh_twice_as_much():
    ones = [torch.ones(1, 2, 2, 2)] * 5
    zeros = [torch.zeros(1, 2, 2, 2)] * 5
    assert float(feature_distance(ones, zeros, torch.ones(1))) == pytest.approx(1 / 32 + 1 / 16 + 1 / 8 + 1 / 4 + 1)
    last = [*zeros[:4], ones[4]]
    assert float(feature_distance(last, zeros, torch.ones(1))) == pytest.approx(1)


def one_hot(rows: list[list[int]], classes: int = 4) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(rows), classes).permute(2, 0, 1)[None].float()


def test_the_mask_loss_skips_the_unknown_and_classes_that_the_exemplar_has_not():
    labels, exemplar = one_hot([[0, 1], [2, 3]]), one_hot([[0, 1], [1, 2]])
    warped = torch.full((1, 4, 2, 2), 0.2)
    warped[0, 1, 0, 1], warped[0, 2, 1, 0] = 0.5, 0.25
    by_hand = -(math.log(0.5) + math.log(0.25)) / 2
    assert float(mask_loss(warped, labels, exemplar)) == pytest.approx(by_hand, rel=1e-5)
    warped[0, 0, 0, 0], warped[0, 3, 1, 1] = 1e-6, 1e-6  # the unknown, and class 3
    assert float(mask_loss(warped, labels, exemplar)) == pytest.approx(by_hand, rel=1e-5)


def test_what_counts_in_the_mask_loss_is_decided_sample_by_sample():
    labels = torch.cat([one_hot([[1, 2]]), one_hot([[1, 2]])])
    exemplar = torch.cat([one_hot([[1, 1]]), one_hot([[2, 2]])])
    warped = torch.tensor([0.9, 0.8]).repeat(2, 4, 1, 1)
    warped[1] = 0.3
    assert float(mask_loss(warped, labels, exemplar)) == pytest.approx(-(math.log(0.9) + math.log(0.3)) / 2, rel=1e-5)


def test_a_mask_loss_without_anything_that_counts_is_0_and_one_of_a_vanished_share_finite():
    assert float(mask_loss(one_hot([[1, 1]]), one_hot([[2, 0]]), one_hot([[1, 1]]))) == 0.0
    assert float(mask_loss(torch.zeros(1, 4, 1, 2), one_hot([[1, 1]]), one_hot([[1, 1]]))) == pytest.approx(23.02585)
