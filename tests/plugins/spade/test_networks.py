import pytest
import torch
from metai2i_spade import (
    Encoder,
    FromCode,
    FromMap,
    Generator,
    Guide,
    GuidedConv2d,
    Layers,
    MultiscaleDiscriminator,
    PatchScale,
    SpadeBlock,
    SpadeNorm,
    edges,
    spade_layers,
    spectral_conv,
    widths_of,
)
from torch import nn
from torch.nn.functional import avg_pool2d, leaky_relu


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def generator(channels: int, grid: tuple[int, int] = (8, 8), doublings: int = 5, width: int = 64) -> Generator:
    first = FromMap(channels, widths_of(width, doublings)[0], grid)
    return Generator(first, spade_layers(channels, 2 * width), width, doublings)


@pytest.mark.parametrize(
    ("channels", "of_generator", "of_discriminator"),
    [
        (184, 97_480_899, 5_904_514),  # COCO-Stuff: 182 classes, unknown, edges
        (151, 96_492_483, 5_836_930),  # ADE20K
        (36, 93_048_003, 5_601_410),  # Cityscapes, with one doubling more
        (20, 92_568_771, 5_568_642),
        (7, 92_179_395, 5_542_018),
    ],
)
def test_networks_have_the_references_number_of_parameters(channels, of_generator, of_discriminator):
    with torch.device("meta"):
        assert count(generator(channels)) == of_generator
        assert count(generator(channels, (4, 8), 6)) == of_generator
        assert count(MultiscaleDiscriminator(channels + 3)) == of_discriminator


def test_the_encoder_has_the_references_number_of_parameters():
    with torch.device("meta"):
        assert count(Encoder((256, 256))) == count(Encoder((256, 512))) == 10_463_424


def test_a_start_from_a_code_takes_the_place_of_the_first_convolution():
    """A linear layer from 256 to 8 x 8 x 1024 where the map's convolution had 9 x 184 x 1024 weights."""
    with torch.device("meta"):
        network = Generator(FromCode(256, 1024, (8, 8)), spade_layers(184))
        assert count(network) == 97_480_899 - (9 * 184 + 1) * 1024 + (256 + 1) * 1024 * 64
        assert network(Guide(torch.empty(2, 184, 256, 256)), torch.empty(2, 256)).shape == (2, 3, 256, 256)


@pytest.mark.parametrize(
    ("size", "doublings"), [((256, 256), 5), ((256, 512), 6), ((64, 128), 4), ((64, 64), 4), ((8, 8), 1)]
)
def test_images_have_the_size_of_the_map(size, doublings):
    with torch.device("meta"):
        grid = (size[0] >> doublings, size[1] >> doublings)
        assert generator(20, grid, doublings)(Guide(torch.empty(2, 20, *size))).shape == (2, 3, *size)


@pytest.mark.parametrize(
    ("doublings", "widths"),
    [(6, (16, 8, 4, 2, 1)), (5, (16, 8, 4, 2, 1)), (4, (8, 4, 2, 1)), (2, (2, 1)), (1, (1,))],
)
def test_with_fewer_doublings_the_widest_blocks_are_left_out(doublings, widths):
    assert widths_of(3, doublings) == tuple(3 * each for each in widths)


def test_a_block_adds_two_normalised_convolutions_to_a_shortcut_without_activation():
    block, guide, features = (
        SpadeBlock(4, 6, spade_layers(3, 8)).eval(),
        Guide(torch.rand(2, 3, 8, 8)),
        torch.randn(2, 4, 8, 8),
    )
    inside = block.conv_0(leaky_relu(block.norm_0(features, guide), 0.2))
    assert inside.shape == (2, 4, 8, 8)
    expected = block.conv_s(block.norm_s(features, guide)) + block.conv_1(leaky_relu(block.norm_1(inside, guide), 0.2))
    torch.testing.assert_close(block(features, guide), expected)
    assert block.conv_s.bias is None
    same = SpadeBlock(4, 4, spade_layers(3, 8))
    assert not hasattr(same, "conv_s")


def test_a_spectral_convolution_has_a_largest_singular_value_of_one():
    conv = spectral_conv(5, 7).train()
    for _ in range(50):
        conv(torch.randn(1, 5, 4, 4))
    values = torch.linalg.svdvals(conv.eval().weight.detach().flatten(1))
    assert float(values[0]) == pytest.approx(1, abs=1e-3)
    assert float(values[1]) < 1


