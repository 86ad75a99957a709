"""The contracts of a `Metric`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.metric import Metric
from metai2i.testing.bench import Bench, address
from metai2i.testing.contract import Contract, NotApplicable, promise, require
from metai2i.testing.fields import no_other_fields
from metai2i.testing.probes import disturb, global_generators_alone

CONTRACTS: list[Contract] = []
READ = "docs/write-a-translator.md#metrics"
COUNT = 4
NOISE = (0.1, 0.3, 0.8)
"""Standard deviations of the noise that is put over photographs, which are in [-1, 1]."""


def make(bench: Bench) -> Metric:
    """Return the metric on trial, for the scenes."""
    metric: Metric = bench.make(spec=bench.spec)
    return metric


def noised(photos: Tensor, amount: float) -> Tensor:
    """Return photographs under noise, in [-1, 1]."""
    noise = torch.randn(photos.shape, generator=address("noise").generator())
    return (photos + amount * noise).clamp(-1, 1)


def shown(metric: Metric, images: Tensor) -> Tensor:
    """Return images as the metric takes them: with others of the same input, made of each, if it looks at several."""
    return torch.stack([images, images / 2, -images], 1) if metric.several else images


def values(bench: Bench, images: Tensor, query: Batch) -> Tensor:
    """Return what the metric says, in float64."""
    metric = make(bench)
    with torch.no_grad():
        return metric(shown(metric, images), query).double()


@promise(CONTRACTS, READ, gate=True)
def it_says_how_tables_call_it(bench: Bench) -> None:
    """It is constructed for the scenes; `label` is a text, `higher_is_better` a bool, `digits` a whole number."""
    metric = make(bench)
    require(isinstance(metric.label, str) and bool(metric.label), "a label for tables", repr(metric.label))
    require(isinstance(metric.higher_is_better, bool), "higher_is_better as a bool", repr(metric.higher_is_better))
    require(isinstance(metric.unit, str), "unit as a text", repr(metric.unit))
    whole = isinstance(metric.digits, int) and metric.digits >= 0
    require(whole, "digits as a whole number of 0 or more", repr(metric.digits))


@promise(CONTRACTS, READ)
def it_gives_one_number_for_each_image(bench: Bench) -> None:
    """(B,) numbers, finite or NaN for images that are not the photographs; one image will do."""
    for count in (1, COUNT):
        query = bench.batch(count)
        metric = make(bench)
        values: Any = metric(shown(metric, noised(query["target"], NOISE[1])), query)
        require(isinstance(values, Tensor), "a tensor", type(values).__name__)
        require(tuple(values.shape) == (count,), f"numbers of the shape ({count},)", str(tuple(values.shape)))
        require(not bool(torch.isinf(values).any()), "finite numbers, or NaN", "infinite ones")


@promise(CONTRACTS, READ)
def the_query_alone_decides_on_nan(bench: Bench) -> None:
    """Whatever the images are, NaN stands at the same queries."""
    query = bench.batch(COUNT)
    at: Tensor | None = None
    flat = torch.zeros_like(query["target"])
    for images in (query["target"], noised(query["target"], NOISE[-1]), flat, flat - 1):
        missing = values(bench, images, query).isnan()
        require(at is None or torch.equal(at, missing), "NaN at the same queries for all images", "at others")
        at = missing


def measured(bench: Bench) -> tuple[Batch, list[Tensor]]:
    """Return queries, and what the metric says of their photographs, without noise and with more and more of it: the
    higher the better.

    Raises:
        NotApplicable: when there is nothing to measure on the scenes.
    """
    if make(bench).several or "target" not in make(bench).needs:
        raise NotApplicable("it does not hold an image against a photograph")
    query = bench.batch(COUNT)
    sign = 1 if make(bench).higher_is_better else -1
    means = [sign * values(bench, noised(query["target"], amount), query) for amount in (0.0, *NOISE)]
    kept = ~means[0].isnan()
    if not bool(kept.any()):
        raise NotApplicable("it is NaN on all queries here: name classes or a task source that it is made for")
    return query, [each[kept] for each in means]


@promise(CONTRACTS, READ)
def equal_images_get_the_best_value(bench: Bench) -> None:
    """No noise on a photograph makes its value better than the photograph's own."""
    _, (equal, *others) = measured(bench)
    for amount, other in zip(NOISE, others, strict=True):
        require(bool((equal >= other).all()), "the best value for equal images", f"a better one at noise {amount}")


@promise(CONTRACTS, READ)
def more_noise_is_worse(bench: Bench) -> None:
    """Over the queries, the mean gets worse with the noise on the photographs, in the direction that
    `higher_is_better` says."""
    _, (_, *others) = measured(bench)
    means = [float(each.mean()) for each in others]
    falling = all(a > b for a, b in pairwise(means))
    direction = "lower" if make(bench).higher_is_better else "higher"
    listed = ", ".join(f"{abs(mean):.4g}" for mean in means)
    noise = ", ".join(map(str, NOISE))
    require(falling, f"{direction} means for noise of {noise}", listed)


@promise(CONTRACTS, READ)
def a_number_does_not_depend_on_its_neighbours(bench: Bench) -> None:
    """Alone, an image has the number that it has among others."""
    query = bench.batch(COUNT)
    images = noised(query["target"], NOISE[0])
    together = values(bench, images, query)
    alone = torch.cat([values(bench, images[n : n + 1], query.select([n])) for n in range(COUNT)])
    near = torch.allclose(together, alone, rtol=1e-4, atol=1e-6, equal_nan=True)
    require(near, "the same numbers for images alone and together", "others")


@promise(CONTRACTS, READ)
def the_same_image_gets_the_same_number(bench: Bench) -> None:
    """At every call, wherever the global generators stand; images and query stay as they were."""
    query = bench.batch(COUNT)
    images = noised(query["target"], NOISE[0])
    kept, shown = images.clone(), {name: field.clone() for name, field in query.items()}
    measured = []
    for seed in (0, 1):
        disturb(seed)
        with global_generators_alone("a measurement"):
            measured.append(values(bench, images, query))
    same = torch.equal(measured[0].nan_to_num(-1), measured[1].nan_to_num(-1))
    require(same, "the same number at every call", "another")
    untouched = torch.equal(kept, images) and all(torch.equal(shown[name], query[name]) for name in shown)
    require(untouched, "images and query as they were", "changed ones")


@promise(CONTRACTS, READ)
def of_the_query_it_reads_what_it_needs(bench: Bench) -> None:
    """With nothing but the fields that it names in `needs`, if it names any itself, it gives the same numbers."""
    needs = make(bench).needs
    if needs == Metric.needs:
        return
    query = bench.batch(COUNT)
    images, lone = noised(query["target"], NOISE[0]), Batch(**{name: query[name] for name in needs})
    with no_other_fields(needs):
        same = torch.equal(values(bench, images, lone).nan_to_num(-1), values(bench, images, query).nan_to_num(-1))
    require(same, "the same numbers by the fields of `needs` alone", "others")
