"""`MultiscaleDiscriminator`, that of SPADE (Park et al., 2019, appendix A), after pix2pixHD's (Wang et al., 2018)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu
from torch.nn.utils.parametrizations import spectral_norm

from metai2i_spade.layers import initialise

KERNEL = 4


class PatchScale(nn.Module):
    """Convolutions with spectral and instance norm, which judge overlapping patches.

    Args:
        channels: of the input.
        width: features after the first convolution; they double at each further one, up to eight times as many.
        layers: convolutions before the last one; all but the last of these have stride 2.
        padding: 2 in SPADE; CoCosNet has 1.
    """

    def __init__(self, channels: int, width: int = 64, layers: int = 4, padding: int = 2) -> None:
        super().__init__()
        widths = [min(2**level, 8) * width for level in range(layers)]
        self.first = nn.Conv2d(channels, width, KERNEL, 2, padding)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, KERNEL, 2 if level < layers - 2 else 1, padding, bias=False)
            for level, (before, after) in enumerate(pairwise(widths))
        )
        self.norms = nn.ModuleList(nn.InstanceNorm2d(after) for after in widths[1:])
        self.last = nn.Conv2d(widths[-1], 1, KERNEL, 1, padding)
        self.apply(initialise)
        for conv in self.convs:
            spectral_norm(conv)

    def forward(self, shown: Tensor) -> list[Tensor]:
        """Return the features of each layer, and at the end the logits (B, 1, h, w), of (B, channels, H, W)."""
        outputs = [leaky_relu(self.first(shown), 0.2)]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            outputs.append(leaky_relu(norm(conv(outputs[-1])), 0.2))
        return [*outputs, self.last(outputs[-1])]


class MultiscaleDiscriminator(nn.Module):
    """Several networks of one shape, each on what is half as large as what the one before has seen.

    Args:
        channels: of the input.
        width: features after the first convolution.
        layers: as `PatchScale` has them.
        scales: how many networks.
        padding: 2 in SPADE; CoCosNet has 1.
    """

    def __init__(self, channels: int, width: int = 64, layers: int = 4, scales: int = 2, padding: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchScale(channels, width, layers, padding) for _ in range(scales))

    def forward(self, shown: Tensor) -> list[list[Tensor]]:
        """Return for each scale its features and, at the end, its logits; `shown` is (B, channels, H, W)."""
        outputs = []
        for level, scale in enumerate(self.scales):
            shown = avg_pool2d(shown, 3, 2, 1, count_include_pad=False) if level else shown
            outputs.append(scale(shown))
        return outputs
