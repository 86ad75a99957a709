"""Convolutions that know where an instance ends: `PlainConv2d`, `PartialConv2d`, `PanopticConv2d`.

After the description in Dundar et al., "Panoptic-based Image Synthesis" (2020), whose source is not public. Each is a
`torch.nn.Conv2d` with an odd kernel and a padding that keeps the size, and is called with the ids beside the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from metai2i_panoptic.windows import inside_image, own_instance, ratio, taps

Aware = Literal["plain", "partial", "panoptic"]


class PlainConv2d(nn.Conv2d):
    """y = W * x + b: the ids are not looked at, and zeros lie around the image.

    Args:
        before: channels that go in.
        after: channels that come out.
        kernel: pixels a side of the window, odd.
        stride: 1 keeps the size, 2 halves it.
        bias: whether b is there.
    """

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1, bias: bool = True) -> None:
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
        super().__init__(before, after, kernel, stride, kernel // 2, bias=bias)

    def forward(self, features: Tensor, ids: Tensor) -> Tensor:  # type: ignore[override]  # called with ids as well
        """Return features (B, after, h, w) of features (B, before, H, W) and ids (B, H, W), whole numbers."""
        return super().forward(features)

    def masked(self, features: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """Return y = W * (M x) sum(1) / sum(M) + b, and 0 where M is.

        Args:
            features: (B, before, H, W).
            masks: M, for each of the k*k taps of the window (B or 1, 1, h, w).
        """
        factor = ratio(masks, features.dtype)
        total = masked_sum(features, self.weight, masks, self.stride[0])
        scaled = total * factor.to(total.dtype)
        if self.bias is None:
            return scaled
        return scaled + self.bias.to(scaled.dtype)[:, None, None] * (factor > 0)


class PartialConv2d(PlainConv2d):
    """y = W * (M x) sum(1) / sum(M) + b with M = 1 inside the image: what lies beyond the border is left out.

    That is partial convolution (Liu et al., 2018) used as padding; `valid` narrows M further.
    """

    def forward(  # type: ignore[override]  # called with ids as well
        self, features: Tensor, ids: Tensor, valid: Tensor | None = None
    ) -> Tensor:
        """Return features (B, after, h, w) of features (B, before, H, W) and ids (B, H, W), of which the size counts.

        Args:
            features: what is convolved.
            ids: whole numbers.
            valid: (B, 1, H, W) bool, where features count at all; everywhere without it. Where a window shows no valid
                one, the output is 0.
        """
        kernel, stride = self.kernel_size[0], self.stride[0]
        masks = list(inside_image(ids, kernel, stride) if valid is None else taps(valid, kernel, stride))
        return self.masked(features, masks)


class PanopticConv2d(PlainConv2d):
    """y = W * (M x) sum(1) / sum(M) + b with M = 1 where the window shows the instance of its middle, and 0 elsewhere.

    So nothing crosses from one instance to another, and M differs from window to window: it is no single convolution.
    The middle is its own instance, so sum(M) is 1 at least.
    """

    def forward(self, features: Tensor, ids: Tensor) -> Tensor:  # type: ignore[override]  # called with ids as well
        """Return features (B, after, h, w) of features (B, before, H, W) and ids (B, H, W), whole numbers."""
        return self.masked(features, own_instance(ids, self.kernel_size[0], self.stride[0]))


def masked_sum(features: Tensor, weight: Tensor, masks: Sequence[Tensor], stride: int = 1) -> Tensor:
    """Return the sum over the taps j of M_j W_j x_j, (B, after, h, w).

    A mask has one number for all channels, so it may be put on after the weights of its tap: k*k convolutions of 1x1.
    For their gradients, the features are kept once and not k*k times, as they were if they were unfolded.

    Args:
        features: x, (B, before, H, W).
        weight: W, (after, before, k, k).
        masks: M, for each of the k*k taps (B or 1, 1, h, w).
        stride: from one window to the next.
    """
    kernel = weight.shape[-1]
    kernels = weight.flatten(2).unbind(2)
    total: Tensor | None = None
    for kernel_j, view, mask in zip(kernels, taps(features, kernel, stride), masks, strict=True):
        term = conv2d(view, kernel_j[:, :, None, None])
        term = torch.where(mask, term, 0.0)
        total = term if total is None else total + term
    assert total is not None
    return total


CONVOLUTIONS: dict[Aware, type[PlainConv2d]] = {
    "plain": PlainConv2d,
    "partial": PartialConv2d,
    "panoptic": PanopticConv2d,
}
"""By the name that a recipe has for them."""
