"""The models that stand on the page: of files, of the rows of runs, and those that are adapted there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from metai2i.batch import Batch
from metai2i.errors import UserError, did_you_mean
from metai2i.field import EXEMPLAR
from metai2i.inference.adapt import model_of
from metai2i.inference.exemplars import MAP
from metai2i.inference.field_folders import inputs_of, readable_field
from metai2i.inference.model_file import AdaptedModel
from metai2i.inference.trained_run import TrainedModel, TrainedRun
from metai2i.registry import Registry
from metai2i.tasks import TaskSpec, batch_digest
from metai2i.training.ways import drawing_ways, exemplars_of_way, fields_of_way, ways_of


@dataclass
class PageModel:
    """A model on the page.

    Args:
        key: by which the page asks for it.
        title: in words: its file, or its row.
        detail: more of it, where it is of a file or not adapted.
        model: that paints.
        scene: to which it was adapted on the page; None for others.
        steps: by how many it was adapted on the page.
        file: that holds it; None while it is in no file.
    """

    key: str
    title: str
    detail: str
    model: AdaptedModel
    scene: str | None = None
    steps: int | None = None
    file: Path | None = None

    def about(self) -> dict[str, object]:
        """Return what the page is told of it."""
        return {
            "key": self.key,
            "title": self.title,
            "detail": self.detail,
            "scene": self.scene,
            "steps": self.steps,
            "file": None if self.file is None else str(self.file),
            "keepable": self.scene is not None and self.file is None,
            "way": self.model.way,
            "ways": [way_about(self.model, way) for way in ways_of(self.model.translator)],
            "support": self.model.support.size,
        }


def way_about(model: AdaptedModel, way: str | None) -> dict[str, object]:
    """Return what the page is told of a way: what it reads, and whether it draws."""
    fields, exemplars = fields_of_way(model.translator, way), exemplars_of_way(model.translator, way)
    inputs = inputs_of(fields)
    return {
        "name": way,
        "painted": [name for name in inputs if is_painted(name, model.spec)],
        "files": [name for name in inputs if model.spec.field(name).is_image and not is_painted(name, model.spec)],
        "exemplar": EXEMPLAR in exemplars,
        "exemplar_map": MAP in exemplars,
        "domain": bool({"domain", f"{EXEMPLAR}_domain"} & fields),
        "domains": domain_names(model.spec) if {"domain", f"{EXEMPLAR}_domain"} & fields else [],
        "domain_of_support": f"{EXEMPLAR}_domain" in exemplars,
        "draws": way in drawing_ways(model.translator),
    }


def is_painted(name: str, spec: TaskSpec) -> bool:
    """Return whether the page paints a field: the label map, with the instances that are read off it."""
    kind = spec.field(name).kind
    painted = spec.structure_channels > 1 and spec.field("structure").kind == "onehot"
    return painted and (name == "structure" or (name == "instances" and kind == "ids"))


def domain_names(spec: TaskSpec) -> list[str]:
    """Return the domains of the data, by name where they have any, else by number."""
    known = spec.known_field("domain")
    if known is None:
        return []
    return [*known.names] or [str(n) for n in range(known.channels)]


def general_of(run: TrainedRun, general: TrainedModel, registry: Registry) -> AdaptedModel:
    """Return a row's general model as the page has models: of no scene, and with no support."""
    plugin = registry.identity("translator", general.row.translator.use)
    origin = {"run": str(run.folder), "row": general.name, "stage": general.stage}
    return model_of(general.gp, general, Batch(), plugin, origin)


def check_paintable(model: AdaptedModel, what: str) -> None:
    """Refuse a model for which the page cannot provide what it reads.

    Raises:
        UserError: naming the fields.
    """
    lacking: list[str] = []
    for way in ways_of(model.translator):
        fields = inputs_of(fields_of_way(model.translator, way))
        here = [name for name in fields if not readable_field(model.spec.known_field(name))]
        here += [n for n in fields if n not in here and model.spec.field(n).kind == "label" and n != "domain"]
        if not here:
            return
        lacking += here
    names = ", ".join(sorted(set(lacking)))
    raise UserError(f"the page has no place for what this model reads: {names}", where=what)


def check_one_data(specs: Sequence[tuple[str, TaskSpec]]) -> None:
    """Refuse models that paint other maps than the first: the page has one map for all.

    Args:
        specs: of the data of each model, with the model's name.

    Raises:
        UserError: saying in what they differ.
    """
    first_name, first = specs[0]
    for name, spec in specs[1:]:
        for what, mine, other in (
            ("size", _size(first), _size(spec)),
            ("number of classes", str(first.structure_channels), str(spec.structure_channels)),
            ("names of classes", ", ".join(first.classes), ", ".join(spec.classes)),
        ):
            if mine != other:
                raise UserError(
                    f"the page has one map for all models, and {name} has another {what} ({other or 'none'}) than "
                    f"{first_name} ({mine or 'none'})",
                    hint="show them on two pages: `metai2i paint` with --port 0",
                )


def _size(spec: TaskSpec) -> str:
    return f"{spec.size[0]}x{spec.size[1]}"


class PageModels:
    """All models of the page by their keys; several requests may ask at once."""

    def __init__(self) -> None:
        self._models: dict[str, PageModel] = {}
        self._lock = threading.Lock()
        self._count = 0

    def add(self, build: Callable[[str], PageModel]) -> PageModel:
        """Put a model in, which `build` makes of its key."""
        with self._lock:
            self._count += 1
            model = build(f"m{self._count}")
            self._models[model.key] = model
        return model

    def forget(self, title: str, scene: str, steps: int, support: Batch) -> None:
        """Take off what was adapted to a scene by so many steps before, and is in no file. Scenes of one name are the
        same when their supports are.
        """
        digest = batch_digest(support.to("cpu"))
        with self._lock:
            for key, model in list(self._models.items()):
                same = (model.title, model.scene, model.steps, model.file) == (title, scene, steps, None)
                if same and batch_digest(model.model.support.to("cpu")) == digest:
                    del self._models[key]

    def get(self, key: str) -> PageModel:
        """Return a model.

        Raises:
            UserError: when there is none of this key.
        """
        with self._lock:
            if key not in self._models:
                what = f"there is no model {key[:20]!r} on this page"
                raise UserError(what, hint=did_you_mean(key[:20], self._models) or "load the page again")
            return self._models[key]

    def remove(self, key: str) -> None:
        """Take a model off the page; its file stays.

        Raises:
            UserError: when there is none of this key.
        """
        self.get(key)
        with self._lock:
            self._models.pop(key, None)

    def __iter__(self) -> Iterator[PageModel]:
        with self._lock:
            return iter(list(self._models.values()))
