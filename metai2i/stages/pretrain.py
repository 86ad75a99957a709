"""Ordinary training over all scenes (Alg. 1, lines 1 to 5): "pretrain", and its continuation "continued"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from metai2i.data.prefetch import Prefetcher
from metai2i.data.sampling import Sampling
from metai2i.guards.survival import tried
from metai2i.randomness import Randomness
from metai2i.recipe.schema import Pretrain
from metai2i.tasks import Task
from metai2i.training.averages import Averages, put_trained_back
from metai2i.training.batch_parts import StepInParts
from metai2i.training.cuda_graphs import RecordedStep, replays
from metai2i.training.driving import check_draw_names, descend, drive, with_draws
from metai2i.training.loop import train
from metai2i.training.on_the_way import ImagesOnTheWay
from metai2i.training.optimizers import annealed, plain_optimizer, set_factor
from metai2i.training.passes import Passes
from metai2i.training.pulse import SHOWN, signs
from metai2i.training.stage_context import StageContext
from metai2i.training.stage_records import DoneRecord
from metai2i.translator import Step, Translator

WORTH = 50
"""Steps for which it is worth recording one, on a GPU."""


def pretrain(
    place: StageContext,
    translator: Translator,
    tasks: Sequence[Task],
    settings: Pretrain,
    sampling: Sampling,
    rng: Randomness,
    trained: Mapping[str, Tensor] | None = None,
) -> DoneRecord:
    """Train `translator` in place through all its phases; return what the stage's marker says.

    The parts of a batch (`settings.parts`) are split over the processes.

    Args:
        place: where.
        translator: the one to train.
        tasks: the scenes that batches are drawn from.
        settings: how.
        sampling: draws the batches.
        rng: the stage's address.
        trained: the weights that averages were made of, where training goes on from averages.
    """
    trial = sampling.mixed(tasks, min(2, settings.batch), rng.at("trial")).to(place.device)
    last = translator.phases[-1]
    check_draw_names(translator, trial, Step(rng.at("trial"), phase=last))
    tried(translator, trial, (Step(rng.at("trial"), phase=last), Step(rng.at("trial"), phase=last, role="adapt")))
    average = Averages(translator, settings.average.decay, settings.average.players) if settings.average else None
    put_trained_back(translator, trained or {})
    optimizer = plain_optimizer(translator, settings)
    update = descend(translator, optimizer, settings.clip)
    in_parts = StepInParts(translator, optimizer, settings.parts, settings.clip, place.processes)
    recorded: dict[str, RecordedStep] = {}
    phases = phase_ends(translator, settings.iterations)
    total = phases[-1][1]
    gone_through = [
        phase for phase in phases if isinstance(settings.iterations, int) or phase[0] in settings.iterations
    ]
    passes = Passes(translator, tasks, gone_through, rng, place.device)

    def one_step(i: int) -> Mapping[str, Tensor]:
        phase, end, begin = next((name, end, begin) for name, end, begin in phases if i < end)
        here = rng.at(i)
        if settings.anneal is not False:
            set_factor(optimizer, translator, settings, annealed(settings.anneal, i - begin, end - begin))
        batch = batches(i).to(place.device)
        step = Step(here, i - begin, end - begin, phase)
        if settings.parts > 1:
            return in_parts(batch, step)
        if not replays(translator, place.device) or (end - i < WORTH and phase not in recorded):
            return drive(translator, batch, step, update)
        batch = with_draws(translator, batch, step)
        if phase not in recorded:
            recorded[phase] = RecordedStep(translator, optimizer, batch, step, settings.clip)
        losses = recorded[phase](batch)
        recorded[phase].check()
        return losses

    watched = place.watched
    images = None
    if watched is not None:
        images = ImagesOnTheWay(place.folder, watched, translator, place.device, last, average=average)
    with Prefetcher(lambda i: sampling.mixed(tasks, settings.batch, rng.at(i)), total) as batches:
        done = train(place, {"model": translator}, optimizer, total, one_step, average, passes, images)
    step = Step(rng.at("pulse"), phase=last)
    shown = sampling.mixed(tasks, SHOWN, rng.at("pulse")).to(place.device)
    warnings = signs(translator, shown, step, {"pretrain.lr": settings.lr}) if total else []
    if warnings:
        done["warnings"] = warnings
    return done


def phase_ends(translator: Translator, iterations: int | Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Return (phase, end, begin) for each phase; a single number holds for each."""
    names = translator.phases
    lengths = [iterations.get(name, 0) if isinstance(iterations, Mapping) else iterations for name in names]
    ends = [sum(lengths[: n + 1]) for n in range(len(lengths))]
    return [(name, end, end - length) for name, end, length in zip(names, ends, lengths, strict=True)]
