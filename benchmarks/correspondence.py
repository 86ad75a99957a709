"""What CoCosNet's correspondence finds on faces: where an exemplar's landmarks land, and whose colours an image has.

    python benchmarks/correspondence.py runs/cocosnet-faces --quick
    python benchmarks/correspondence.py runs/cocosnet-faces --row CoCosNet --json correspondence.json

RUN is a finished run of recipes/systems/cocosnet_faces.yaml; the people are those that it scores, and their folders
have a `landmarks.npz`, as `metai2i data faces` writes it. A person's first image is the exemplar of others of theirs.

`landmarks`: a spot at each of the exemplar's 68 landmarks is carried over by the correspondence; it lands where most of
it does. What counts is the share that lands within a tenth of the distance of the outer eye corners from the landmark
of the query. `identity`: the landmark stays where it is in the exemplar. `mean shape`: the mean landmarks of the
training people, wherever the exemplar has them. The exemplar is the person's photograph, the same turned by 15 degrees
and enlarged by a fifth, or another person's.

`colours`: the mean colour of each region of the image, against that of the same region of another person's photograph,
with that photograph as the exemplar and with the person's; root mean square over regions and channels, in 256 levels.
`towards`: the share of the queries whose colours come nearer. Means are over people, whose number stands beside them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import report
from metai2i_cocosnet.translator import Cocosnet
from PIL import Image
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from metai2i import Batch, Step, Task
from metai2i.data import evenly_spaced
from metai2i.inference.trained_run import general_model, read_trained_run
from metai2i.pipeline.assemble import Assembler
from metai2i.registry import Registry
from metai2i.training.driving import translate

OUTER_CORNERS = (36, 45)
NEAR = 0.1
"""Of the distance of the outer eye corners."""
SPOT = 1.0
"""Standard deviation of what is carried over of a landmark, in positions."""
ANGLE, ZOOM = 15.0, 1.2
LEAST = 8
"""Pixels that a region must have in both images for its colour to count."""


@dataclass(frozen=True)
class Person:
    """The images of a person, the exemplar first.

    Args:
        samples: `structure` and `target`, (N, ...).
        points: (N, 68, 2), x and y in pixels from the upper left corner.
    """

    samples: Batch
    points: Tensor


def person(task: Task, queries: int) -> Person:
    """Return the first image of a scene of faces, and evenly spaced ones of the others, with their landmarks."""
    places = [0, *(1 + place for place in evenly_spaced(len(task) - 1, queries))]
    samples = task.load(places)
    height, width = samples["target"].shape[-2:]
    return Person(samples, landmarks(task)[places] * torch.tensor([width, height]))


def landmarks(task: Task) -> Tensor:
    """Return the landmarks of all images of a scene of faces, (N, 68, 2), as shares of width and height."""
    pairs: Sequence[Any] = task.pairs  # type: ignore[attr-defined]
    kept = np.load(pairs[0].photo.parent / "landmarks.npz")
    places = {str(name): n for n, name in enumerate(kept["names"])}
    points = np.stack([kept["pts_crop"][places[pair.photo.stem]] for pair in pairs])
    with Image.open(pairs[0].photo) as image:
        return torch.from_numpy(points / np.array(image.size, dtype=np.float32))


def turned(exemplar: Batch, points: Tensor) -> tuple[Batch, Tensor]:
    """Return an exemplar, (1, ...), that is turned and enlarged about its middle, and its landmarks (68, 2)."""
    angle = torch.deg2rad(torch.tensor(ANGLE))
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])]) * ZOOM
    size = exemplar["target"].shape
    grid = affine_grid(torch.cat([turn.inverse(), torch.zeros(2, 1)], 1)[None], [1, 1, *size[-2:]], align_corners=False)
    moved = {
        name: grid_sample(exemplar[name], grid, mode=mode, padding_mode="border", align_corners=False)
        for name, mode in (("target", "bilinear"), ("structure", "nearest"))
    }
    middle = torch.tensor([size[-1], size[-2]]) / 2
    return exemplar.replace(**moved), (points - middle) @ turn.T + middle


def with_exemplar(queries: Batch, exemplar: Batch) -> Batch:
    """Return queries (N, ...) that all have the one exemplar."""
    count = queries.size
    return Batch(
        structure=queries["structure"],
        reference=exemplar["target"].expand(count, -1, -1, -1),
        reference_structure=exemplar["structure"].expand(count, -1, -1, -1),
    )


@torch.no_grad()
def landings(translator: Cocosnet, batch: Batch, points: Tensor) -> Tensor:
    """Return where landmarks (68, 2) of the exemplar land in each sample's layout: (N, 68, 2), in pixels."""
    assert translator.correspondence is not None
    correlation = translator.correspondence(batch["structure"], batch["reference"], batch["reference_structure"])
    height, width = correlation.grid
    scale = torch.tensor(batch["structure"].shape[-1] / width)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    places = torch.stack([x, y], -1)  # (h, w, 2), in positions
    apart = (places[None] - (points / scale)[:, None, None]).square().sum(-1)  # (68, h, w)
    spots = torch.exp(-apart / (2 * SPOT**2))[None].expand(batch.size, -1, -1, -1)
    carried = correlation.warp(spots)  # (N, 68, h, w)
    peak = places.reshape(-1, 2)[carried.flatten(2).argmax(2)]  # (N, 68, 2)
    about = (places - peak[:, :, None, None]).abs().amax(-1) <= 2
    weights = carried * about
    landed = (weights[..., None] * places).sum((2, 3)) / weights.sum((2, 3))[..., None]
    return landed * scale


