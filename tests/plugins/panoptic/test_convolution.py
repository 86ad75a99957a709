from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from metai2i_panoptic.convolution import CONVOLUTIONS, PanopticConv2d, PartialConv2d, PlainConv2d
from panoptic_by_loops import convolved

WORKED_IDS = torch.tensor([[[1, 1, 2, 2], [1, 1, 2, 2], [1, 3, 3, 2], [3, 3, 3, 3]]])


def ids_of(seed: int, count: int = 4, size: tuple[int, int] = (7, 6), batch: int = 2) -> torch.Tensor:
    return torch.randint(count, (batch, *size), generator=torch.Generator().manual_seed(seed))


def conv(kind: str, before: int = 3, after: int = 2, kernel: int = 3, stride: int = 1, bias: bool = True):
    torch.manual_seed(5)
    layer = CONVOLUTIONS[kind](before, after, kernel, stride, bias).double()
    if bias:
        torch.nn.init.normal_(layer.bias)
    return layer


def test_the_worked_example_comes_out():
    """A window of ones over 1..16; at (2, 0), say, 1 and 1 above count: (5 + 6 + 9) * 9 / 3 = 60."""
    layer = PanopticConv2d(1, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    features = torch.arange(1.0, 17.0).view(1, 1, 4, 4)
    expected = [
        [31.5, 31.5, 49.5, 49.5],
        [41.4, 41.4, 61.2, 61.2],
        [60.0, 113.4, 118.8, 81.0],
        [111.0, 113.4, 118.8, 126.0],
    ]
    torch.testing.assert_close(layer(features, WORKED_IDS)[0, 0], torch.tensor(expected))


@pytest.mark.parametrize("kind", ["plain", "partial", "panoptic"])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2), (1, 2)])
def test_it_is_what_loops_over_pixels_give(kind, kernel, stride):
    layer, ids = conv(kind, kernel=kernel, stride=stride), ids_of(1)
    features = torch.randn(2, 3, 7, 6, dtype=torch.float64)
    out = layer(features, ids).detach().numpy()
    for sample in range(2):
        slow = convolved(
            features[sample].numpy(), ids[sample].numpy(), layer.weight.detach().numpy(), layer.bias.detach().numpy(),
            stride, kind,
        )  # fmt: skip
        np.testing.assert_allclose(out[sample], slow, rtol=0, atol=1e-12)


def test_plain_is_torchs_convolution():
    layer = conv("plain")
    features = torch.randn(2, 3, 7, 6, dtype=torch.float64)
    assert torch.equal(layer(features, ids_of(1)), torch.nn.Conv2d.forward(layer, features))


def test_with_a_single_instance_panoptic_is_partial_and_inside_both_are_plain():
    features, ids = torch.randn(2, 3, 7, 6, dtype=torch.float64), torch.full((2, 7, 6), -4)
    plain, partial, panoptic = (conv(kind)(features, ids) for kind in ("plain", "partial", "panoptic"))
    torch.testing.assert_close(panoptic, partial, rtol=0, atol=0)
    torch.testing.assert_close(partial[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1], rtol=0, atol=1e-12)


def test_when_every_pixel_is_its_own_instance_only_the_middle_counts_nine_times():
    layer = conv("panoptic")
    features, ids = torch.randn(1, 3, 5, 5, dtype=torch.float64), torch.arange(25).view(1, 5, 5)
    middle = torch.nn.functional.conv2d(features, 9 * layer.weight[:, :, 1:2, 1:2], layer.bias)
    torch.testing.assert_close(layer(features, ids), middle, rtol=0, atol=1e-12)


def test_other_numbers_for_the_same_instances_change_nothing():
    """Also such as float32 could not tell apart, negative ones, and 0, which lies around the image."""
    features, ids = torch.randn(2, 3, 7, 6), ids_of(2)
    names = torch.tensor([2**40 + 1, -1, 2**24 + 1, 2**24])
    layer = conv("panoptic").float()
    assert torch.equal(layer(features, ids), layer(features, names[ids]))


def test_nothing_leaks_from_one_instance_into_another():
    features = torch.randn(1, 3, 7, 6, dtype=torch.float64, requires_grad=True)
    ids = ids_of(3, batch=1)
    out = conv("panoptic")(features, ids)
    for number in ids.unique():
        (gradient,) = torch.autograd.grad(out[:, :, ids[0] == number].sum(), features, retain_graph=True)
        assert not gradient[:, :, ids[0] != number].any()
        assert gradient[:, :, ids[0] == number].all()


