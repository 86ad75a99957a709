"""What the page works with: its models, the maps and scenes to begin with, and the files that it hands over."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from metai2i.data.images import to_uint8
from metai2i.data.photographs import Colour
from metai2i.errors import UserError, counted, did_you_mean
from metai2i.field import EXEMPLAR
from metai2i.guards.faults import user_errors_from
from metai2i.inference.exemplars import Given, given_by, wished_way
from metai2i.inference.field_folders import inputs_of, stacked
from metai2i.inference.model_file import read_adapted
from metai2i.inference.pair_folders import read_field, read_map
from metai2i.inference.trained_run import TrainedRun, choose_row, general_model, read_trained_run, stores_of
from metai2i.inference.translate import painted_sample
from metai2i.inference.unpaired_support import is_unpaired
from metai2i.paint.colours import shown_colours
from metai2i.paint.label_bytes import ids_of, kind_of_ids, one_hot
from metai2i.paint.models import (
    PageModel,
    PageModels,
    check_one_data,
    check_paintable,
    general_of,
    is_painted,
)
from metai2i.paint.shelf import MOST_MAPS, SceneFiles, ShelfMap, maps_of_scenes, maps_of_support, scenes_of
from metai2i.paint.uploads import Uploads
from metai2i.pipeline.assemble import Assembler
from metai2i.recipe import Row
from metai2i.registry import Registry
from metai2i.tasks import TaskSpec
from metai2i.training.ways import exemplars_of_way, fields_of_way

MOST_SAMPLES = 1000
"""As many as `metai2i translate --samples` makes."""
INSTANCES = "instances"


@dataclass(frozen=True)
class PageRow:
    """A row of a run, from whose general model the page can adapt.

    Args:
        key: by which the page asks for it.
        title: its name; with that of the run where there are several.
        run: that it is of.
        name: its name in the recipe.
        row: it.
        chosen: whether the page proposes it.
    """

    key: str
    title: str
    run: TrainedRun
    name: str
    row: Row
    chosen: bool


@dataclass
class Studio:
    """All that the requests of the page share.

    Args:
        registry: of plugins.
        device: where the networks run.
        out: the folder to which models are kept.
        uploads: the files that the page has handed over.
        spec: of the data of all models.
        models: on the page.
        rows: from which it can adapt.
        scenes: to which it can adapt without files, by their number.
        maps: to begin with, by their number.
        torch_lock: is held by whoever runs a network, for a step draws from torch's global generators.
    """

    registry: Registry
    device: torch.device
    out: Path
    uploads: Uploads
    spec: TaskSpec
    models: PageModels
    rows: Sequence[PageRow] = ()
    scenes: Sequence[SceneFiles] = ()
    maps: list[ShelfMap] = field(default_factory=list)
    torch_lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def colours(self) -> Sequence[Colour]:
        """Return the colour of each class."""
        return shown_colours(self.spec)

    def about(self) -> dict[str, object]:
        """Return what the page is told when it opens."""
        spec, palette = self.spec, shown_colours(self.spec)
        names = spec.classes or tuple(f"class {n}" for n in range(spec.structure_channels))
        is_map = spec.structure_channels > 1 and spec.field("structure").kind == "onehot"
        return {
            "size": list(spec.size),
            "classes": [{"name": name, "colour": list(palette[n])} for n, name in enumerate(names)] if is_map else [],
            "bytes": np.dtype(kind_of_ids(spec.structure_channels)).itemsize,
            "models": [model.about() for model in self.models],
            "maps": [each.title for each in self.maps],
            "rows": [
                {
                    "key": row.key,
                    "title": row.title,
                    "strategy": row.row.strategy.use,
                    "iterations": row.row.adapt.iterations,
                    "lr": row.row.adapt.lr,
                    "chosen": row.chosen,
                }
                for row in self.rows
            ],
            "unpaired": any(map(self.is_unpaired, self.rows)),
            "scenes": [{"title": scene.title, "pairs": len(scene.support)} for scene in self.scenes],
            "out": str(self.out.absolute()),
        }

    def is_unpaired(self, row: PageRow) -> bool:
        """Return whether a row's translator is adapted to photographs of a domain rather than to pairs."""
        return is_unpaired(self.registry.get("translator", row.row.translator.use).needs, self.spec)

    def row(self, key: str) -> PageRow:
        """Return a row.

        Raises:
            UserError: when there is none of this key.
        """
        known = {row.key: row for row in self.rows}
        if key not in known:
            raise UserError(f"there is no row {key[:20]!r} on this page", hint=did_you_mean(key[:20], known))
        return known[key]

    def read_ids(self, path: Path) -> np.ndarray:
        """Return the label map of a file as the page has it, (H, W), read as `metai2i translate` reads it."""
        return read_map(path, self.spec).argmax(0).numpy()

    def paint(self, asked: PaintRequest, body: bytes) -> Tensor:
        """Return an image as `metai2i translate` would make it of a folder with this one map: (3, H, W) uint8.

        Args:
            asked: by whom, and how.
            body: the map, as `metai2i.paint.label_bytes` has it; nothing where the way reads none.

        Raises:
            UserError: for what does not go together.
        """
        page_model = self.models.get(asked.model)
        model = page_model.model
        way = wished_way(model, asked.way)
        given = self._given(page_model, way, asked)
        sample = self._inputs(fields_of_way(model.translator, way), asked.files, given, body)
        with self.torch_lock, user_errors_from(page_model.title, None):
            return to_uint8(painted_sample(given, stacked([sample]), asked.sample)[0])

    def _given(self, page_model: PageModel, way: str | None, asked: PaintRequest) -> Given:
        model = page_model.model
        photo, label_map = (None, None) if asked.exemplar is None else exemplar_in(self.uploads.folder(asked.exemplar))
        wanted = exemplars_of_way(model.translator, way)
        if photo is None and EXEMPLAR in wanted and not model.support.size:
            what = "this model is shown a photograph as an exemplar, and has no support to take one from"
            raise UserError(what, hint="choose an exemplar, or adapt the model to a scene")
        if photo is None and asked.domain is None and wanted and not model.support.size:
            raise UserError("this model reads a domain, and has no support to take one from", hint="choose a domain")
        if photo is None and asked.domain is not None and not model.support.size and wanted - {f"{EXEMPLAR}_domain"}:
            raise UserError("this model has no support with photographs of a domain", hint="choose an exemplar")
        return given_by(model, way, photo, label_map, asked.domain)

    def _inputs(self, fields: frozenset[str], files: Mapping[str, str], given: Given, body: bytes) -> dict[str, Tensor]:
        wanted = [name for name in inputs_of(fields) if name not in given.names]
        sample: dict[str, Tensor] = {}
        if "structure" in wanted and is_painted("structure", self.spec):
            ids = ids_of(body, self.spec.size, self.spec.structure_channels)
            sample["structure"] = one_hot(ids, self.spec.structure_channels)
            if INSTANCES in wanted and is_painted(INSTANCES, self.spec):
                sample[INSTANCES] = torch.from_numpy(instances_of(ids))
        for name in wanted:
            if name in sample:
                continue
            if not self.spec.field(name).is_image:
                raise UserError(f"this model reads a {name}", hint=f"choose the {name}")
            if name not in files:
                raise UserError(f"this model reads an image ({name})", hint="choose its file")
            sample[name] = read_field(only_file(self.uploads.folder(files[name])), name, self.spec)
        return sample or {name: values[0] for name, values in (given.fields or {}).items()}


