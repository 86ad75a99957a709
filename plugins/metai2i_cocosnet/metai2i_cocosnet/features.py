"""VGG features, with weights from a file that the user has: what CoCosNet compares images by."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, relu

from metai2i import UserError

BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions between poolings."""
CHANNELS = (64, 128, 256, 512, 512)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255))
"""Mean and spread of red, green and blue in [0, 1]."""
TAPPED = 2
"""The second convolution of each block is looked at: relu1_2 to relu5_2."""
SMALLEST = 16
"""Pixels a side that leave something of an image at relu5_2."""


class VggFeatures:
    """The convolutions of VGG-16 or VGG-19 up to relu5_2, frozen: no part of the translator that looks at them.

    Args:
        weights: `conv1_1.weight` and so on.
        caffe: of the published file, which takes BGR in 0 to 255 from which the mean is subtracted; torchvision's take
            RGB that is scaled to ImageNet's mean and spread.
    """

    def __init__(self, weights: Mapping[str, Tensor], caffe: bool) -> None:
        self.weights, self.caffe = weights, caffe
        mean, spread = CAFFE if caffe else IMAGENET
        like = next(iter(weights.values()))
        self.mean, self.spread = (torch.tensor(each)[:, None, None].to(like) for each in (mean, spread))

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return the features of relu1_2, 2_2, 3_2, 4_2 and 5_2, (B, C, h, w) each, of images (B, 3, H, W) in [-1, 1].

        Raises:
            UserError: for images of less than 16 pixels a side.
        """
        if min(images.shape[-2:]) < SMALLEST:
            size = f"{images.shape[-2]}x{images.shape[-1]}"
            raise UserError(f"cocosnet: VGG features need images of at least {SMALLEST} pixels a side, got {size}")
        features = ((images + 1) / 2 - self.mean) / self.spread
        features = features.flip(1) if self.caffe else features
        tapped: list[Tensor] = []
        for block in range(1, len(CHANNELS) + 1):
            features = max_pool2d(features, 2) if tapped else features
            for conv in self._convolutions(block):
                features = relu(
                    conv2d(features, self.weights[f"{conv}.weight"], self.weights[f"{conv}.bias"], padding=1)
                )
                if conv.endswith("_2"):
                    tapped.append(features)
        return tapped

    def _convolutions(self, block: int) -> list[str]:
        names = (f"conv{block}_{n}" for n in range(1, max(BLOCKS["vgg19"]) + 1))
        return [name for name in names if f"{name}.weight" in self.weights]


@lru_cache(maxsize=2)
def vgg_features(file: Path, device: str) -> VggFeatures:
    """Return the features of a weight file on a device; read once per process.

    Args:
        file: torchvision's `vgg19-*.pth` or `vgg16-*.pth`, as it is or as `.safetensors`; or the published
            `vgg19_conv.pth`, to which images are shown as published.
        device: where they are to be computed.

    Raises:
        UserError: when it is not there, cannot be read, or holds something else.
    """
    state = _read(file)
    caffe = "conv1_1.weight" in state
    state = state if caffe else _renamed(state)
    for name, shape in _shapes(state).items():
        got = tuple(state[name].shape) if name in state else "nothing"
        if got != shape:
            raise UserError(
                f"not the weights of VGG-16 or VGG-19: {name} should be {shape}, got {got}",
                where=file,
                hint="name torchvision's vgg19-*.pth or vgg16-*.pth, or the published vgg19_conv.pth",
            )
    return VggFeatures({name: state[name].float().to(device) for name in _shapes(state)}, caffe)


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights that are needed, as many convolutions as the file's network has."""
    blocks = BLOCKS["vgg19" if "conv3_4.weight" in state else "vgg16"]
    shapes: dict[str, tuple[int, ...]] = {}
    for block, (before, after) in enumerate(zip((3, *CHANNELS), CHANNELS, strict=False), 1):
        for n in range(1, (TAPPED if block == len(CHANNELS) else blocks[block - 1]) + 1):
            shapes[f"conv{block}_{n}.weight"] = (after, before if n == 1 else after, 3, 3)
            shapes[f"conv{block}_{n}.bias"] = (after,)
    return shapes


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return torchvision's `features.N.weight` under the names of its convolutions; N counts activations and poolings
    as well."""
    blocks = BLOCKS["vgg19" if "features.34.weight" in state else "vgg16"]
    renamed, place = {}, 0
    for block, convolutions in enumerate(blocks, 1):
        for n in range(1, convolutions + 1):
            for kind in ("weight", "bias"):
                if f"features.{place}.{kind}" in state:
                    renamed[f"conv{block}_{n}.{kind}"] = state[f"features.{place}.{kind}"]
            place += 2
        place += 1
    return renamed


def _read(file: Path) -> Mapping[str, Tensor]:
    """Return the tensors of a file, by a reader that runs no code from it."""
    if not file.is_file():
        raise UserError("cocosnet: there is no such file of VGG weights", where=file, hint="see translator.vgg")
    try:
        if file.suffix == ".safetensors":
            state: object = load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files fail in many ways, and each means the same to the reader
        raise UserError(f"cannot be read as weights: {error}", where=file, hint="the file may be incomplete") from error
    if not isinstance(state, Mapping):
        raise UserError(f"cocosnet: expected tensors by name, got {type(state).__name__}", where=file)
    return {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