def test_weights_start_by_xaviers_normal_distribution_of_gain_002():
    torch.manual_seed(0)
    network = generator(20, (4, 8), 4, width=16)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.numel() > 10_000:
            fans = (parameter.shape[0] + parameter.shape[1]) * parameter[0, 0].numel()
            assert parameter.std().item() == pytest.approx(0.02 * (2 / fans) ** 0.5, rel=0.1), name
    for name, parameter in Encoder((64, 64), 16).named_parameters():
        if name.endswith("weight") and parameter.dim() == 2:
            assert parameter.std().item() == pytest.approx(0.02 * (2 / sum(parameter.shape)) ** 0.5, rel=0.1), name


class Seen(GuidedConv2d):
    """A convolution that keeps in mind what it was guided by."""

    guides: list[object] = []  # noqa: RUF012

    def forward(self, features: torch.Tensor, guide: object = None) -> torch.Tensor:
        Seen.guides.append(guide)
        return super().forward(features)


class Double(nn.Module):
    """Doubles the resolution with a value of its own for each guide."""

    def forward(self, features: torch.Tensor, guide: Guide) -> torch.Tensor:
        return nn.functional.interpolate(features, scale_factor=2) + guide.structure.mean()


def test_convolutions_and_doublings_can_be_exchanged_and_are_shown_the_guide():
    Seen.guides.clear()
    widths: list[int] = []

    def upsample(features: int) -> nn.Module:
        widths.append(features)
        return Double()

    layers = Layers(
        norm=lambda features: SpadeNorm(features, 3, 4),
        conv=lambda before, after, kernel, bias: Seen(before, after, kernel, padding=kernel // 2, bias=bias),
        upsample=upsample,
        last=lambda before, after: Seen(before, after, 3, padding=1),
    )
    network, guide = Generator(FromMap(3, 16, (2, 2)), layers, 4, 3), Guide(torch.rand(1, 3, 16, 16))
    assert network(guide).shape == (1, 3, 16, 16)
    assert widths == [16, 16, 8]
    assert len(Seen.guides) == 5 * 2 + 2 + 1  # two in each block, two learned shortcuts, the last
    assert all(each is guide for each in Seen.guides)


def test_the_discriminators_maps_have_the_references_sizes():
    with torch.device("meta"):
        spade = MultiscaleDiscriminator(7)(torch.empty(1, 7, 256, 256))
        cocosnet = MultiscaleDiscriminator(7, padding=1)(torch.empty(1, 7, 256, 256))
    assert [output.shape[-1] for output in spade[0]] == [129, 65, 33, 34, 35]
    sizes = [[output.shape[-1] for output in scale] for scale in cocosnet]
    assert sizes == [[128, 64, 32, 31, 30], [64, 32, 16, 15, 14]]
    assert [output.shape[1] for output in spade[0]] == [64, 128, 256, 512, 1]


def test_the_second_scale_sees_the_image_half_as_large():
    network, shown = MultiscaleDiscriminator(5, 4, 3).eval(), torch.randn(2, 5, 32, 32)
    small = avg_pool2d(shown, 3, 2, 1, count_include_pad=False)
    torch.testing.assert_close(network(shown)[1], network.scales[1](small))
    torch.testing.assert_close(network(shown)[0], network.scales[0](shown))


def test_first_and_last_convolution_of_a_scale_have_no_norm():
    network = PatchScale(5, 4, 4)
    names = {name for name, _ in network.named_parameters()}
    assert names == {
        "first.weight", "first.bias", "last.weight", "last.bias",
        *(f"convs.{n}.parametrizations.weight.original" for n in range(3)),
    }  # fmt: skip


def test_edges_are_at_both_sides_of_a_border():
    ids = torch.tensor([[[5, 5, 9], [5, 5, 9], [5, 5, 5]]])
    assert edges(ids).tolist() == [[[[0, 1, 1], [0, 1, 1], [0, 0, 1]]]]
    assert edges(ids * 100_000 + 7).tolist() == edges(ids).tolist()
    assert not edges(torch.full((2, 4, 4), 3)).any()


@pytest.mark.parametrize(
    ("size", "side"), [((8, 8), 8), ((64, 128), 64), ((100, 90), 64), ((256, 512), 256), ((512, 512), 256)]
)
def test_the_encoder_takes_any_size_as_a_square(size, side):
    network = Encoder(size, 2, 5)
    assert network.side == side
    mean, log_variance = network(torch.randn(2, 3, *size))
    assert mean.shape == log_variance.shape == (2, 5)
