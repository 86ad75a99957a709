"""How often the nearest of another hand's drawings is that of the same concept, by GP-UNIT's codes and by other eyes.

    python benchmarks/twins.py runs/gpunit-prior-emoji --quick
    python benchmarks/twins.py runs/gpunit-emoji --json twins.json

RUN is a finished run of recipes/systems/gpunit_prior_emoji.yaml or gpunit_emoji.yaml. The encoders and translators of
its rows are asked, on the scenes that they are scored on.

Of a prior: each drawing that tests is looked for among its twins, the drawings of the same concepts by a hand that
trains. `codes` is the share whose nearest twin, by the distance of content codes, is of their own concept. `pixels`
compares drawings at 8x8 pixels, and `VGG-16` their features of relu3_3, averaged to 8x8.

Of a translation: each output is looked for among the hand's own drawings of all concepts that test, by pixels and
VGG-16, whose eyes are nobody's encoder: `pixels` and `VGG-16` are the shares whose nearest drawing is of the input's
concept.

`low` and `high` are a 95 % interval of the first share by drawing concepts with replacement, `chance` is that of
guessing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from common import report
from metai2i_gpunit import GPUnit, GPUnitPrior
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from metai2i import Randomness, Step, Task
from metai2i.data import evenly_spaced
from metai2i.inference.trained_run import general_model, read_trained_run
from metai2i.losses import network
from metai2i.losses.backbone_weights import set_weights_folder
from metai2i.pipeline.assemble import Assembler
from metai2i.registry import Registry
from metai2i.training.driving import translate

GRID = 8
"""Pixels a side at which everything is compared."""
AT_ONCE, DRAWS, LEVEL = 16, 1000, 0.95
Eye = Callable[[Tensor], Tensor]
"""Gives what is compared of images (N, 3, H, W), (N, ...)."""


def pixels(images: Tensor) -> Tensor:
    """Return the mean colours of 8x8 places."""
    return adaptive_avg_pool2d(images, GRID)


def vgg16(images: Tensor) -> Tensor:
    """Return features of VGG-16 at 8x8 places, each place with a length of 1."""
    (features,) = network("vgg16")(images, ["relu3_3"])
    return torch.nn.functional.normalize(adaptive_avg_pool2d(features, GRID), dim=1)


@torch.no_grad()
def seen(eye: Eye, images: Tensor) -> Tensor:
    """Return what an eye sees of images, (N, D)."""
    return torch.cat([eye(part).flatten(1) for part in images.split(AT_ONCE)])


def right_is_nearest(looked_for: Tensor, among: Tensor) -> Tensor:
    """Return of which of (N, D) the nearest of (N, D) is the one in its place, (N,) bool."""
    return torch.cdist(looked_for, among).argmin(1) == torch.arange(len(looked_for))


def interval(hits: Tensor) -> tuple[float, float]:
    """Return the 95 % interval of a share, by drawing with replacement."""
    places = torch.randint(len(hits), (DRAWS, len(hits)), generator=Randomness(("twins",)).generator())
    shares = hits.float()[places].mean(1).sort().values
    outside = round((1 - LEVEL) / 2 * DRAWS)
    return float(shares[outside]), float(shares[-1 - outside])


def entry(name: str, task: Task, hits: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return a line of a table; the interval is that of the first share."""
    first = next(iter(hits.values()))
    low, high = interval(first)
    shares = {eye: float(each.float().mean()) for eye, each in hits.items()}
    return {
        "row": name,
        "scene": task.id,
        "n": len(first),
        **shares,
        "low": low,
        "high": high,
        "chance": 1 / len(first),
    }


def of_prior(name: str, prior: GPUnitPrior, task: Task, most: int) -> dict[str, Any]:
    """Return how often codes, pixels and VGG-16 tell twins among others."""
    batch = task.load(evenly_spaced(len(task), most))
    eyes: Mapping[str, Eye] = {"codes": lambda images: prior.encoder(images).code, "pixels": pixels, "VGG-16": vgg16}
    return entry(
        name,
        task,
        {eye: right_is_nearest(seen(look, batch["source"]), seen(look, batch["twin"])) for eye, look in eyes.items()},
    )


def of_translation(name: str, translator: GPUnit, task: Task, most: int, way: str | None) -> dict[str, Any]:
    """Return how often the right drawing is the nearest to an output, in two eyes."""
    episode = task.episode(5, min(most, len(task) - 5), Randomness(("twins", task.id)))
    parts = [range(at, min(at + AT_ONCE, episode.query.size)) for at in range(0, episode.query.size, AT_ONCE)]
    query = episode.query
    outputs = torch.cat([translate(translator, query.select(part), Step().at(n), way) for n, part in enumerate(parts)])
    eyes: Mapping[str, Eye] = {"pixels": pixels, "VGG-16": vgg16}
    return entry(
        name,
        task,
        {eye: right_is_nearest(seen(look, outputs), seen(look, query["target"])) for eye, look in eyes.items()},
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a run")
    parser.add_argument("--row", action="append", help="only this row; may be given several times")
    parser.add_argument("--stages", type=Path, default=Path("runs/.stages"), help="the stage store")
    parser.add_argument("--queries", type=int, default=160, help="concepts of each scene")
    parser.add_argument("--weights", type=Path, help="the folder with VGG-16, as of metai2i run")
    parser.add_argument("--quick", action="store_true", help="ten concepts")
    parser.add_argument("--json", type=Path, help="also write the tables there, with .translation.json for the second")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.weights is not None:
        set_weights_folder(given.weights)
    registry = Registry()
    run = read_trained_run(given.run, registry, [given.stages])
    assembler = Assembler(registry, run.recipe.seed, torch.device("cpu"))
    most = 10 if given.quick else given.queries
    of_codes, of_outputs = [], []
    for name, row in run.rows().items():
        if row.strategy.use != "none" or (given.row and name not in given.row):
            continue
        translator = general_model(run, assembler, name).gp.eval()
        for task in assembler.source(row).tasks(row.evaluate.split):
            if isinstance(translator, GPUnitPrior):
                of_codes.append(of_prior(name, translator, task, most))
            elif isinstance(translator, GPUnit):
                of_outputs.append(of_translation(name, translator, task, most, row.evaluate.way))
    beside = None if given.json is None else given.json.with_suffix(".translation.json")
    for title, rows, file in (
        ("Twins whose code is the nearest", of_codes, given.json),
        ("Outputs to which the right drawing is the nearest", of_outputs, beside),
    ):
        if rows:
            report(title, rows, file)


if __name__ == "__main__":
    main()
