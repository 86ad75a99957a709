"""`Generator`, that of StarGAN v2: an image and a style in, an image of that style out."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import interpolate

from metai2i_stargan2.blocks import HighPass, ResidualBlock, StyledBlock, initialise
from metai2i_stargan2.masks import Masks
from metai2i_stargan2.sizes import Widths


class Generator(nn.Module):
    """Halvings of the source, two blocks that see its style gone, two that bring another, and as many doublings.

    Args:
        widths: features at each size.
        style: length of the style.
        high_pass: with a number above 0, details of the source are carried over where `Masks` say so, divided by it.
            There is one halving more then, and no shortcut in the styled blocks.
    """

    def __init__(self, widths: Widths, style: int = 64, high_pass: float = 0.0) -> None:
        super().__init__()
        halvings = widths.generator_halvings + (high_pass > 0)
        steps = widths.steps(halvings)
        widest = steps[-1][1]
        self.from_rgb = nn.Conv2d(3, widths.first, 3, 1, 1)
        self.encode = nn.ModuleList(ResidualBlock(before, after, norm=True, down=True) for before, after in steps)
        self.encode.extend(ResidualBlock(widest, widest, norm=True) for _ in range(2))
        plain = high_pass == 0
        self.decode = nn.ModuleList(StyledBlock(widest, widest, style, shortcut=plain) for _ in range(2))
        self.decode.extend(
            StyledBlock(after, before, style, up=True, shortcut=plain) for before, after in reversed(steps)
        )
        self.to_rgb = nn.Sequential(
            nn.InstanceNorm2d(widths.first, affine=True), nn.LeakyReLU(0.2), nn.Conv2d(widths.first, 3, 1)
        )
        self.high_pass = HighPass(high_pass) if high_pass else None
        self.apply(initialise)

    def forward(self, source: Tensor, style: Tensor, masks: Masks | None = None) -> Tensor:
        """Return images (B, 3, H, W), which nothing keeps within [-1, 1].

        Args:
            source: (B, 3, H, W) in [-1, 1].
            style: (B, S).
            masks: where details of the source are kept; nowhere without them.
        """
        features = self.from_rgb(source)
        kept: dict[int, Tensor] = {}
        for block in self.encode:
            if masks is not None and features.shape[-1] in (32, 64, 128):
                kept[features.shape[-1]] = features
            features = block(features)
        for block in self.decode:
            features = block(features, style)
            if masks is not None and features.shape[-1] in kept:
                features = features + self._details(kept, features.shape[-1], masks)
        images: Tensor = self.to_rgb(features)
        return images

    def _details(self, kept: Mapping[int, Tensor], side: int, masks: Masks) -> Tensor:
        assert self.high_pass is not None
        mask = interpolate(masks[0] if side == 32 else masks[1], kept[side].shape[-2:], mode="bilinear")
        details: Tensor = self.high_pass(mask * kept[side])
        return details
