"""A batch in parts: the losses and gradients of each part by itself, and one step by their mean, whoever computes them.

`pretrain.parts` asks for it. Several processes share the parts, as they share the episodes of a meta-step; a process
alone computes them one after the other. What a part does depends on its samples and its number alone, and all that is
averaged is added in float64: so the bits are the same for any number of processes.

A move's loss is the mean of the parts' losses by their numbers of samples. That is the loss of the whole batch where it
is a mean over samples. What looks at samples together (batch normalisation, a norm of the batch) looks at those of its
part. Buffers, and parameters that no player moves, are in each part as they were before the step, and after it the mean
of what the parts have left; where these are no numbers that have a mean, all parts must leave the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from metai2i.batch import Batch
from metai2i.distributed.mean_gradient import MeanGradient
from metai2i.distributed.processes import ALONE, Processes
from metai2i.errors import UserError
from metai2i.training.driving import (
    check_gradients,
    checked_moves,
    gradients,
    laid_out_as,
    loss_not_finite,
    named,
    parameters_of,
    total_of,
    whose,
    with_draws,
)
from metai2i.training.loop import values
from metai2i.training.resting_state import RestingState
from metai2i.translator import Losses, Step, Translator

ONE_PART = "pretrain.parts: 1 computes the batch whole"


class PartMove(NamedTuple):
    """A move of one part: who moves, and the losses, named "player/term"."""

    players: tuple[str, ...]
    losses: Mapping[str, float]


@dataclass
class Part:
    """One part of a batch on its way through a training step.

    Args:
        samples: how many it has.
        moves: of the translator on them.
        state: buffers, and parameters that no player moves, as they are for it.
        draws: torch's global generators, as they are for it.
    """

    samples: int
    moves: Iterator[tuple[tuple[str, ...], Losses]]
    state: RestingState
    draws: GlobalDraws


class StepInParts:
    """Takes steps of plain training with batches in parts.

    Args:
        translator: who is trained.
        optimizer: over its players.
        parts: into how many a batch is split; no more than it has samples.
        clip: the largest norm that the gradient of a move may have.
        processes: who share the parts; each calls it with the same batches.
    """

    def __init__(
        self,
        translator: Translator,
        optimizer: torch.optim.Optimizer,
        parts: int,
        clip: float | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.translator, self.optimizer, self.parts, self.clip = translator, optimizer, parts, clip
        self.processes = processes
        self._looked = False

    def __call__(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Take a step; return the losses as `drive` does, the same in every process.

        Raises:
            NonFinite: before the update that a NaN or infinite term would have caused.
            UserError: when parts do not move the same players, or leave what has no mean.
        """
        batch = with_draws(self.translator, batch, step)
        self.translator.train()
        losses: dict[str, Tensor] = {}
        origin = RestingState.of(self.translator)
        samples = split(batch.size, self.parts)
        mine = {n: self._part(batch, samples[n], step.at("part", n), origin) for n in self._share()}
        try:
            with step.rng.at("global").scope():
                while (moves := self._move(mine, batch.size)) is not None:
                    losses |= mean_losses([(len(samples[n]), move.losses) for n, move in moves.items()])
        finally:
            origin.put_back()
        self._settle(origin, mine, batch.size)
        self._looked = True
        return losses

    def _share(self) -> list[int]:
        return self.processes.share(range(self.parts))

    def _part(self, batch: Batch, samples: Sequence[int], step: Step, origin: RestingState) -> Part:
        here = batch.select(samples)
        moves = checked_moves(self.translator, here, step)
        return Part(len(samples), moves, origin.copy(), GlobalDraws(step.rng.at("global").seed()))

    def _move(self, mine: Mapping[int, Part], size: int) -> dict[int, PartMove] | None:
        """Let all parts, here and elsewhere, make their next move; return what they have done, None after the last."""
        reports: dict[int, PartMove | None] = {}
        mean: MeanGradient | None = None
        self.optimizer.zero_grad(set_to_none=True)
        for n, part in mine.items():
            with part.state.in_place(), part.draws.in_place(), self._watching():
                move = next(part.moves, None)
                reports[n] = None if move is None else self._computed(*move)
            if (report := reports[n]) is not None:
                mean = mean or self._mean_of(report.players)
                mean.take(part.samples)
        everybodys = {n: report for each in self.processes.gather(reports) for n, report in each.items()}
        moves = self._together(dict(sorted(everybodys.items())))
        if moves is None:
            return None
        players = next(iter(moves.values())).players
        self._update(players, mean or self._mean_of(players), size)
        return moves

    def _computed(self, players: tuple[str, ...], losses: Losses) -> PartMove:
        """Leave the gradients of a part's move in `.grad`; return its report."""
        numbers = values(named(players, losses))
        for term, value in losses.items():
            if not torch.isfinite(value):
                raise loss_not_finite(players, term, value.item(), self.translator)
        parameters = parameters_of(self.translator, players)
        for parameter, gradient in zip(parameters, gradients(total_of(losses), parameters), strict=True):
            parameter.grad = gradient
        return PartMove(players, numbers)

    def _mean_of(self, players: Sequence[str]) -> MeanGradient:
        parameters: Any = parameters_of(self.translator, players)
        return MeanGradient({id(parameter): parameter for parameter in parameters}.values())

    def _together(self, reports: Mapping[int, PartMove | None]) -> dict[int, PartMove] | None:
        """Return the moves of all parts; None where all are at their end.

        Raises:
            UserError: when they are not the same for all.
        """
        movers = {() if report is None else report.players for report in reports.values()}
        if len(movers) > 1:
            said = sorted("+".join(players) or "nobody" for players in movers)
            raise UserError(
                f"{type(self.translator).__name__}.training_step lets {' and '.join(said)} move in the same turn of "
                "parts of one batch",
                hint=f"{whose(self.translator)}let who moves depend on the step alone; {ONE_PART}",
            )
        moves = {n: report for n, report in reports.items() if report is not None}
        return moves or None

    def _update(self, players: tuple[str, ...], mean: MeanGradient, size: int) -> None:
        """Take the optimiser's step by the mean gradient, as `descend` does by the gradient of a batch."""
        mean.put(self.processes, size)
        parameters = parameters_of(self.translator, players)
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad = laid_out_as(parameter, parameter.grad)
        check_gradients(players, parameters)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(parameters, self.clip)
        self.optimizer.step()

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Refuse a step that writes into what players move: each part would do so once more.

        Values are compared in the first step, later torch's count of writes.

        Raises:
            UserError: naming the player.
        """
        before = {name: list(moved) for name, moved in self.translator.players().items()}
        counts = {name: [parameter._version for parameter in moved] for name, moved in before.items()}
        numbers = {} if self._looked else {name: [p.detach().clone() for p in moved] for name, moved in before.items()}
        yield
        written = [name for name, moved in before.items() if [p._version for p in moved] != counts[name]]
        written += [name for name, known in numbers.items() if not all(map(torch.equal, before[name], known))]
        if written:
            raise UserError(
                f"{type(self.translator).__name__}.training_step writes into the parameters of {written[0]!r} itself",
                hint=f"{whose(self.translator)}parts of a batch can share no such step; {ONE_PART}",
            )

    def _settle(self, origin: RestingState, mine: Mapping[int, Part], size: int) -> None:
        """Leave in buffers, and in parameters that no player moves, what all parts have left there together."""
        states = {n: (part.samples, part.state) for n, part in mine.items()}
        wrong = origin.take_mean(states, size, self.processes)
        if wrong is not None:
            raise UserError(
                f"parts of one batch leave different values in {wrong!r} of {type(self.translator).__name__}, which "
                "have no mean",
                hint=f"{whose(self.translator)}let it depend on the step alone; {ONE_PART}",
            )


class GlobalDraws:
    """Torch's global generators, as they are for one part of a batch.

    Args:
        seed: from which they begin.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._state: tuple[Tensor, list[Tensor]] | None = None

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let what is drawn within it be drawn by this part."""
        if self._state is None:
            torch.manual_seed(self._seed)
        else:
            torch.set_rng_state(self._state[0])
            if self._state[1]:
                torch.cuda.set_rng_state_all(self._state[1])
        yield
        gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        self._state = torch.get_rng_state(), gpus


def split(size: int, parts: int) -> list[range]:
    """Return the places of a batch's samples in parts whose sizes differ by one at most, the larger ones first.

    >>> split(5, 3)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    least, more = divmod(size, parts)
    ends = [(n + 1) * least + min(n + 1, more) for n in range(parts)]
    return [range(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]


def mean_losses(by_part: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, Tensor]:
    """Return the mean of each loss over the samples of the parts that have it.

    Args:
        by_part: numbers of samples, and losses by name.
    """
    names = dict.fromkeys(name for _, losses in by_part for name in losses)
    having = {name: [(samples, losses[name]) for samples, losses in by_part if name in losses] for name in names}
    return {
        name: torch.tensor(sum(samples * value for samples, value in each) / sum(samples for samples, _ in each))
        for name, each in having.items()
    }
