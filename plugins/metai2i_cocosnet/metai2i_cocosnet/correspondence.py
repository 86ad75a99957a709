"""`Correspondence`: which position of an exemplar belongs to which of a map (Zhang et al., 2020, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from metai2i_spade import Guide, Layers, SpadeBlock, SpadeNorm, initialise, plain_conv, spectral_conv
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu, normalize, pixel_shuffle, pixel_unshuffle
from torch.nn.utils.parametrizations import spectral_norm

from metai2i_cocosnet.correlation import attend, flat, positions, unflat

BLOCKS = 4
"""Residual blocks between the adaptors and the correlation."""


def guided_layers(channels: int, hidden: int) -> Layers:
    """Return SPADE's layers as CoCosNet has them: positions are normalised, and borders are padded by reflection."""
    return Layers(
        lambda features: SpadeNorm(features, channels, hidden, "position", "reflect"),
        lambda before, after, kernel, bias: spectral_conv(before, after, kernel, bias=bias, padding="reflect"),
    )


class Adaptor(nn.Module):
    """Brings maps, or images, into the domain that both share.

    Args:
        channels: L, of what goes in.
        width: features after the first convolution; four times as many come out.
        stride: 4 as published, 2 or 1: how many pixels a position has a side.
        kernel: of the convolutions that halve the size; 3, or 4.
    """

    def __init__(self, channels: int, width: int, stride: int, kernel: int) -> None:
        super().__init__()
        widths = (channels, width, 2 * width, 4 * width, 8 * width, 8 * width)
        halves = (False, stride > 1, False, stride > 2, False)
        self.convs = nn.ModuleList(
            _normalised_conv(before, after, kernel if half else 3, 2 if half else 1)
            for before, after, half in zip(widths, widths[1:], halves, strict=False)
        )
        layers = guided_layers(channels, 2 * width)
        self.blocks = nn.ModuleList(
            SpadeBlock(before, after, layers)
            for before, after in ((widths[-1], widths[-1]), (widths[-1], widths[-1]), (widths[-1], 4 * width))
        )

    def forward(self, shown: Tensor) -> Tensor:
        """Return features (B, C, h, w), of length 1 over the channels, of (B, L, H, W)."""
        guide, features = Guide(shown), self.convs[0](shown)
        for conv in self.convs[1:]:
            features = conv(leaky_relu(features, 0.2))  # no activation behind the last
        for block in self.blocks:
            features = block(features, guide)
        return normalize(features, dim=1)


