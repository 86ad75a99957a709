"""metai2i from Python: run a recipe, and use an adapted model. What the commands do, without a command line."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metai2i.inference.model_file import AdaptedModel
    from metai2i.inference.opened_run import OpenedRun
    from metai2i.recipe import Recipe
    from metai2i.run_folder.reader import Run


def run(
    recipe: str | Path,
    *,
    out: str | Path | None = None,
    stages: str | Path | None = None,
    only: Sequence[str] = (),
    resume: bool = True,
    device: str = "auto",
    plugins_dirs: Sequence[str | Path] = (),
    weights: str | Path | None = None,
    log: str | None = None,
    **overrides: object,
) -> Run:
    """Train, adapt, score and report what a recipe says, as `metai2i run` does; return what the run's folder says.

    Args:
        recipe: a file, or the name of a recipe that comes with metai2i (`metai2i recipes` lists them).
        out: the run's folder; `runs/NAME` when None.
        stages: the folder in which finished stages are looked up; `METAI2I_STAGES`, else `runs/.stages` when None.
        only: patterns of the rows to run, besides those that they are compared with; all rows when empty.
        resume: whether to go on where an interrupted run stopped; False to start anew what it had begun.
        device: "auto", "cpu" or "cuda".
        plugins_dirs: folders of one-file plugins.
        weights: a folder with the feature weights of LPIPS; `METAI2I_WEIGHTS` when None.
        log: a tracker that follows the training: "tensorboard", "mlflow", "trackio", "wandb", or a plugin's.
        overrides: keys of the recipe: `adapt={"iterations": 50}`, or `**{"adapt.iterations": 50}`.

    Raises:
        UserError: for what is wrong with the recipe, the data or a plugin; nothing is half-written then.
    """
    from metai2i.data.places import expanded
    from metai2i.pipeline.request import RunRequest, run_recipe
    from metai2i.recipe.bundled import recipe_path
    from metai2i.registry.options import json_default
    from metai2i.report import load_run

    words = tuple(f"{key}={json.dumps(value, default=json_default)}" for key, value in _flat(overrides))
    request = RunRequest(
        command=("metai2i", "run", str(recipe), *words),
        recipe=recipe_path(str(recipe)),
        overrides=words,
        rows=tuple(only),
        resume=resume,
        out=None if out is None else expanded(out),
        stages=None if stages is None else Path(stages),
        device=device,
        plugins_dirs=tuple(Path(folder) for folder in plugins_dirs),
        weights=None if weights is None else Path(weights),
        log=log,
    )
    return load_run(run_recipe(request, tell=_warn))


def load_adapted(
    path: str | Path,
    *,
    general: str | Path | None = None,
    painting: Mapping[str, object] = {},
    device: str = "auto",
    plugins_dirs: Sequence[str | Path] = (),
) -> AdaptedModel:
    """Read a model that `metai2i adapt` has written.

    Args:
        path: its file.
        general: the file of the general model, for a model that is kept apart from it; where it was when None.
        painting: options of the translator that matter for images alone, other than the recipe has them:
            `{"intensity": 0.5}`.
        device: "auto", "cpu" or "cuda".
        plugins_dirs: folders of one-file plugins, where the translator is from one.

    Raises:
        UserError: when the file is no such model, or when the translator's plugin is missing or does not fit, or
            for an option that training depends on.
    """
    from metai2i.inference import model_file
    from metai2i.registry import Registry
    from metai2i.training.device import choose_device

    registry = Registry(plugins_dirs)
    apart = None if general is None else Path(general)
    return model_file.read_adapted(Path(path), registry, choose_device(device), general=apart, painting=painting)


def open_run(
    path: str | Path,
    *,
    stages: str | Path | None = None,
    device: str = "auto",
    plugins_dirs: Sequence[str | Path] = (),
    weights: str | Path | None = None,
) -> OpenedRun:
    """Open the folder of a finished run, to look at its models: `open_run(path).adapted(row, task).paint(maps)`.

    Args:
        path: the run's folder.
        stages: the stage store that has its weights; `METAI2I_STAGES`, else `.stages` beside the run, else
            `runs/.stages` when None.
        device: "auto", "cpu" or "cuda".
        plugins_dirs: folders of one-file plugins; none is taken from the run.
        weights: a folder with the feature weights of LPIPS; `METAI2I_WEIGHTS` when None.

    Raises:
        UserError: when it is not the folder of a finished run, or when a component that it was made with is not there.
    """
    from metai2i.data.places import expanded
    from metai2i.inference.opened_run import OpenedRun
    from metai2i.inference.trained_run import read_trained_run, stores_of
    from metai2i.losses.backbone_weights import set_weights_folder
    from metai2i.pipeline.assemble import Assembler
    from metai2i.registry import Registry
    from metai2i.training.device import choose_device

    if weights is not None:
        set_weights_folder(Path(weights))
    folder, registry = expanded(path), Registry(plugins_dirs)
    run = read_trained_run(folder, registry, stores_of(folder, stages))
    assembler = Assembler(registry, run.recipe.seed, choose_device(device))
    assembler.stores = tuple(run.stores)
    return OpenedRun(run, assembler)


def _warn(recipe: Recipe) -> None:
    """Warn of keys by their old names, and of overrides that change nothing, at the line that called `run`."""
    for note in recipe.notes:
        warnings.warn(note, DeprecationWarning, stacklevel=4)
    for reach in recipe.overrides:
        changes, sentence = reach.sentence(recipe.rows)
        if not changes:
            warnings.warn(sentence, stacklevel=4)


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    """Return dotted keys with their values; a mapping stands for the keys below it.

    A name below another may have dots of its own (a row's name, say) and is put in quotes then.
    """
    for key, value in values.items():
        path = above + (f'"{key}"' if above and not key.isidentifier() else key)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{path}.")
        else:
            yield path, value
