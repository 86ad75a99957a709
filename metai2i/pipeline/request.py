"""What is asked of a run, by the command or from Python, and the run itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from metai2i.data.places import stages_folder
from metai2i.distributed.processes import ALONE, Processes
from metai2i.losses.backbone_weights import set_weights_folder
from metai2i.pipeline.runner import Runner
from metai2i.pipeline.stage_store import StageStore
from metai2i.recipe import Recipe, load_recipe, select
from metai2i.registry import Registry
from metai2i.report import build_report
from metai2i.training.device import choose_device


@dataclass(frozen=True)
class RunRequest:
    """What is asked for, the same in every process of a run.

    Args:
        command: as it was typed, for the provenance.
        recipe: its file.
        overrides: "a.b=c".
        rows: patterns of the rows to run; none for all.
        resume: whether to go on with what an interrupted run has left.
        out: the run's folder; None for `runs/NAME`.
        stages: the stage store; None for the default.
        device: "auto", "cpu" or "cuda".
        plugins_dirs: folders of one-file plugins.
        weights: the folder of feature weights.
        log: the name of a tracker that follows the training; None for none.
        images_every: steps of training between two images of the same scenes; None for no such images.
    """

    command: tuple[str, ...]
    recipe: Path
    overrides: tuple[str, ...]
    rows: tuple[str, ...]
    resume: bool
    out: Path | None
    stages: Path | None
    device: str
    plugins_dirs: tuple[Path, ...]
    weights: Path | None
    log: str | None = None
    images_every: int | None = None


def run_recipe(
    request: RunRequest, processes: Processes = ALONE, tell: Callable[[Recipe], object] | None = None
) -> Path:
    """Train, adapt, score and report what is asked for; return the run's folder.

    Raises:
        UserError: for what is wrong with the recipe, the data or a plugin.
    """
    from metai2i.exporting.live import followed

    runner = runner_of(request, processes, tell)
    runner.finish = build_report
    with ExitStack() as stack:
        following = followed(runner, request.log, stack)
        runner.begin(stack)
        following.begin()
        runner.work_on_all()
        folder = runner.write(request.command)
        following.finish(folder)
    return folder


def runner_of(
    request: RunRequest, processes: Processes = ALONE, tell: Callable[[Recipe], object] | None = None
) -> Runner:
    """Return who plans and works on what is asked for.

    Args:
        processes: who works on it; the first one writes.
        tell: is handed the checked recipe in the first process, before anything is done.

    Raises:
        UserError: for what is wrong with the recipe.
    """
    if request.weights is not None:
        set_weights_folder(request.weights)
    registry = Registry(request.plugins_dirs)
    recipe = recipe_of(request, registry)
    if processes.first and tell is not None:
        tell(recipe)
    store = StageStore(stages_folder(request.stages, "runs/.stages"))
    folder = request.out or Path("runs") / recipe.name
    device, every = choose_device(request.device), request.images_every
    return Runner(recipe, registry, folder, store, device, request.resume, processes, images_every=every)


def recipe_of(request: RunRequest, registry: Registry) -> Recipe:
    """Return the recipe with its overrides, and of it the rows that are to run."""
    return select(load_recipe(request.recipe, request.overrides, registry), request.rows)
