"""GP-UNIT's networks: the published numbers of parameters, and what must hold for any weights."""

from __future__ import annotations

import math

import pytest
import torch
from metai2i_gpunit.blocks import StyleNorm
from metai2i_gpunit.content import ContentEncoder, shown_code
from metai2i_gpunit.decoder import ClassAdversary, Decoder, Reversed, StyleStatistics, styled_sides
from metai2i_gpunit.discriminator import Discriminator
from metai2i_gpunit.generator import DynamicSkip, Generator
from metai2i_gpunit.sampler import StyleSampler
from metai2i_gpunit.sizes import SKIPS, Widths
from metai2i_gpunit.style import ExemplarEncoder

from metai2i import UserError

PUBLISHED = Widths(256, 64)
SMALL = Widths(64, 2)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conv(before, after, kernel=3):
    return before * after * kernel**2 + after


def test_the_prior_has_the_published_numbers_of_parameters():
    with torch.device("meta"):
        decoder = Decoder(PUBLISHED)
        networks = {
            "content": parameters(ContentEncoder(PUBLISHED)),
            "decoder": parameters(decoder) - parameters(decoder.first),
            "first": parameters(decoder.first),
            "adversary": parameters(ClassAdversary(292)),
            "embedding": 292 * 128,
            # below 32 pixels the published style encoder goes on, and nothing reads what it sees there
            "style": parameters(StyleStatistics(PUBLISHED)) + conv(256, 512) + 2 * conv(512, 512),
        }
    assert networks == {
        "content": 9_446_529,
        "decoder": 14_023_814,
        "first": 1_024,
        "adversary": 403_672,
        "embedding": 37_376,
        "style": 6_270_592,
    }
    assert sum(networks.values()) == 30_183_007


def test_the_translation_has_the_published_numbers_of_parameters():
    with torch.device("meta"):
        generator, style = Generator(PUBLISHED, 256, seen=256), ExemplarEncoder(PUBLISHED)
        unread = sum(conv(features, 3, 7) for features in (512, 512, 256, 128, 64))  # images of the smaller sizes
        assert parameters(style) == 3_910_592
        assert parameters(generator) + parameters(style) + unread == 39_926_358
        assert [parameters(skip) for skip in generator.skips.values()] == [14_162_432, 4_719_616]
        assert parameters(Discriminator(PUBLISHED)) == 20_851_777
        assert parameters(StyleSampler(256)) == 66_048


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_a_code_has_eight_pixels_a_side_whatever_the_image(side):
    content = ContentEncoder(Widths(side, 1)).eval()(drawn(1, 3, side, side))
    assert content.code.shape == (1, 1, 8, 8)
    assert [tuple(features.shape[1:]) for features in content.features.values()] == [
        (Widths(256, 1).at(at), at, at) for at in (128, 64, 32, 16, 8) if at < side
    ]


def test_a_smaller_encoder_sees_images_of_another_size_as_resized_ones():
    encoder = ContentEncoder(SMALL).eval()
    images = drawn(1, 3, 32, 32)
    resized = torch.nn.functional.interpolate(images, (64, 64), mode="bilinear")
    torch.testing.assert_close(encoder(images).code, encoder(resized).code)


def test_a_constant_added_to_the_last_layer_changes_no_code():
    encoder = ContentEncoder(SMALL).eval()
    images = drawn(2, 3, 64, 64)
    before = encoder(images).code
    with torch.no_grad():
        encoder.last[1].conv.bias += 5.0
    torch.testing.assert_close(encoder(images).code, before, rtol=1e-3, atol=1e-4)


