"""A small model of each bundled translator, with random weights: in memory, and in a file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metai2i import Batch, Field, Objective, Randomness, TaskSpec
from metai2i.field import PHOTOGRAPH, exemplified, is_exemplars
from metai2i.inference.model_file import AdaptedModel, save_adapted
from metai2i.inference.model_header import FORMAT, ModelRecord
from metai2i.inference.trained_run import exemplars_of
from metai2i.pipeline.assemble import build_translator
from metai2i.registry import Registry
from metai2i.registry.options import check_options, plain_options
from metai2i.run_folder.spec_json import spec_data

SIZE, SUPPORT = (32, 32), 2
OPTIONS: dict[str, dict[str, Any]] = {
    "pix2pix": {"width": 4, "d_layers": 2},
    "pg2": {"width": 4, "d_layers": 2},
    "spade": {"width": 4, "d_layers": 3},
    "spade with a code": {"width": 4, "d_layers": 3, "start": "encoder", "latent": 5},
    "spade_instances": {"width": 4, "d_layers": 3},
    "panoptic": {"width": 2, "d_layers": 2},
    "cocosnet": {"width": 2, "d_layers": 2},
    "flow": {"width": 4, "d_layers": 2, "steps": 2},
    "flow from noise": {"width": 4, "d_layers": 2, "source": "noise"},
    "flow_reference": {"width": 4, "d_layers": 2, "steps": 2},
    "stargan2": {"width": 2, "widest": 4, "style": 3, "latent": 2, "hidden": 4},
    "stargan2_landmarks": {"width": 2, "widest": 4, "style": 3, "latent": 2, "hidden": 4, "high_pass": 1.0},
    "edgegan": {"width": 2, "latent": 3},
    "gpunit": {"width": 2, "sampler_epochs": 1},
    "gpunit_labelled": {"width": 2, "sampler_epochs": 1},
    "gpunit-prior": {"width": 2},
}
"""By the translator's name, and what is behind the first blank."""
FIELDS = {
    "landmarks": Field("map", 3),
    "label": Field("label", 3, ("ear", "tail", "none")),
    "mask": Field("map", 1),
    "twin": Field("photo"),
    "twin_mask": Field("map", 1),
    "twin_domain": Field("label", 2),
}
"""Those that are not as usual."""
DRAWINGS = {"structure": Field("map", 1)}
REGISTRY = Registry()
OBJECTIVE = {"l1": 1, "adversarial": 1, "perceptual": 0}


def bundled_translators() -> set[str]:
    """Those that are installed and are the project's."""
    components = REGISTRY.components("translator").items()
    return {name for name, component in components if component.__module__.startswith("metai2i")}


def ways_of_model(name: str) -> tuple[str | None, ...]:
    """The ways in which a small model is asked; None for one without ways."""
    return tuple(REGISTRY.get("translator", name.partition(" ")[0]).ways) or (None,)


MODELS_AND_WAYS = [(name, way) for name in OPTIONS for way in ways_of_model(name)]


def small_spec(use: str) -> TaskSpec:
    """The spec of the data that a translator is for."""
    fields = frozenset(map(exemplified, REGISTRY.get("translator", use).needs)) | {PHOTOGRAPH}
    also = {each: known for each, known in FIELDS.items() if each in fields} | (DRAWINGS if use == "edgegan" else {})
    classes = ("floor", "wall", "door") if "structure" in fields and use != "edgegan" else ()
    return TaskSpec(
        structure_channels=1 if use == "edgegan" else len(classes),
        size=SIZE,
        fields=fields,
        domains=2 if {"domain", "twin_domain"} & fields else 0,
        classes=classes,
        palette=((250, 0, 0), (0, 250, 0), (0, 0, 250))[: len(classes)],
        also=also,
    )


def values_of(known: Field, count: int, draw: torch.Generator) -> Tensor:
    """Some values of a field."""
    if known.kind == "label":
        return torch.arange(count) % known.channels
    if known.kind in ("onehot", "ids"):
        ids = torch.randint(max(known.channels, 3), (count, 4, 4), generator=draw)
        ids = ids.repeat_interleave(SIZE[0] // 4, 1).repeat_interleave(SIZE[1] // 4, 2)
        return ids if known.kind == "ids" else torch.nn.functional.one_hot(ids, known.channels).movedim(-1, 1).float()
    levels = torch.randint(256, (count, *(known.shape(SIZE) or ())), generator=draw) / 255
    return levels * 2 - 1 if known.kind == "photo" else levels


def samples_of_fields(spec: TaskSpec, names: Collection[str], count: int = SUPPORT) -> Batch:
    """Samples that have some fields."""
    draw = {name: Randomness(("small", name)).generator() for name in sorted(names)}
    return Batch(**{name: values_of(spec.field(name), count, draw[name]) for name in sorted(names)})


def small_model(name: str, **more: Any) -> AdaptedModel:
    """A small model with random weights, and a support of two samples.

    Args:
        more: options of the translator.
    """
    use = name.partition(" ")[0]
    spec = small_spec(use)
    options = check_options(REGISTRY.get("translator", use), {**OPTIONS[name], **more})
    with Randomness(("small", name)).scope():
        translator = build_translator(REGISTRY, use, options, check_options(Objective, OBJECTIVE), spec)
    about = ModelRecord(
        format=FORMAT,
        translator={"use": use, "options": plain_options(options)},
        precision="fp32",
        objective=OBJECTIVE,
        reference={},
        spec=spec_data(spec),
        plugin=REGISTRY.identity("translator", use),
        made={"recipe": "toy", "row": "Line"},
    )
    support = samples_of_fields(spec, spec.fields)
    return AdaptedModel(translator.eval(), spec, support, exemplars_of(translator, spec, {}), about)


def inputs_of_model(model: AdaptedModel, way: str | None) -> list[str]:
    """The fields that a model reads in a way, besides exemplars."""
    needs = model.translator.needs if way is None else model.translator.ways[way]
    return sorted(name for name in needs if name != PHOTOGRAPH and not is_exemplars(name))


def write_small_model(name: str, path: Path) -> AdaptedModel:
    """Writes the model's file, and gives it."""
    model = small_model(name)
    save_adapted(path, model.translator, model.support, model.about)
    return model
