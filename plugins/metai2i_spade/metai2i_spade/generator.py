"""`Generator`, that of SPADE (Park et al., 2019, appendix A), from layers that other systems may exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from metai2i_spade.layers import Nearest, initialise, plain_conv, spectral_conv
from metai2i_spade.norm import Guide, Kind, PlainNorm, SpadeNorm

DOUBLINGS = 5
"""Of the published network ("normal"); with one more ("more") the blocks are the same."""


@dataclass(frozen=True)
class Layers:
    """What a generator is made of. Every module that these make is called with `(features, guide)`.

    Args:
        norm: makes a normalisation of so many features.
        conv: makes a convolution of stride 1, by its channels before and after, its kernel, and whether it has a bias.
        upsample: makes what doubles height and width of so many features.
        last: makes the convolution to the image, by its channels before and after.
    """

    norm: Callable[[int], nn.Module]
    conv: Callable[[int, int, int, bool], nn.Module] = lambda before, after, kernel, bias: spectral_conv(
        before, after, kernel, bias=bias
    )
    upsample: Callable[[int], nn.Module] = lambda features: Nearest()
    last: Callable[[int, int], nn.Module] = plain_conv


def spade_layers(channels: int, hidden: int = 128, kind: Kind = "instance") -> Layers:
    """Return the published layers, for maps of `channels` channels."""
    return Layers(lambda features: SpadeNorm(features, channels, hidden, kind))


class SpadeBlock(nn.Module):
    """Two normalised convolutions beside a shortcut, which is learned where the number of features changes.

    Args:
        before: features that go in.
        after: features that come out; between the convolutions is the smaller number of both.
        layers: what it is made of.
    """

    def __init__(self, before: int, after: int, layers: Layers) -> None:
        super().__init__()
        middle = min(before, after)
        self.norm_0, self.conv_0 = layers.norm(before), layers.conv(before, middle, 3, True)
        self.norm_1, self.conv_1 = layers.norm(middle), layers.conv(middle, after, 3, True)
        self.learned = before != after
        if self.learned:  # without an activation
            self.norm_s, self.conv_s = layers.norm(before), layers.conv(before, after, 1, False)

    def forward(self, features: Tensor, guide: Guide) -> Tensor:
        """Return features (B, after, h, w) of (B, before, h, w)."""
        shortcut = self.conv_s(self.norm_s(features, guide), guide) if self.learned else features
        features = self.conv_0(leaky_relu(self.norm_0(features, guide), 0.2), guide)
        features = self.conv_1(leaky_relu(self.norm_1(features, guide), 0.2), guide)
        changed: Tensor = shortcut + features
        return changed


class FromMap(nn.Module):
    """Begins with the map itself, made as small as the grid; (h, w) is the grid, here and below."""

    def __init__(self, channels: int, features: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid, self.conv = grid, plain_conv(channels, features)

    def forward(self, guide: Guide, code: Tensor | None) -> Tensor:
        """Return features (B, C, h, w)."""
        features: Tensor = self.conv(guide.at(self.grid))
        return features


class FromCode(nn.Module):
    """Begins with a code of the image's look, which a variational encoder or chance gives."""

    def __init__(self, latent: int, features: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid, self.linear = grid, nn.Linear(latent, features * grid[0] * grid[1])
        initialise(self.linear)

    def forward(self, guide: Guide, code: Tensor | None) -> Tensor:
        """Return features (B, C, h, w) of codes (B, latent)."""
        assert code is not None
        features: Tensor = self.linear(code).unflatten(1, (-1, *self.grid))
        return features


class FromPyramid(nn.Module):
    """Begins with what convolutions of stride 2 make of the map at full size: where only the input knows the labels.

    Args:
        channels: of the map.
        widths: of the features after each convolution; the first keeps the size, each further one halves it.
        kind: what is normalised over.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], kind: Kind = "instance") -> None:
        super().__init__()
        pairs = list(zip((channels, *widths), widths, strict=False))
        self.convs = nn.ModuleList(spectral_conv(a, b, stride=2 if n else 1) for n, (a, b) in enumerate(pairs))
        self.norms = nn.ModuleList(PlainNorm(after, kind) for after in widths)

    def forward(self, guide: Guide, code: Tensor | None) -> Tensor:
        """Return features (B, C, h, w)."""
        features = guide.structure
        for conv, norm in zip(self.convs, self.norms, strict=True):
            features = leaky_relu(norm(conv(features), guide), 0.2)
        return features


def widths_of(width: int, doublings: int) -> tuple[int, ...]:
    """Return the features after each block whose number is not that of the first: 16, 8, 4, 2 and 1 times `width`.

    With fewer than five doublings the widest are left out.
    """
    narrowings = min(doublings, DOUBLINGS) - 1
    return tuple(2**level * width for level in range(narrowings, -1, -1))


def pyramid(widths: tuple[int, ...], doublings: int) -> tuple[int, ...]:
    """Return the features of convolutions that halve as often as a generator of these widths doubles."""
    return (*reversed(widths), *[widths[0]] * (doublings + 1 - len(widths)))


class Generator(nn.Module):
    """Residual blocks, with a doubling of the resolution between them, from a small grid to the image.

    `body` has them in order, each called with `(features, guide)`, so that others can be put between.

    Args:
        first: gives the features on the small grid, as many as `widths_of` begins with, for `(guide, code)`.
        layers: what the blocks are made of.
        width: features of the last block; the paper has 64.
        doublings: how many times the resolution is doubled: 5 in the paper, 6 for 256x512 ("more"), less for small
            images, for which the widest blocks are left out.
    """

    def __init__(self, first: nn.Module, layers: Layers, width: int = 64, doublings: int = DOUBLINGS) -> None:
        super().__init__()
        widths = widths_of(width, doublings)
        widest = widths[0]
        body = [SpadeBlock(widest, widest, layers), layers.upsample(widest), SpadeBlock(widest, widest, layers)]
        body += [layers.upsample(widest) for _ in range(doublings - DOUBLINGS)]
        body.append(SpadeBlock(widest, widest, layers))
        for before, after in pairwise(widths):
            body += [layers.upsample(before), SpadeBlock(before, after, layers)]
        self.first, self.body, self.last = first, nn.ModuleList(body), layers.last(width, 3)

    def forward(self, guide: Guide, code: Tensor | None = None) -> Tensor:
        """Return images (B, 3, H, W) in [-1, 1].

        Args:
            guide: the map and whatever else the layers read.
            code: (B, latent), where `first` begins with one.
        """
        features = self.first(guide, code)
        for module in self.body:
            features = module(features, guide)
        return torch.tanh(self.last(leaky_relu(features, 0.2), guide))
