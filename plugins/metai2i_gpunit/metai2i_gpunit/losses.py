"""Distances that GP-UNIT's two stages minimise (Yang et al., 2022, sections 3.1 and 3.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, l1_loss

from metai2i.losses import network

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""Of VGG, each with the weight below."""
LAYER_WEIGHT = 0.3
PUBLISHED_CODES = 48
"""Codes in a batch of the published prior: 16 photographs and 16 pairs."""
FACE, FACE_SIDE = ((35, 223), (32, 220)), 112
"""Rows and columns of an image of 256 pixels that show a face, and the side at which it is recognised."""

Features = Callable[..., Any]
"""A frozen network."""


def features_of(vgg: str | None) -> Features | None:
    """Return the frozen network of that name; None for none."""
    return None if vgg is None else network(vgg)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of values (N,) by weights (N,) of 0 or 1; 0 where all are 0."""
    return (values * weights).sum() / weights.sum().clamp(min=1)


def mean_distance(distance: Callable[..., Tensor], outputs: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Return a distance of outputs (N, ...) from what is wanted, a mean over the samples whose weights (N,) are 1."""
    return weighted_mean(distance(outputs, wanted, reduction="none").flatten(1).mean(1), weights)


def perceptual(vgg: Features, outputs: Tensor, images: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean absolute differences in five layers of VGG, summed, each with a weight of 0.3.

    Args:
        vgg: called with images and the names of layers.
        outputs: (B, 3, H, W) in [-1, 1], at least 16 pixels a side.
        images: the same.
        weights: (B,), 1 for samples that count; all do when None.
    """
    weights = outputs.new_ones(len(outputs)) if weights is None else weights
    with torch.no_grad():
        wanted: Sequence[Tensor] = vgg(images, LAYERS)
    layers = [mean_distance(l1_loss, *pair, weights) for pair in zip(vgg(outputs, LAYERS), wanted, strict=True)]
    return LAYER_WEIGHT * torch.stack(layers).sum()


def code_norm(codes: Tensor) -> Tensor:
    """Return the Euclidean norm that the published batch of 48 codes would have with the mean square of these.

    The published term is the norm of a batch as a whole, which grows with the root of its size.

    Args:
        codes: (N, 1, 8, 8).
    """
    norm: Tensor = torch.linalg.vector_norm(codes)
    return norm * math.sqrt(PUBLISHED_CODES / len(codes))


def r1(logits: Tensor, photographs: Tensor) -> Tensor:
    """Return half the squared norm of the logits' gradient at photographs, a mean over them (Mescheder et al., 2018).

    Args:
        logits: (B,), made of `photographs`.
        photographs: (B, 3, H, W), which require a gradient.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), photographs, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1).mean()


def identity_distance(faces: Features, outputs: Tensor, images: Tensor) -> Tensor:
    """Return 1 less the cosine of who is seen in two faces, a mean over the batch.

    Args:
        faces: gives (B, D) for faces (B, 3, 112, 112) in [-1, 1], as ArcFace does.
        outputs: (B, 3, H, W) in [-1, 1].
        images: the same.
    """
    with torch.no_grad():
        wanted = faces(face(images))
    return (1 - torch.cosine_similarity(faces(face(outputs)), wanted, dim=1)).mean()


def face(images: Tensor) -> Tensor:
    """Return the part of images (B, 3, H, W) that shows the face, as (B, 3, 112, 112)."""
    (top, bottom), (left, right) = FACE
    rows, columns = (images.shape[side] / 256 for side in (2, 3))
    part = images[:, :, round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)]
    return adaptive_avg_pool2d(part, FACE_SIDE)
