"""Metrics of sets of images: features of each scene's outputs and real images, and scores of them, by scene and over
all scenes together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.errors import UserError
from metai2i.field import EXEMPLAR
from metai2i.files import read_json, write_json
from metai2i.metric import SetMetric, real_field
from metai2i.metrics.display import SetRecord
from metai2i.metrics.jackknife import jackknife_interval
from metai2i.registry.discovery import label_of
from metai2i.tasks import Episode, batch_digest
from metai2i.training.checkpoint import load, save

SETS = "sets.json"
"""The scores over all scenes, in the folder of an evaluation."""
AT_ONCE = 16
"""Images whose features are computed together."""
BLOCKS = 50
"""Parts that scenes are put into at most, each of which is left out once for the interval."""

Features = dict[str, Tensor]
"""Of one draw of a scene, for each metric that features are computed for: "outputs/NAME" and "real/NAME" (N, D), and
which images these are of, "outputs_of/NAME" and "real_of/NAME" (N,) int64: an output and its truth have one number, and
an image has the same in every draw and row.
"""
KnownFeatures = dict[tuple[object, str], Tensor]
"""Features of real images, which rows share: by the function that computes them and a digest of the images."""


class SetSizes(TypedDict):
    """How many images a scene's sets have, of each draw."""

    outputs: int
    real: int


def source_of(metrics: Mapping[str, SetMetric], name: str) -> str:
    """Return the first metric whose features a metric shares: of the same function, against the same field."""
    wanted = _looks(metrics[name])
    return next(other for other, metric in metrics.items() if _looks(metric) == wanted)


def _looks(metric: SetMetric) -> tuple[object, str]:
    return type(metric).features, metric.against


def set_features(
    metrics: Mapping[str, SetMetric], outputs: Tensor, episode: Episode, device: torch.device, known: KnownFeatures
) -> Features:
    """Return the features of a draw.

    Args:
        metrics: by name.
        outputs: (N, 3, H, W), all outputs of the draw.
        episode: with the real images, in `real` or else in its query.
        device: where they are computed.
        known: features of real images so far; added to.
    """
    features: Features = {}
    real = episode.query if episode.real is None else episode.real
    for name in dict.fromkeys(source_of(metrics, name) for name in metrics):
        metric = metrics[name]
        features[f"outputs/{name}"] = _checked(name, metric, outputs, device)
        images = real[real_field(metric, real)]
        key = type(metric).features, batch_digest(Batch(images=images.cpu()))
        if key not in known:
            known[key] = _checked(name, metric, images, device)
        features[f"real/{name}"] = known[key]
        features[f"real_of/{name}"] = image_numbers(Batch(images=images))
        features[f"outputs_of/{name}"] = query_numbers(episode.query, real_field(metric, real), len(outputs))
    return features


