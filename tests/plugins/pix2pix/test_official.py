"""Files of the official PyTorch code: its networks, written out as its state dicts name them, give the same images."""

from __future__ import annotations

import functools

import pytest
import torch
from metai2i_pix2pix.official import official_discriminator, official_generator
from metai2i_pix2pix.translator import Pix2pix
from metai2i_pix2pix.unet import UNet
from torch import nn

from metai2i.losses import PatchGAN

NORMS = {
    "batch": functools.partial(nn.BatchNorm2d, affine=True, track_running_stats=True),
    "instance": functools.partial(nn.InstanceNorm2d, affine=False, track_running_stats=False),
}


class Block(nn.Module):
    """A level of the published U-Net with all that is inside it."""

    def __init__(self, outer, inner, norm, before=None, inside=None):
        super().__init__()
        bias, norm = norm == "instance", NORMS[norm]
        down = nn.Conv2d(outer if before is None else before, inner, 4, 2, 1, bias=bias)
        if before is not None:
            layers = [down, inside, nn.ReLU(), nn.ConvTranspose2d(inner * 2, outer, 4, 2, 1), nn.Tanh()]
        elif inside is None:
            up = nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=bias)
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, norm(outer)]
        else:
            up = nn.ConvTranspose2d(inner * 2, outer, 4, 2, 1, bias=bias)
            layers = [nn.LeakyReLU(0.2), down, norm(inner), inside, nn.ReLU(), up, norm(outer), nn.Dropout(0.0)]
        self.model, self.outermost = nn.Sequential(*layers), before is not None

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class Published(nn.Module):
    """`UnetGenerator` of so many levels."""

    def __init__(self, channels, width, downs, norm):
        super().__init__()
        block = Block(width * 8, width * 8, norm)
        for _ in range(downs - 5):
            block = Block(width * 8, width * 8, norm, inside=block)
        for times in (4, 2, 1):
            block = Block(width * times, width * times * 2, norm, inside=block)
        self.model = Block(3, width, norm, before=channels, inside=block)

    def forward(self, x):
        return self.model(x)


def published_judge(channels, width, norm, layers=3):
    bias, make = norm == "instance", NORMS[norm]
    modules = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for level in range(1, layers + 1):
        before, after = width * min(2 ** (level - 1), 8), width * min(2**level, 8)
        stride = 2 if level < layers else 1
        modules += [nn.Conv2d(before, after, 4, stride, 1, bias=bias), make(after), nn.LeakyReLU(0.2)]
    judge = nn.Module()
    judge.model = nn.Sequential(*modules, nn.Conv2d(width * min(2**layers, 8), 1, 4, 1, 1))
    return judge


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_published_generator_paints_the_same_images_here(norm, prefix):
    published, ours = Published(3, 2, 6, norm), UNet(3, 2, 6, norm)
    state = {f"{prefix}{name}": tensor for name, tensor in published.state_dict().items()}
    ours.load_state_dict(official_generator(state))
    maps = torch.rand(2, 3, 128, 64) * 2 - 1
    torch.testing.assert_close(ours(maps), published(maps), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_a_published_discriminator_judges_alike(norm):
    published, ours = published_judge(6, 4, norm), PatchGAN(6, 4, 3, norm)
    ours.load_state_dict(official_discriminator(published.state_dict()))
    shown = torch.rand(2, 6, 64, 64)
    torch.testing.assert_close(ours(shown), published.model(shown), atol=1e-5, rtol=1e-4)


def test_the_full_generator_has_the_names_and_shapes_of_the_published_file():
    """unet_256 of width 64: 54,413,955 parameters with batch norm, for three channels in and out."""
    with torch.device("meta"):
        published, ours = Published(3, 64, 8, "batch"), UNet(3, 64, 8, "batch")
    assert sum(parameter.numel() for parameter in published.parameters()) == 54_413_955
    assert published.state_dict()["model.model.1.model.3.model.3.model.1.weight"].shape == (512, 256, 4, 4)
    adopted = Pix2pix.adopted("generator", published.state_dict())
    assert {name: tensor.shape for name, tensor in adopted.items()} == {
        name: tensor.shape for name, tensor in ours.state_dict().items()
    }


def test_names_of_our_own_and_strange_ones_stay_as_they_are():
    tensors = {"down.0.weight": torch.zeros(1), "model.model.9.weight": torch.ones(1)}
    assert Pix2pix.adopted("generator", tensors) == tensors
    judge = PatchGAN(6, 4).state_dict()
    assert Pix2pix.adopted("discriminator", judge).keys() == judge.keys()
    assert Pix2pix.adopted("translator", tensors) is tensors
