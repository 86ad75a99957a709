"""`metai2i adapt`: a trained general model and a few pairs in, an adapted model in a file out."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from rich.text import Text
from torch import Tensor

from metai2i import __version__
from metai2i.batch import Batch
from metai2i.console.consoles import PlainConsole
from metai2i.data.places import real_path
from metai2i.errors import UserError, counted
from metai2i.field import PHOTOGRAPH
from metai2i.files import draft_name
from metai2i.guards.faults import user_errors_from
from metai2i.guards.handed_over import adapted_by
from metai2i.inference.model_file import (
    AdaptedModel,
    Own,
    check_faithful,
    description,
    is_adapted,
    read_adapted,
    save_adapted,
    save_apart,
    save_general,
)
from metai2i.inference.replacing import check_replaced
from metai2i.inference.support_files import SupportFiles, find_support
from metai2i.inference.trained_run import (
    TrainedModel,
    TrainedRun,
    better_row,
    choose_row,
    general_model,
    other_plugin,
    read_trained_run,
)
from metai2i.pipeline.assemble import Assembler
from metai2i.pipeline.preflight import check_out
from metai2i.randomness import Randomness
from metai2i.registry import Registry
from metai2i.retriever import Match
from metai2i.scene_state import bytes_in, differing, numbers_in, same_kind
from metai2i.stages.auxiliary import auxiliary
from metai2i.strategy import MetaStrategy
from metai2i.training.checkpoint import digest
from metai2i.training.driving import translate
from metai2i.training.pulse import why_lifeless
from metai2i.translator import Step, Translator

log = logging.getLogger("metai2i")

LEVELS = 127.5
"""Grey levels of 8 bits in a unit of [-1, 1]."""


@dataclass(frozen=True)
class AdaptRequest:
    """What is asked for.

    Args:
        run: the folder of a finished run.
        support: the folder with the pairs.
        out: the file to write.
        row: the row to start from; None for the last that meta-trains, with a retriever if `k` asks for scenes, else
            without, or else for the last that adapts.
        iterations: inner steps; None for the row's.
        lr: the inner rate; None for the row's.
        k: how many training scenes to fine-tune on first; None for the row's.
        seed: of all draws; None for the recipe's.
        general: the file for the general model, so that `out` has only what is the scene's own; None for one file with
            everything.
        overwrite: whether `out` may be an adapted model of another run or scene, which is replaced.
    """

    run: Path
    support: Path
    out: Path
    row: str | None = None
    iterations: int | None = None
    lr: float | None = None
    k: int | None = None
    seed: int | None = None
    general: Path | None = None
    overwrite: bool = False


def adapt_run(
    wish: AdaptRequest, registry: Registry, device: torch.device, stores: Sequence[Path], console: PlainConsole
) -> AdaptedModel:
    """Adapt, write the model, and tell about it on the console.

    Raises:
        UserError: for whatever a user can put right; nothing is written then.
    """
    began = time.monotonic()
    check_model_path(wish.out)
    if wish.general is not None:
        check_general(wish.general, wish.out)
    files = find_support(wish.support)
    run = read_trained_run(wish.run, registry, stores)
    assembler = Assembler(registry, run.recipe.seed, device)

    def adapting(candidate: str) -> bool:
        return adapts(run, assembler, candidate, files)

    name, why = choose_row(run, assembler, wish.row, bool(wish.k), adapting)
    general = general_model(run, assembler, name, iterations=wish.iterations, lr=wish.lr)
    k = wished_k(general, run, wish.k)
    console.print(f"row: {name!r} of {wish.run}, {why} ({general.row.strategy.use})")
    better = better_row(run, name, adapting) if wish.row is None else None
    if better is not None:
        console.print(f"  {better}")
    identity = registry.identity("translator", general.row.translator.use)
    differs = other_plugin(run.plugin("translator", general.row.translator.use), identity, "run")
    if differs:
        console.print(f"  {differs}")
    support = files.read(general.spec, general.gp.needs)
    check_replaced(wish.out, run, support, overwrite=wish.overwrite)
    height, width = general.spec.size
    what = ("pair", "pairs") if PHOTOGRAPH in support else ("sample without a pair", "samples without pairs")
    console.print(f"support: {counted(support.size, *what)} of {wish.support} at {height}x{width}")
    seed = run.recipe.seed if wish.seed is None else wish.seed
    step = Step(Randomness((seed, "adapt")), phase=general.gp.phases[-1])
    with user_errors_from(f"adapting row {name!r}", wish.out.absolute().parent):
        with timed(console, "loading what adapting needs, by a step that is thrown away"):
            adapts(run, assembler, name, files)
        translator, matches, changes = adapted_to(support, general, assembler, k, step, console)
    origin = origin_of(run, general, files.names, seed, device, time.monotonic() - began, matches)
    model = model_of(translator, general, support, identity, origin)
    check_replaced(wish.out, run, support, overwrite=wish.overwrite)  # it may have come in the meantime
    if wish.general is not None:
        save_general(wish.general, general.gp)
    keep_model(wish.out, model, registry, device, None if wish.general is None else (changes, wish.general))
    message = f"{size_of(wish.out)}, {time.monotonic() - began:.1f} s in all"
    beside = f"; the general model: {wish.general}, {size_of(wish.general)}" if wish.general else ""
    console.print(f"{wish.out}: {message}{beside}")
    return model


def adapted_to(
    support: Batch, general: TrainedModel, assembler: Assembler, k: int, step: Step, console: PlainConsole
) -> tuple[Translator, Sequence[Match], Own]:
    """Return the general model adapted to the support, the training scenes that were retrieved for it, of which `k` are
    asked for, and what of it is the scene's own.
    """
    matches: Sequence[Match] = ()
    start, strategy = general.gp, general.strategy
    if k:
        aux = general.row.aux
        tuned = f"fine-tuning, {aux.iterations} steps on scenes drawn from up to {k} similar ones"
        joined = f"retrieving up to {k} similar scenes, of which {aux.rows} pairs join each batch"
        with timed(console, tuned if aux.into == "model" else joined):
            start, strategy, matches = fine_tuned(general, assembler, support, k, step.at("aux"))
        scenes = ", ".join(f"{match.task.id} ({match.score:.2f})" for match in matches)
        console.print(f"  {scenes}")
    settings = general.row.adapt
    with timed(console, f"adapting: {settings.iterations} steps at {settings.lr:g}"):
        translator = adapted_by(strategy, start, support.to(assembler.device), step.at("adapt"))
    check_kind(translator, general)
    if PHOTOGRAPH in support:
        before, after = (off_by(model, general, support, step.at("look")) for model in (general.gp, translator))
        console.print(
            f"  mean difference from the support photographs, of 255 levels: {before:.1f} before, {after:.1f} after"
        )
    wrong = why_lifeless(painted_support(translator, general, support, step.at("look")), support)
    if wrong is not None:
        log.warning("the adapted model: %s; lower --lr (%g)", wrong, settings.lr)
    if digest(translator) == digest(general.gp):
        used = general.row.strategy.use
        how = "to adapt, name by --row one whose strategy does, such as finetune"
        console.print(f"  {used!r} changed nothing: this is the general model as it is ({how})")
    if start is general.gp:
        changes = Own(strategy.kept(general.gp, translator), general.row.strategy.use, digest(general.gp))
    else:
        changes = Own(differing(general.gp, translator), None, digest(general.gp))
    console.print(f"  the scene's own: {numbers_in(changes.kept):,} numbers, {bytes_in(changes.kept) / 1000:,.1f} kB")
    return translator, matches, changes


def origin_of(
    run: TrainedRun,
    general: TrainedModel,
    names: Sequence[str],
    seed: int,
    device: torch.device,
    seconds: float,
    matches: Sequence[Match] = (),
) -> dict[str, object]:
    """Return where an adapted model is from, as its file says it.

    Args:
        run: whose model was adapted.
        general: the model that was adapted.
        names: of the samples of the support.
        seed: of all draws.
        seconds: that it took.
        matches: the training scenes that it was fine-tuned on before.
    """
    return {
        "run": str(run.folder),
        "recipe": run.recipe.name,
        "row": general.name,
        "stage": general.stage,
        "strategy": general.row.strategy.model_dump(mode="json"),
        "adapt": general.row.adapt.model_dump(mode="json"),
        "pairs": list(names),
        "aux": [[match.task.id, match.score] for match in matches],
        "seed": seed,
        "metai2i": __version__,
        "torch": torch.__version__,
        "device": device.type,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
    }


def model_of(
    translator: Translator,
    general: TrainedModel,
    support: Batch,
    plugin: Mapping[str, str | None],
    origin: Mapping[str, object],
) -> AdaptedModel:
    """Return a translator as the model of a scene.

    Args:
        general: that it was adapted from.
        support: that it was adapted to.
        plugin: the identity of the translator's plugin.
        origin: as `origin_of` gives it.
    """
    about = description(general.row, general.spec, plugin, origin)
    return AdaptedModel(translator, general.spec, support, general.reference, about)


def adapts(run: TrainedRun, assembler: Assembler, name: str, files: SupportFiles) -> bool:
    """Return whether a row's strategy gives the general model other weights, seen by a single step."""
    general = general_model(run, assembler, name, iterations=1)
    support = files.read(general.spec, general.gp.needs).to(assembler.device)
    translator = adapted_by(general.strategy, general.gp, support, Step(phase=general.gp.phases[-1]))
    return same_kind(general.gp, translator) and digest(translator) != digest(general.gp)


