"""Scores of sets on points whose values are known, and the features that they are made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metai2i import TaskSpec, UserError
from metai2i.metric import check_size
from metai2i.metrics.sets import (
    SET_METRICS,
    Fid,
    Kid,
    SetPrecision,
    SetRecall,
    Swd,
    covered,
    frechet_distance,
    kernel_distance,
    laplacian_pyramid,
    sliced_distance,
)
from metai2i.testing import run_contracts


def points(*rows):
    return torch.tensor(rows, dtype=torch.float64)


FIVE = points((0, 0), (1, 0), (0, 2), (3, 1), (2, 2)), points((1, 1), (2, 0), (0, 3), (4, 1), (2, 5))


def drawn(count, dimensions, seed, shift=0.0):
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed)) * (1 + shift) + shift


def photos(count, size=(48, 64), seed=0):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_frechet_distance_has_covariances_of_n_less_one():
    assert frechet_distance(*FIVE) == pytest.approx(2.589159, abs=1e-6)


@pytest.mark.parametrize(("counts", "dimensions"), [((40, 30), 8), ((9, 7), 20), ((40, 7), 20)])
def test_the_frechet_distance_is_that_of_torchmetrics_for_many_and_for_few_images(counts, dimensions):
    from torchmetrics.image.fid import _compute_fid

    outputs, real = (drawn(n, dimensions, n, 0.1 * i).double() for i, n in enumerate(counts))
    expected = _compute_fid(outputs.mean(0), outputs.T.cov(), real.mean(0), real.T.cov())
    assert frechet_distance(outputs, real) == pytest.approx(float(expected), rel=1e-5)


def test_the_kernel_distance_is_unbiased_and_may_be_negative():
    outputs, real = points((0, 1), (1, 0), (1, 1)), points((0, 0), (2, 1), (1, 2))
    assert kernel_distance(outputs, real) == pytest.approx(-0.416667, abs=1e-6)


def test_the_kernel_distance_is_that_of_torchmetrics():
    from torchmetrics.image.kid import poly_mmd

    outputs, real = drawn(12, 5, 1), drawn(12, 5, 2, 0.3)
    assert kernel_distance(outputs, real) == pytest.approx(float(poly_mmd(outputs, real)), rel=1e-4)


def test_precision_and_recall_are_shares_within_the_reach_of_neighbours():
    outputs, real = FIVE
    assert covered(outputs, real, 1) == 1.0
    assert covered(real, outputs, 1) == pytest.approx(0.8)


def test_precision_asks_for_outputs_among_photographs_and_recall_for_the_reverse():
    real = torch.cat([drawn(10, 2, 1) * 0.01, drawn(10, 2, 2) * 0.01 + 5])
    outputs = drawn(10, 2, 3) * 0.001  # in one of two clusters of real images
    assert SetPrecision().score(outputs, real) == 1.0
    assert SetRecall().score(outputs, real) < 0.5


def test_the_wasserstein_distance_of_shifted_points_is_the_mean_length_of_the_shift_along_directions():
    left = drawn(50, 1, 1)
    assert sliced_distance(left, left + 2) == pytest.approx(2)
    assert sliced_distance(left, left[torch.randperm(50)]) == 0
    assert sliced_distance(left, left.repeat(3, 1)) == pytest.approx(0, abs=1e-9)  # at quantiles


def test_a_pyramid_adds_up_to_its_image_and_ends_at_sixteen_pixels():
    image = photos(1, (64, 128))
    levels = laplacian_pyramid(image, 16)
    assert [tuple(level.shape[-2:]) for level in levels] == [(64, 128), (32, 64), (16, 32)]
    whole = levels[-1]
    for level in levels[-2::-1]:
        whole = level + torch.nn.functional.interpolate(whole, level.shape[-2:], mode="bilinear")
    torch.testing.assert_close(whole, image)


def test_sliced_wasserstein_tells_stripes_from_noise_and_equal_sets_from_none():
    metric, noise = Swd(), photos(40, (32, 32))
    stripes = photos(40, (32, 1), seed=2).expand(-1, -1, -1, 32)
    looked_at = metric.features(noise)
    assert metric.score(looked_at, looked_at) == 0
    other = metric.score(metric.features(photos(40, (32, 32), seed=1)), looked_at)
    assert metric.score(metric.features(stripes), looked_at) > 2 * other > 0


def test_images_too_small_for_a_patch_are_refused_when_the_data_is_known():
    assert Swd.smallest == 7
    with pytest.raises(
        UserError, match="'swd' needs photographs of at least 7 pixels a side, the task source gives 6x"
    ):
        check_size(Swd, "swd", TaskSpec(structure_channels=3, size=(6, 64)))


def test_sliced_wasserstein_keeps_the_contracts_of_set_metrics():
    assert {outcome.status for outcome in run_contracts("metric", Swd)} == {"ok"}


def test_those_that_look_through_inception_say_so_and_share_its_features():
    by_inception = [metric for metric in SET_METRICS.values() if hasattr(metric, "feature_networks")]
    assert by_inception == [Fid, Kid, SetPrecision, SetRecall]
    assert len({metric.features for metric in by_inception}) == 1
    assert {name for metric in by_inception for name in metric.feature_networks} == {"inception-fid"}


def test_a_set_at_its_smallest_has_a_number():
    for metric in (Fid, Kid, SetPrecision, SetRecall):
        outputs, real = drawn(metric.least, 3, 1), drawn(metric.least, 3, 2)
        assert np.isfinite(metric().score(outputs, real))
