"""`ExemplarEncoder` of GP-UNIT: the style of a photograph as one vector."""

from __future__ import annotations

from torch import Tensor, nn

from metai2i_gpunit.blocks import initialise
from metai2i_gpunit.sizes import Widths


class ExemplarEncoder(nn.Module):
    """Halves a photograph to 8 pixels a side without any normalisation, and sums up what it sees anywhere.

    Args:
        widths: features at full size; a style is four times as long (256 as published).
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        width = widths.width
        self.length = 4 * width
        layers: list[nn.Module] = [nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect"), nn.ReLU()]
        before = width
        for _ in widths.sides[1:]:
            after = min(2 * before, self.length)
            layers += [nn.Conv2d(before, after, 4, 2, 1, padding_mode="reflect"), nn.ReLU()]
            before = after
        self.convs = nn.Sequential(*layers)
        lengths = (before, width, self.length, self.length)
        linear = [nn.Linear(lengths[n], lengths[n + 1]) for n in range(3)]
        self.mlp = nn.Sequential(*[each for layer in linear for each in (layer, nn.ReLU())])
        for layer in (*self.convs, *self.mlp):
            if not isinstance(layer, nn.ReLU):
                initialise(layer)

    def forward(self, images: Tensor) -> Tensor:
        """Return styles (B, S), none of them below 0, of photographs (B, 3, H, W) in [-1, 1]."""
        features = self.convs(images)  # (B, S, 8, 8)
        styles: Tensor = self.mlp(features.mean((2, 3)))
        return styles
