"""One step of the outer loop: every episode's meta-gradient, their mean, and the optimiser's step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from metai2i.distributed.mean_gradient import MeanGradient
from metai2i.distributed.processes import ALONE, Processes
from metai2i.errors import UserError
from metai2i.guards.watched import meta_gradient, watched_meta_gradient
from metai2i.registry.declared import of_kind
from metai2i.registry.discovery import label_of
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Episode
from metai2i.training.driving import check_gradients, parameter_groups, parameters_of
from metai2i.training.named_players import check_players
from metai2i.translator import Step, Translator


def as_module(parameters: Mapping[str, nn.Parameter]) -> nn.Module:
    """Return named parameters as a module, for saving and loading; names may be anything
    ("generator.weight", "train").
    """
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
    """Take one step of the outer loop."""
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
    """Take one step of the outer loop, in which each process has some of the episodes.

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
    gp.zero_grad(set_to_none=True)  # players that the optimiser leaves alone have gradients as well
    trained = (parameter for parameter in gp.parameters() if parameter.requires_grad)
    mean = MeanGradient({id(p): p for p in (*trained, *strategy.meta_parameters().values())}.values())
    by_episode: dict[int, dict[str, float]] = {}
    for n, episode in share.items():
        here = step if count == 1 else step.at("task", n)
        call = watched_meta_gradient if looking else meta_gradient
        losses = call(gp, strategy, episode, here.at("episode", 0))
        by_episode[n] = {name: float(value) for name, value in losses.items()}
        mean.take()
    everybodys = {n: losses for each in processes.gather(by_episode) for n, losses in each.items()}
    mean.put(processes, count)
    check_gradients(list(gp.players()), gp.parameters())
    check_gradients(["strategy"], strategy.meta_parameters().values())
    if clip is not None:
        for player in gp.players():
            nn.utils.clip_grad_norm_(parameters_of(gp, [player]), clip)
    optimizer.step()
    return means([everybodys[n] for n in sorted(everybodys)])


def means(records: Sequence[Mapping[str, float]]) -> dict[str, Tensor]:
    """Return the mean of each loss over the episodes that have it."""
    names = dict.fromkeys(name for losses in records for name in losses)
    values = {name: [losses[name] for losses in records if name in losses] for name in names}
    return {name: torch.tensor(sum(each) / len(each)) for name, each in values.items()}


def outer_optimizer(
    gp: Translator, strategy: MetaStrategy, lr: float, freeze: Sequence[str] = ()
) -> torch.optim.Optimizer:
    """Return the strategy's own optimiser over players and its meta-parameters, with fresh state.

    Args:
        gp: the general model.
        strategy: whose outer loop it is.
        lr: the outer learning rate.
        freeze: players that it leaves as they are.

    Raises:
        UserError: for names of no player, and where nothing is left to train.
    """
    check_players("metatrain.freeze", freeze, gp)
    groups: list[Any] = [group for group in parameter_groups(gp, lr) if group["name"] not in freeze]
    learned = list(strategy.meta_parameters().values())
    if not groups and not learned:
        raise UserError("metatrain.freeze leaves nothing to meta-train", hint="leave a player out of it")
    optimizer: Any = strategy.outer(
        [*groups, *([{"params": learned, "lr": lr, "name": "strategy"}] if learned else [])], lr
    )
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise UserError(
            f"outer of the strategy {type(strategy).__name__} of {label_of(type(strategy))} gives "
            f"{of_kind(optimizer)}, expected a torch.optim.Optimizer"
        )
    return optimizer
