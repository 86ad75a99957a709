"""`MappingNetwork` of StarGAN v2: a latent and a domain in, a style of that domain out."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu

from metai2i_stargan2.heads import DomainLinear

LAYERS = 4
"""With a ReLU behind each, before the domains part; and as many for each domain, the last without."""


class MappingNetwork(nn.Module):
    """Linear layers that all domains share, and some for each.

    Args:
        latent: length of the latent.
        style: length of the style.
        hidden: features between.
        domains: how many domains there are.
        spare: whether there is a further one, which training does not know.
    """

    def __init__(self, latent: int, style: int, hidden: int, domains: int, *, spare: bool = True) -> None:
        super().__init__()
        self.shared = nn.ModuleList(nn.Linear(latent if not n else hidden, hidden) for n in range(LAYERS))
        for layer in self.shared:
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        widths = [hidden] * (LAYERS - 1) + [style]
        self.heads = nn.ModuleList(DomainLinear(hidden, after, domains, spare=spare) for after in widths)

    def forward(self, latent: Tensor, domain: Tensor) -> Tensor:
        """Return styles (B, S) of latents (B, L), each for its domain (B,)."""
        features = latent
        for layer in self.shared:
            features = relu(layer(features))
        for head in self.heads[:-1]:
            features = relu(head(features, domain))
        styles: Tensor = self.heads[-1](features, domain)
        return styles
