"""The inner loop: instance-specific copies of the general model, and their adaptation to a few pairs.

Copies are learn2learn's `clone_module`. In first order (Eq. 2 as printed) a copy is then cut off and adapted
in place by one of torch's optimisers: a gradient at its parameters is all that the general model needs. In second order
it stays connected to the general model, learn2learn's `update_module` makes the steps, the inner gradients keep their
own graph, and a gradient taken with respect to the general model is the exact meta-gradient. Meta-gradients of
both, and of a third way, are made by `metai2i.meta.engines`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor

from metai2i.adaptation import Adaptation, Order
from metai2i.batch import Batch
from metai2i.data.sampling import Sampling
from metai2i.meta.clones import update_module
from metai2i.meta.functional_optimizer import FunctionalOptimizer
from metai2i.meta.gradient_gate import GradientGate
from metai2i.meta.instance import detach, frozen_players, instance_of
from metai2i.randomness import Randomness
from metai2i.training.cuda_graphs import InnerLoops, RecordedStep, follow, replays, shapes
from metai2i.training.driving import (
    NonFinite,
    batch_device,
    descend,
    drive,
    gradients,
    parameter_groups,
    parameters_of,
    with_draws,
)
from metai2i.translator import Step, Translator


def support_batches(support: Batch, adaptation: Adaptation, rng: Randomness) -> Iterator[Batch]:
    """Yield the batches of an inner loop: `adaptation.iterations` fresh draws from the support, augmented.

    Without augmentation a support smaller than the batch is taken whole, since equal copies teach nothing more.
    Pairs of retrieved scenes, where there are any, join each batch.
    """
    for i in range(adaptation.iterations):
        yield support_batch(support, adaptation, i, rng)


def support_batch(support: Batch, adaptation: Adaptation, i: int, rng: Randomness) -> Batch:
    """Return the batch of one step of an inner loop, the same at every call."""
    sampling = Sampling(adaptation.augment, adaptation.reference)
    drawn = sampling.support(support, adaptation.samples(support.size), rng.at(i))
    if adaptation.retrieved is not None:
        more = adaptation.retrieved.batch(sampling, rng.at(i, "retrieved"), batch_device(drawn))
        drawn = Batch.cat([drawn, more])
    return drawn.map(Tensor.detach)  # a step's own tensors: a gradient penalty asks for gradients at its batch


class InGraph:
    """Moves a connected copy; gradients still flow from it to the general model.

    Inner gradients are those of plain training: what a player's weights have done to its opponent's is left out of
    them, and stays in the meta-gradient (`metai2i.meta.gradient_gate`).

    Args:
        copy: `instance_of` a general model.
        second: keep the graph of the inner gradients.
    """

    def __init__(self, copy: Translator, *, second: bool) -> None:
        self.copy, self.second, self._gate = copy, second, GradientGate()

    def gradients(self, players: Sequence[str], loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
        """Return those of a move.

        Args:
            players: who moves, for the message.

        Raises:
            NonFinite: when they are not, though the loss was finite.
        """
        with self._gate.shut():
            grads = gradients(loss, parameters, graph=self.second)
        if grads and not torch.stack(list(torch._foreach_norm(grads))).isfinite().all():
            raise NonFinite(f"the gradient of {'+'.join(players)!r} is not finite", hint="lower adapt.lr")
        return grads

    def move(self, parameters: Sequence[Tensor], updates: Sequence[Tensor]) -> None:
        """Add to parameters what is to be added, by learn2learn's `update_module`."""
        for parameter, update in zip(parameters, self._gate.through(updates), strict=True):
            cast(Any, parameter).update = update
        update_module(self.copy)


