import pytest
import torch

from metai2i import UserError
from metai2i.losses.patchgan import PatchGAN, check_patches


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("channels", "layers", "norm", "parameters"),
    [
        (3, 3, "batch", 2_765_633),
        (4, 3, "batch", 2_766_657),
        (6, 3, "batch", 2_768_705),
        (10, 3, "batch", 2_772_801),
        (23, 3, "batch", 2_786_113),
        (3, 3, "instance", 2_764_737),
        (6, 3, "instance", 2_767_809),
        (10, 3, "instance", 2_771_905),
        (23, 3, "instance", 2_785_217),
        (6, 1, "batch", 139_585),
        (6, 2, "batch", 666_433),
        (6, 4, "batch", 6_964_033),
        (6, 5, "batch", 11_159_361),
    ],
)
def test_the_discriminator_has_the_references_number_of_parameters(channels, layers, norm, parameters):
    with torch.device("meta"):
        assert count(PatchGAN(channels, 64, layers, norm)) == parameters


@pytest.mark.parametrize(("size", "logits"), [((128, 128), (14, 14)), ((128, 256), (14, 30)), ((256, 256), (30, 30))])
def test_the_discriminator_judges_a_grid_of_patches(size, logits):
    with torch.device("meta"):
        assert PatchGAN(10)(torch.empty(1, 10, *size)).shape == (1, 1, *logits)


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_logit_sees_its_patch_and_nothing_else(layers, field):
    network = PatchGAN(1, 2, layers)
    for name, module in list(network.named_children()):
        if isinstance(module, torch.nn.InstanceNorm2d):  # its statistics see the whole image
            network[int(name)] = torch.nn.Identity()
    image = torch.rand(1, 1, 256, 256, requires_grad=True)
    logits = network(image)
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], image)
    for axis in (0, 1):
        seen = gradient[0, 0].abs().sum(axis).nonzero().flatten()
        assert int(seen[-1] - seen[0]) + 1 == field


def test_weights_start_at_a_standard_deviation_of_002():
    network = PatchGAN(7, 32, 3, "batch").requires_grad_(False)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            assert float(module.weight.std()) == pytest.approx(0.02, rel=0.1)
            assert module.bias is None or not module.bias.any()
    scales = torch.cat([m.weight for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)])
    assert (float(scales.mean()), float(scales.std())) == pytest.approx((1, 0.02), abs=0.004)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_it_has_no_state_besides_its_parameters(norm):
    assert not list(PatchGAN(3, 4, 2, norm).buffers())


@pytest.mark.parametrize(("layers", "side"), [(1, 6), (2, 12), (3, 24), (4, 48)])
def test_the_smallest_size_that_is_let_through_gives_one_logit_at_least(layers, side):
    check_patches("it", (side, 2 * side), layers)
    with torch.device("meta"):
        assert PatchGAN(3, 4, layers)(torch.empty(1, 3, side, 2 * side)).shape[2] == 1
    with pytest.raises(UserError, match=f"it: size {2 * side}x{side - 1} is too small.*at least {side} pixels a side"):
        check_patches("it", (2 * side, side - 1), layers)
