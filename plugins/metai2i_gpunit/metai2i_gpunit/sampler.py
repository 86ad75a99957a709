"""`StyleSampler` of GP-UNIT: latents become styles like those of all photographs (after Hoshen et al., 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

LATENT = 128
"""Length of a latent, and features of the layers between."""
_BATCH, _RATE, _BETAS, _DECAY = 128, 1e-3, (0.5, 0.999), 1e-5
_LOOKED_AT = 2_000_000
"""Styles that are fitted in all, each as often as the others."""
_HALVED_EVERY, _MOST = 50, 500
"""Epochs after which the rate is halved, and those after which it is a thousandth, and nothing moves any more."""
_AT_ONCE = 1024
"""Styles whose nearest neighbours are looked for together."""


class StyleSampler(nn.Module):
    """Three linear layers from a latent to a style.

    Args:
        style: length of a style.
    """

    def __init__(self, style: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(LATENT, LATENT, bias=False), nn.BatchNorm1d(LATENT), nn.ReLU(),
            nn.Linear(LATENT, LATENT, bias=False), nn.BatchNorm1d(LATENT), nn.ReLU(),
            nn.Linear(LATENT, style, bias=False),
        )  # fmt: skip

    def forward(self, latents: Tensor) -> Tensor:
        """Return styles (B, S) of latents (B, 128)."""
        styles: Tensor = self.layers(latents)
        return styles

    @torch.enable_grad()
    def fit(self, styles: Tensor, epochs: int | None = None) -> None:
        """Bring what latents are mapped to nearer to all styles, drawing from torch's global generator.

        In each epoch twice as many latents as styles are mapped, and each style pulls at the nearest.

        Args:
            styles: (N, S), of one photograph or more.
            epochs: as many as look at 2 million styles when None, and no more than 500.
        """
        count = len(styles)
        styles = styles.repeat(2, 1) if count == 1 else styles  # a batch norm needs two
        if epochs is None:
            epochs = min(_MOST, max(1, _LOOKED_AT // count))
        self.train().requires_grad_(True)
        for epoch in range(epochs):
            self._fit_once(styles, _RATE * 0.5 ** (epoch // _HALVED_EVERY))
        self.eval().requires_grad_(False)

    def _fit_once(self, styles: Tensor, rate: float) -> None:
        """Go through all styles once. The optimiser begins anew, as published."""
        optimizer = torch.optim.Adam(self.parameters(), rate, _BETAS, weight_decay=_DECAY)
        batch = min(_BATCH, len(styles))
        mapped = len(styles) // batch * 2 * batch
        latents = torch.randn(mapped, LATENT).to(styles)
        with torch.no_grad():
            places = nearest(styles, torch.cat([self(part) for part in torch.split(latents, batch)]))
        order = torch.randperm(len(styles))[: mapped // 2].to(places)
        for part in torch.split(order, batch):
            optimizer.zero_grad()
            torch.autograd.backward(mse_loss(self(latents[places[part]]), styles[part]))
            optimizer.step()


def nearest(points: Tensor, among: Tensor) -> Tensor:
    """Return the place (N,) of the nearest of some points (M, D) for each of others (N, D)."""
    return torch.cat([torch.cdist(part, among).argmin(1) for part in torch.split(points, _AT_ONCE)])


def with_rare(styles: Tensor) -> Tensor:
    """Return styles (N, S) and, for each 1000 of them, the rarest half, quarter and so on once more.

    The rarer, the farther from the mean of all.
    """
    count = len(styles)
    order = (styles - styles.mean(0)).abs().sum(1).argsort()
    halves = [max(count // 2 ** (n + 1), 1) for n in range(count // 1000)]
    return torch.cat([styles, *(styles[order[-half:]] for half in halves)])
