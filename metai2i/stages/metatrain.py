"""Meta-training (Alg. 1, lines 6 to 22): the general model learns to be adapted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from metai2i.data.sampling import Sampling
from metai2i.guards.handed_over import adapted_by
from metai2i.meta.outer_step import as_module, outer_optimizer, shared_meta_step
from metai2i.metric import Metric, metric_values
from metai2i.metrics import own_metrics
from metai2i.randomness import Randomness
from metai2i.recipe.schema import Episodes, Metatrain
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Task
from metai2i.training.averages import Averages
from metai2i.training.driving import translate
from metai2i.training.loop import train
from metai2i.training.on_the_way import ImagesOnTheWay
from metai2i.training.passes import Passes
from metai2i.training.pulse import SHOWN, sign, signs
from metai2i.training.stage_context import StageContext
from metai2i.training.stage_records import DoneRecord
from metai2i.translator import Step, Translator

PROBES = 2
"""Scenes on which the drift of the general model is watched."""


def metatrain(
    place: StageContext,
    gp: Translator,
    strategy: MetaStrategy,
    tasks: Sequence[Task],
    watched: Sequence[Task],
    settings: Metatrain,
    episodes: Episodes,
    sampling: Sampling,
    rng: Randomness,
    metric: Mapping[str, Metric] | None = None,
) -> DoneRecord:
    """Meta-train `gp` (and the strategy's meta-parameters) in place; return what the stage's marker says.

    The episodes of a step are split over the processes.

    Args:
        watched: scenes on which the unadapted and the adapted model are measured now and then, for the log.
        metric: by which, under its name; LPIPS when None, nothing when empty.
    """
    by = own_metrics(["lpips"]) if metric is None else metric
    optimizer = outer_optimizer(gp, strategy, settings.lr, settings.freeze)
    probe_every = settings.probe or max(1, settings.iterations // 5)
    phase = gp.phases[-1]
    wanted = episodes.shots + episodes.queries
    watched = [task for task in watched if len(task) == 1 or len(task) >= wanted]  # a log is no reason to stop

    looked = False

    def one_step(i: int) -> Mapping[str, Tensor]:
        nonlocal looked
        looking, looked = not looked or (i + 1) % probe_every == 0, True
        here = rng.at(i)
        mine = place.processes.share(range(settings.tasks))
        drawn = sampling.episodes(tasks, settings.tasks, episodes.shots, episodes.queries, here, only=mine)
        share = {n: episode.to(place.device) for n, episode in zip(mine, drawn, strict=True)}
        step = Step(here, i, settings.iterations, phase)
        losses = shared_meta_step(
            gp, strategy, optimizer, share, settings.tasks, step, settings.clip, place.processes, looking=looking
        )
        if place.processes.first and (i == 0 or (i + 1) % probe_every == 0):
            losses |= probe(gp, strategy, watched, episodes, sampling, rng.at("probe"), phase, place.device, by)
        return losses

    modules = {"model": gp, "strategy": as_module(strategy.meta_parameters())}
    shown, here = sampling.mixed(tasks, SHOWN, rng.at("pulse")).to(place.device), Step(rng.at("pulse"), phase=phase)
    alive = sign(gp, shown, here) is None  # else it is told by the stage before
    average = Averages(gp, settings.average.decay, settings.average.players) if settings.average else None
    passes = Passes(gp, tasks, [(phase, settings.iterations, 0)], rng, place.device)
    scenes = place.watched
    images = None
    if scenes is not None:
        images = ImagesOnTheWay(place.folder, scenes, gp, place.device, phase, strategy, average)
    done = train(place, modules, optimizer, settings.iterations, one_step, average, passes, images)
    inner = getattr(getattr(strategy, "inner", None), "lr", None)
    rates = {"metatrain.lr": settings.lr} | ({"adapt.lr": float(inner)} if isinstance(inner, float) else {})
    warnings = signs(gp, shown, here, rates) if alive and settings.iterations else []
    if warnings:
        done["warnings"] = warnings
    return done


def probe(
    gp: Translator,
    strategy: MetaStrategy,
    tasks: Sequence[Task],
    episodes: Episodes,
    sampling: Sampling,
    rng: Randomness,
    phase: str,
    device: torch.device,
    metric: Mapping[str, Metric] | None = None,
) -> dict[str, Tensor]:
    """Return a metric of the general model before and after adapting, on the same few scenes every time; LPIPS when
    `metric` is None, nothing when it is empty.

    A general model that drifts (its own images get worse while adapted ones do not get better) shows here first.
    """
    by = own_metrics(["lpips"]) if metric is None else metric
    if not by:
        return {}
    ((name, _),) = by.items()
    before: list[float] = []
    after: list[float] = []
    for task in tasks[:PROBES]:
        here = Step(rng.at(task.id), phase=phase)
        episode = sampling.episode(task, episodes.shots, episodes.queries, here.rng, unseen=True).to(device)
        adapted = adapted_by(strategy, gp, episode.support, here.at("adapt"))
        for model, values in ((gp, before), (adapted, after)):
            output = translate(model, episode.query, here.at("translate"))
            values.extend(value for value in metric_values(by, output, episode.query)[name] if math.isfinite(value))
    losses = {f"probe/unadapted_{name}": before, f"probe/adapted_{name}": after}
    return {term: torch.tensor(sum(each) / len(each)) for term, each in losses.items() if each}
