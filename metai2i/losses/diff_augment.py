"""`DiffAugment`: changes to what a discriminator sees, so that it does not learn a few hundred images by heart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

Augmentation = Literal["colour", "translation", "cutout"]
"""What may be changed of an image: brightness, saturation and contrast; its place; or a part of it is taken out."""
NUMBERS = 7
"""How many numbers the changes of an image take."""
FURTHEST = 1 / 8
"""How far images are moved, in sides."""
TAKEN_OUT = 1 / 2
"""Sides of the part that is taken out, in sides of the image."""


class DiffAugment:
    """Changes images at random before a discriminator sees them, photographs and fakes alike.

    A discriminator that is shown the same few photographs again and again learns these by heart, and then finds each
    fake false, whatever it is like. Changing the photographs alone would teach the generator the changes. So fakes are
    changed as well, where the discriminator learns and where the generator does, through which gradients go back.

    Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020; mit-han-lab/data-efficient-gans is
    the official repository, whose magnitudes these are: brightness is moved by up to 0.5 of a range of 2, saturation
    goes from none to twice as much, contrast from half to one and a half; images are moved by up to an eighth of their
    sides, and a part with half of their sides is taken out. What is laid bare is 0, which is grey.

    Args:
        changes: which of the three; none for images as they are.
    """

    def __init__(self, changes: Collection[Augmentation]) -> None:
        self.changes = frozenset(changes)

    def draws(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Return numbers in [0, 1) that say how images are changed, (*shape, 7)."""
        return torch.rand(*shape, NUMBERS, generator=generator)

    def __call__(self, images: Tensor, numbers: Tensor, *, colour: bool = True) -> Tensor:
        """Return the images, changed, (B, C, H, W).

        Args:
            images: (B, C, H, W) in [-1, 1].
            numbers: (B, 7), of `draws`. The same ones move two images alike.
            colour: False to leave brightness, saturation and contrast as they are, in drawings.
        """
        if not self.changes:
            return images
        numbers = numbers.to(images.device)
        if colour and "colour" in self.changes:
            images = _coloured(images, *numbers[:, :3].to(images.dtype).unbind(1))
        down, right, top, left = numbers[:, 3:].unbind(1)  # not rounded as images are: the same ones, the same places
        if "translation" in self.changes:
            images = _translated(images, down, right)
        if "cutout" in self.changes:
            images = _cut_out(images, top, left)
        return images


def _coloured(images: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Return images in other colours; of all numbers, (B,), 0.5 changes nothing."""
    brightness, saturation, contrast = (number[:, None, None, None] for number in (brightness, saturation, contrast))
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + 2 * saturation * (images - grey)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (contrast + 0.5) * (images - mean)


def _translated(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return images at another place, by whole pixels, the same number to either side; (B,) in [0, 1) each."""
    height, width = images.shape[-2:]
    rows, columns = _moved(down, height), _moved(right, width)  # (B, H), (B, W)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    framed = pad(images, (1, 1, 1, 1)).movedim(1, -1)  # (B, H + 2, W + 2, C), zeros around
    return framed[each, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def _moved(number: Tensor, length: int) -> Tensor:
    """Return for each pixel of a side which one of a side with a frame is seen there, (B, length)."""
    furthest = int(length * FURTHEST + 0.5)
    by = (number * (2 * furthest + 1)).floor().long() - furthest
    return (torch.arange(length, device=number.device) - by[:, None] + 1).clamp(0, length + 1)


def _cut_out(images: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Return images of which a part is 0, whose centre may be anywhere, the borders included; (B,) in [0, 1) each."""
    height, width = images.shape[-2:]
    out = _within(top, height)[:, :, None] & _within(left, width)[:, None, :]  # (B, H, W)
    return images.masked_fill(out[:, None], 0.0)


def _within(number: Tensor, length: int) -> Tensor:
    """Return which pixels of a side lie in the part that is taken out, (B, length)."""
    side = int(length * TAKEN_OUT + 0.5)
    places = length + 1 - side % 2
    first = (number * places).floor().long()[:, None] - side // 2
    pixels = torch.arange(length, device=number.device)
    return (pixels >= first) & (pixels < first + side)
