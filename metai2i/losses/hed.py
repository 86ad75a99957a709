"""HED, holistically-nested edge detection (Xie and Tu, 2015): how sure it is of an edge, for each pixel."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, max_pool2d, relu

from metai2i.network import FrozenNetwork

_BLOCKS = {"One": 2, "Two": 2, "Three": 3, "Four": 3, "Five": 3}
_CHANNELS = (64, 128, 256, 512, 512)
_MEAN = (104.00698793, 116.66876762, 122.67891434)
"""Of blue, green and red, in 0 to 255."""


class HedEdges(nn.Module):
    """Five blocks of VGG-16, an edge map of each, and their combination.

    Args:
        tensors: of pytorch-hed's file: `moduleVggOne.0.weight` (or `netVggOne.0.weight`) and so on.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        plain = {name.removeprefix("module").removeprefix("net"): tensor.float() for name, tensor in tensors.items()}
        for name, shape in _shapes().items():
            for kind, wanted in (("weight", shape), ("bias", shape[:1])):
                tensor = plain[f"{name}.{kind}"]
                if tuple(tensor.shape) != wanted:
                    raise ValueError(f"{name}.{kind} should be {wanted}, got {tuple(tensor.shape)}")
                self.register_buffer(f"{name}.{kind}".replace(".", "_"), tensor)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, 1, H, W) in [0, 1] of images (B, 3, H, W) in [-1, 1], of 16 pixels a side at least."""
        mean = torch.tensor(_MEAN).to(images)[:, None, None]
        features = ((images + 1) * 127.5).flip(1) - mean
        maps: list[Tensor] = []
        for block, count in _BLOCKS.items():
            features = max_pool2d(features, 2) if maps else features
            for place in _places(block, count):
                features = relu(self._conv(features, f"Vgg{block}.{place}", 1))
            map_of_block = self._conv(features, f"Score{block}", 0)
            maps.append(interpolate(map_of_block, images.shape[-2:], mode="bilinear", align_corners=False))
        return self._conv(torch.cat(maps, 1), "Combine.0", 0).sigmoid()

    def _conv(self, features: Tensor, name: str, padding: int) -> Tensor:
        flat = name.replace(".", "_")
        return conv2d(features, self.get_buffer(f"{flat}_weight"), self.get_buffer(f"{flat}_bias"), padding=padding)


def _places(block: str, count: int) -> list[int]:
    """Return where the convolutions of a block stand: activations count, and pooling before all but the first block."""
    return [2 * n + (block != "One") for n in range(count)]


def _shapes() -> dict[str, tuple[int, int, int, int]]:
    """Return the shape of every kernel by name."""
    shapes: dict[str, tuple[int, int, int, int]] = {"Combine.0": (1, 5, 1, 1)}
    for (block, count), before, after in zip(_BLOCKS.items(), (3, *_CHANNELS), _CHANNELS, strict=False):
        shapes[f"Score{block}"] = (1, after, 1, 1)
        for n, place in enumerate(_places(block, count)):
            shapes[f"Vgg{block}.{place}"] = (after, after if n else before, 3, 3)
    return shapes


class Hed(FrozenNetwork):
    """HED, edges of photographs as people draw them."""

    files = ("hed.safetensors", "hed-bsds500.pth", "network-bsds500.pytorch")
    origin = "https://github.com/sniklaus/pytorch-hed (network-bsds500.pytorch)"

    def build(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Return `HedEdges`."""
        return HedEdges(tensors)
