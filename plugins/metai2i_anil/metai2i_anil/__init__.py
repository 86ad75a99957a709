"""ANIL (Raghu, Raghu, Bengio, Vinyals, "Rapid Learning or Feature Reuse? Towards Understanding the Effectiveness of
MAML", 2020) as a bilevel strategy.

The inner loop adapts a part of the networks, the head, and reuses the rest, the body, as the general model has it. The
query losses of the adapted copy are differentiated with respect to all of the general model, head and body.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import compress
from typing import Literal

from torch import Tensor

from metai2i import (
    Adaptation,
    Batch,
    Episode,
    Iterations,
    MetaStrategy,
    Positive,
    Register,
    Step,
    Translator,
    UserError,
    check_range,
    did_you_mean,
    hookimpl,
)
from metai2i.meta import FunctionalOptimizer, InGraph, detach, frozen_players, instance_of, support_batches
from metai2i.training import add_gradients, drive, gradients, parameters_of, query_losses


class Anil(MetaStrategy):
    """Almost no inner loop: only a part of the networks is adapted, everything else stays the general model's.

    Players in `adapt.freeze` are not adapted, whatever the part.

    Args:
        part: what is adapted: players, or patterns of parameter names such as `generator.up.*`. By default the later
            half of each player's layers in the order in which they were made: of a U-Net the decoder.
        steps: inner steps in meta-training (`adapt.iterations` counts those at test).
        order: "first" takes the query gradient at the adapted parameters; "second" differentiates through the
            adaptation, with memory that grows by the step.
        lr: the inner learning rate in meta-training; `adapt.lr` when null.
    """

    def __init__(
        self,
        *,
        inner: Adaptation,
        part: tuple[str, ...] | None = None,
        steps: Iterations = 5,
        order: Literal["first", "second"] = "first",
        lr: Positive | None = None,
    ) -> None:
        check_range("strategy.steps", steps, Iterations)
        self.inner, self.part, self.order = inner, part, order
        self.train_inner = inner.for_training(steps, lr)

    def prepare(self, gp: Translator) -> None:
        """Refuse a part that the general model does not have, before anything is trained."""
        part_of(gp, self.part, frozen_players(gp, self.inner))

    def cost(self, shots: int, queries: int) -> int:
        """Return samples forward and backward for one episode: the inner steps and the query."""
        return self.train_inner.iterations * self.inner.samples(shots) + queries

    def meta_gradient(self, gp: Translator, episode: Episode, step: Step) -> dict[str, Tensor]:
        """Add the gradient of the adapted copy's query losses with respect to the general model, head and body."""

        def collect(players: Sequence[str], loss: Tensor) -> None:
            origin = parameters_of(gp, players)
            # The copy is connected to the general model, and one graph serves every move.
            add_gradients(origin, gradients(loss, origin, retain=True))

        copy = instance_of(gp)
        self._adapt(copy, episode.support, self.train_inner, step.at("inner"), second=self.order == "second")
        return query_losses(copy, episode.query, step, collect)

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a copy whose part has taken `adapt.iterations` steps on the support."""
        copy = instance_of(gp)
        self._adapt(copy, support, self.inner, step)
        return detach(copy)

    def _adapt(self, copy: Translator, support: Batch, inner: Adaptation, step: Step, *, second: bool = False) -> None:
        """Adapt the part of a connected copy in place."""
        inside = part_of(copy, self.part, frozen_players(copy, inner))
        graph, optimizer = InGraph(copy, second=second), FunctionalOptimizer(inner, differentiable=second)

        def update(players: Sequence[str], loss: Tensor) -> None:
            moving = {player: list(compress(parameters_of(copy, [player]), inside[player])) for player in players}
            parameters = [parameter for group in moving.values() for parameter in group]
            if not parameters:
                return
            grads, updates = iter(graph.gradients(players, loss, parameters)), list[Tensor]()
            for player, group in moving.items():
                rate = inner.lr * copy.rates.get(player, 1.0)
                updates += optimizer.updates(player, [next(grads) for _ in group], rate)
            graph.move(parameters, updates)

        for i, batch in enumerate(support_batches(support, inner, step.rng)):
            drive(copy, batch, step.at(i, inner=True), update)


def part_of(translator: Translator, part: Sequence[str] | None, still: Sequence[str] = ()) -> dict[str, list[bool]]:
    """Return, for every player, which of its parameters are adapted, in their order.

    Args:
        part: players and patterns of parameter names; None for the later half of each player's layers.
        still: players of which nothing is adapted.

    Raises:
        UserError: for a pattern that nothing matches, or when nothing is left to adapt.
    """
    names = {id(p): name for name, p in translator.named_parameters()}
    owned = {player: [names[id(p)] for p in parameters] for player, parameters in translator.players().items()}
    if part is None:
        chosen = {name for owned_names in owned.values() for name in later_half(owned_names)}
    else:
        chosen = set()
        for pattern in part:
            chosen_names = owned.get(pattern) or [
                n for owned_names in owned.values() for n in owned_names if fnmatchcase(n, pattern)
            ]
            if not chosen_names:
                what = f"strategy.part: {pattern!r} is no player of {type(translator).__name__}, nor a parameter's name"
                known = {".".join(name.split(".")[:2]) + ".*" for name in names.values() if name.count(".") > 1}
                raise UserError(what, hint=did_you_mean(pattern, {*owned, *known}))
            chosen |= set(chosen_names)
    inside = {
        player: [player not in still and name in chosen for name in owned_names]
        for player, owned_names in owned.items()
    }
    if owned and not any(map(any, inside.values())):
        raise UserError("strategy.part and adapt.freeze leave nothing to adapt", hint="name another part")
    return inside


def later_half(names: Sequence[str]) -> list[str]:
    """Return the parameters of the later half of the layers; of the middle one too, where their number is odd."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    later = set(layers[len(layers) // 2 :])
    return [name for name in names if name.rpartition(".")[0] in later]


@hookimpl
def register_strategies(register: Register) -> None:
    """Hand over `anil`."""
    register("anil", Anil)
