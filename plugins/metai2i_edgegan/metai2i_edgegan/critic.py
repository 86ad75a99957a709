"""`Critic` of EdgeGAN, of which it has three: of edges beside photographs, of photographs, and of edges."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from metai2i_edgegan.layers import InstanceNorm, initialise

HALVINGS = 4


class Critic(nn.Module):
    """Four convolutions that halve an image, and a linear layer over all that is left. No batch norm: a gradient
    penalty is of each image by itself.

    Args:
        size: (H, W) of the images; multiples of 16.
        width: features of the first convolution; they double with each.
    """

    def __init__(self, size: tuple[int, int], width: int) -> None:
        super().__init__()
        widths = (3, *(width * 2**n for n in range(HALVINGS)))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(widths[n], widths[n + 1], 4, 2, 1, bias=False) for n in range(HALVINGS)
        )
        self.norm = InstanceNorm()
        self.linear = nn.Linear(widths[-1] * (size[0] // 2**HALVINGS) * (size[1] // 2**HALVINGS), 1)
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Return how real images (B, 3, H, W) in [-1, 1] are: (B,), without bounds."""
        features = leaky_relu(self.convolutions[0](images), 0.2)
        for convolution in self.convolutions[1:]:
            features = leaky_relu(self.norm(convolution(features)), 0.2)
        values: Tensor = self.linear(features.flatten(1))
        return values[:, 0]
