"""`SpadeNorm`, the spatially-adaptive normalisation of SPADE (Park et al., 2019, Eq. 1), and plain ones beside it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from metai2i_spade.layers import Padding, plain_conv

Kind = Literal["instance", "batch", "position"]


class Guide:
    """What the layers of a generator are guided by, for one forward pass.

    Systems whose layers read more than a map (ids of instances, say) subclass it.

    Args:
        structure: (B, L, H, W) float, at the size of the image.
    """

    def __init__(self, structure: Tensor) -> None:
        self.structure = structure
        self._resized: dict[tuple[int, int], Tensor] = {(structure.shape[-2], structure.shape[-1]): structure}

    def at(self, size: tuple[int, int]) -> Tensor:
        """Return the map (B, L, h, w) of another size (h, w), by nearest neighbour; each size is made once."""
        if size not in self._resized:
            self._resized[size] = interpolate(self.structure, size, mode="nearest")
        return self._resized[size]


class PositionNorm(nn.Module):
    """Normalises each position over its channels, with the unbiased variance (Li et al., 2019; CoCosNet has it)."""

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, C, H, W) features of mean 0 and variance 1 over C, which must be 2 or more."""
        centred = features - features.mean(1, keepdim=True)
        return centred / (features.var(1, keepdim=True) + 1e-5).sqrt()


def normalisation(kind: Kind, features: int) -> nn.Module:
    """Return a normalisation without parameters and without running statistics.

    The published network has synchronised batch norm, whose running means are used for its images. Here an image is
    normalised by the statistics at hand in training and afterwards alike: means that were gathered over all scenes
    would be wrong for a copy that a few images of one scene have adapted, and each copy would have to carry them.

    Args:
        kind: instance, each image by itself; batch, all images of the batch together; position, each pixel by itself.
        features: their number of channels.
    """
    match kind:
        case "instance":
            return nn.InstanceNorm2d(features)
        case "batch":
            return nn.BatchNorm2d(features, affine=False, track_running_stats=False)
        case "position":
            return PositionNorm()


class SpadeNorm(nn.Module):
    """Normalises features, then scales and shifts each position by what the map says there: Eq. 1.

    Args:
        features: C, channels of what is normalised.
        channels: L, channels of the guide's map.
        hidden: channels between the map and its scale and shift; the paper has 128.
        kind: what is normalised over.
        padding: zeros, or reflect.
    """

    def __init__(
        self, features: int, channels: int, hidden: int = 128, kind: Kind = "instance", padding: Padding = "zeros"
    ) -> None:
        super().__init__()
        self.norm = normalisation(kind, features)
        self.shared = plain_conv(channels, hidden, padding=padding)
        self.scale = plain_conv(hidden, features, padding=padding)
        self.shift = plain_conv(hidden, features, padding=padding)

    def forward(self, features: Tensor, guide: Guide) -> Tensor:
        """Return features (B, C, h, w) as the guide's map of the size (h, w) modulates them."""
        hidden = relu(self.shared(guide.at((features.shape[-2], features.shape[-1]))))  # (B, hidden, h, w)
        modulated: Tensor = self.norm(features) * (1 + self.scale(hidden)) + self.shift(hidden)
        return modulated


class PlainNorm(nn.Module):
    """Normalises features, then scales and shifts each channel alike everywhere: what SPADE is compared with."""

    def __init__(self, features: int, kind: Kind = "instance") -> None:
        super().__init__()
        self.norm = normalisation(kind, features)
        self.scale = nn.Parameter(torch.ones(features, 1, 1))
        self.shift = nn.Parameter(torch.zeros(features, 1, 1))

    def forward(self, features: Tensor, guide: Guide) -> Tensor:
        """Return features (B, C, h, w); the guide is not looked at."""
        modulated: Tensor = self.norm(features) * self.scale + self.shift
        return modulated
