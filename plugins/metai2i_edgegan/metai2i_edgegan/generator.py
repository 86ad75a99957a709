"""`Generator` of EdgeGAN: a latent and a class in, edges or a photograph out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from metai2i_edgegan.layers import DOUBLINGS, SPREAD, InstanceNorm, Upsampling

TIMES = 4
"""How often height and width are doubled."""
FirstNorm = Literal["instance", "batch"]


class ClassRows(nn.Module):
    """What each class adds to the first features: the rows of a linear layer that a one-hot class goes through.

    A class that training does not know has the mean of the others' rows and a difference that begins as 0.

    Args:
        features: length of a row.
        classes: how many classes there are.
        spare: whether there is a further one, which training does not know.
    """

    def __init__(self, features: int, classes: int, *, spare: bool = True) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(classes, features) * SPREAD)
        self.spare = nn.Parameter(torch.zeros(features)) if spare else None

    def forward(self, domain: Tensor) -> Tensor:
        """Return (B, features) of classes (B,) int64; the number of classes or more is the spare one. Where there is
        none, the translator has refused these.
        """
        rows: Tensor = self.rows
        if self.spare is not None:
            rows = torch.cat([rows, (rows.mean(0) + self.spare)[None]])
        return rows[domain.clamp(max=len(rows) - 1)]


class Generator(nn.Module):
    """A linear layer and four doublings, as DCGAN's.

    Args:
        size: (H, W) of the image; multiples of 16.
        latent: length of the latent.
        width: features before the last doubling; there are 8 times as many at the first size.
        classes: how many classes there are; 0 for none, which the latent then has no company of.
        spare: whether there is a further one, which training does not know.
        first_norm: how the first features are normalised: `instance` as all others; `batch` as in the released code,
            over the whole batch, with scale and shift.
        upsampling: how height and width are doubled.
    """

    def __init__(
        self,
        size: tuple[int, int],
        latent: int,
        width: int,
        classes: int,
        *,
        spare: bool = True,
        first_norm: FirstNorm = "instance",
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        self.start = (8 * width, size[0] // 2**TIMES, size[1] // 2**TIMES)
        features = self.start[0] * self.start[1] * self.start[2]
        self.linear = nn.Linear(latent, features)
        nn.init.normal_(self.linear.weight, std=SPREAD)
        nn.init.zeros_(self.linear.bias)
        self.classes = ClassRows(features, classes, spare=spare) if classes else None
        self.first_norm = nn.BatchNorm2d(8 * width) if first_norm == "batch" else InstanceNorm()
        self.norm = InstanceNorm()
        widths = (8 * width, 4 * width, 2 * width, width, 3)
        doubling = DOUBLINGS[upsampling]
        self.doublings = nn.ModuleList(doubling(widths[n], widths[n + 1]) for n in range(TIMES))

    def class_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that belong to a single class each."""
        if self.classes is not None:
            yield from self.classes.parameters()

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """Yield those of all classes."""
        of_classes = {id(parameter) for parameter in self.class_parameters()}
        yield from (parameter for parameter in self.parameters() if id(parameter) not in of_classes)

    def forward(self, latent: Tensor, domain: Tensor) -> Tensor:
        """Return images (B, 3, H, W) in [-1, 1] of latents (B, L) and classes (B,) int64."""
        features: Tensor = self.linear(latent)
        if self.classes is not None:
            features = features + self.classes(domain)
        features = relu(self.first_norm(features.view(-1, *self.start)))
        for doubling in self.doublings[:-1]:
            features = relu(self.norm(doubling(features)))
        images: Tensor = self.doublings[-1](features)
        return images.tanh()