def test_swapping_the_features_of_two_alike_instances_swaps_their_output():
    ids = torch.tensor([[1, 1, 2, 2]] * 3)[None]
    features = torch.randn(1, 3, 3, 4, dtype=torch.float64)
    layer = conv("panoptic")
    # At the border of the image a column is missing at the left of 1 and at the right of 2: mirror the two.
    torch.nn.init.ones_(layer.weight)
    swapped = features.flip(-1)
    torch.testing.assert_close(layer(swapped, ids), layer(features, ids).flip(-1), rtol=0, atol=1e-12)


def test_a_constant_stays_constant_where_anything_is_valid():
    """That is what the factor sum(1) / sum(M) is for: a mean stays a mean over what counts."""
    valid = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(4)) < 0.3
    layer = PartialConv2d(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 1 / 9)
    out = layer(torch.full((1, 1, 8, 8), 3.0), torch.zeros(1, 8, 8, dtype=torch.long), valid)
    seen = torch.nn.functional.max_pool2d(valid.float(), 3, 1, 1) > 0
    assert not seen.all()
    torch.testing.assert_close(out[seen], torch.full_like(out[seen], 3.0))
    assert not out[~seen].any()


def test_a_window_with_nothing_valid_has_no_bias_either():
    layer = conv("partial")
    out = layer(torch.randn(1, 3, 4, 4).double(), torch.zeros(1, 4, 4).long(), torch.zeros(1, 1, 4, 4).bool())
    assert not out.any()


def test_what_is_not_valid_does_not_count_even_if_it_is_not_finite():
    features = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    valid = torch.ones(1, 1, 4, 4).bool()
    valid[..., 0] = False
    features[..., 0] = float("inf")
    assert conv("partial")(features, torch.zeros(1, 4, 4).long(), valid).isfinite().all()


def test_at_the_border_of_the_image_the_factor_is_nine_over_what_is_inside():
    layer = PartialConv2d(1, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    out = layer(torch.ones(1, 1, 5, 5), torch.zeros(1, 5, 5).long())
    assert out.unique().tolist() == [9.0]
    assert Fraction(9, 4) * 4 == Fraction(9, 6) * 6 == 9


@pytest.mark.parametrize("kind", ["partial", "panoptic"])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_finite_differences(kind, stride):
    layer = conv(kind, before=2, stride=stride)
    features = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    ids = ids_of(6, 3, (3, 4), 1)

    def call(features, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (features, ids))

    assert torch.autograd.gradcheck(call, (features, layer.weight, layer.bias))
    assert torch.autograd.gradgradcheck(call, (features, layer.weight, layer.bias))


def test_the_features_are_kept_once_for_the_gradient():
    """Unfolded they would be kept nine times."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    layer, features = PanopticConv2d(64, 8), torch.randn(1, 64, 32, 32, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(features, torch.zeros(1, 32, 32, dtype=torch.long)).sum().backward()
    assert sum(kept.values()) < 2 * features.nbytes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_of_half_precision_stay_so(dtype):
    layer, features = PanopticConv2d(2, 3).to(dtype), torch.randn(1, 2, 4, 4, dtype=dtype)
    out = layer(features, WORKED_IDS)
    assert out.dtype == dtype
    exact = PanopticConv2d(2, 3)
    exact.load_state_dict(layer.state_dict())
    torch.testing.assert_close(out.float(), exact(features.float(), WORKED_IDS), rtol=0.02, atol=0.02)


def test_spectral_norm_acts_on_the_weight_of_every_kind():
    for kind in CONVOLUTIONS:
        layer = torch.nn.utils.parametrizations.spectral_norm(conv(kind, bias=False).float()).eval()
        plain = conv(kind, bias=False).float()
        largest = torch.linalg.matrix_norm(plain.weight.flatten(1), 2)
        features, ids = torch.randn(1, 3, 6, 6), ids_of(1, size=(6, 6), batch=1)
        torch.testing.assert_close(layer(features, ids) * largest, plain(features, ids), rtol=1e-2, atol=1e-3)


def test_an_even_kernel_is_refused_since_its_window_has_no_middle():
    with pytest.raises(ValueError, match="kernel must be odd, got 4"):
        PlainConv2d(1, 1, 4)
