"""`Discriminator` and `StyleEncoder` of StarGAN v2, which are one network but for its last layer."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from metai2i_stargan2.blocks import ResidualBlock, initialise
from metai2i_stargan2.heads import DomainLinear
from metai2i_stargan2.sizes import Widths


class Halvings(nn.Module):
    """Residual blocks that halve an image to 4 pixels a side, and a convolution over all that is left.

    Args:
        widths: features at each size.
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        steps = widths.steps(widths.critic_halvings)
        self.features = steps[-1][1]
        self.first = nn.Conv2d(3, widths.first, 3, 1, 1)
        self.blocks = nn.Sequential(*[ResidualBlock(before, after, down=True) for before, after in steps])
        self.last = nn.Conv2d(self.features, self.features, 4)
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, F) of images (B, 3, H, W) in [-1, 1]."""
        features = self.blocks(self.first(images))
        return leaky_relu(self.last(leaky_relu(features, 0.2)), 0.2).flatten(1)


class Discriminator(nn.Module):
    """Says of an image whether it is a photograph of a domain.

    Args:
        widths: features at each size.
        domains: how many domains there are.
        spare: whether there is a further one, which training does not know.
    """

    def __init__(self, widths: Widths, domains: int, *, spare: bool = True) -> None:
        super().__init__()
        self.shared = Halvings(widths)
        self.heads = DomainLinear(self.shared.features, 1, domains, spare=spare)

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        """Return logits (B,), of images (B, 3, H, W), each for its domain (B,)."""
        logits: Tensor = self.heads(self.shared(images), domain)[:, 0]
        return logits


class StyleEncoder(nn.Module):
    """Gives the style of a photograph, as one of a domain.

    Args:
        widths: features at each size.
        style: length of the style.
        domains: how many domains there are.
        spare: whether there is a further one, which training does not know.
    """

    def __init__(self, widths: Widths, style: int, domains: int, *, spare: bool = True) -> None:
        super().__init__()
        self.shared = Halvings(widths)
        self.heads = DomainLinear(self.shared.features, style, domains, spare=spare)

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        """Return styles (B, S), of images (B, 3, H, W), each for its domain (B,)."""
        styles: Tensor = self.heads(self.shared(images), domain)
        return styles