def test_codes_have_mean_0_and_variance_1_before_their_activation_and_are_shown_without_being_cut_off():
    code = ContentEncoder(SMALL).eval()(drawn(2, 3, 64, 64)).code
    before = torch.where(code < 0, code / 0.2, code)
    torch.testing.assert_close(before.mean((1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(before.var((1, 2, 3), correction=0), torch.ones(2), atol=1e-3, rtol=0)
    largest = torch.nn.functional.instance_norm(torch.eye(1, 64).view(1, 1, 8, 8))  # a single pixel of another level
    assert float(largest.max()) == pytest.approx(math.sqrt(63), rel=1e-3)
    assert shown_code(largest, (16, 16)).max() < 1
    torch.testing.assert_close(shown_code(code, (16, 16))[:, :, ::2, ::2], (code / 8).expand(-1, 3, -1, -1))


def test_scales_of_a_style_begin_around_1_and_normalised_features_are_scaled_and_shifted():
    norm = StyleNorm(2, 3)
    features = drawn(2, 2, 4, 4)
    plain = torch.nn.functional.instance_norm(features)
    torch.testing.assert_close(norm(features, torch.zeros(2, 3)), plain)
    torch.nn.init.zeros_(norm.fc.weight)
    norm.fc.bias.data = torch.tensor([2.0, 3.0, 5.0, 7.0])
    expected = plain * torch.tensor([2.0, 3.0])[:, None, None] + torch.tensor([5.0, 7.0])[:, None, None]
    torch.testing.assert_close(norm(features, drawn(2, 3)), expected)


def test_a_mask_is_0_below_0_and_the_hyperbolic_tangent_above():
    skip = DynamicSkip(1, 2)
    torch.nn.init.zeros_(skip.mask.weight)
    skip.mask.bias.data = torch.tensor([0.5, -1.0])
    _, _, mask = skip(drawn(1, 2, 4, 4), drawn(1, 2, 4, 4, seed=1), drawn(1, 1, 2, 2))
    torch.testing.assert_close(mask[0, :, 0, 0], torch.tensor([0.462117, 0.0]))
    assert (mask == mask[:, :, :1, :1]).all()


def test_a_skip_mixes_by_its_mask_what_its_gate_has_let_through():
    skip = DynamicSkip(1, 1)
    for layer, bias in ((skip.state, 2.0), (skip.reset, 0.0), (skip.mask, 0.5)):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, bias)
    torch.nn.init.zeros_(skip.update.weight)
    skip.update.weight.data[0, :, 1, 1] = torch.tensor([10.0, 1.0])  # of the new state and of the encoder's features
    features, encoded = drawn(1, 1, 4, 4), drawn(1, 1, 4, 4, seed=1)
    output, state, _ = skip(features, encoded, drawn(1, 1, 2, 2))
    torch.testing.assert_close(state, torch.ones_like(state))  # sigmoid(0) * 2
    mask = math.tanh(0.5)
    torch.testing.assert_close(output, (1 - mask) * features + mask * (10 + encoded))


def test_masks_of_0_let_nothing_through():
    generator = Generator(SMALL, 8, seen=64)
    content, style = ContentEncoder(SMALL).eval()(drawn(1, 3, 64, 64)), drawn(1, 8)
    without, no_masks = generator(content, style, skip=False)
    assert no_masks == {}
    assert not torch.allclose(generator(content, style)[0], without)
    closed, masks = generator(content, style, torch.zeros(1))
    assert tuple(masks) == SKIPS
    assert all(mask.count_nonzero() == 0 for mask in masks.values())
    torch.testing.assert_close(closed, without)
    for skip in generator.skips.values():
        torch.nn.init.zeros_(skip.mask.weight)
        torch.nn.init.constant_(skip.mask.bias, -1.0)
    torch.testing.assert_close(generator(content, style)[0], without)


def test_an_intensity_multiplies_the_masks_and_graded_ones_are_shown_it():
    content, style = ContentEncoder(SMALL).eval()(drawn(2, 3, 64, 64)), drawn(2, 8)
    level = torch.tensor([1.0, 0.5])
    for graded in (False, True):
        torch.manual_seed(0)
        generator = Generator(SMALL, 8, skips=1, seen=64, graded=graded)
        whole, part = (generator(content, style, each)[1][16] for each in (None, level))
        torch.testing.assert_close(part[0], whole[0])
        assert torch.allclose(part[1], whole[1] / 2) is not graded


@pytest.mark.parametrize(
    ("side", "seen", "skips", "expected"),
    [(64, 64, 2, ["16", "32"]), (64, 64, 1, ["16"]), (64, 64, 0, []), (32, 32, 2, ["16"]), (32, 256, 2, ["16", "32"])],
)
def test_skips_are_where_encoder_and_generator_have_features(side, seen, skips, expected):
    assert list(Generator(Widths(side, 1), 4, skips=skips, seen=seen).skips) == expected


@pytest.mark.parametrize(("side", "styled"), [(32, (16,)), (64, (32,)), (256, (32, 64, 128))])
def test_a_decoder_gives_images_and_shapes_at_all_sizes(side, styled):
    widths = Widths(side, 1)
    assert styled_sides(widths) == styled
    style = StyleStatistics(widths)(drawn(2, 3, side, side))
    image, mask = Decoder(widths)(drawn(2, 1, 8, 8), drawn(2, 128), style)
    assert image.shape == (2, 3, side, side)
    assert mask.shape == (2, 3, 16, 16)


def test_the_statistics_are_those_of_the_features():
    style = StyleStatistics(SMALL)
    images = drawn(1, 3, 64, 64)
    mean, deviation = style(images)[32]
    style.eval()
    features = torch.nn.functional.leaky_relu(style.convs[0](images), 0.2)
    torch.testing.assert_close(mean.flatten(), features.mean((2, 3)).flatten(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(deviation.flatten(), features.std((2, 3)).flatten(), rtol=1e-3, atol=1e-4)


def test_the_gradient_of_the_adversary_reaches_codes_with_the_other_sign():
    features = drawn(2, 3).requires_grad_()
    (Reversed.apply(features) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert features.grad.tolist() == [[-1.0, -2.0, -3.0]] * 2


@pytest.mark.parametrize(("layer", "features"), [(1, 4), (2, 8), (4, 16), (5, 16)])
def test_the_discriminator_sees_style_behind_the_layer_asked_for(layer, features):
    discriminator = Discriminator(Widths(128, 2), layer)
    logits, style = discriminator(drawn(2, 3, 128, 128))
    assert logits.shape == (2,)
    assert style.shape == (2, features)


def test_a_style_does_not_tell_where_things_are():
    encoder = ExemplarEncoder(SMALL)
    images = torch.zeros(1, 3, 64, 64)
    images[..., 16:24, 16:24] = 1
    moved = images.roll(16, -1)  # by a whole number of the smallest pixels
    torch.testing.assert_close(encoder(images), encoder(moved), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(48, 48), (16, 16), (32, 64)])
def test_sizes_that_cannot_be_halved_are_refused(size):
    with pytest.raises(UserError, match=rf"square images of a power of 2 .* got {size[0]}x{size[1]}"):
        Widths.of(size, 4, "gpunit")