def query_numbers(query: Batch, field: str, count: int) -> Tensor:
    """Return which image each output is of, (N,) int64: the query's truth where it has one, else its input.

    Args:
        query: (Q, ...).
        field: of the real images.
        count: of outputs, N; those of a query lie behind one another.
    """
    if field in query and not field.startswith(EXEMPLAR):
        numbers = image_numbers(Batch(images=query[field]))
    else:  # its exemplar, which changes from draw to draw, is not what it is of
        inputs = {name: values for name, values in query.items() if not name.startswith(EXEMPLAR)}
        numbers = image_numbers(Batch(**inputs))
    return numbers.repeat_interleave(count // query.size)


def image_numbers(batch: Batch) -> Tensor:
    """Return a number for each sample by its content, (N,) int64."""
    samples = batch.map(Tensor.cpu)
    digests = [batch_digest(samples.select([n])) for n in range(samples.size)]
    return torch.tensor([int(digest[:15], 16) for digest in digests], dtype=torch.int64)


def _checked(name: str, metric: SetMetric, images: Tensor, device: torch.device) -> Tensor:
    """Return the features of images, a few at a time, as float32 on the CPU.

    Raises:
        UserError: naming the metric, when they are not (N, D) finite numbers.
    """
    parts = []
    with torch.no_grad():
        for part in torch.split(images, AT_ONCE):
            features = metric.features(part.to(device).clone())
            wrong = not isinstance(features, Tensor) or features.dim() != 2 or len(features) != len(part)
            if wrong:
                got = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
                whose = label_of(type(metric))
                raise UserError(f"features() of metric {name!r} ({whose}) gives {got}, expected ({len(part)}, D)")
            if not bool(torch.isfinite(features).all()):
                raise UserError(f"features() of metric {name!r} ({label_of(type(metric))}) gives values not finite")
            parts.append(features.float().cpu())
    return torch.cat(parts)


def score_of(name: str, metric: SetMetric, outputs: Tensor, real: Tensor) -> float:
    """Return what a metric says of two sets; NaN where one of them is too small.

    Raises:
        UserError: naming the metric, when it is no number.
    """
    if min(len(outputs), len(real)) < metric.least:
        return math.nan
    with torch.no_grad():
        value = metric.score(outputs.clone(), real.clone())
    try:
        return float(value)
    except (TypeError, ValueError):
        whose, got = label_of(type(metric)), type(value).__name__
        raise UserError(f"score() of metric {name!r} ({whose}) gives {got}, expected a number") from None


def set_scores(metrics: Mapping[str, SetMetric], draws: Sequence[Features]) -> dict[str, float]:
    """Return the score of each metric on a scene, the mean over its draws; those that have none are left out."""
    scores = {name: _mean_over_draws(name, metrics, [[draw] for draw in draws]) for name in metrics}
    return {name: value for name, value in scores.items() if not math.isnan(value)}


def _mean_over_draws(name: str, metrics: Mapping[str, SetMetric], draws: Sequence[Sequence[Features]]) -> float:
    """Return the mean over draws of the score of all scenes' features put together."""
    source = source_of(metrics, name)
    values = []
    for scenes in draws:
        outputs, real = (torch.cat([scene[f"{side}/{source}"] for scene in scenes]) for side in ("outputs", "real"))
        values.append(score_of(name, metrics[name], outputs, real))
    return sum(values) / len(values)


def set_sizes(metrics: Mapping[str, SetMetric], draw: Features) -> dict[str, SetSizes]:
    """Return how many images each metric looks at in a draw."""
    sources = {name: source_of(metrics, name) for name in metrics}
    return {
        name: SetSizes(outputs=len(draw[f"outputs/{source}"]), real=len(draw[f"real/{source}"]))
        for name, source in sources.items()
    }


def write_features(path: Path, draws: Sequence[Features]) -> None:
    """Write the features of a scene's draws."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, {f"{n}/{name}": tensor for n, draw in enumerate(draws) for name, tensor in draw.items()}, {})


def read_features(path: Path) -> list[Features]:
    """Return what `write_features` has written."""
    tensors, _ = load(path)
    draws: dict[int, Features] = {}
    for name, tensor in tensors.items():
        number, _, rest = name.partition("/")
        draws.setdefault(int(number), {})[rest] = tensor
    return [draws[number] for number in sorted(draws)]


def untold(name: str) -> None:
    """Tell nobody that a metric has scored once."""


def scorings(scenes: int) -> int:
    """Return how often `together` scores that many scenes by each metric."""
    return 1 + len(_blocks(scenes))


def together(
    metrics: Mapping[str, SetMetric], scenes: Sequence[Sequence[Features]], scored: Callable[[str], None] = untold
) -> dict[str, SetRecord]:
    """Return what each metric says of all scenes together, with an interval over scenes.

    The interval is that of the jackknife: scenes, or blocks of them, are left out in turn, and the spread of what
    remains tells how far the score would move with other scenes. Drawing scenes with replacement would put the same
    image into a set several times, which none of these scores takes for another one.

    Args:
        metrics: by name.
        scenes: the draws of each scene.
        scored: told the metric's name after each scoring, of which there are `scorings` for each metric.
    """
    return {name: _together(name, metrics, scenes, scored) for name in metrics}


def _together(
    name: str, metrics: Mapping[str, SetMetric], scenes: Sequence[Sequence[Features]], scored: Callable[[str], None]
) -> SetRecord:
    draws = list(zip(*scenes, strict=True))

    def score(left: Sequence[Sequence[Features]]) -> float:
        value = _mean_over_draws(name, metrics, left)
        scored(name)
        return value

    value = score(draws)
    sizes = [set_sizes(metrics, scene[0])[name] for scene in scenes]
    blocks = _blocks(len(scenes)) if math.isfinite(value) else []
    without = [score([[scene for n, scene in enumerate(draw) if n not in block] for draw in draws]) for block in blocks]
    low, high = jackknife_interval(value, without) or (None, None)
    counts = [[each["outputs"] for each in sizes], [each["real"] for each in sizes]]
    record = SetRecord(
        value=value if math.isfinite(value) else None,
        low=low,
        high=high,
        outputs=sum(counts[0]),
        real=sum(counts[1]),
        scenes=len(scenes),
        by_scene=[bound(count) for count in counts for bound in (min, max)],
    )
    if all(map(math.isfinite, without)):
        record["without"] = without
    return record


def _blocks(scenes: int) -> list[set[int]]:
    """Return the blocks of scenes that are left out in turn; none for fewer than two scenes."""
    if scenes < 2:
        return []
    return [set(block.tolist()) for block in np.array_split(np.arange(scenes), min(scenes, BLOCKS))]


def unmeasured(
    metrics: Mapping[str, SetMetric], records: Mapping[str, SetRecord], measured: Mapping[str, int]
) -> list[str]:
    """Return in words which metrics have no number, of single scenes or of all together, and why.

    Args:
        metrics: by name.
        records: of all scenes together.
        measured: in how many scenes each has a number of its own.
    """
    sentences = []
    for name, record in records.items():
        least, scenes = metrics[name].least, record["scenes"]
        fewest = min(record["by_scene"][0], record["by_scene"][2])
        needs = f"{name} needs {least} outputs and {least} real images"
        if measured[name] < scenes:
            why = f"{needs}, and a scene has as few as {fewest}" if fewest < least else f"{name} gives none"
            sentences.append(f"{scenes - measured[name]} of {scenes} scenes have no {name} of their own: {why}")
        if record["value"] is None:
            fewer = min(record["outputs"], record["real"]) < least
            images = f"{record['outputs']} outputs and {record['real']} real images"
            why = f"{needs}, there are {images}" if fewer else f"it gives no finite one for {images}"
            sentences.append(f"{name} has no number over all scenes together: {why}")
    return sentences


def write_sets(folder: Path, records: Mapping[str, SetRecord]) -> None:
    """Write the scores over all scenes into the folder of an evaluation."""
    write_json(folder / SETS, dict(records))


def read_sets(folder: Path) -> dict[str, SetRecord]:
    """Return the scores over all scenes of a finished evaluation; none where no metric of sets was asked for."""
    if not (folder / SETS).exists():
        return {}
    records: dict[str, SetRecord] = read_json(folder / SETS)
    return records
