"""What an output shares with its photograph in meaning, and with its exemplar in colour and texture.

The measures are those of CoCosNet (Zhang et al., 2020, section 4.2): cosines of a classifier's features, the deep ones
for the meaning and the first ones for the look. The paper has VGG-19; here are the layers of VGG-16 that LPIPS has,
so that no further weights are needed. The numbers are therefore not those of the paper's tables.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from metai2i.batch import Batch
from metai2i.losses.lpips import SMALLEST, lpips_distance
from metai2i.metric import Metric
from metai2i.metrics.builtin import as_saved

DEEP = (2, 3, 4)
"""relu3_3, relu4_3 and relu5_3 among the layers of `vgg16_layers`."""


def vgg16_layers(images: Tensor) -> list[Tensor]:
    """Return VGG-16's relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3 of images as they would be saved.

    Args:
        images: (B, 3, H, W) in [-1, 1], at least 16 pixels a side.

    Returns:
        float32 features (B, C, h, w) of each layer, halved in size from one to the next.

    Raises:
        UserError: when there are no real weights.
    """
    network = lpips_distance("vgg16", images.device)
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        return network.layers((as_saved(images) * 2 - 1).float())


def semantic_consistency(fake: Tensor, real: Tensor) -> Tensor:
    """Return the cosine of deep features at each position, as a mean over positions and layers: (B,) in [0, 1].

    Args:
        fake: (B, 3, H, W) in [-1, 1].
        real: the same, of the same scene at the same place.
    """
    ours, theirs = vgg16_layers(fake), vgg16_layers(real)
    cosines = [cosine_similarity(ours[layer], theirs[layer], dim=1).mean(dim=(1, 2)) for layer in DEEP]
    return torch.stack(cosines).mean(0)


def style_relevance(fake: Tensor, exemplar: Tensor, layer: int) -> Tensor:
    """Return the cosine of what one layer sees anywhere in two images: (B,) in [0, 1].

    What it sees are mean and standard deviation of each channel over all positions, since an exemplar shows the look
    and not the layout.

    Args:
        fake: (B, 3, H, W) in [-1, 1].
        exemplar: the same, or of another size.
        layer: 0 for relu1_2 (colour), 1 for relu2_2 (texture).
    """
    sums = []
    for images in (fake, exemplar):
        features = vgg16_layers(images)[layer]
        sums.append(torch.cat([features.mean(dim=(2, 3)), features.std(dim=(2, 3))], 1))  # (B, 2C)
    return cosine_similarity(sums[0], sums[1], dim=1)


class _OfFeatures(Metric):
    """Reads VGG-16's features, so that it needs their weights and images that are not too small for them."""

    higher_is_better = True
    feature_networks: ClassVar[frozenset[str]] = frozenset({"vgg16"})
    smallest = SMALLEST["vgg16"]


class SemanticConsistency(_OfFeatures):
    """Cosine of deep VGG-16 features of output and photograph, place by place (after Zhang et al., 2020); 1 at best."""

    label = "semantic consistency ↑"

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) cosines."""
        return semantic_consistency(images, query["target"])


class ColourRelevance(_OfFeatures):
    """Cosine of the first VGG-16 features of output and exemplar, wherever they are (after Zhang et al., 2020)."""

    label = "colour relevance ↑"
    needs = frozenset({"reference"})

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) cosines."""
        return style_relevance(images, query["reference"], 0)


class TextureRelevance(_OfFeatures):
    """Cosine of the second VGG-16 features of output and exemplar, wherever they are (after Zhang et al., 2020)."""

    label = "texture relevance ↑"
    needs = frozenset({"reference"})

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) cosines."""
        return style_relevance(images, query["reference"], 1)


FEATURE_METRICS: dict[str, type[Metric]] = {
    "semantic_consistency": SemanticConsistency,
    "colour_relevance": ColourRelevance,
    "texture_relevance": TextureRelevance,
}
"""Those of this module by name."""
