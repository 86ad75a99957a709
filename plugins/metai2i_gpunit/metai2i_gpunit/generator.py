"""`Generator` of GP-UNIT: a content code becomes an image, with details of the input by dynamic skips."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from metai2i_gpunit.blocks import SLOPE, StyleNorm, doubled, plain_conv
from metai2i_gpunit.content import Content
from metai2i_gpunit.sizes import CODE, SKIPS, Widths


class StyledBlock(nn.Module):
    """Two convolutions that a style modulates, beside a shortcut; their plain sum.

    Args:
        before: features that go in.
        after: features that come out.
        style: length of the style.
    """

    def __init__(self, before: int, after: int, style: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = StyleNorm(before, style), StyleNorm(after, style)
        self.conv1, self.conv2 = plain_conv(before, after), plain_conv(after, after)
        self.changes_width = before != after
        if self.changes_width:
            self.shortcut_norm, self.shortcut = StyleNorm(before, style), plain_conv(before, after, 1, bias=False)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Return (B, after, h, w) of (B, before, h, w) and styles (B, S)."""
        changed = self.conv1(leaky_relu(self.norm1(features, style), SLOPE))
        changed = self.conv2(leaky_relu(self.norm2(changed, style), SLOPE))
        if self.changes_width:
            features = self.shortcut(self.shortcut_norm(features, style))
        total: Tensor = features + changed
        return total


class DynamicSkip(nn.Module):
    """Carries over what a mask, which it decides on itself, lets through of the encoder's features.

    Args:
        before: features of the state that the previous skip left.
        features: C, of encoder and generator alike.
        graded: whether the mask is shown how intensely content is to be kept.
    """

    def __init__(self, before: int, features: int, *, graded: bool = False) -> None:
        super().__init__()
        self.graded = graded
        self.state = plain_conv(before, features, reflect=True)
        self.reset = plain_conv(2 * features, features, reflect=True)
        self.mask = plain_conv(2 * features + graded, features, reflect=True)
        self.update = plain_conv(2 * features, features, reflect=True)

    def forward(
        self, features: Tensor, encoded: Tensor, state: Tensor, intensity: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the generator's features with those of the encoder put in, the new state and the mask.

        Args:
            features: (B, C, h, w) of the generator.
            encoded: (B, C, h, w) of the encoder.
            state: (B, before, h / 2, w / 2).
            intensity: (B,) in [0, 1], by which the mask is multiplied; 1 when None.

        Returns:
            three (B, C, h, w), the mask in [0, 1).
        """
        candidate = leaky_relu(self.state(doubled(state)), SLOPE)
        both = torch.cat([candidate, encoded], 1)
        new_state = torch.sigmoid(self.reset(both)) * candidate
        if intensity is None:
            intensity = features.new_ones(len(features))
        level = intensity.to(features)[:, None, None, None]
        seen = torch.cat([both, level.expand(-1, 1, *both.shape[-2:])], 1) if self.graded else both
        mask = relu(self.mask(seen)).tanh() * level
        kept = self.update(torch.cat([new_state, encoded], 1))
        return (1 - mask) * features + mask * kept, new_state, mask


class Generator(nn.Module):
    """Doubles a content code up to an image, a styled block at each size, with dynamic skips at 16 and 32 pixels.

    The published network could give an image at each size, by convolutions of which training uses the last alone: the
    others are not there.

    Args:
        widths: features at each size.
        style: length of the style.
        skips: at how many sizes there is a dynamic skip, from 16 pixels on; where the encoder has features.
        seen: pixels a side of the images that the encoder sees.
        graded: whether the masks are shown how intensely content is to be kept.
    """

    def __init__(self, widths: Widths, style: int, *, skips: int = 2, seen: int, graded: bool = False) -> None:
        super().__init__()
        self.sides = widths.sides
        self.first = StyledBlock(1, widths.at(CODE), style)
        widest = widths.at(CODE)
        self.blocks = nn.ModuleList([StyledBlock(widest, widest, style)])
        self.blocks.extend(StyledBlock(widths.at(side // 2), widths.at(side), style) for side in self.sides[1:])
        self.skips = nn.ModuleDict()
        before = 1
        for side in (side for side in SKIPS[:skips] if side <= widths.side and side < seen):
            self.skips[str(side)] = DynamicSkip(before, widths.at(side), graded=graded)
            before = widths.at(side)
        self.to_rgb = plain_conv(widths.at(widths.side), 3, 7)

    def forward(
        self, content: Content, style: Tensor, intensity: Tensor | None = None, *, skip: bool = True
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Return images (B, 3, H, W) in [-1, 1], and the masks (B, C, side, side) of the dynamic skips by their sides.

        Args:
            content: of the inputs.
            style: (B, S).
            intensity: (B,) in [0, 1], by which masks are multiplied; 1 when None.
            skip: whether details are carried over.
        """
        features, state = self.first(content.code, style), content.code  # (B, C, 8, 8) and (B, 1, 8, 8)
        masks: dict[int, Tensor] = {}
        for side, block in zip(self.sides, self.blocks, strict=True):
            features = block(doubled(features) if side > CODE else features, style)  # (B, C, side, side)
            if skip and str(side) in self.skips:
                encoded = content.features[side]
                features, state, masks[side] = self.skips[str(side)](features, encoded, state, intensity)
        return self.to_rgb(leaky_relu(features, SLOPE)).tanh(), masks