def adapt_in_graph(
    copy: Translator, support: Batch, adaptation: Adaptation, step: Step, *, order: Order = "first"
) -> None:
    """Adapt a connected copy in place; gradients still flow from it to the general model."""
    second = order == "second"
    optimizer = FunctionalOptimizer(adaptation, differentiable=second)
    still = frozen_players(copy, adaptation)
    graph = InGraph(copy, second=second)

    def update(players: Sequence[str], loss: Tensor) -> None:
        moving = [player for player in players if player not in still]
        if not moving:
            return
        parameters = parameters_of(copy, moving)
        all_grads = iter(graph.gradients(moving, loss, parameters))
        updates: list[Tensor] = []
        for player in moving:
            grads = [next(all_grads) for _ in parameters_of(copy, [player])]
            updates += optimizer.updates(player, grads, adaptation.lr * copy.rates.get(player, 1.0))
        graph.move(parameters, updates)

    for i, batch in enumerate(support_batches(support, adaptation, step.rng)):
        drive(copy, batch, step.at(i, inner=True), update)


def adapted(gp: Translator, support: Batch, adaptation: Adaptation, step: Step) -> Translator:
    """Return a free-standing copy of `gp` after some steps on the support, by torch's own optimisers; `gp` is
    untouched.

    In first order there is nothing to keep of the steps, so this is the numbers of `adapt_in_graph` for less time and
    memory: a gradient at the copy's parameters is the first-order meta-gradient.
    """
    copy = detach(instance_of(gp))
    still = frozen_players(copy, adaptation)
    if not adaptation.iterations or set(still) == set(copy.players()):
        return copy
    batches = support_batches(support, adaptation, step.rng)
    if replays(gp, batch_device(support)):
        here = (step.at(i, inner=True) for i in range(adaptation.iterations))
        batches = (with_draws(gp, batch, at) for batch, at in zip(batches, here, strict=True))
        first = next(batches)
        batches = chain([first], batches)
        loop = recorded_loop(gp, first, adaptation, step, still=still)
        if loop is not None:
            follow(loop, gp, batches, copy)
            return copy
    descending = descend(copy, inner_optimizer(copy, adaptation, still))

    def update(players: Sequence[str], loss: Tensor) -> None:
        moving = [player for player in players if player not in still]
        if moving:
            descending(moving, loss)

    for i, batch in enumerate(batches):
        drive(copy, batch, step.at(i, inner=True), update)
    return copy


def inner_optimizer(
    copy: Translator, adaptation: Adaptation, still: Sequence[str], *, apart: bool = False
) -> torch.optim.Optimizer:
    """Return torch's own optimiser of a copy's players that are not still, with fresh state.

    Args:
        copy: a copy of the general model that is cut off.
        adaptation: which optimiser, and its rate.
        still: players that are not adapted.
        apart: a group for each parameter, in the players' order, instead of one for each player.
    """
    groups: list[Any] = [group for group in parameter_groups(copy, adaptation.lr) if group["name"] not in still]
    if apart:
        groups = [{**group, "params": [parameter]} for group in groups for parameter in group["params"]]
    if adaptation.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=adaptation.lr, foreach=True)
    on_gpu = groups[0]["params"][0].is_cuda  # a recording needs it, and elsewhere it costs nothing
    return torch.optim.Adam(
        groups, lr=adaptation.lr, betas=adaptation.betas, eps=adaptation.eps, fused=True, capturable=on_gpu
    )


def recorded_loop(
    gp: Translator, example: Batch, adaptation: Adaptation, step: Step, *, still: Sequence[str]
) -> RecordedStep | None:
    """Return the recorded step of such inner loops, in a copy of its own; None when it is asked for the first time.

    Args:
        example: a batch of the shapes to come.
        still: the players that are not adapted.
    """
    optimizer = (adaptation.optimizer, adaptation.lr, adaptation.betas, adaptation.eps)
    wanted = (shapes(example), optimizer, tuple(still), gp.precision, step.phase)

    def record() -> RecordedStep:
        # `follow` writes other models into it, so that not even what nobody trains may be the general model's.
        state = detach(instance_of(gp, share=False))
        moving = inner_optimizer(state, adaptation, still)
        return RecordedStep(state, moving, example, step.at(0, inner=True), still=still)

    return InnerLoops.of(gp).find(wanted, record)
