"""The fifth interface, `Metric`: how good an image is, as one number; `SetMetric`: how good a set of images is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.errors import UserError
from metai2i.field import EXEMPLAR, PHOTOGRAPH
from metai2i.tasks import TaskSpec


class Metric(ABC):
    """A measure of images, by the query samples that they were made for. `evaluate.metrics` of a recipe names it.

    It has no options, since its name must say all that decides its numbers. `label` ("NME ↓") is what tables call it,
    `higher_is_better` its direction; `unit` ("dB" and the like) and `digits` (after the decimal point) are for tables
    too. Tables and tests compare means over a scene's queries.

    `needs` names the fields of the query that it reads: where a task source does not give one of them, a recipe with
    the metric is refused before anything runs, and so it is where images have fewer than `smallest` pixels a side.
    `several` says that it looks at all outputs for one input (`evaluate.samples`) at once.

    Args:
        spec: the data to be measured on. A metric that needs certain classes looks for them here and raises a
            `UserError` where they are missing: that is before anything is trained.
    """

    label: ClassVar[str]
    higher_is_better: ClassVar[bool]
    unit: ClassVar[str] = ""
    digits: ClassVar[int] = 3
    needs: ClassVar[frozenset[str]] = frozenset({"target"})
    several: ClassVar[bool] = False
    smallest: ClassVar[int] = 1

    def __init__(self, *, spec: TaskSpec | None = None) -> None:
        pass

    @abstractmethod
    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return one number for each query, (B,), each independent of its neighbours; called without gradients.

        NaN says that there is nothing to measure, and is left out of the results. Let the query alone decide on it,
        never the image: a row must not gain by what it fails on.

        Args:
            images: (B, 3, H, W), finite, meant for [-1, 1]; (B, S, 3, H, W), the S outputs for each, if `several`.
            query: the B samples that the images were made for, with their `target`, and all other fields.
        """


class SetMetric(Metric):
    """A measure of a set of outputs against a set of real images: FID and its like.

    The host scores each scene by itself and all scenes together, from the same features. `against` names the field of
    the real images, which are samples of the scene that are not in the support; where it is `target`, and data has no
    photographs of its own, they are its `reference`. `least` is the smallest number of images, on either side, that a
    score is made of: fewer get no number, and the run says so. `by_count` says that a score is another one for more
    images of the same kind, as FID's is: rows with other numbers of images are then not compared by it.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    against: ClassVar[str] = "target"
    least: ClassVar[int] = 2
    by_count: ClassVar[bool] = True

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Return (N, D) floats: what is looked at of each image on its own; called without gradients.

        They depend on the images and on this method alone: metrics that inherit it share what it returns, whatever else
        their classes say.

        Args:
            images: (N, 3, H, W), finite, meant for [-1, 1]: outputs or real images.
        """

    @abstractmethod
    def score(self, outputs: Tensor, real: Tensor) -> float:
        """Return one number for a set of outputs; NaN where there is none.

        Args:
            outputs: (N, D) float32 on the CPU, features of `least` or more outputs.
            real: (M, D) of `least` or more real images.
        """

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Refuse to measure single images.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{type(self).__name__} speaks of a set of images: it has `features` and `score`")


def real_field(metric: type[SetMetric] | SetMetric, fields: Collection[str]) -> str:
    """Return the field of the real images, of the fields that samples have.

    Unpaired data has no photograph of what an input should become, and its exemplars are the photographs of the domain
    that is translated into.
    """
    unpaired = metric.against == PHOTOGRAPH and PHOTOGRAPH not in fields and EXEMPLAR in fields
    return EXEMPLAR if unpaired else metric.against


def fields_read(metric: type[Metric], provides: Collection[str] = ()) -> frozenset[str]:
    """Return the fields of the task source's samples that a metric reads, where the source provides these."""
    return metric.needs | ({real_field(metric, provides)} if issubclass(metric, SetMetric) else frozenset())


def check_size(metric: type[Metric], name: str, spec: TaskSpec) -> None:
    """Refuse photographs that are too small for a metric.

    Raises:
        UserError: saying what it needs.
    """
    if min(spec.size) < metric.smallest:
        raise UserError(
            f"the metric {name!r} needs photographs of at least {metric.smallest} pixels a side, the task source gives "
            f"{spec.size[0]}x{spec.size[1]}",
            hint=f"leave {name} out of evaluate.metrics, or raise tasks.size",
        )


def per_image(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Return the metrics that give a number for each query, by name."""
    return {name: metric for name, metric in metrics.items() if not isinstance(metric, SetMetric)}


def of_sets(metrics: Mapping[str, Metric]) -> dict[str, SetMetric]:
    """Return the metrics that speak of a set of images, by name."""
    return {name: metric for name, metric in metrics.items() if isinstance(metric, SetMetric)}


def metric_values(
    metrics: Mapping[str, Metric], images: Tensor, query: Batch, samples: Tensor | None = None
) -> dict[str, list[float]]:
    """Return what several metrics say of each query: name -> one number per query, NaN where there is none.

    Args:
        metrics: by their names; none of them a set metric.
        images: (B, 3, H, W), meant for [-1, 1].
        query: the B samples that they were made for.
        samples: (B, S, 3, H, W), all outputs for each query, for metrics that look at `several`; the image alone when
            None.

    Raises:
        UserError: when an image holds values that are not finite, or when a metric does not give (B,) numbers.
        ValueError: when images and photographs differ in shape.
    """
    target = query.get("target")
    if target is not None and images.shape != target.shape:
        raise ValueError(f"images and photographs differ in shape: {tuple(images.shape)} and {tuple(target.shape)}")
    every = images[:, None] if samples is None else samples
    if not bool(torch.isfinite(images).all() and torch.isfinite(every).all()):  # as 8-bit levels they would be black
        raise UserError("the images hold values that are not finite", hint="training diverged: lower the rate")
    with torch.no_grad():
        # Each gets copies: what one writes into its images must not change another one's numbers.
        measured = {
            name: metric((every if metric.several else images).clone(), query.map(Tensor.clone))
            for name, metric in metrics.items()
        }
    for name, values in measured.items():
        if not isinstance(values, Tensor):
            raise UserError(f"metric {name!r} gave {type(values).__name__}, expected a tensor ({len(images)},)")
        if values.shape != (len(images),):
            raise UserError(f"metric {name!r} gave the shape {tuple(values.shape)}, expected ({len(images)},)")
    return {name: values.tolist() for name, values in measured.items()}
