"""The networks of CoCosNet that make images and judge them: SPADE's, with attention."""

from __future__ import annotations

from metai2i_spade import FromMap, Generator, Layers, MultiscaleDiscriminator, PatchScale, widths_of
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from metai2i import UserError, counted
from metai2i_cocosnet.attention import Attention
from metai2i_cocosnet.correspondence import guided_layers

PADDING = 1
"""Of the discriminator, where SPADE has 2."""
ATTENTIVE_DOUBLINGS = 3
"""A generator with fewer has no features of four times its width to attend to."""


def translation_generator(
    channels: int, grid: tuple[int, int], width: int, hidden: int, doublings: int, attention: bool, chunk: int | None
) -> Generator:
    """Return SPADE's generator with positional norm and reflected borders, and attention at half the image's size.

    Args:
        channels: of the guide's map, the warped exemplar among them.
        grid: (h, w) where it begins.
        width: features of the last block.
        hidden: features between the map and what it does to a normalisation.
        doublings: of the resolution.
        attention: whether there is attention; with fewer than three doublings there is none.
        chunk: positions that attend at a time; None for all.
    """
    layers: Layers = guided_layers(channels, hidden)
    generator = Generator(FromMap(channels, widths_of(width, doublings)[0], grid), layers, width, doublings)
    if attention and doublings >= ATTENTIVE_DOUBLINGS:
        narrowing = len(generator.body) - 3  # from four times the width to twice
        generator.body.insert(narrowing, Attention(4 * width, chunk))
    return generator


class AttentiveScale(PatchScale):
    """A scale of SPADE's discriminator with attention before its last convolution of features."""

    def __init__(self, channels: int, width: int, layers: int, chunk: int | None = None) -> None:
        super().__init__(channels, width, layers, PADDING)
        before = min(2 ** (layers - 2), 8) * width if layers > 1 else width
        self.attention = Attention(before, chunk) if layers > 1 else None

    def forward(self, shown: Tensor) -> list[Tensor]:
        """Return the features of each layer, and at the end the logits (B, 1, h, w), of (B, channels, H, W)."""
        outputs = [leaky_relu(self.first(shown), 0.2)]
        for level, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True), 1):
            features = outputs[-1]
            if self.attention is not None and level == len(self.convs):
                features = self.attention(features)
            outputs.append(leaky_relu(norm(conv(features)), 0.2))
        return [*outputs, self.last(outputs[-1])]


def attentive_discriminator(
    channels: int, width: int, layers: int, scales: int, chunk: int | None = None
) -> MultiscaleDiscriminator:
    """Return SPADE's discriminator with attention in each of its scales, and less padding.

    The published class also builds a decoder for segmentation that nothing calls; there is none here.

    Args:
        channels: of the map and the image together.
        width: features of the first layer.
        layers: convolutions of each scale before its last.
        scales: how many there are.
        chunk: positions that attend at a time; None for all.
    """
    discriminator = MultiscaleDiscriminator(channels, width, layers, scales, PADDING)
    discriminator.scales = nn.ModuleList(AttentiveScale(channels, width, layers, chunk) for _ in range(scales))
    return discriminator


def check_judged(size: tuple[int, int], layers: int, scales: int) -> None:
    """Refuse a discriminator that leaves a normalised map of a single pixel.

    Raises:
        UserError: with the largest `d_layers` that will do, or else `d_scales`.
    """
    if smallest_side(size, layers, scales) >= 2:
        return
    fits = [fewer for fewer in range(layers - 1, 0, -1) if smallest_side(size, fewer, scales) >= 2]
    raise UserError(
        f"cocosnet: {counted(layers, 'layer')} of the discriminator leave too little of its scale {scales} of "
        f"{size[0]}x{size[1]} images",
        hint=f"d_layers: {fits[0]}" if fits else "lower d_scales",
    )


def smallest_side(size: tuple[int, int], layers: int, scales: int) -> int:
    """Return the smallest side of what the last scale of a discriminator norms or gives, in pixels."""
    side = min(size)
    for _ in range(scales - 1):
        side = (side - 1) // 2 + 1
    strides = [2] * max(1, layers - 1) + [1] * (layers > 1)
    for stride in strides:
        side = (side + 2 * PADDING - 4) // stride + 1
    return side
