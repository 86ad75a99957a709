"""Low-rank adapters (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021) as a bilevel strategy.

A weight W is adapted as W + B A, where A (rank, columns) and B (rows, rank) are small and W stands still. The weight of
a convolution is read as the matrix of its first dimension by all others, so that A is a convolution to `rank` channels
and B one of 1x1 behind it (as in LoCon); of a transposed one it is the 1x1 that comes first. The adapters are merged
into the weights: an adapted copy is a translator like any other, but only the adapters are kept of a scene, which fit
into kilobytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from metai2i import (
    Adaptation,
    Batch,
    Count,
    Episode,
    Iterations,
    MetaStrategy,
    Positive,
    Randomness,
    Register,
    Step,
    Translator,
    UserError,
    check_range,
    hookimpl,
)
from metai2i.meta import detach, frozen_players, instance_of, support_batches
from metai2i.training import (
    add_gradients,
    check_gradients,
    drive,
    gradients,
    parameters_of,
    part,
    prefixed,
    query_losses,
)

Adapters = dict[str, tuple[Tensor, Tensor]]
"""A (rank, columns) and B (rows, rank), by the name of the weight that they belong to."""


class Lora(MetaStrategy):
    """Adapts low-rank adapters of the weights; biases and normalisations stay the general model's.

    Every scene starts from fresh adapters, B = 0 and A drawn at random. Meta-training takes the gradient of the query
    loss at the adapted weights, in first order, and gives it to the general model: weights learn to be adapted by few
    directions. `metatrain: {iterations: 0}` leaves the general model as it was trained, which is LoRA as published.
    There is no factor on B A (alpha = rank); adapters take larger rates than weights do.

    Args:
        rank: of every adapter; less where a weight has fewer rows or columns.
        layers: patterns of the names of the weights that have adapters, of those with two dimensions or more.
        steps: inner steps in meta-training (`adapt.iterations` counts those at test).
        lr: the inner learning rate in meta-training; `adapt.lr` when null.
    """

    def __init__(
        self,
        *,
        inner: Adaptation,
        rank: Count = 4,
        layers: tuple[str, ...] = ("*",),
        steps: Iterations = 5,
        lr: Positive | None = None,
    ) -> None:
        check_range("strategy.rank", rank, Count)
        check_range("strategy.steps", steps, Iterations)
        self.inner, self.rank, self.layers = inner, rank, layers
        self.train_inner = inner.for_training(steps, lr)
        self.fitted: WeakKeyDictionary[Translator, Adapters] = WeakKeyDictionary()

    def cost(self, shots: int, queries: int) -> int:
        """Return samples forward and backward for one episode: the inner steps and the query."""
        return self.train_inner.iterations * self.inner.samples(shots) + queries

    def meta_gradient(self, gp: Translator, episode: Episode, step: Step) -> dict[str, Tensor]:
        """Add the gradient of the query losses at the adapted parameters."""
        copy = detach(self._fitted(gp, episode.support, self.train_inner, step.at("inner"))[0])

        def collect(players: Sequence[str], loss: Tensor) -> None:
            add_gradients(parameters_of(gp, players), gradients(loss, parameters_of(copy, players)))

        return query_losses(copy, episode.query, step, collect)

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a copy with adapters merged in that have taken `adapt.iterations` steps on the support."""
        copy, adapters = self._fitted(gp, support, self.inner, step)
        copy = detach(copy)
        self.fitted[copy] = {name: (a.detach(), b.detach()) for name, (a, b) in adapters.items()}
        return copy

    def kept(self, gp: Translator, adapted: Translator) -> dict[str, Tensor]:
        """Return the adapters that have moved (B is not 0), "A.WEIGHT" and "B.WEIGHT", and "changed.NAME" of whatever
        else differs, such as buffers.
        """
        adapters = {name: pair for name, pair in self.fitted.get(adapted, {}).items() if pair[1].any()}
        a, b = ({name: pair[i] for name, pair in adapters.items()} for i in (0, 1))
        others = {name: tensor for name, tensor in super().kept(gp, adapted).items() if name not in adapters}
        return prefixed("A", a) | prefixed("B", b) | prefixed("changed", others)

    @classmethod
    def restored(cls, gp: Translator, kept: Mapping[str, Tensor]) -> Translator:
        """Return the copy that `adapt` made, from the general model and what `kept` gave."""
        copy = detach(instance_of(super().restored(gp, part("changed", kept))))
        base, b = dict(copy.named_parameters()), part("B", kept)
        slots = slots_of(copy, {name: base[name] for name in b})
        for name, a in part("A", kept).items():
            weight = base[name]
            whole = merged(weight, a.to(weight.device), b[name].to(weight.device))
            put(slots[name], nn.Parameter(whole, weight.requires_grad))
        return copy

    def _fitted(self, gp: Translator, support: Batch, inner: Adaptation, step: Step) -> tuple[Translator, Adapters]:
        """Return a copy whose weights are those of the general model with adapters, after some steps, and
        the adapters.
        """
        copy = detach(instance_of(gp))
        owned = self._weights(copy)
        base = {name: weight for weights in owned.values() for name, weight in weights.items()}
        adapters = {name: fresh(weight, self.rank, step.rng.at("adapter", name)) for name, weight in base.items()}
        slots = slots_of(copy, base)
        groups = [
            {"params": [p for name in weights for p in adapters[name]], "lr": inner.lr * copy.rates.get(player, 1.0)}
            for player, weights in owned.items()
        ]
        optimizer: torch.optim.Optimizer
        if inner.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, lr=inner.lr)
        else:
            optimizer = torch.optim.Adam(groups, lr=inner.lr, betas=inner.betas, eps=inner.eps)

        def update(players: Sequence[str], loss: Tensor) -> None:
            names = [name for player in players for name in owned.get(player, {})]
            moving = [p for name in names for p in adapters[name]]
            if not moving:
                return
            optimizer.zero_grad(set_to_none=True)  # players that do not move have no gradient and are passed over
            for parameter, gradient in zip(moving, gradients(loss, moving), strict=True):
                parameter.grad = gradient
            check_gradients(players, moving)
            optimizer.step()
            merge(names)

        def merge(names: Sequence[str]) -> None:
            for name in names:
                put(slots[name], merged(base[name], *adapters[name]))

        merge(list(base))
        for i, batch in enumerate(support_batches(support, inner, step.rng)):
            drive(copy, batch, step.at(i, inner=True), update)
        return copy, adapters

    def _weights(self, translator: Translator) -> dict[str, dict[str, Tensor]]:
        """Return the weights that have adapters, by player and name."""
        names, still = (
            {id(p): name for name, p in translator.named_parameters()},
            frozen_players(translator, self.inner),
        )
        owned: dict[str, dict[str, Tensor]] = {
            player: {names[id(p)]: p for p in parameters if p.dim() > 1 and self._has_adapter(names[id(p)])}
            for player, parameters in translator.players().items()
            if player not in still
        }
        owned = {player: weights for player, weights in owned.items() if weights}
        if not owned:
            patterns = ", ".join(self.layers)
            what = f"no weight of {type(translator).__name__} that may be adapted matches strategy.layers: {patterns}"
            raise UserError(what, hint="a pattern is such as generator.up.*; adapt.freeze keeps players out")
        return owned

    def _has_adapter(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.layers)