def check_model_path(out: Path) -> None:
    """Refuse a model's file that could not be written in the end.

    Raises:
        UserError: saying why.
    """
    if out.suffix != ".safetensors":
        what = f"--out: got {str(out)!r}, expected the name of a .safetensors file to write"
        raise UserError(what, hint=f"for instance {str(out.with_suffix('.safetensors'))!r}" if out.name else None)
    if out.is_dir():
        raise UserError("this is a folder, expected a file to write", where=out)
    if out.exists() and not is_adapted(out):
        what = "this file holds something else than an adapted model, which would be lost"
        raise UserError(what, where=out, hint="--out names another")
    check_out(out.absolute().parent)


def check_general(general: Path, out: Path) -> None:
    """Refuse a general model's file that could not be written in the end.

    Raises:
        UserError: saying why.
    """
    if general.suffix != ".safetensors" or real_path(general) == real_path(out):
        raise UserError(f"--general: got {str(general)!r}, expected the name of another .safetensors file than --out")
    check_out(general.absolute().parent)


def size_of(file: Path) -> str:
    """Return a file's size in words."""
    size = file.stat().st_size
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"


def wished_k(general: TrainedModel, run: TrainedRun, k: int | None) -> int:
    """Return how many training scenes to fine-tune on: as asked, else as many as the row's retriever gives."""
    retriever = general.row.retriever
    if k is None:
        return 0 if retriever is None else retriever.k
    if k and retriever is None:
        others = [repr(name) for name, row in run.recipe.rows.items() if row.retriever is not None]
        hint = f"rows that have one: {', '.join(others)}" if others else "no row of this run has one; leave --k out"
        raise UserError(f"--k {k}: row {general.name!r} has no retriever", hint=hint)
    return k


