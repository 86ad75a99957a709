"""The fifth interface, `Metric`: how good an image is, as one number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.errors import UserError
from metai2i.tasks import TaskSpec


class Metric(ABC):
    """A measure of images, by the query samples that they were made for. `evaluate.metrics` of a recipe names it.

    It has no options, since its name must say all that decides its numbers. `label` ("NME ↓") is what tables call it,
    `higher_is_better` its direction; `unit` ("dB" and the like) and `digits` (after the decimal point) are for tables
    too. Tables and tests compare means over a scene's queries.

    Args:
        spec: the data to be measured on. A metric that needs certain classes looks for them here and raises a
            `UserError` where they are missing: that is before anything is trained.
    """

    label: ClassVar[str]
    higher_is_better: ClassVar[bool]
    unit: ClassVar[str] = ""
    digits: ClassVar[int] = 3

    def __init__(self, *, spec: TaskSpec | None = None) -> None:
        pass

    @abstractmethod
    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return one number for each image, (B,), each independent of its neighbours; called without gradients.

        NaN says that there is nothing to measure, and is left out of the results. Let the query alone decide on it,
        never the image: a row must not gain by what it fails on.

        Args:
            images: (B, 3, H, W), finite, meant for [-1, 1].
            query: the B samples that the images were made for, with their `target`, and all other fields.
        """


def metric_values(metrics: Mapping[str, Metric], images: Tensor, query: Batch) -> dict[str, list[float]]:
    """Return what several metrics say of each image: name -> one number per image, NaN where there is none.

    Args:
        metrics: by their names.
        images: (B, 3, H, W), meant for [-1, 1].
        query: the B samples that they were made for.

    Raises:
        UserError: when an image holds values that are not finite, or when a metric does not give (B,) numbers.
        ValueError: when images and photographs differ in shape.
    """
    if images.shape != query["target"].shape:
        shapes = f"{tuple(images.shape)} and {tuple(query['target'].shape)}"
        raise ValueError(f"images and photographs differ in shape: {shapes}")
    if not bool(torch.isfinite(images).all()):  # as 8-bit levels they would pass for black
        raise UserError("the images hold values that are not finite", hint="training diverged: lower the rate")
    with torch.no_grad():
        # Each gets copies: what one writes into its images must not change another one's numbers.
        measured = {name: metric(images.clone(), query.map(Tensor.clone)) for name, metric in metrics.items()}
    for name, values in measured.items():
        if not isinstance(values, Tensor):
            raise UserError(f"metric {name!r} gave {type(values).__name__}, expected a tensor ({len(images)},)")
        if values.shape != (len(images),):
            raise UserError(f"metric {name!r} gave the shape {tuple(values.shape)}, expected ({len(images)},)")
    return {name: values.tolist() for name, values in measured.items()}