def _normalised_conv(before: int, after: int, kernel: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, (kernel - 1) // 2, bias=False)
    initialise(conv)
    return nn.Sequential(spectral_norm(conv), nn.InstanceNorm2d(after))


class MatchBlock(nn.Module):
    """A residual block of two convolutions with instance norm, and one PReLU scalar that both activations share."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv_0 = plain_conv(features, features, padding="reflect")
        self.conv_1 = plain_conv(features, features, padding="reflect")
        self.norm, self.activation = nn.InstanceNorm2d(features), nn.PReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Return features (B, C, h, w)."""
        changed = self.activation(self.norm(self.conv_0(features)))
        activated: Tensor = self.activation(features + self.norm(self.conv_1(changed)))
        return activated


@dataclass(frozen=True)
class Correlation:
    """How alike the positions of a map and of an exemplar are.

    Args:
        queries: (B, P, D), of the map, of length 1.
        keys: (B, P, D), of the exemplar, of length 1.
        grid: (h, w), and P is h*w.
        temperature: tau of the softmax.
        chunk: how many queries at a time; None for all.
        map_features: (B, C, h, w), what the adaptor has given for the map.
    """

    queries: Tensor
    keys: Tensor
    grid: tuple[int, int]
    temperature: float
    chunk: int | None
    map_features: Tensor

    def warp(self, values: Tensor) -> Tensor:
        """Return (B, V, h, w): the exemplar's values (B, V, h, w), each position where the map has its like."""
        warped = attend(self.queries, self.keys, flat(values), self.temperature, self.chunk)
        return unflat(warped, self.grid)

    def back(self, warped: Tensor) -> Tensor:
        """Return (B, V, h, w): what lies in the map's layout, brought to the exemplar's in the same way."""
        values = attend(self.keys, self.queries, flat(warped), self.temperature, self.chunk)
        return unflat(values, self.grid)


class Correspondence(nn.Module):
    """Two adaptors, residual blocks that both sides share, and a correlation of every position with every other.

    Args:
        channels: L, of the map.
        width: features of the adaptors' first convolutions; the paper has 64.
        stride: pixels a side of a position; the paper has 4.
        kernel: of the adaptors' convolutions of stride 2; 3, or 4.
        match: neighbours a side that are compared with a position; the paper has 3.
        temperature: tau of the softmax.
        chunk: positions of the map that are compared at a time; None for all.
        map_too: show the residual blocks the maps of both sides as well.
        coordinates: show them x, y and the distance from the middle as well.
    """

    def __init__(
        self,
        channels: int,
        width: int = 64,
        *,
        stride: int = 4,
        kernel: int = 3,
        match: int = 3,
        temperature: float = 0.01,
        chunk: int | None = None,
        map_too: bool = True,
        coordinates: bool = False,
    ) -> None:
        super().__init__()
        self.stride, self.match, self.temperature, self.chunk = stride, match, temperature, chunk
        self.map_too, self.coordinates = map_too, coordinates
        self.of_map, self.of_image = (Adaptor(shown, width, stride, kernel) for shown in (channels, 3))
        features = 4 * width + channels * map_too + 3 * coordinates
        self.blocks = nn.Sequential(*(MatchBlock(features) for _ in range(BLOCKS)))
        self.theta, self.phi = (plain_conv(features, 4 * width, 1) for _ in range(2))

    def forward(self, structure: Tensor, exemplar: Tensor, exemplar_map: Tensor) -> Correlation:
        """Return how alike positions are.

        Args:
            structure: (B, L, H, W), the map of the image to be.
            exemplar: (B, 3, H, W) in [-1, 1].
            exemplar_map: (B, L, H, W), the exemplar's.
        """
        of_map = self.of_map(structure)
        grid = (of_map.shape[-2], of_map.shape[-1])
        queries = self.theta(self.blocks(self._joined(of_map, structure)))
        keys = self.phi(self.blocks(self._joined(self.of_image(exemplar), exemplar_map)))
        compared = positions(queries, self.match), positions(keys, self.match)
        return Correlation(compared[0], compared[1], grid, self.temperature, self.chunk, of_map)

    def _joined(self, features: Tensor, labels: Tensor) -> Tensor:
        size = (features.shape[-2], features.shape[-1])
        joined = [features]
        if self.map_too:
            joined.append(interpolate(labels, size, mode="nearest"))
        if self.coordinates:
            joined.append(coordinates(size).to(features).expand(features.shape[0], -1, -1, -1))
        return torch.cat(joined, 1)


def coordinates(size: tuple[int, int]) -> Tensor:
    """Return x and y in [-1, 1], and the distance from the middle, of every position: (1, 3, h, w)."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in size), indexing="ij")
    return torch.stack([x, y, (x.square() + y.square()).sqrt()])[None]


def pooled(images: Tensor, stride: int) -> Tensor:
    """Return the mean of the pixels of each position, (B, C, H/stride, W/stride)."""
    return avg_pool2d(images, stride)


def patches(images: Tensor, stride: int) -> Tensor:
    """Return all pixels of each position, (B, C*stride*stride, H/stride, W/stride); `unpatched` puts them back."""
    return pixel_unshuffle(images, stride)


def unpatched(values: Tensor, stride: int) -> Tensor:
    """Return images (B, C, H, W) of what `patches` gives."""
    return pixel_shuffle(values, stride)
