import pytest
import torch
from metai2i_pix2pix.unet import UNet


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("channels", "downs", "norm", "parameters"),
    [
        (1, 7, "batch", 41_826_947),
        (3, 7, "batch", 41_828_995),
        (7, 7, "batch", 41_833_091),
        (20, 7, "batch", 41_846_403),
        (3, 7, "instance", 41_825_667),
        (7, 7, "instance", 41_829_763),
        (20, 7, "instance", 41_843_075),
        (1, 8, "batch", 54_411_907),
        (3, 8, "batch", 54_413_955),
        (7, 8, "batch", 54_418_051),
        (20, 8, "batch", 54_431_363),
        (3, 8, "instance", 54_409_603),
        (7, 8, "instance", 54_413_699),
        (20, 8, "instance", 54_427_011),
    ],
)
def test_the_u_net_has_the_references_number_of_parameters(channels, downs, norm, parameters):
    with torch.device("meta"):
        assert count(UNet(channels, 64, downs, norm)) == parameters


@pytest.mark.parametrize(
    ("height", "width", "downs"), [(128, 128, 7), (128, 256, 7), (64, 64, 6), (96, 32, 5), (8, 8, 3)]
)
def test_images_have_the_size_of_the_structure(height, width, downs):
    with torch.device("meta"):
        assert UNet(7, 64, downs)(torch.empty(2, 7, height, width)).shape == (2, 3, height, width)


@pytest.mark.parametrize("downs", [1, 2, 3, 5])
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_images_are_within_range_at_every_depth(downs, norm):
    images = UNet(2, 4, downs, norm)(torch.rand(2, 2, 32, 64))
    assert images.shape == (2, 3, 32, 64)
    assert images.abs().max() <= 1


def test_an_encoder_layers_features_reach_the_decoder_directly():
    """With the layer inside silenced, what the outermost skip connection carries still decides the image."""
    network = UNet(2, 4, 3)
    for parameter in network.up[1].parameters():
        torch.nn.init.zeros_(parameter)
    first, other = (network(torch.rand(1, 2, 16, 16)) for _ in range(2))
    assert not torch.allclose(first, other)


def test_every_parameter_gets_a_gradient():
    network = UNet(2, 4, 4, "batch")
    network(torch.rand(2, 2, 32, 32)).square().mean().backward()
    silent = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert not silent


def test_weights_start_at_a_standard_deviation_of_002():
    network = UNet(7, 32, 5, "batch").requires_grad_(False)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            assert float(module.weight.std()) == pytest.approx(0.02, rel=0.1)
            assert abs(float(module.weight.mean())) < 0.002
            assert module.bias is None or not module.bias.any()
    scales = torch.cat([m.weight for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)])
    assert (float(scales.mean()), float(scales.std())) == pytest.approx((1, 0.02), abs=0.004)


def test_a_call_does_the_same_in_training_and_in_evaluation_mode():
    network, structure = UNet(2, 4, 5, "batch"), torch.rand(2, 2, 32, 32)
    assert torch.equal(network.train()(structure), network.eval()(structure))
    assert not list(network.buffers())


def test_dropout_acts_in_the_inner_layers_of_deep_nets_only():
    structure = torch.rand(1, 2, 64, 64)
    deep, shallow = UNet(2, 4, 6), UNet(2, 4, 5)
    assert not torch.equal(deep(structure, dropout=True), deep(structure, dropout=True))
    assert torch.equal(shallow(structure, dropout=True), shallow(structure))
