"""The optimisers of plain training: one group for each player, each with rates and constants of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from metai2i.recipe.schema import Pretrain
from metai2i.training.driving import parameter_groups
from metai2i.training.named_players import check_players
from metai2i.translator import Translator


def plain_optimizer(translator: Translator, settings: Pretrain) -> torch.optim.Optimizer:
    """Return the optimiser that a recipe asks for, over all players.

    Raises:
        UserError: when `pretrain.players` names a player that the translator does not have.
    """
    groups = player_groups(translator, settings)
    home = next((parameter.device for group in groups for parameter in group["params"]), torch.device("cpu"))
    on_gpu = home.type == "cuda"
    if on_gpu:  # a recorded step reads its rate from the GPU, where `set_rate` can change it
        groups = [{**group, "lr": torch.tensor(group["lr"], device=home)} for group in groups]
    if settings.optimizer == "adam":
        return torch.optim.Adam(groups, lr=settings.lr, fused=True, capturable=on_gpu)
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=settings.lr, capturable=on_gpu)
    return TensorflowRMSprop(groups, lr=settings.lr)


def player_groups(translator: Translator, settings: Pretrain, factor: float = 1.0) -> list[dict[str, Any]]:
    """Return a group for each player: the recipe's settings, and in their place what it says of that player alone.

    A player's own `lr` is its rate as it stands; without one the rate is the recipe's, times the translator's `rates`.

    Args:
        translator: whose players they are.
        settings: the recipe's.
        factor: of all rates.

    Raises:
        UserError: when `pretrain.players` names a player that the translator does not have.
    """
    groups = parameter_groups(translator, settings.lr * factor)
    check_players("pretrain.players", settings.players, translator)
    for group in groups:
        by_player = settings.players.get(group["name"])
        said = {} if by_player is None else by_player.model_dump(exclude_none=True)
        if "lr" in said:
            said["lr"] *= factor
        known = {"betas": settings.betas, "eps": settings.eps, "weight_decay": settings.weight_decay} | said
        if settings.optimizer != "adam":
            del known["betas"]
        group.update(known)
    return groups


def at_rate(settings: Pretrain, lr: float) -> Pretrain:
    """Return the settings at another rate; players that have their own keep its share of the recipe's."""
    players = {
        name: player if player.lr is None else player.model_copy(update={"lr": player.lr * (lr / settings.lr)})
        for name, player in settings.players.items()
    }
    return settings.model_copy(update={"lr": lr, "players": players})


def annealed(anneal: bool | float, index: int, total: int) -> float:
    """Return the factor of the learning rate at a step of a phase.

    Args:
        anneal: False for a constant rate; the share of the phase after which the rate falls linearly to 0 (True for
            0: from the first step).
        index: the step, from 0.
        total: the steps of the phase.

    >>> [annealed(0.5, i, 100) for i in (0, 50, 75, 99)]
    [1.0, 1.0, 0.5, 0.020000000000000018]
    """
    if anneal is False:
        return 1.0
    constant = 0.0 if anneal is True else anneal * total
    return 1.0 if index <= constant else 1.0 - (index - constant) / (total - constant)


def set_factor(optimizer: torch.optim.Optimizer, translator: Translator, settings: Pretrain, factor: float) -> None:
    """Set the learning rate of every player to a factor of what the recipe says."""
    for group, now in zip(optimizer.param_groups, player_groups(translator, settings, factor), strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(now["lr"])
        else:
            group["lr"] = now["lr"]


class TensorflowRMSprop(torch.optim.Optimizer):
    """RMSProp as TensorFlow 1 has it: the mean of squares starts at 1, and epsilon stands inside the root.

    ``square = decay * square + (1 - decay) * g^2;  w = w - lr * g / sqrt(square + eps)``

    Systems that were tuned with it (EdgeGAN) take other first steps with torch's, which starts at 0 and adds epsilon to
    the root.

    Args:
        params: as of every optimiser.
        lr: the learning rate.
        decay: of the mean of squares.
        eps: inside the root.
        weight_decay: L2.
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, decay: float = 0.9, eps: float = 1e-10, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "decay": decay, "eps": eps, "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, whose means of squares are there before the first step: a step that is recorded to be replayed
        puts back what there was, and where there was nothing zeros.
        """
        super().add_param_group(param_group)
        for weight in self.param_groups[-1]["params"]:
            self.state[weight]["square"] = torch.ones_like(weight, memory_format=torch.preserve_format)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; see `torch.optim.Optimizer.step`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                gradient = weight.grad
                if group["weight_decay"]:
                    gradient = gradient.add(weight, alpha=group["weight_decay"])
                square = self.state[weight]["square"]
                square.mul_(group["decay"]).addcmul_(gradient, gradient, value=1 - group["decay"])
                weight.sub_(group["lr"] * gradient / (square + group["eps"]).sqrt())
        return loss
