"""`Fan`: where the 98 landmarks of a face are, seen by the network that StarGAN v2 masks its high-pass skip by.

A face alignment network of one hourglass (Bulat and Tzimiropoulos, 2017), trained with the adaptive wing loss (Wang et
al., 2019). Names of modules are those of the file that is published with StarGAN v2.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from metai2i import FrozenNetwork

SIDE = 256
"""Pixels of the images that it was trained on, and of the maps that it gives."""
LANDMARKS = 98
_PREFIX = "state_dict."
"""Of the section of the published file that has the weights."""


def coordinates(like: Tensor) -> Tensor:
    """Return (B, 3, H, W): the row and the column of each pixel in [-1, 1], and its distance from the middle in [0, 1].

    Args:
        like: (B, C, H, W).
    """
    down, across = (torch.linspace(-1, 1, side, dtype=like.dtype, device=like.device) for side in like.shape[-2:])
    rows, columns = torch.meshgrid(down, across, indexing="ij")
    distance = torch.sqrt(rows**2 + columns**2)
    return torch.stack([rows, columns, distance / distance.max()]).expand(len(like), -1, -1, -1)


class PlacedConv(nn.Module):
    """A convolution that also sees where a pixel is.

    Args:
        before: features that go in.
        after: features that come out.
        kernel: its side.
        stride: its step.
    """

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before + 3, after, kernel, stride, kernel // 2)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, after, h, w) of (B, before, H, W)."""
        placed: Tensor = self.conv(torch.cat([features, coordinates(features)], 1))
        return placed


class DenseBlock(nn.Module):
    """Three convolutions whose features stand side by side, beside a shortcut.

    Args:
        before: features that go in.
        after: features that come out.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        widths = (before, after // 2, after // 4, after // 4)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm2d(width) for width in widths[:3])
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(width, wider, 3, 1, 1, bias=False) for width, wider in pairwise(widths)
        )
        self.downsample: nn.Module = nn.Identity()
        if before != after:
            self.downsample = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, after, 1, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, after, H, W) of (B, before, H, W)."""
        first = self.conv1(relu(self.bn1(features)))
        second = self.conv2(relu(self.bn2(first)))
        third = self.conv3(relu(self.bn3(second)))
        total: Tensor = torch.cat([first, second, third], 1) + self.downsample(features)
        return total


class Hourglass(nn.Module):
    """Blocks that go down to a sixteenth of the size and back, with a block beside at each size.

    Args:
        depth: how often the size is halved.
        width: features.
    """

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.depth = depth
        self.coordconv = PlacedConv(width, width, 1)
        for level in range(1, depth + 1):
            for name in ("b1", "b2", "b3"):
                self.add_module(f"{name}_{level}", DenseBlock(width, width))
        self.b2_plus_1 = DenseBlock(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, width, H, W) of (B, width, H, W)."""
        return self._within(self.coordconv(features), self.depth)

    def _within(self, features: Tensor, level: int) -> Tensor:
        block = self.get_submodule
        below = block(f"b2_{level}")(avg_pool2d(features, 2))
        below = self._within(below, level - 1) if level > 1 else self.b2_plus_1(below)
        below = block(f"b3_{level}")(below)
        beside: Tensor = block(f"b1_{level}")(features)
        return beside + interpolate(below, scale_factor=2.0, mode="nearest")


class LandmarkMaps(nn.Module):
    """Gives a heat map for each landmark of a face."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = PlacedConv(3, 64, 7, 2), nn.BatchNorm2d(64)
        self.conv2, self.conv3, self.conv4 = DenseBlock(64, 128), DenseBlock(128, 128), DenseBlock(128, 256)
        self.m0, self.top_m_0 = Hourglass(4, 256), DenseBlock(256, 256)
        self.conv_last0, self.bn_end0 = nn.Conv2d(256, 256, 1), nn.BatchNorm2d(256)
        self.l0 = nn.Conv2d(256, LANDMARKS + 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, 98, 256, 256), high where a landmark is, of faces (B, 3, H, W) in [-1, 1]."""
        images = (interpolate(images, (SIDE, SIDE), mode="bilinear") + 1) / 2
        features = relu(self.bn1(self.conv1(images)))
        features = self.conv4(self.conv3(avg_pool2d(self.conv2(features), 2)))
        features = relu(self.bn_end0(self.conv_last0(self.top_m_0(self.m0(features)))))
        maps = self.l0(features)[:, :LANDMARKS]  # the last one is of the face's outline as a whole
        return interpolate(maps, (SIDE, SIDE), mode="bilinear", align_corners=True)


class Fan(FrozenNetwork):
    """Landmarks of faces, by which StarGAN v2 masks its high-pass skip."""

    files = ("fan.safetensors", "wing.ckpt")
    origin = "https://github.com/clovaai/stargan-v2 (bash download.sh wing)"

    def build(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Return `LandmarkMaps`."""
        network = LandmarkMaps()
        known = network.state_dict()
        weights = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}
        counters = {name: tensor for name, tensor in known.items() if name.endswith("num_batches_tracked")}
        network.load_state_dict({name: weights[name] if name not in counters else counters[name] for name in known})
        return network
