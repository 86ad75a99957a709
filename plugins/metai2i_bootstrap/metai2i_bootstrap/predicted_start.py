"""`PredictedStart`: a start for each scene, predicted from the photographs of its support.

To predict where adapting begins is HyperDreamBooth's idea (Ruiz et al., "HyperDreamBooth: HyperNetworks for Fast
Personalization of Text-to-Image Models", 2024). What is predicted here is how far to go along a few learned directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, normalize

from metai2i import Adaptation, Batch, Translator, UserError
from metai2i.meta import detach, frozen_players, instance_of
from metai2i.training import add_gradients, parameters_of

PHOTOGRAPHS = ("target", "reference")
"""Fields that hold a scene's photographs; the first that is there is looked at."""
GRID = 4
"""A photograph is seen as the mean colours of so many by so many fields."""
HIDDEN = 32


class PredictedStart:
    """Adds learned directions to the general model, each by as much as a code of the support says.

    `start = theta + sum_k code[k] direction[k]`, where the code is a unit vector that a small network makes of the
    photographs' mean colours. All three descend on half the squared distance of the start to where the scene's copy
    went. Of that the gradient by `direction[k]` is the one by theta times `code[k]`, and the one by `code[k]` is
    the inner product of the one by theta with `direction[k]`; to the network an episode has one vote, however far it
    went. Directions begin with 0, so all scenes begin at theta.

    Args:
        gp: the general model.
        inner: whose `freeze` leaves players out.
        directions: how many.
        share: how much of theta's own step a direction takes, at a code of 1.
    """

    def __init__(self, gp: Translator, inner: Adaptation, directions: int, share: float) -> None:
        still, device = frozen_players(gp, inner), next(gp.parameters()).device
        self.share = share
        self.directions = {
            player: [nn.Parameter(p.new_zeros(directions, *p.shape)) for p in parameters_of(gp, [player])]
            for player in gp.players()
            if player not in still
        }
        colours = 3 * GRID**2
        first = torch.randn(colours, HIDDEN) * (2 / colours**0.5)
        second = torch.randn(HIDDEN, directions) / HIDDEN**0.5
        self.code_network = {
            "first": nn.Parameter(first.to(device)),
            "bias": nn.Parameter(torch.zeros(HIDDEN, device=device)),
            "second": nn.Parameter(second.to(device)),
        }

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return what is learned, by name."""
        named = {f"{player}.{i}": way for player, ways in self.directions.items() for i, way in enumerate(ways)}
        return {f"code.{name}": parameter for name, parameter in self.code_network.items()} | {
            f"direction.{name}": parameter for name, parameter in named.items()
        }

    def code(self, support: Batch) -> Tensor:
        """Return the support's code (K,), the mean over its photographs, of length 1; with a graph to the network.

        Unpaired data has no targets: its photographs are the exemplars of the domain that is translated into.

        Raises:
            UserError: when the support has no photographs.
        """
        photographs = next((support[name] for name in PHOTOGRAPHS if name in support), None)
        if photographs is None:
            what = f"bootstrap predicts starts by {' or '.join(PHOTOGRAPHS)}, and this data has neither"
            raise UserError(what, hint="strategy: {directions: 0} predicts none")
        colours = adaptive_avg_pool2d(photographs, GRID).flatten(1).mean(0)
        hidden = torch.relu(colours @ self.code_network["first"] + self.code_network["bias"])
        return normalize(hidden @ self.code_network["second"], dim=0)

    def of(self, gp: Translator, code: Tensor) -> Translator:
        """Return the start that a code leads to, a model of its own; `gp` is untouched."""
        start = detach(instance_of(gp))
        with torch.no_grad():
            for player, ways in self.ways(code).items():
                torch._foreach_add_(parameters_of(start, [player]), ways)
        return start

    def ways(self, code: Tensor) -> dict[str, list[Tensor]]:
        """Return for each player the way from theta to the start that a code leads to, without a graph."""
        code = code.detach()
        return {
            player: [torch.tensordot(code, direction.detach(), dims=1) for direction in directions]
            for player, directions in self.directions.items()
        }

    def learn(self, code: Tensor, steps: Mapping[str, Sequence[Tensor]]) -> None:
        """Add to the gradients of directions and network.

        Args:
            code: the scene's, with its graph.
            steps: each player's gradients by theta, of this scene.
        """
        shares, products = self.share * code.detach(), torch.zeros_like(code)
        for player, directions in self.directions.items():
            for direction, step in zip(directions, steps[player], strict=True):
                add_gradients([direction], [torch.tensordot(shares.unsqueeze(1), step.unsqueeze(0), dims=1)])
                products += direction.detach().flatten(1) @ step.flatten()
        network = list(self.code_network.values())
        add_gradients(network, torch.autograd.grad((code * normalize(products, dim=0)).sum(), network))

    def lengths(self, code: Tensor) -> dict[str, Tensor]:
        """Return how far from theta each player's start of a code is, for the log."""
        return {
            f"start/{player}": torch.stack([way.norm() for way in ways]).norm()
            for player, ways in self.ways(code).items()
        }
