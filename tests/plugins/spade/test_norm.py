import pytest
import torch
from metai2i_spade import Guide, PlainNorm, PositionNorm, SpadeNorm, normalisation
from torch import nn
from torch.nn.functional import conv2d, instance_norm


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def one_hot(count: int = 2, side: int = 8, classes: int = 4) -> torch.Tensor:
    ids = torch.randint(classes, (count, side, side), generator=torch.Generator().manual_seed(0))
    return nn.functional.one_hot(ids, classes).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize(("features", "channels", "parameters"), [(1024, 184, 2_573_440), (64, 20, 170_752)])
def test_the_norm_has_the_references_number_of_parameters(features, channels, parameters):
    with torch.device("meta"):
        assert count(SpadeNorm(features, channels)) == parameters


@pytest.mark.parametrize("kind", ["instance", "batch", "position"])
def test_without_scale_and_shift_it_is_the_bare_normalisation(kind):
    norm, features = SpadeNorm(6, 4, 8, kind), torch.randn(2, 6, 8, 8)
    for conv in (norm.scale, norm.shift):
        nn.init.zeros_(conv.weight)
    torch.testing.assert_close(norm(features, Guide(one_hot())), normalisation(kind, 6)(features))


def test_every_position_is_scaled_and_shifted_by_what_the_map_says_there():
    """Equation 1, worked out with convolutions of one tap: scale and shift are a table of the class."""
    norm, features, structure = SpadeNorm(3, 4, 4), torch.randn(2, 3, 8, 8), one_hot()
    scales, shifts = torch.randn(4, 3), torch.randn(4, 3)
    for conv in (norm.shared, norm.scale, norm.shift):
        nn.init.zeros_(conv.weight)
    with torch.no_grad():
        norm.shared.weight[:, :, 1, 1] = torch.eye(4)
        norm.scale.weight[:, :, 1, 1], norm.shift.weight[:, :, 1, 1] = scales.T, shifts.T
    ids = structure.argmax(1)
    scale, shift = scales[ids].permute(0, 3, 1, 2), shifts[ids].permute(0, 3, 1, 2)
    expected = instance_norm(features, eps=1e-5) * (1 + scale) + shift
    torch.testing.assert_close(norm(features, Guide(structure)), expected)


def test_a_smaller_map_is_every_nth_pixel_of_the_larger_and_is_made_once():
    structure = one_hot()
    guide = Guide(structure)
    assert torch.equal(guide.at((4, 2)), structure[:, :, ::2, ::4])
    assert guide.at((4, 2)) is guide.at((4, 2))
    assert guide.at((8, 8)) is structure


def test_norm_of_positions_has_mean_zero_and_unbiased_variance_one_over_channels():
    normalised = PositionNorm()(torch.randn(2, 7, 4, 4) * 3 + 5)
    torch.testing.assert_close(normalised.mean(1), torch.zeros(2, 4, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalised.var(1), torch.ones(2, 4, 4), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["instance", "batch", "position"])
def test_normalisations_have_no_parameters_and_no_statistics_to_carry_along(kind):
    norm = normalisation(kind, 5)
    assert not norm.state_dict()
    features = torch.randn(3, 5, 4, 4)
    assert torch.equal(norm.train()(features), norm.eval()(features))


def test_norms_of_an_image_depend_on_its_neighbours_with_batch_alone():
    features = torch.randn(3, 5, 4, 4)
    alike = {
        kind: torch.allclose(normalisation(kind, 5)(features)[:1], normalisation(kind, 5)(features[:1]), atol=1e-6)
        for kind in ("instance", "batch", "position")
    }
    assert alike == {"instance": True, "batch": False, "position": True}


def test_a_plain_norm_scales_and_shifts_alike_everywhere():
    norm, features = PlainNorm(3), torch.randn(2, 3, 4, 4)
    assert torch.equal(norm(features, Guide(one_hot())), instance_norm(features))
    with torch.no_grad():
        norm.scale.fill_(2.0), norm.shift.fill_(0.5)
    torch.testing.assert_close(norm(features, Guide(one_hot())), 2 * instance_norm(features) + 0.5)


def test_padding_reflects_where_asked():
    norm = SpadeNorm(2, 1, 2, padding="reflect")
    with torch.no_grad():
        norm.shared.weight.fill_(1.0)
    flat = Guide(torch.ones(1, 1, 6, 6))
    hidden = conv2d(torch.ones(1, 1, 8, 8), norm.shared.weight)
    torch.testing.assert_close(norm.shared(flat.structure), hidden)