def near(points: Tensor, real: Tensor) -> float:
    """Return the share of points (N, 68, 2) that are near the real ones (N, 68, 2)."""
    eyes = (real[:, OUTER_CORNERS[0]] - real[:, OUTER_CORNERS[1]]).norm(dim=-1)
    return float(((points - real).norm(dim=-1) / eyes[:, None] < NEAR).float().mean())


def landmark_rows(translator: Cocosnet, people: Sequence[Person], mean_shape: Tensor) -> list[dict[str, Any]]:
    """Return how many landmarks land near, for each kind of exemplar."""
    kinds: Mapping[str, Callable[[int], tuple[Batch, Tensor]]] = {
        "the person's": lambda n: (people[n].samples.select([0]), people[n].points[0]),
        "the person's, turned": lambda n: turned(people[n].samples.select([0]), people[n].points[0]),
        "another person's": lambda n: (people[n - 1].samples.select([0]), people[n - 1].points[0]),
    }
    rows = []
    for kind, exemplar_of in kinds.items():
        shares = []
        for n, each in enumerate(people):
            exemplar, points = exemplar_of(n)
            real, queries = each.points[1:], each.samples.select(range(1, each.samples.size))
            landed = landings(translator, with_exemplar(queries, exemplar), points)
            shares.append([near(guess, real) for guess in (landed, points.expand_as(real), mean_shape.expand_as(real))])
        ours, identity, mean = (np.array(each) for each in zip(*shares, strict=True))
        rows.append(
            {
                "exemplar": kind,
                "people": len(people),
                "correspondence": float(ours.mean()),
                "identity": float(identity.mean()),
                "mean shape": float(mean.mean()),
                "better than identity": f"{(ours > identity).sum()}, worse {(ours < identity).sum()}",
                "better than mean shape": f"{(ours > mean).sum()}, worse {(ours < mean).sum()}",
            }
        )
    return rows


def region_colours(images: Tensor, structure: Tensor) -> Tensor:
    """Return mean colours (N, L, 3) of regions, in 256 levels; NaN for regions that are too small."""
    inside = structure[:, :, None]  # (N, L, 1, H, W)
    pixels = inside.sum((3, 4))
    means = ((images[:, None] + 1) * 127.5 * inside).sum((3, 4)) / pixels
    return torch.where(pixels >= LEAST, means, torch.nan)


def colour_rows(translator: Cocosnet, people: Sequence[Person]) -> list[dict[str, Any]]:
    """Return how far images are from another person's colours with that person's exemplar, and with their own."""
    apart: dict[str, list[float]] = {"own": [], "swapped": []}
    towards = []
    for n, each in enumerate(people):
        queries, other = each.samples.select(range(1, each.samples.size)), people[n - 1].samples.select([0])
        theirs = region_colours(other["target"], other["structure"])
        distances = {}
        for kind, exemplar in (("own", each.samples.select([0])), ("swapped", other)):
            images = translate(translator, with_exemplar(queries, exemplar), Step())
            ours = region_colours(images, queries["structure"])
            distances[kind] = (ours - theirs).square().flatten(1).nanmean(1).sqrt()
            apart[kind].append(float(distances[kind].mean()))
        towards.append(float((distances["swapped"] < distances["own"]).float().mean()))
    return [
        {
            "people": len(people),
            "with the person's exemplar": float(np.mean(apart["own"])),
            "with the other's": float(np.mean(apart["swapped"])),
            "towards": float(np.mean(towards)),
        }
    ]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a run")
    parser.add_argument("--row", default="CoCosNet")
    parser.add_argument("--stages", type=Path, default=Path("runs/.stages"), help="the stage store")
    parser.add_argument("--queries", type=int, default=10, help="of each person")
    parser.add_argument("--quick", action="store_true", help="three people, two queries each")
    parser.add_argument("--json", type=Path, help="also write the tables there, with .colours.json for the second")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    registry = Registry()
    run = read_trained_run(arguments.run, registry, [arguments.stages])
    row = run.rows()[arguments.row]
    assembler = Assembler(registry, run.recipe.seed, torch.device("cpu"))
    translator = general_model(run, assembler, arguments.row).gp.eval()
    assert isinstance(translator, Cocosnet), "the row has another translator"
    source = assembler.source(row)
    scored = source.tasks(row.evaluate.split)
    scored, queries = (scored[:3], 2) if arguments.quick else (scored, arguments.queries)
    people = [person(task, queries) for task in scored]
    height, width = source.spec().size
    mean_shape = torch.cat([landmarks(task) for task in source.tasks("train")]).mean(0) * torch.tensor([width, height])
    report("Landmarks of the exemplar that land near", landmark_rows(translator, people, mean_shape), arguments.json)
    colours = None if arguments.json is None else arguments.json.with_suffix(".colours.json")
    report("Colours of another person", colour_rows(translator, people), colours)


if __name__ == "__main__":
    main()
