"""`Adjoint`: exact second order without the unrolled graph.

On the way there only the iterates are kept. On the way back each inner step is taken again, in a graph of its own, and
the cotangents of the next iterate (weights and the optimiser's moments) are pulled through it to the iterate before:
`bar_i = bar_(i+1) * d iterate_(i+1) / d iterate_i`. For SGD this is one exact Hessian-vector product for each step. It
is reverse-mode differentiation with a checkpoint at every step, so the numbers are those of the unrolled graph, and
memory is that of one step and of the iterates (Griewank and Walther, "Evaluating Derivatives", 2008, ch. 12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from metai2i.adaptation import Adaptation
from metai2i.batch import Batch
from metai2i.meta.engines.engine import QueryLoss
from metai2i.meta.engines.inner_steps import InnerSteps, Iterate
from metai2i.meta.engines.iterates import Keep, kept_iterates
from metai2i.meta.engines.player_dependencies import Players
from metai2i.training.driving import add_gradients, parameters_of
from metai2i.translator import Losses, Step, Translator

Cotangents = dict[tuple[str, int], Tensor]
"""By the names that `Iterate.tensors` gives; what is missing is 0."""
Wanted = dict[tuple[str, ...], Cotangents]
"""By the players whose losses they come from."""


@dataclass(frozen=True)
class Adjoint:
    """Takes the inner steps once more, backwards, one at a time.

    Args:
        keep: where the iterates are kept in between.
    """

    name: ClassVar[str] = "adjoint"
    keep: Keep = "all"

    def meta_gradient(
        self, gp: Translator, support: Batch, judge: QueryLoss, adaptation: Adaptation, step: Step
    ) -> Losses:
        """Compute the meta-gradient as `Engine` says."""
        inner, steps = InnerSteps(gp, support, adaptation, step), adaptation.iterations
        with kept_iterates(self.keep, inner, steps) as iterates:
            at = inner.start()
            for i in range(steps):
                iterates.put(i, at)
                at = inner.advance(i, at)
            del at  # the copy has it
            losses, wanted = _judged(inner, judge, steps)
            for i in reversed(range(steps)):
                wanted = _step_back(inner, i, iterates.take(i).leaves(), wanted)
        for players, cotangents in wanted.items():
            origin = parameters_of(gp, players)
            grads = (cotangents.get(("parameters", n)) for n in inner.numbers(players))
            add_gradients(origin, [torch.zeros_like(p) if g is None else g for p, g in zip(origin, grads, strict=True)])
        return losses


def _step_back(inner: InnerSteps, i: int, before: Iterate, wanted: Wanted) -> Wanted:
    """Return the cotangents of the i-th iterate, from those of the next.

    A group whose cotangents need nothing but a move that has just been made is pulled back at once, and the graph of
    that move goes before the others move, if they need nothing of it: where players are cut off from each other, as in
    Pix2pix, there is the graph of one move at a time.
    """
    cotangents_before: Wanted = {}
    there = {group: inner.players_of(cotangents) for group, cotangents in wanted.items()}
    here = {group: inner.learned_of(there[group], i) & inner.influenced(group, i) for group in wanted}

    def pull(group: tuple[str, ...], after: Iterate, *, retain: bool) -> None:
        inputs = inner.tensors_of(before, here[group])
        cotangents_before[group] = _pulled(wanted[group], after.tensors(), inputs, retain=retain)

    def done(moved: Players, now: Iterate) -> bool:
        waiting = [group for group in wanted if group not in cotangents_before]
        ready = [group for group in waiting if here[group] | there[group] <= moved]
        through = inner.learned_of(moved, i)
        needed = any(there[group] & moved or here[group] & through for group in waiting if group not in ready)
        for n, group in enumerate(ready, 1):
            pull(group, now, retain=needed or n < len(ready))
        return not needed

    after = inner.advance(i, before, graph=True, done=done)
    left = [group for group in wanted if group not in cotangents_before]
    for n, group in enumerate(left, 1):
        pull(group, after, retain=n < len(left))
    return {group: cotangents_before[group] for group in wanted}


def _judged(inner: InnerSteps, judge: QueryLoss, steps: int) -> tuple[Losses, Wanted]:
    """Return the judge's losses, and for each group of players the gradient of theirs at the adapted copy."""
    wanted: Wanted = {}

    def collect(players: Sequence[str], loss: Tensor) -> None:
        # With respect to all who have learned of these players: a player is judged by the whole copy.
        inputs = inner.tensors_of(Iterate(inner.parameters(), {}, []), inner.influenced(players, steps))
        grads = torch.autograd.grad(loss, list(inputs.values()), retain_graph=True, allow_unused=True)
        known = wanted.setdefault(tuple(players), {})
        for name, gradient in zip(inputs, grads, strict=True):
            if gradient is not None:
                known[name] = known[name] + gradient if name in known else gradient

    return judge(inner.copy, collect), wanted


def _pulled(
    cotangents: Cotangents,
    after: Mapping[tuple[str, int], Tensor],
    before: Mapping[tuple[str, int], Tensor],
    *,
    retain: bool,
) -> Cotangents:
    """Return the cotangents of one iterate, from those of the next."""
    outputs = [name for name in cotangents if after[name].requires_grad]
    if not outputs:
        return {}
    if not before:
        return {}
    grads = torch.autograd.grad(
        [after[name] for name in outputs],
        list(before.values()),
        [cotangents[name] for name in outputs],
        retain_graph=retain,
        allow_unused=True,
    )
    return {name: gradient for name, gradient in zip(before, grads, strict=True) if gradient is not None}
