"""StarGAN v2's networks: the published numbers of parameters, and what must hold for any weights."""

from __future__ import annotations

import pytest
import torch
from metai2i_stargan2.blocks import HighPass, ResidualBlock
from metai2i_stargan2.critic import Discriminator, StyleEncoder
from metai2i_stargan2.generator import Generator
from metai2i_stargan2.heads import DomainLinear
from metai2i_stargan2.losses import r1
from metai2i_stargan2.mapping import MappingNetwork
from metai2i_stargan2.sizes import Widths

from metai2i import UserError

SMALL = Widths(32, 2, 4)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("side", "generator", "styles", "critic"),
    [
        (256, 33_892_995, (20_916_928, 20_949_760), (20_852_290, 20_852_803)),
        (128, 33_632_003, (20_799_744, 20_832_576), (20_735_106, 20_735_619)),
        (64, 32_634_883, (20_327_808, 20_360_640), (20_263_170, 20_263_683)),
    ],
)
def test_the_networks_have_the_published_numbers_of_parameters(side, generator, styles, critic):
    widths = Widths.of((side, side), None, 512)
    with torch.device("meta"):
        assert parameters(Generator(widths)) == generator
        assert tuple(parameters(StyleEncoder(widths, 64, k, spare=False)) for k in (2, 3)) == styles
        assert tuple(parameters(Discriminator(widths, k, spare=False)) for k in (2, 3)) == critic


@pytest.mark.parametrize(("domains", "published"), [(2, 2_438_272), (3, 3_259_072)])
def test_the_mapping_network_has_the_published_number_of_parameters(domains, published):
    with torch.device("meta"):
        assert parameters(MappingNetwork(16, 64, 512, domains, spare=False)) == published


@pytest.mark.parametrize(("side", "published"), [(256, 43_467_395), (128, 43_206_403), (64, 42_209_283)])
def test_beside_a_high_pass_skip_only_the_shortcuts_that_nothing_reads_are_missing(side, published):
    widths = Widths.of((side, side), None, 512)
    unread = sum(before * after for before, after in widths.steps(widths.generator_halvings + 1) if before != after)
    with torch.device("meta"):
        assert parameters(Generator(widths, high_pass=1.0)) == published - unread


def test_without_masks_a_high_pass_skip_changes_nothing():
    generator = Generator(SMALL, 3, high_pass=1.0)
    source, style = drawn(2, 3, 32, 32), drawn(2, 3, seed=1)
    nowhere = torch.zeros(2, 1, 32, 32)
    torch.testing.assert_close(generator(source, style), generator(source, style, (nowhere, nowhere)))
    everywhere = torch.ones(2, 1, 32, 32)
    assert not torch.allclose(generator(source, style), generator(source, style, (everywhere, everywhere)))


def test_the_high_pass_sees_differences_alone():
    features = torch.full((1, 2, 5, 5), 3.0)
    features[0, 1, 2, 2] = 5.0
    details = HighPass(2.0)(features)
    assert details[0, 0, 1:-1, 1:-1].abs().max() == 0
    assert details[0, 1, 2, 2] == pytest.approx((8 * 5 - 8 * 3) / 2)


def test_a_block_whose_convolutions_give_nothing_halves_its_input_and_its_variance():
    block = ResidualBlock(2, 2, down=True)
    for parameter in block.conv2.parameters():
        torch.nn.init.zeros_(parameter)
    features = drawn(1, 2, 4, 4)
    expected = torch.nn.functional.avg_pool2d(features, 2) / 2**0.5
    torch.testing.assert_close(block(features), expected)


def test_each_sample_goes_through_the_layer_of_its_domain():
    layer = DomainLinear(3, 2, 2)
    torch.nn.init.normal_(layer.bias)
    features = drawn(3, 3)
    outputs = layer(features, torch.tensor([1, 0, 1]))
    for sample, domain in enumerate((1, 0, 1)):
        expected = layer.weight[domain] @ features[sample] + layer.bias[domain]
        torch.testing.assert_close(outputs[sample], expected)


@pytest.mark.parametrize("number", [2, 3, 17])
def test_a_domain_that_is_not_known_begins_as_the_mean_of_the_others(number):
    layer = DomainLinear(3, 2, 2)
    torch.nn.init.normal_(layer.bias)
    features = drawn(1, 3)
    expected = (layer.weight.mean(0) @ features[0] + layer.bias.mean(0))[None]
    torch.testing.assert_close(layer(features, torch.tensor([number])), expected)


def test_layers_of_other_domains_get_no_gradient():
    encoder = StyleEncoder(SMALL, 3, 3)
    encoder(drawn(2, 3, 32, 32), torch.tensor([1, 1])).sum().backward()
    gradients = encoder.heads.weight.grad.abs().sum((1, 2))
    assert gradients[1] > 0
    assert gradients[[0, 2]].tolist() == [0, 0]
    assert encoder.heads.spare_weight.grad.abs().sum() == 0


def test_the_gradient_penalty_is_half_the_squared_norm():
    photographs = torch.randn(5, 2, 1, 1).requires_grad_()
    logits = (photographs[:, :, 0, 0] * torch.tensor([3.0, 4.0])).sum(1)
    assert float(r1(logits, photographs)) == pytest.approx(12.5)


@pytest.mark.parametrize("size", [(48, 48), (16, 16), (32, 64)])
def test_sizes_that_cannot_be_halved_are_refused(size):
    with pytest.raises(UserError, match=rf"square images of a power of 2 .* got {size[0]}x{size[1]}"):
        Widths.of(size, None, 512)
