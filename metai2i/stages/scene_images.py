"""What a report shows of a scene, as image files: outputs, what they are compared with, and what was shown."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.exemplar_grid import GRID, crossed, input_image, save_grid
from metai2i.data.images import save_field, save_photo, to_uint8
from metai2i.field import EXEMPLAR, is_exemplars
from metai2i.stages.row_evaluator import RowEvaluator
from metai2i.tasks import Episode
from metai2i.training.driving import shown_images
from metai2i.training.file_names import SIDE_BY_SIDE
from metai2i.training.ways import fields_of_way
from metai2i.translator import Step, Translator

SHOWN_OTHERWISE = ("structure", "target", "reference")
"""Fields that a run's images have folders of their own for."""

GRID_SIDE = 5
"""Inputs or exemplars in a grid, where the recipe does not say how many."""


MOST_SIDE_BY_SIDE = 6
"""The most of them."""


def save_first_draw(
    images: Path, adapted: Translator, samples: Tensor, episode: Episode, here: Step, judge: RowEvaluator
) -> None:
    """Write what a report shows of a scene: the outputs, what they are compared with, and what was shown.

    Args:
        samples: the outputs for each query, (B, S, 3, H, W), of which the first is shown by itself.
    """
    unadapted = judge.images_of(judge.gp, episode.query, here.at("translate"))
    save_images(images, samples[:, 0], unadapted, seen(adapted, episode.query, judge.way).get("reference"))
    save_shown(images, adapted, episode.query, here.at("translate"), judge)
    if samples.shape[1] > 1:
        for q, of_query in enumerate(samples[:, :MOST_SIDE_BY_SIDE]):
            save_photo(images / "shown" / SIDE_BY_SIDE / f"{q}.png", torch.cat(list(of_query), -1))
    save_row_grid(images / GRID, adapted, episode, here.at("grid"), judge)


def save_images(images: Path, output: Tensor, unadapted: Tensor, reference: Tensor | None) -> None:
    """Write a row's images of the queries (`N.png`), those of its general model before it is adapted
    (`general/N.png`) and what photographs they were shown (`reference/N.png`), each (B, 3, H, W).
    """
    kinds = {"": output, "general": unadapted} | ({} if reference is None else {"reference": reference})
    for kind, photos in kinds.items():
        for q, photo in enumerate(photos):
            save_photo(images / kind / f"{q}.png", photo)


def save_shown(images: Path, adapted: Translator, query: Batch, step: Step, judge: RowEvaluator) -> None:
    """Write what else a row's translator was shown of the queries (`shown/FIELD/N.png`), as its kind is shown, and the
    further images that it has for the report (`shown/NAME/N.png`).
    """
    there = set(seen(adapted, query, judge.way))
    known = {name: judge.sampling.field(name) for name in sorted(adapted.needs & there) if name not in SHOWN_OTHERWISE}
    for name, kind in known.items():
        if kind is None or not kind.is_image:
            continue
        for q, values in enumerate(query[name]):
            save_field(images / "shown" / name / f"{q}.png", values, kind)
    size = judge.row.adapt.batch
    for n, at in enumerate(range(0, query.size, size)):  # in the parts of `images_of`, whose outputs they go with
        part = query.select(range(at, min(at + size, query.size)))
        for name, photos in shown_images(adapted, part, step.at(n), judge.way).items():
            for q, photo in enumerate(photos, at):
                save_photo(images / "shown" / name / f"{q}.png", photo)


def save_row_grid(path: Path, adapted: Translator, episode: Episode, step: Step, judge: RowEvaluator) -> None:
    """Write every input with every exemplar, where the recipe asks for it; exemplars are samples of the support, or
    those that a task source gives with queries and support, each once.
    """
    wanted, reference = judge.row.evaluate.grid, judge.sampling.reference
    if wanted is None:
        return
    queries = episode.query.select(range(min(wanted.sources or GRID_SIDE, episode.query.size)))
    given = Batch.cat([episode.query, episode.support])
    exemplars = Batch(**{name: values for name, values in given.items() if is_exemplars(name)})
    pool = exemplars if reference is None else reference.shown(episode.support)
    if EXEMPLAR not in pool:  # of an adapted model that is another translator, such as a copier
        return
    pool = pool.select(first_of_each(pool[EXEMPLAR]))
    exemplars = pool.select(range(min(wanted.references or GRID_SIDE, pool.size)))
    outputs = judge.images_of(adapted, crossed(queries, exemplars), step)
    inputs = seen(adapted, Batch(**{name: queries[name] for name in queries if name != "target"}), judge.way)
    shown = [input_image(inputs, n, judge.sampling.field) for n in range(queries.size)]
    save_grid(path, shown, list(to_uint8(exemplars[EXEMPLAR]).cpu()), outputs)


def first_of_each(images: Tensor) -> list[int]:
    """Return the places of images (B, 3, H, W) that are like none before them."""
    return [n for n, image in enumerate(images) if not any(torch.equal(image, before) for before in images[:n])]


def seen(translator: Translator, query: Batch, way: str | None) -> Batch:
    """Return what a report shows of a query: without the exemplars that a translator is not shown in its way."""
    if not translator.ways:
        return query
    hidden = {name for name in query if name.startswith(EXEMPLAR)} - fields_of_way(translator, way)  # reference2, too
    return Batch(**{name: values for name, values in query.items() if name not in hidden})