def fresh(weight: Tensor, rank: int, rng: Randomness) -> tuple[Tensor, Tensor]:
    """Return A, uniform in +-1 / sqrt(columns), and B = 0 for one weight, as leaves that require gradients."""
    rows, columns = weight.flatten(1).shape
    rank, bound = min(rank, rows, columns), 1 / math.sqrt(columns)
    a = (torch.rand(rank, columns, generator=rng.generator()) * 2 - 1) * bound
    return a.to(weight).requires_grad_(), weight.new_zeros(rows, rank).requires_grad_()


def merged(weight: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return W + B A, in the shape of W, which gets no gradient."""
    return weight.detach() + (b @ a).view_as(weight)


Slot = tuple[nn.Module, str]
"""A module and the name of one of its own parameters."""


def slots_of(module: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, list[Slot]]:
    """Return where in a module each of the weights stands; one that is tied stands in several places."""
    slots: dict[str, list[Slot]] = {name: [] for name in weights}
    names = {id(weight): name for name, weight in weights.items()}
    for owner in module.modules():
        for key, parameter in owner._parameters.items():
            if id(parameter) in names:
                slots[names[id(parameter)]].append((owner, key))
    return slots


def put(slots: Sequence[Slot], tensor: Tensor) -> None:
    """Put a tensor in the place of a parameter, such that gradients flow on to what it was made of."""
    for owner, key in slots:
        owner._parameters[key] = tensor  # type: ignore[assignment]


@hookimpl
def register_strategies(register: Register) -> None:
    """Hand over `lora`."""
    register("lora", Lora)
