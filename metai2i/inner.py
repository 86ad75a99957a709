"""The inner loop: instance-specific copies of the general model, and their adaptation to a few pairs.

Copies are learn2learn's `clone_module`. In first order (Eq. 2 as printed) a copy is then cut off and adapted
in place by one of torch's optimisers: a gradient at its parameters is all that the general model needs. In second order
it stays connected to the general model, learn2learn's `update_module` makes the steps, the inner gradients keep their
own graph, and a gradient taken with respect to the general model is the exact meta-gradient. `metai2i.engines` makes
meta-gradients of both, and of a third way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from metai2i.augment import Augment
from metai2i.batch import Batch
from metai2i.clones import clone_module, update_module
from metai2i.drive import descend, drive, gradients, home_of, parameter_groups, parameters_of
from metai2i.engines.gate import Gate
from metai2i.errors import UserError, did_you_mean
from metai2i.plain_state import copy_plain
from metai2i.randomness import Randomness
from metai2i.reference import Reference
from metai2i.replay import InnerLoops, RecordedStep, follow, replays, shapes
from metai2i.sampling import Sampling
from metai2i.translator import Step, Translator

Order = Literal["first", "second"]


@dataclass(frozen=True)
class Adaptation:
    """How an instance-specific copy is adapted: the recipe's `adapt:` section.

    Args:
        iterations: steps; a strategy makes an `Adaptation` of its own for meta-training (`for_training`).
        batch: pairs in a step. Fewer shots are repeated up to it when they are augmented (the paper's five copies).
        lr: the inner learning rate, alpha.
        optimizer: "adam" or "sgd", always with fresh state for each scene.
        betas: of Adam.
        eps: of Adam; in second order its square stands inside the root, since sqrt has no derivative at 0.
        freeze: players that keep the general model's parameters, such as ("discriminator",).
        augment: what is done to the support in every step, if anything.
        reference: how support samples get their references, for translators that need them.
    """

    iterations: int = 20
    batch: int = 5
    lr: float = 1e-4
    optimizer: Literal["adam", "sgd"] = "adam"
    betas: tuple[float, float] = (0.5, 0.999)
    eps: float = 1e-8
    freeze: tuple[str, ...] = ()
    augment: Augment | None = None
    reference: Reference | None = None

    def for_training(self, steps: int, lr: float | None = None) -> Adaptation:
        """Return the inner loop of meta-training: so many steps, at `lr`, or at the same rate when None."""
        return replace(self, iterations=steps, lr=self.lr if lr is None else lr)

    def samples(self, support: int) -> int:
        """How many samples go through one step, given the size of the support."""
        return self.batch if self.augment else min(self.batch, support)


def instance_of(gp: Translator) -> Translator:
    """Return a copy of the general model, connected by the graph, with buffers and plain state of its own."""
    copy = clone_module(gp)
    for module in copy.modules():
        # learn2learn shares running statistics between a clone and its origin; adapting would change the origin.
        module._buffers = {name: None if b is None else b.clone() for name, b in module._buffers.items()}
    copy_plain(gp, copy)
    return copy


def places(copy: nn.Module) -> dict[int, list[tuple[nn.Module, str]]]:
    """Where each parameter stands, by its id, in the order of `parameters()`; a tied one stands in several places."""
    found: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in copy.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                found.setdefault(id(parameter), []).append((module, name))
    return found


def settle(copy: Translator) -> Translator:
    """Cuts a copy off the general model: its parameters become leaves of its own. Returns the copy."""
    for standing in places(copy).values():  # tied parameters stay tied
        parameter = cast(Tensor, standing[0][0]._parameters[standing[0][1]])
        leaf = nn.Parameter(parameter.detach().clone(), parameter.requires_grad)
        for module, name in standing:
            module._parameters[name] = leaf
    return copy


def frozen(copy: Translator, adaptation: Adaptation) -> tuple[str, ...]:
    """The players that are not adapted.

    Raises:
        UserError: when one of them is not a player of the translator.
    """
    for player in adaptation.freeze:
        if player not in (players := copy.players()):
            what = f"adapt.freeze names {player!r}, which is no player of {type(copy).__name__}"
            raise UserError(what, hint=did_you_mean(player, players))
    return adaptation.freeze


class FunctionalOptimizer:
    """SGD or Adam as a function from gradients to updates, with fresh state, differentiable where asked.

    First order gives torch.optim's own numbers. In second order Adam's root is `sqrt(v + eps^2)` rather than
    `sqrt(v) + eps`: at v = 0 the latter has an infinite derivative and every meta-gradient becomes NaN. The two are
    never further apart than eps, so that a scene is adapted to by the steps that were meta-trained.
    """

    def __init__(self, adaptation: Adaptation, *, differentiable: bool = False) -> None:
        self.adaptation = adaptation
        self.differentiable = differentiable
        self.moments: dict[str, tuple[int, list[Tensor], list[Tensor]]] = {}

    def updates(self, player: str, grads: Sequence[Tensor], lr: float) -> list[Tensor]:
        """What to add to a player's parameters, in their order."""
        if self.adaptation.optimizer == "sgd":
            return [-lr * grad for grad in grads]
        (beta1, beta2), eps = self.adaptation.betas, self.adaptation.eps
        zeros = [torch.zeros_like(grad) for grad in grads]
        step, first, second = self.moments.get(player, (0, zeros, zeros))
        step += 1
        first = [beta1 * m + (1 - beta1) * g for m, g in zip(first, grads, strict=True)]
        second = [beta2 * v + (1 - beta2) * g * g for v, g in zip(second, grads, strict=True)]
        self.moments[player] = (step, first, second)
        scale, correct = lr / (1 - beta1**step), 1 - beta2**step
        if self.differentiable:
            return [-scale * m / (v / correct + eps**2).sqrt() for m, v in zip(first, second, strict=True)]
        return [-scale * m / ((v / correct).sqrt() + eps) for m, v in zip(first, second, strict=True)]


def support_batches(support: Batch, adaptation: Adaptation, rng: Randomness) -> Iterator[Batch]:
    """Yield the batches of an inner loop: `adaptation.iterations` fresh draws from the support, augmented.

    Without augmentation a support smaller than the batch is taken whole, since equal copies teach nothing more.
    """
    for i in range(adaptation.iterations):
        yield support_batch(support, adaptation, i, rng)


def support_batch(support: Batch, adaptation: Adaptation, i: int, rng: Randomness) -> Batch:
    """The batch of one step of an inner loop, the same at every call."""
    sampling = Sampling(adaptation.augment, adaptation.reference)
    drawn = sampling.support(support, adaptation.samples(support.size), rng.at(i))
    return drawn.map(Tensor.detach)  # a step's own tensors: a gradient penalty asks for gradients at its batch


class InGraph:
    """Moves a connected copy; gradients still flow from it to the general model.

    Inner gradients are those of plain training: what a player's weights have done to its opponent's is left out of
    them, and stays in the meta-gradient (`metai2i.engines.gate`).

    Args:
        copy: `instance_of` a general model.
        second: keep the graph of the inner gradients.
    """

    def __init__(self, copy: Translator, *, second: bool) -> None:
        self.copy, self.second, self._gate = copy, second, Gate()

    def gradients(self, players: Sequence[str], loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
        """Those of a move.

        Args:
            players: who moves, for the message.

        Raises:
            UserError: when they are not finite, though the loss was.
        """
        with self._gate.shut():
            found = gradients(loss, parameters, graph=self.second)
        if found and not torch.stack(list(torch._foreach_norm(found))).isfinite().all():
            raise UserError(f"the gradient of {'+'.join(players)!r} is not finite", hint="lower adapt.lr")
        return found

    def move(self, parameters: Sequence[Tensor], updates: Sequence[Tensor]) -> None:
        """Adds to parameters what is to be added, by learn2learn's `update_module`."""
        for parameter, update in zip(parameters, self._gate.through(updates), strict=True):
            cast(Any, parameter).update = update
        update_module(self.copy)


def adapt_in_graph(
    copy: Translator, support: Batch, adaptation: Adaptation, step: Step, *, order: Order = "first"
) -> None:
    """Adapt a connected copy in place; gradients still flow from it to the general model."""
    second = order == "second"
    optimizer = FunctionalOptimizer(adaptation, differentiable=second)
    still = frozen(copy, adaptation)
    graph = InGraph(copy, second=second)

    def update(players: Sequence[str], loss: Tensor) -> None:
        moving = [player for player in players if player not in still]
        if not moving:
            return
        parameters = parameters_of(copy, moving)
        found = iter(graph.gradients(moving, loss, parameters))
        updates: list[Tensor] = []
        for player in moving:
            grads = [next(found) for _ in parameters_of(copy, [player])]
            updates += optimizer.updates(player, grads, adaptation.lr * copy.rates.get(player, 1.0))
        graph.move(parameters, updates)

    for i, batch in enumerate(support_batches(support, adaptation, step.rng)):
        drive(copy, batch, step.at(i, inner=True), update)


def adapted(gp: Translator, support: Batch, adaptation: Adaptation, step: Step) -> Translator:
    """A free-standing copy of `gp` after some steps on the support, by torch's own optimisers; `gp` is untouched.

    In first order there is nothing to keep of the steps, so this is the numbers of `adapt_in_graph` for less time and
    memory: a gradient at the copy's parameters is the first-order meta-gradient.
    """
    copy = settle(instance_of(gp))
    still = frozen(copy, adaptation)
    if not adaptation.iterations or set(still) == set(copy.players()):
        return copy
    batches = support_batches(support, adaptation, step.rng)
    if replays(gp, home_of(support)):
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


def inner_optimizer(copy: Translator, adaptation: Adaptation, still: Sequence[str]) -> torch.optim.Optimizer:
    """Torch's own optimiser of a copy's players that are not still, with fresh state."""
    groups: list[Any] = [group for group in parameter_groups(copy, adaptation.lr) if group["name"] not in still]
    if adaptation.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=adaptation.lr, foreach=True)
    on_gpu = groups[0]["params"][0].is_cuda  # a recording needs it, and elsewhere it costs nothing
    return torch.optim.Adam(
        groups, lr=adaptation.lr, betas=adaptation.betas, eps=adaptation.eps, fused=True, capturable=on_gpu
    )


def recorded_loop(
    gp: Translator, example: Batch, adaptation: Adaptation, step: Step, *, still: Sequence[str]
) -> RecordedStep | None:
    """The recorded step of such inner loops, in a copy of its own; None when it is asked for the first time.

    Args:
        example: a batch of the shapes to come.
        still: the players that are not adapted.
    """
    optimizer = (adaptation.optimizer, adaptation.lr, adaptation.betas, adaptation.eps)
    wanted = (shapes(example), optimizer, tuple(still), gp.precision, step.phase)

    def record() -> RecordedStep:
        own = settle(instance_of(gp))
        moving = inner_optimizer(own, adaptation, still)
        return RecordedStep(own, moving, example, step.at(0, inner=True), still=still)

    return InnerLoops.of(gp).find(wanted, record)
