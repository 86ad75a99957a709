"""Meta-training (Alg. 1, lines 6 to 22): the general model learns to be adapted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from metai2i.discovery import label_of
from metai2i.drive import check_gradients, parameter_groups, parameters_of, translate
from metai2i.errors import UserError
from metai2i.mean_gradient import MeanGradient
from metai2i.metrics import measure
from metai2i.processes import ALONE, Processes
from metai2i.pulse import SHOWN, sign, signs
from metai2i.randomness import Randomness
from metai2i.recipe.schema import Episodes, Metatrain
from metai2i.sampling import Sampling
from metai2i.stages.loop import Workplace, train
from metai2i.stages.watched import meta_gradient, watched_meta_gradient
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Episode, Task
from metai2i.translator import Step, Translator

PROBES = 2
"""Scenes on which the drift of the general model is watched."""


def metatrain(
    place: Workplace,
    gp: Translator,
    strategy: MetaStrategy,
    tasks: Sequence[Task],
    watched: Sequence[Task],
    settings: Metatrain,
    episodes: Episodes,
    sampling: Sampling,
    rng: Randomness,
    metric: str = "lpips",
) -> dict[str, Any]:
    """Meta-trains `gp` (and the strategy's meta-parameters) in place; returns what the stage's marker says.

    The episodes of a step are split over the processes.

    Args:
        watched: scenes on which the unadapted and the adapted model are measured now and then, for the log.
        metric: by which: one of the core's own.
    """
    optimizer = outer_optimizer(gp, strategy, settings.lr)
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
            losses |= probe(gp, strategy, watched, episodes, sampling, rng.at("probe"), phase, place.device, metric)
        return losses

    modules = {"model": gp, "strategy": as_module(strategy.meta_parameters())}
    shown, here = sampling.mixed(tasks, SHOWN, rng.at("pulse")).to(place.device), Step(rng.at("pulse"), phase=phase)
    alive = sign(gp, shown, here) is None  # else it is told by the stage before
    done = train(place, modules, optimizer, settings.iterations, one_step)
    inner = getattr(getattr(strategy, "inner", None), "lr", None)
    rates = {"metatrain.lr": settings.lr} | ({"adapt.lr": float(inner)} if isinstance(inner, float) else {})
    warnings = signs(gp, shown, here, rates) if alive and settings.iterations else []
    return done | ({"warnings": warnings} if warnings else {})


def as_module(parameters: Mapping[str, nn.Parameter]) -> nn.Module:
    """Named parameters as a module, for saving and loading; names may be anything ("generator.weight", "train")."""
    module = nn.Module()
    for name, parameter in parameters.items():
        module.register_parameter("/" + name.replace(".", "/"), parameter)  # torch allows no dot and no method's name
    return module


def meta_step(
    gp: Translator,
    strategy: MetaStrategy,
    optimizer: torch.optim.Optimizer,
    episodes: Sequence[Episode],
    step: Step,
    clip: float | None = None,
) -> dict[str, Tensor]:
    """One step of the outer loop."""
    return shared_meta_step(gp, strategy, optimizer, dict(enumerate(episodes)), len(episodes), step, clip, ALONE)


def shared_meta_step(
    gp: Translator,
    strategy: MetaStrategy,
    optimizer: torch.optim.Optimizer,
    share: Mapping[int, Episode],
    count: int,
    step: Step,
    clip: float | None,
    processes: Processes,
    *,
    looking: bool = False,
) -> dict[str, Tensor]:
    """One step of the outer loop, in which each process has some of the episodes.

    The strategy is called once for each episode, at an address that is the episode's own: so it does not matter in
    which process that happens.

    Args:
        share: this process's episodes, by their place in the meta-batch.
        count: episodes of the whole meta-batch.
        looking: whether a strategy that changes the general model is looked for.

    Returns:
        The mean losses over all episodes, the same in every process.
    """
    optimizer.zero_grad(set_to_none=True)
    mean = MeanGradient({id(p): p for p in (*gp.parameters(), *strategy.meta_parameters().values())}.values())
    told: dict[int, dict[str, float]] = {}
    for n, episode in share.items():
        here = step if count == 1 else step.at("task", n)
        call = watched_meta_gradient if looking else meta_gradient
        losses = call(gp, strategy, episode, here.at("episode", 0))
        told[n] = {name: float(value) for name, value in losses.items()}
        mean.take()
    everybodys = {n: losses for each in processes.gather(told) for n, losses in each.items()}
    mean.put(processes, count)
    check_gradients(list(gp.players()), gp.parameters())
    check_gradients(["strategy"], strategy.meta_parameters().values())
    if clip is not None:
        for player in gp.players():
            nn.utils.clip_grad_norm_(parameters_of(gp, [player]), clip)
    optimizer.step()
    return means([everybodys[n] for n in sorted(everybodys)])


def means(told: Sequence[Mapping[str, float]]) -> dict[str, Tensor]:
    """The mean of each loss over the episodes that have it."""
    names = dict.fromkeys(name for losses in told for name in losses)
    values = {name: [losses[name] for losses in told if name in losses] for name in names}
    return {name: torch.tensor(sum(each) / len(each)) for name, each in values.items()}


def outer_optimizer(gp: Translator, strategy: MetaStrategy, lr: float) -> torch.optim.Optimizer:
    """The strategy's own optimiser over all players and its meta-parameters, with fresh state."""
    groups: list[Any] = parameter_groups(gp, lr)
    learned = list(strategy.meta_parameters().values())
    made: Any = strategy.outer([*groups, *([{"params": learned, "lr": lr, "name": "strategy"}] if learned else [])], lr)
    if not isinstance(made, torch.optim.Optimizer):
        raise UserError(
            f"outer of the strategy {type(strategy).__name__} of {label_of(type(strategy))} gives "
            f"{type(made).__name__}, expected a torch.optim.Optimizer"
        )
    return made


def probe(
    gp: Translator,
    strategy: MetaStrategy,
    tasks: Sequence[Task],
    episodes: Episodes,
    sampling: Sampling,
    rng: Randomness,
    phase: str,
    device: torch.device,
    metric: str = "lpips",
) -> dict[str, Tensor]:
    """A metric of the general model before and after adapting, on the same few scenes every time.

    A general model that drifts (its own pictures get worse while adapted ones do not get better) shows here first.
    """
    before: list[float] = []
    after: list[float] = []
    for task in tasks[:PROBES]:
        here = Step(rng.at(task.id), phase=phase)
        episode = sampling.episode(task, episodes.shots, episodes.queries, here.rng, unseen=True).to(device)
        adapted = strategy.adapt(gp, episode.support, here.at("adapt"))
        for model, values in ((gp, before), (adapted, after)):
            output = translate(model, episode.query, here.at("translate"))
            values.extend(measure(output, episode.query["target"], [metric])[metric])
    told = {f"probe/unadapted_{metric}": before, f"probe/adapted_{metric}": after}
    return {name: torch.tensor(sum(each) / len(each)) for name, each in told.items() if each}