def fine_tuned(
    general: TrainedModel, assembler: Assembler, support: Batch, k: int, step: Step
) -> tuple[Translator, MetaStrategy, Sequence[Match]]:
    """Copy of the general model and its strategy, fine-tuned on the training scenes most similar to the support."""
    retriever = assembler.retriever(general.row, general.gp)
    assert retriever is not None
    matches = retriever.query(support, k)
    if not matches:
        return general.gp, general.strategy, matches
    start, strategy = auxiliary(
        general.gp,
        general.strategy,
        general.row,
        assembler.sampling(general.row),
        [match.task for match in matches],
        step,
        assembler.device,
    )
    return start, strategy, matches


def check_kind(translator: Translator, general: TrainedModel) -> None:
    """Refuse what a strategy has made unless it is the same network with other weights.

    Raises:
        UserError: for a strategy that makes something else of the support, such as a copier.
    """
    if not same_kind(general.gp, translator):
        raise UserError(
            f"the strategy {general.row.strategy.use!r} makes a {type(translator).__name__} of the support, which "
            f"cannot be kept as an adapted {general.row.translator.use!r}",
            hint="--row names another row",
        )


def off_by(translator: Translator, general: TrainedModel, support: Batch, step: Step) -> float:
    """Return the mean absolute difference of a translator's images of the support from its photographs, in grey
    levels.
    """
    images = painted_support(translator, general, support, step)
    return (images - support[PHOTOGRAPH]).abs().mean().item() * LEVELS


def painted_support(translator: Translator, general: TrainedModel, support: Batch, step: Step) -> Tensor:
    """Return a translator's images of the support, (N, 3, H, W) in [-1, 1], on the CPU."""
    if general.reference is not None:
        every = torch.arange(support.size)
        support = support.replace(**general.reference.for_support(support, every, step.rng.at("reference")))
    device = next(p.device for p in translator.parameters())
    return translate(translator, support.to(device), step, general.row.evaluate.way).cpu()


def keep_model(
    out: Path, model: AdaptedModel, registry: Registry, device: torch.device, apart: tuple[Own, Path] | None = None
) -> None:
    """Write the model, and read it back before it takes its place.

    Args:
        apart: what of it belongs to the scene, which alone is written, and the file of the general model; None for one
            file with everything.

    Raises:
        UserError: when what is read back paints other images.
    """
    draft = out.with_name(draft_name(out.name))
    try:
        if apart is None:
            save_adapted(draft, model.translator, model.support, model.about)
        else:
            changes, general = apart
            save_apart(draft, changes, model.support, model.about, general)
        check_faithful(model, read_adapted(draft, registry, device))
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def timed(console: PlainConsole, title: str) -> Iterator[None]:
    """Show what is being worked on, and say how long it took."""
    began = time.monotonic()
    with console.status(Text(title)):
        yield
    console.print(f"{title}: {time.monotonic() - began:.1f} s")
