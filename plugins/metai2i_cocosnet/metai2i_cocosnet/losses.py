"""What CoCosNet (Zhang et al., 2020) minimises besides the terms of a recipe's objective and the discriminator's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from metai2i_cocosnet.correlation import flat

Centre = Literal["position", "channel"]
Variant = Literal["forward", "original"]
EPSILON: dict[Variant, float] = {"forward": 1e-3, "original": 1e-5}
BANDWIDTH = 0.1
LAYER_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""Of relu1_2 to relu5_2, in the feature loss of exemplars that are of the sample itself."""
CONTEXT_WEIGHTS = ((4, 8.0), (3, 4.0), (2, 2.0))
"""Layers, counted from relu1_2 as 0, and what the contextual loss has of each."""
POOLED = 2
"""The layer whose features are pooled by 2 before they are compared: the matrix of relu3_2 would be large."""


def contextual(outputs: Tensor, exemplar: Tensor, variant: Variant = "forward", centre: Centre = "position") -> Tensor:
    """Return how little the features of outputs are like some of an exemplar's, wherever these lie; a mean over B.

    Args:
        outputs: (B, C, h, w) features.
        exemplar: (B, C, h', w') features; no gradient goes back to them. With `centre: position` of the same size.
        variant: forward, as the published training has it: each position of an output looks for its like; original:
            each position of the exemplar does (Mechrez et al., 2018).
        centre: what is subtracted from both: position, the mean over the exemplar's channels at that position, as
            published; channel, the exemplar's mean over positions of each channel.
    """
    outputs, exemplar = flat(_single(outputs)), flat(_single(exemplar)).detach()
    middle = exemplar.mean(2 if centre == "position" else 1, keepdim=True)
    ours, theirs = (normalize(side - middle, dim=2) for side in (outputs, exemplar))
    distances = 1 - ours @ theirs.transpose(1, 2)  # (B, P, Q)
    relative = distances / (distances.min(2, keepdim=True).values + EPSILON[variant])
    likeness = ((1 - relative) / BANDWIDTH).softmax(2)
    best = likeness.max(2 if variant == "forward" else 1).values
    return -best.mean(1).log().mean()


def contextual_of_layers(outputs: Sequence[Tensor], exemplar: Sequence[Tensor], centre: Centre = "position") -> Tensor:
    """Return the contextual loss of relu5_2, relu4_2 and relu3_2, weighted 8, 4 and 2; features are of five layers."""
    terms = []
    for layer, weight in CONTEXT_WEIGHTS:
        sides = (outputs[layer], exemplar[layer])
        if layer == POOLED:
            sides = (avg_pool2d(sides[0], 2), avg_pool2d(sides[1], 2))
        terms.append(weight * contextual(*sides, centre=centre))
    return torch.stack(terms).sum()


def weighted_distance(outputs: Tensor, target: Tensor, of_itself: Tensor) -> Tensor:
    """Return the mean absolute difference of those samples whose exemplar is of the sample itself.

    As published, their weights add up to 1 over the batch and the mean is taken over the batch again, so that the
    value is B times smaller than a mean over those samples.

    Args:
        outputs: (B, ...).
        target: (B, ...); no gradient goes back to it.
        of_itself: (B,) 1 for those samples, 0 for all others.
    """
    apart = (_single(outputs) - _single(target).detach()).abs().flatten(1).mean(1)  # (B,)
    weights = of_itself.to(apart) / of_itself.to(apart).sum().clamp_min(1)
    return (weights * apart).mean()


def feature_distance(outputs: Sequence[Tensor], target: Sequence[Tensor], of_itself: Tensor) -> Tensor:
    """Return `weighted_distance` of five layers' features, the deeper the more: 1/32, 1/16, 1/8, 1/4 and 1."""
    layers = zip(LAYER_WEIGHTS, outputs, target, strict=True)
    return torch.stack([weight * weighted_distance(a, b, of_itself) for weight, a, b in layers]).sum()


def mask_loss(warped: Tensor, labels: Tensor, exemplar_labels: Tensor) -> Tensor:
    """Return the negative log-likelihood of a label map under the exemplar's, warped; a mean over what counts.

    Positions of class 0, which is "unknown" in the published data, and of classes that the exemplar has not, do not
    count; without any others it is 0.

    Args:
        warped: (B, L, h, w), the exemplar's one-hot map carried over: shares that add up to 1.
        labels: (B, L, h, w), one-hot.
        exemplar_labels: (B, L, h, w), one-hot.
    """
    there = exemplar_labels.amax((2, 3)) > 0  # (B, L)
    there = torch.cat([torch.zeros_like(there[:, :1]), there[:, 1:]], 1)
    counted = labels * there[:, :, None, None]  # (B, L, h, w)
    likelihood = -(counted * (_single(warped) + 1e-10).log()).sum()
    return likelihood / counted.sum().clamp_min(1)


def _single(tensor: Tensor) -> Tensor:
    """Return half precision as float32, and any other as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