@dataclass(frozen=True)
class PaintRequest:
    """What an image is asked for with.

    Args:
        model: the model's key.
        way: in which it is asked; None for its first.
        sample: the number of the sample, of a way that draws.
        domain: to translate into, by name or number; None for the support's.
        exemplar: the number of the files of an exemplar; None for those of the support.
        files: the number of the file of each further field that is read from one.
    """

    model: str
    way: str | None = None
    sample: int = 0
    domain: str | None = None
    exemplar: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, query: Mapping[str, str]) -> PaintRequest:
        """Return the request of the query of an address.

        Raises:
            UserError: for what is none.
        """
        plain = {name: value for name, value in query.items() if not name.startswith("file.")}
        files = {name.removeprefix("file."): value for name, value in query.items() if name.startswith("file.")}
        strange = sorted(set(plain) - {"model", "way", "sample", "domain", "exemplar"})
        if strange:
            raise UserError(f"an image is not asked for with {strange[0][:40]!r}")
        number = plain.get("sample", "0")
        if not (number.isascii() and number.isdecimal() and len(number) < 9 and int(number) < MOST_SAMPLES):
            raise UserError(f"got the sample {number[:20]!r}, expected a number from 0 to {MOST_SAMPLES - 1}")
        return cls(
            plain.get("model", ""),
            plain.get("way"),
            int(number),
            plain.get("domain"),
            plain.get("exemplar"),
            files,
        )


def instances_of(ids: np.ndarray) -> np.ndarray:
    """Return the instances of a painted map (H, W): each connected region of a class is one, from 1 on, class by class;
    int64.
    """
    instances, count = np.zeros(ids.shape, np.int64), 0
    for number in np.unique(ids):
        regions, here = ndimage.label(ids == number)
        instances[regions > 0] = regions[regions > 0] + count
        count += here
    return instances


