import pytest
import torch
from metai2i_pg2 import coarse, resunet
from metai2i_pg2.coarse import Coarse
from metai2i_pg2.dcgan import DCGAN
from metai2i_pg2.difference import Difference
from metai2i_pg2.resunet import Doubling, ResUNet
from torch.nn.functional import interpolate

MARKET, FASHION = (128, 64), (256, 256)
POSE = 18 + 3


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("channels", "width", "parameters"),
    [(10, 64, 47_971_203), (23, 64, 47_978_691), (10, 32, 29_769_923), (23, 32, 29_773_667)],
)
@pytest.mark.parametrize("size", [(128, 128), (128, 256)])
def test_the_residual_u_net_has_the_expected_number_of_parameters(channels, width, parameters, size):
    with torch.device("meta"):
        network = ResUNet(channels, width)
        assert count(network) == parameters
        assert network(torch.empty(2, channels, *size)).shape == (2, 3, *size)


def test_doubling_ends_at_the_widest():
    network = ResUNet(10, 16, 5, widest=128)
    assert [down[0].out_channels for down in network.down] == [32, 64, 128, 128, 128]
    assert [up[0].convolution.in_channels for up in network.up] == [64, 128, 256, 256, 128]
    assert network.head.in_channels == 32


@pytest.mark.parametrize("downs", [1, 2, 3, 4])
def test_images_are_within_range_at_every_depth(downs):
    images = ResUNet(2, 4, downs)(torch.rand(2, 2, 32, 64))
    assert images.shape == (2, 3, 32, 64)
    assert images.abs().max() <= 1


def test_doubling_is_nearest_neighbours_and_a_convolution():
    doubling, features = Doubling(5, 7).double(), torch.randn(2, 5, 3, 4, dtype=torch.float64)
    expected = doubling.convolution(interpolate(features, scale_factor=2, mode="nearest"))
    assert torch.allclose(doubling(features), expected, atol=1e-12)


@pytest.mark.parametrize("block", [resunet.Residual(4), coarse.Residual(4)])
def test_a_residual_block_carries_its_input_around_its_convolutions(block):
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    features = torch.rand(1, 4, 8, 8)
    assert torch.equal(block(features), features)


def test_an_encoder_levels_features_reach_the_decoder_directly():
    """With all that is inside of the outermost level silenced, its skip connection still decides the image."""
    network = ResUNet(2, 4, 2)
    for parameter in network.up[0].parameters():
        torch.nn.init.zeros_(parameter)
    first, other = (network(torch.rand(1, 2, 16, 16)) for _ in range(2))
    assert not torch.allclose(first, other)


def test_the_innermost_level_reaches_the_image():
    network, features = ResUNet(2, 4, 3), torch.rand(1, 2, 16, 16)
    before = network(features)
    torch.nn.init.normal_(network.down[2][1].bias)
    assert not torch.allclose(before, network(features))


@pytest.mark.parametrize(
    "network", [ResUNet(4, 4, 3), Coarse(4, (16, 16), 4, 2), Difference(4, 2), Difference(4, 2, outer_skip=False)]
)
def test_every_parameter_is_in_the_graph(network):
    given = [torch.rand(2, 3, 16, 16)] * 2 if isinstance(network, Difference) else [torch.rand(2, 4, 16, 16)]
    image = network(*given).square().mean()
    gradients = torch.autograd.grad(image, list(network.parameters()), allow_unused=True)
    assert all(gradient is not None for gradient in gradients)


@pytest.mark.parametrize(("size", "downs", "parameters"), [(MARKET, 4, 70_795_075), (FASHION, 5, 122_103_235)])
def test_the_first_stage_has_the_publisheds_number_of_parameters(size, downs, parameters):
    with torch.device("meta"):
        network = Coarse(POSE, size, downs=downs)
        assert count(network) == parameters
        assert network(torch.empty(2, POSE, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize(
    ("size", "downs", "outer_skip", "parameters"), [(MARKET, 2, False, 6_058_883), (FASHION, 3, True, 12_696_067)]
)
def test_the_second_stage_has_the_publisheds_number_of_parameters(size, downs, outer_skip, parameters):
    with torch.device("meta"):
        network = Difference(downs=downs, outer_skip=outer_skip)
        assert count(network) == parameters
        assert network(torch.empty(2, 3, *size), torch.empty(2, 3, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize(("size", "layers", "parameters"), [(MARKET, 4, 4_324_737), (FASHION, 5, 10_896_257)])
def test_the_discriminator_has_the_publisheds_number_of_parameters(size, layers, parameters):
    with torch.device("meta"):
        network = DCGAN(3, size, layers=layers)
        assert count(network) == parameters
        assert network(torch.empty(2, 3, *size)).shape == (2, 1)


def test_the_discriminator_of_whole_images_takes_sizes_that_cannot_be_halved_evenly():
    assert DCGAN(3, (25, 18), 4, 3)(torch.rand(2, 3, 25, 18)).shape == (2, 1)


def test_the_bottleneck_carries_a_corner_to_every_position():
    """Convolutions see 28 pixels at the most here; what is further away comes by the fully connected layers."""
    network = Coarse(1, (64, 64), 4, 1)
    image = torch.rand(1, 1, 64, 64)
    other = image.clone()
    other[..., 0, 0] += 5
    assert (network(image)[..., 60:, 60:] != network(other)[..., 60:, 60:]).all()


def test_the_second_stage_sees_what_is_near_only():
    network = Difference(4, 1)
    image, reference = torch.rand(2, 1, 3, 64, 64)
    other = reference.clone()
    other[..., 0, 0] += 5
    changed = network(image, reference) != network(image, other)
    assert changed[..., :4, :4].any()
    assert not changed[..., 40:, 40:].any()


def test_a_signal_does_not_die_out_on_its_way_through_narrow_stages():
    image = Coarse(3, (32, 32), 8, 3)(torch.rand(1, 3, 32, 32))
    difference = Difference(8, 2)(image, torch.rand(1, 3, 32, 32))
    assert image.std() > 0.01
    assert difference.std() > 0.01


def test_weights_start_as_told():
    """Glorot: variance 2 / (inputs + outputs of a position)."""
    weight = Coarse(3, (16, 16), 64, 1).requires_grad_(False).encoder[1].branch[0][0].weight
    assert float(weight.std()) == pytest.approx((2 / (2 * 128 * 9)) ** 0.5, rel=0.05)
    judge = DCGAN(3, (64, 64), 32, 2).requires_grad_(False)
    assert float(judge[-1].weight.std()) == pytest.approx(0.02, rel=0.1)
    stem = ResUNet(32, 64, 1).requires_grad_(False).stem
    assert float(stem.weight.std()) == pytest.approx(0.02, rel=0.05)
    assert not stem.bias.any()
