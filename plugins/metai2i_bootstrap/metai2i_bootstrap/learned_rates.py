"""`LearnedRates`: a learning rate of its own for each layer, which changes over the steps of the inner loop.

Rates for each layer and step are MAML++'s (Antoniou, Edwards, Storkey, 2019). They are learned by their first-order
hypergradient (Baydin et al., "Online Learning Rate Adaptation with Hypergradient Descent", 2018): what an inner step
has moved is proportional to its rate, so the query loss's gradient times that movement is its derivative by the rate's
logarithm. That needs no graph, and no steps but the sum and the mean of where they have led.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metai2i import Adaptation, Batch, Step, Translator
from metai2i.meta import detach, frozen_players, inner_optimizer, instance_of, support_batches
from metai2i.training import add_gradients, descend, drive, gradients, parameters_of, query_losses


class Adapted(NamedTuple):
    """A copy that was adapted at learned rates, and for learning them the way that it went.

    Args:
        copy: the model.
        origin: each player's parameters before the first step.
        passed: the mean of each player's parameters after all steps but the last; after it where it is the only one.
    """

    copy: Translator
    origin: Mapping[str, list[Tensor]]
    passed: Mapping[str, list[Tensor]]


class LearnedRates:
    """Learns, for each layer of every player and there for weights and biases apart, the inner rate of the first and of
    the last step.

    At a share t of an inner loop's steps, 0 for the first and 1 for the last, layer n has `exp(start[n] + t slope[n])`
    times the rate that it would have had. A loop of more or fewer steps than in meta-training goes through the same
    change. Both begin with 0.

    Args:
        gp: the general model.
        inner: whose `freeze` leaves players out.
    """

    def __init__(self, gp: Translator, inner: Adaptation) -> None:
        still, device = frozen_players(gp, inner), next(gp.parameters()).device
        layers = {player: len(list(owned)) for player, owned in gp.players().items() if player not in still}
        self.start = {player: nn.Parameter(torch.zeros(n, device=device)) for player, n in layers.items()}
        self.slope = {player: nn.Parameter(torch.zeros(n, device=device)) for player, n in layers.items()}

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return what is learned, by name."""
        starts = {f"{player}.start": start for player, start in self.start.items()}
        return starts | {f"{player}.slope": slope for player, slope in self.slope.items()}

    def means(self) -> dict[str, Tensor]:
        """Return the mean factor over each player's layers, of the first and the last step, for the log."""
        first = {f"first_rate/{player}": self._factors(player, 0).mean() for player in self.start}
        return first | {f"last_rate/{player}": self._factors(player, 1).mean() for player in self.start}

    def adapted(
        self, gp: Translator, support: Batch, inner: Adaptation, step: Step, *, learning: bool = False
    ) -> Adapted:
        """Return a copy after `inner.iterations` steps on the support at the rates; `gp` is untouched.

        Args:
            gp: the general model.
            support: what it is adapted to.
            inner: steps, and the rates that the factors are of.
            step: the address of what is drawn.
            learning: keep what `learn` needs of the way, two further copies of the parameters.
        """
        copy = detach(instance_of(gp))
        noted = list(self.start) if learning else []
        origin = {player: [p.detach().clone() for p in parameters_of(copy, [player])] for player in noted}
        passed = {player: [torch.zeros_like(p) for p in parameters] for player, parameters in origin.items()}
        if not self.start:
            return Adapted(copy, origin, passed)
        optimizer = inner_optimizer(copy, inner, frozen_players(copy, inner), apart=True)
        rates = [group["lr"] for group in optimizer.param_groups]
        descending, last = descend(copy, optimizer), inner.iterations - 1

        def update(players: Sequence[str], loss: Tensor) -> None:
            moving = [player for player in players if player in self.start]
            if moving:
                descending(moving, loss)

        for i, batch in enumerate(support_batches(support, inner, step.rng)):
            factors = torch.cat([self._factors(player, i / last if last else 0) for player in self.start]).tolist()
            for group, rate, factor in zip(optimizer.param_groups, rates, factors, strict=True):
                group["lr"] = rate * factor
            drive(copy, batch, step.at(i, inner=True), update)
            if i < last:
                for player, mean in passed.items():
                    torch._foreach_add_(mean, [p.detach() / last for p in parameters_of(copy, [player])])
        if last < 1:
            passed = {player: [p.detach().clone() for p in parameters_of(copy, [player])] for player in noted}
        return Adapted(copy, origin, passed)

    def learn(self, adapted: Adapted, query: Batch, step: Step) -> dict[str, Tensor]:
        """Add to each rate's gradient the sign of its hypergradient: an episode has one vote, however large its losses.

        Each player's rates follow that player's own losses, of all its moves together.

        Returns:
            The query losses, as `query_losses` does.
        """
        copy, origin, passed = adapted
        sums: dict[str, tuple[Tensor, Tensor]] = {}

        def take(players: Sequence[str], loss: Tensor) -> None:
            for player in [player for player in players if player in self.start]:
                now = parameters_of(copy, [player])
                grads = gradients(loss, now, retain=True)
                start, slope = sums.get(player, (0, 0))
                # sum_i t_i (p_(i+1) - p_i) with t_i = i / (K - 1) is p_K minus the mean of p_1 to p_(K-1).
                sums[player] = (
                    start + hypergradients(grads, now, origin[player]),
                    slope + hypergradients(grads, now, passed[player]),
                )

        losses = query_losses(copy, query, step, take)
        for player, (start, slope) in sums.items():
            add_gradients([self.start[player], self.slope[player]], [start.sign(), slope.sign()])
        return losses

    def _factors(self, player: str, share: float) -> Tensor:
        return (self.start[player] + share * self.slope[player]).detach().exp()


def hypergradients(grads: Sequence[Tensor], now: Sequence[Tensor], before: Sequence[Tensor]) -> Tensor:
    """Return for each layer its gradient times its movement: by how much the loss grows with the rate's logarithm."""
    return torch.stack([(grad * (p.detach() - q)).sum() for grad, p, q in zip(grads, now, before, strict=True)])
