"""`InnerSteps`: the inner loop as a chain of functions, each from one iterate to the next, that can be taken again.

An iterate is all that an inner step depends on and changes: the parameters of the players, the optimiser's moments, and
the buffers of the copy. Batches and draws are decided by the step's address, so the same step from the same iterate
gives the same numbers, with or without a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from metai2i.adaptation import Adaptation
from metai2i.batch import Batch
from metai2i.errors import UserError
from metai2i.meta.engines.player_dependencies import PlayerDependencies, Players
from metai2i.meta.functional_optimizer import FunctionalOptimizer
from metai2i.meta.gradient_gate import GradientGate
from metai2i.meta.inner_loop import support_batch
from metai2i.meta.instance import buffer_places, detach, frozen_players, instance_of, parameter_places
from metai2i.training.driving import drive, gradients, parameters_of
from metai2i.translator import Step, Translator

Moments = dict[str, tuple[int, list[Tensor], list[Tensor]]]
"""By player: steps taken, first moments, second moments, as `FunctionalOptimizer` has them."""

_APART = 1e-3
"""By how much, relatively, the loss of a step that is taken again may differ: what a GPU adds up in another order."""

Done = Callable[[Players, "Iterate"], bool]
"""Is told who has moved, and where the loop stands then; says whether nothing needs the graph of their moves now."""


@dataclass(frozen=True)
class Iterate:
    """Where the inner loop stands between two steps.

    Args:
        parameters: of all players, each once.
        moments: of the players that have moved; empty for SGD.
        buffers: of all modules.
    """

    parameters: list[Tensor]
    moments: Moments
    buffers: list[Tensor | None]

    def tensors(self) -> dict[tuple[str, int], Tensor]:
        """Return what the next iterate depends on differentiably."""
        by_place = {("parameters", i): tensor for i, tensor in enumerate(self.parameters)}
        for player, (_, first, second) in self.moments.items():
            by_place |= {(f"first/{player}", i): tensor for i, tensor in enumerate(first)}
            by_place |= {(f"second/{player}", i): tensor for i, tensor in enumerate(second)}
        return by_place

    def leaves(self) -> Iterate:
        """Return the same as leaves of a graph to come, on the same memory."""
        moments = {player: (n, _leaves(m), _leaves(v)) for player, (n, m, v) in self.moments.items()}
        return Iterate(_leaves(self.parameters), moments, self.buffers)


class InnerSteps:
    """The inner loop of one episode.

    The optimiser is `FunctionalOptimizer` in its differentiable form, whatever is asked of a step.

    Args:
        gp: the general model.
        support: what a copy of it is adapted to.
        adaptation: the inner loop.
        step: where it draws its batches.
    """

    def __init__(self, gp: Translator, support: Batch, adaptation: Adaptation, step: Step) -> None:
        self.gp, self.support, self.adaptation, self.step = gp, support, adaptation, step
        self.copy = detach(instance_of(gp))
        self.still = frozen_players(self.copy, adaptation)
        standing = parameter_places(self.copy)
        self._places = [standing[id(p)] for p in self._own(self.copy)]
        self._buffers = buffer_places(self.copy)
        self._kept: list[tuple[Tensor | None, int, Tensor | None]] = [(None, 0, None)] * len(self._buffers)
        self._at_first = self._snapshot()
        known = {id(p): i for i, p in enumerate(self._own(gp))}
        self._numbers = {player: [known[id(p)] for p in owned] for player, owned in _by_player(gp).items()}
        self._owners = [
            frozenset(player for player, numbers in self._numbers.items() if i in numbers) for i in known.values()
        ]
        self._depends: dict[int, dict[str, Players]] = {}
        self._moves: dict[int, list[Players]] = {}
        self._losses: dict[int, list[Tensor]] = {}

    def start(self) -> Iterate:
        """Return the general model; a copy at every call."""
        return Iterate([p.detach().clone() for p in self._own(self.gp)], {}, self._at_first)

    def advance(self, i: int, at: Iterate, *, graph: bool = False, done: Done | None = None) -> Iterate:
        """Take the i-th step from an iterate; afterwards `copy` stands at the next one.

        Args:
            i: the step's number, from 0.
            at: where it starts; `leaves()` of an iterate for a graph that reaches back to them.
            graph: keep the graph of the step, gradients included; without one the next iterate is cut off.
            done: with a graph, is asked when players have moved for the last time in the step, which has been taken
                without a graph before; what it says yes to is cut off then, so that its graph goes.

        Raises:
            UserError: when the step has other losses than when it was taken first.
        """
        self._install(at)
        optimizer = FunctionalOptimizer(self.adaptation, differentiable=True)
        optimizer.moments = dict(at.moments)
        gate, influence = GradientGate(), PlayerDependencies(self.parameters(), self._owners)
        moves: list[Players] = []
        values: list[Tensor] = []

        def put_on(moving: Sequence[str], loss: Tensor) -> list[Tensor]:
            """Update the players that move; return their parameters of before. Gradients and updates go with it."""
            parameters = [parameters_of(self.copy, [player]) for player in moving]
            before = [p for group in parameters for p in group]
            with gate.shut():
                grads = iter(gradients(loss, before, graph=graph) if moving else ())
            moved: dict[int, Tensor] = {}
            with torch.set_grad_enabled(graph):
                for player, group in zip(moving, parameters, strict=True):
                    rate = self.adaptation.lr * self.copy.rates.get(player, 1.0)
                    updates = optimizer.updates(player, [next(grads) for _ in group], rate)
                    moved |= {id(p): p + u for p, u in zip(group, gate.through(updates), strict=True)}
            self._replace(moved)
            return before

        def update(players: Sequence[str], loss: Tensor) -> None:
            moving = [player for player in players if player not in self.still]
            values.append(loss.detach())
            before = put_on(moving, loss)
            moves.append(frozenset(moving))
            last = done and moving and not any(moves[-1] & later for later in self._moves[i][len(moves) :])
            if done and last and done(moves[-1], Iterate(self.parameters(), optimizer.moments, [])):
                self._replace({id(p): p.detach() for p in parameters_of(self.copy, moving)})
                cut = {player: optimizer.moments[player] for player in moving if player in optimizer.moments}
                optimizer.moments |= {player: (n, _cut(m), _cut(v)) for player, (n, m, v) in cut.items()}
            if not graph:
                influence.move(loss, before, parameters_of(self.copy, moving))

        batch = support_batch(self.support, self.adaptation, i, self.step.rng)
        drive(self.copy, batch, self.step.at(i, inner=True), update)
        self._check_same(i, values)
        if not graph:
            self._depends[i] = {player: influence.of(owned) for player, owned in _by_player(self.copy).items()}
            self._moves[i] = moves
        return Iterate(self.parameters(), optimizer.moments, self._snapshot())

    def _check_same(self, i: int, values: Sequence[Tensor]) -> None:
        """Refuse a translator whose steps hang on more than an iterate has: taken again they would be other steps."""
        first = self._losses.setdefault(i, list(values))
        same = len(first) == len(values) and all(
            torch.allclose(a, b, rtol=_APART, atol=_APART * _APART, equal_nan=True)
            for a, b in zip(first, values, strict=True)
        )
        if not same:
            raise UserError(
                "the translator's inner steps give other losses when they are taken again, so they hang on something "
                "that is neither a parameter nor a buffer, such as a counter or a list of past images",
                hint="set strategy.engine to learn2learn, which takes each step once",
            )

    def parameters(self) -> list[Tensor]:
        """Return those of the copy's players, each once, as they are now."""
        return [cast(Tensor, standing[0][0]._parameters[standing[0][1]]) for standing in self._places]

    def numbers(self, players: Sequence[str]) -> list[int]:
        """Return where the parameters of players stand in `Iterate.parameters`, in the players' order."""
        return [i for player in players for i in self._numbers[player]]

    def influenced(self, players: Sequence[str], steps: int) -> Players:
        """Return whose parameters depend, after so many steps, on those that these players had in the general model."""
        reached = frozenset().union(*(self._owners[i] for i in self.numbers(players)))
        for i in range(steps):
            reached = frozenset(player for player, on in self._depends[i].items() if on & reached)
        return reached

    def learned_of(self, players: Players, i: int) -> Players:
        """Return on whose parameters, as they were before the i-th step, those of these players depend after it."""
        return frozenset().union(*(self._depends[i][player] for player in players))

    def players_of(self, names: Iterable[tuple[str, int]]) -> Players:
        """Return whose the tensors of these names are."""
        return frozenset().union(
            *(self._owners[i] if kind == "parameters" else {kind.partition("/")[2]} for kind, i in names)
        )

    def tensors_of(self, at: Iterate, players: Players) -> dict[tuple[str, int], Tensor]:
        """Return those of `Iterate.tensors` that belong to some players."""
        return {name: tensor for name, tensor in at.tensors().items() if self.players_of([name]) & players}

    @staticmethod
    def _own(translator: Translator) -> list[Tensor]:
        return list({id(p): p for p in parameters_of(translator, list(translator.players()))}.values())

    def _install(self, at: Iterate) -> None:
        for standing, tensor in zip(self._places, at.parameters, strict=True):
            leaf = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
            for module, name in standing:
                module._parameters[name] = cast(nn.Parameter, leaf)
        for n, (standing, buffer) in enumerate(zip(self._buffers, at.buffers, strict=True)):
            if buffer is None or not self._unchanged(n, buffer):
                copied = None if buffer is None else buffer.clone()
                for module, name in standing:
                    module._buffers[name] = copied
                self._kept[n] = (copied, 0 if copied is None else copied._version, buffer)

    def _replace(self, moved: dict[int, Tensor]) -> None:
        for standing in self._places:
            now = moved.get(id(standing[0][0]._parameters[standing[0][1]]))
            if now is not None:
                leaf = now if now.requires_grad else now.requires_grad_()
                for module, name in standing:
                    module._parameters[name] = cast(nn.Parameter, leaf)

    def _snapshot(self) -> list[Tensor | None]:
        """Return the buffers as they are now; one that nobody has written to since is not copied again."""
        for n, ((module, name), *_) in enumerate(self._buffers):
            buffer = module._buffers[name]
            if buffer is None:
                self._kept[n] = (None, 0, None)
            elif not self._unchanged(n, self._kept[n][2]):
                self._kept[n] = (buffer, buffer._version, buffer.detach().clone())
        return [kept for _, _, kept in self._kept]

    def _unchanged(self, n: int, snapshot: Tensor | None) -> bool:
        """Return whether the n-th buffer still is what was once installed from a snapshot, or taken as one."""
        (module, name), (value, version, kept) = self._buffers[n][0], self._kept[n]
        buffer = module._buffers[name]
        return buffer is not None and buffer is value and buffer._version == version and kept is snapshot


def _by_player(translator: Translator) -> dict[str, list[Tensor]]:
    return {player: parameters_of(translator, [player]) for player in translator.players()}


def _cut(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach() for tensor in tensors]


def _leaves(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().requires_grad_() for tensor in tensors]