def only_file(folder: Path) -> Path:
    """Return the file that was handed over alone.

    Raises:
        UserError: when there is none, or there are several.
    """
    files = [path for path in folder.iterdir() if path.is_file()]
    if len(files) != 1:
        raise UserError(f"got {counted(len(files), 'file')}, expected one")
    return files[0]


def exemplar_in(folder: Path) -> tuple[Path, Path | None]:
    """Return the photograph of an exemplar, and its map: they lie in folders called after what they are."""
    photo, label_map = folder / "photo", folder / "map"
    if not photo.is_dir():
        raise UserError("an exemplar needs a photograph", hint="choose one")
    return only_file(photo), only_file(label_map) if label_map.is_dir() else None


def open_studio(
    places: Sequence[Path],
    registry: Registry,
    device: torch.device,
    stages: Path | None,
    uploads: Uploads,
    out: Path,
    general: Path | None = None,
) -> Studio:
    """Open adapted models and finished runs for the page.

    Args:
        places: files of adapted models, and folders of runs.
        stages: the stage store of runs; None for the usual places.
        uploads: a place for the files that the page hands over.
        out: the folder to which models are kept.
        general: the general model's file, for models that are kept apart from it.

    Raises:
        UserError: for what is neither, for models that paint other maps than the first, and for those that read what
            the page has no place for.
    """
    models, rows, runs = PageModels(), list[PageRow](), list[tuple[TrainedRun, TaskSpec]]()
    folders = [place for place in places if is_run(place)]
    specs: list[tuple[str, TaskSpec]] = []
    for place in places:
        if place in folders:
            run = read_trained_run(place, registry, stores_of(place, stages))
            name = f"{short_name(place, places)}: " if len(folders) > 1 else ""
            of_run = _rows_of(run, registry, device, name, f"r{len(runs) + 1}")
            specs += [(f"row {row.title!r}", run.spec(row.name)) for row in of_run]
            runs.append((run, run.spec(of_run[0].name)))
            rows += of_run
            _add_general(models, of_run, registry, device)
        else:
            adapted = read_adapted(place, registry, device, general=general)
            check_paintable(adapted, str(place))
            specs.append((str(place), adapted.spec))
            steps = _steps_of(adapted.about["made"])
            title = short_name(place, places)
            models.add(partial(PageModel, title=title, detail=steps, model=adapted, file=place))
    check_one_data(specs)
    studio = Studio(registry, device, out, uploads, specs[0][1], models, rows)
    studio.scenes = [scene for run, spec in runs for scene in scenes_of(run.folder, spec)]
    shelf = [*maps_of_scenes(studio.scenes, studio.spec), *(m for model in models for m in maps_of_support(model))]
    studio.maps = shelf[:MOST_MAPS]
    return studio


def short_name(place: Path, places: Sequence[Path]) -> str:
    """Return what the page calls a place: its name without an ending, or all of it where another has that name."""
    return place.stem if [other.stem for other in places].count(place.stem) == 1 else str(place)


def is_run(place: Path) -> bool:
    """Return whether a place is a folder that may be a run's; files are taken for models."""
    return place.is_dir() and any((place / name).is_file() for name in ("recipe.yaml", "provenance.json"))


def _rows_of(run: TrainedRun, registry: Registry, device: torch.device, name: str, key: str) -> list[PageRow]:
    """Return the rows of a run, of which the page proposes the one that `metai2i adapt` takes, and its baseline."""
    assembler = Assembler(registry, run.recipe.seed, device)
    first, _ = choose_row(run, assembler, None, False, lambda row: True)
    chosen = {first, run.recipe.compare.baseline}
    return [
        PageRow(f"{key}.{n}", f"{name}{row_name}", run, row_name, row, row_name in chosen)
        for n, (row_name, row) in enumerate(run.rows().items(), 1)
    ]


def _add_general(models: PageModels, rows: Sequence[PageRow], registry: Registry, device: torch.device) -> None:
    """Put the general models of the rows in that the page proposes."""
    for row in rows:
        if not row.chosen:
            continue
        assembler = Assembler(registry, row.run.recipe.seed, device)
        model = general_of(row.run, general_model(row.run, assembler, row.name), registry)
        check_paintable(model, f"{row.run.folder}, row {row.name!r}")
        models.add(partial(PageModel, title=row.title, detail="not adapted", model=model))


def _steps_of(origin: Mapping[str, object]) -> str:
    adapt, row = origin.get("adapt"), origin.get("row")
    steps = adapt.get("iterations") if isinstance(adapt, Mapping) else None
    return ", ".join(filter(None, (row if isinstance(row, str) else "", f"{steps} steps" if steps is not None else "")))
