"""The contracts of a `SetMetric`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from metai2i.metric import SetMetric
from metai2i.testing.bench import Bench
from metai2i.testing.contract import Contract, promise, require
from metai2i.testing.metric import NOISE, it_says_how_tables_call_it, noised
from metai2i.testing.probes import disturb, global_generators_alone

CONTRACTS: list[Contract] = []
READ = "docs/write-a-translator.md#set-metrics"
COUNT = 8
"""Images of a set, or as many as the metric needs."""

promise(CONTRACTS, READ, gate=True)(it_says_how_tables_call_it)


def make(bench: Bench) -> SetMetric:
    """Return the metric on trial, for the scenes."""
    metric: SetMetric = bench.make(spec=bench.spec)
    return metric


def photographs(bench: Bench) -> Tensor:
    """Return as many photographs as a set needs, in [-1, 1]."""
    return bench.batch(max(COUNT, make(bench).least))["target"]


def features(bench: Bench, images: Tensor) -> Tensor:
    """Return what the metric looks at, as the host keeps it."""
    with torch.no_grad():
        return make(bench).features(images).float()


@promise(CONTRACTS, READ)
def it_gives_features_of_each_image(bench: Bench) -> None:
    """(N, D) finite numbers; one image will do."""
    images = photographs(bench)
    for count in (1, len(images)):
        got: Any = make(bench).features(images[:count])
        require(isinstance(got, Tensor) and got.dim() == 2, "a tensor (N, D)", str(getattr(got, "shape", type(got))))
        require(len(got) == count, f"{count} rows of features", str(len(got)))
        require(bool(torch.isfinite(got).all()), "finite features", "others")


@promise(CONTRACTS, READ)
def features_do_not_depend_on_neighbours(bench: Bench) -> None:
    """Alone, an image has the features that it has among others."""
    images = photographs(bench)
    alone = torch.cat([features(bench, images[n : n + 1]) for n in range(len(images))])
    near = torch.allclose(features(bench, images), alone, rtol=1e-3, atol=1e-4)
    require(near, "the same features for images alone and together", "others")


@promise(CONTRACTS, READ)
def a_score_is_a_finite_number(bench: Bench) -> None:
    """Of sets of equal and of different sizes, `least` images included."""
    metric, images = make(bench), photographs(bench)
    outputs, real = features(bench, noised(images, NOISE[1])), features(bench, images)
    for left, right in ((outputs, real), (outputs[: metric.least], real), (outputs, real[: metric.least])):
        value: Any = metric.score(left, right)
        finite = isinstance(value, int | float) and math.isfinite(value)
        require(finite, f"a finite number for {len(left)} outputs and {len(right)} real images", repr(value))


@promise(CONTRACTS, READ)
def a_set_has_the_best_score_against_itself(bench: Bench) -> None:
    """No noise on photographs makes the score against the photographs better than their own."""
    metric, images = make(bench), photographs(bench)
    real, sign = features(bench, images), 1 if make(bench).higher_is_better else -1
    itself = metric.score(real, real)
    for amount in NOISE:
        other = metric.score(features(bench, noised(images, amount)), real)
        require(sign * (itself - other) >= 0, "the best score for equal sets", f"a better one at noise {amount}")


@promise(CONTRACTS, READ)
def the_same_sets_get_the_same_score(bench: Bench) -> None:
    """At every call, wherever the global generators stand; images and features stay as they were."""
    images = photographs(bench)
    kept, scores = images.clone(), []
    for seed in (0, 1):
        disturb(seed)
        with global_generators_alone("a measurement"):
            outputs, real = features(bench, images[: len(images) // 2 + 1]), features(bench, images)
            before = outputs.clone()
            scores.append(make(bench).score(outputs, real) if len(outputs) >= make(bench).least else 0.0)
        require(torch.equal(before, outputs), "features as they were", "changed ones")
    require(scores[0] == scores[1], "the same score at every call", f"{scores[0]} and {scores[1]}")
    require(torch.equal(kept, images), "images as they were", "changed ones")
