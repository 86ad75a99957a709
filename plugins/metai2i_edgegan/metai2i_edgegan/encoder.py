"""`Encoder` of EdgeGAN: the latent of edges."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

from metai2i_edgegan.layers import Init, InstanceNorm, initialise


class Residual(nn.Module):
    """Two convolutions with norms beside one of 1x1, and a ReLU behind their sum.

    Args:
        before: features that go in.
        after: features that come out.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect")
        self.second = nn.Conv2d(after, after, 3, padding=1, padding_mode="reflect")
        self.shortcut = nn.Conv2d(before, after, 1)
        self.norm = InstanceNorm()

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, after, h, w) of (B, before, h, w)."""
        changed = self.norm(self.second(relu(self.norm(self.first(features)))))
        return relu(self.shortcut(features) + changed)


class Encoder(nn.Module):
    """Gives the distribution of the latents of edges: a mean and a standard deviation for each number.

    Args:
        latent: length of a latent.
        width: features of the first convolution; they double with each of three blocks, and stay in the fourth.
        init: how weights are drawn.
    """

    def __init__(self, latent: int, width: int, init: Init = "normal") -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 8 * width, 8 * width)
        self.first = nn.Conv2d(3, width, 4, 2, 1)
        self.blocks = nn.ModuleList(Residual(widths[n], widths[n + 1]) for n in range(4))
        self.mean, self.log_deviation = nn.Linear(widths[-1], latent), nn.Linear(widths[-1], latent)
        self.apply(partial(initialise, init=init))

    def forward(self, edges: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return latents (B, L) of edges (B, 3, H, W) in [-1, 1], of a multiple of 32 pixels a side.

        Args:
            edges: black on white.
            noise: (B, L), how many standard deviations from the mean; None for the mean. The released code has the
                same number for all of a latent.
        """
        features = relu(self.first(edges))
        for block in self.blocks:
            features = avg_pool2d(block(features), 2)
        features = features.mean((2, 3))
        mean: Tensor = self.mean(features)
        return mean if noise is None else mean + noise * self.log_deviation(features).exp()
