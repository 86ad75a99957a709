"""`PlayerDependencies`: on whose parameters each player's depend after an inner step, by the graphs of its losses.

A discriminator that is shown detached images never learns of the generator's weights, so the generator's
meta-gradient need not go back through the discriminator's steps. What is found may be too much and is never too little:
a move's update is taken to depend on all that its loss depends on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

Players = frozenset[str]


class PlayerDependencies:
    """Follows the parameters through one inner step.

    Args:
        parameters: at the start of the step, leaves.
        owners: the players that have each of them.
    """

    def __init__(self, parameters: Sequence[Tensor], owners: Sequence[Players]) -> None:
        # With the tensors, since an id is given anew when a tensor is gone.
        self.on = {id(p): (p, players) for p, players in zip(parameters, owners, strict=True)}

    def move(self, loss: Tensor, before: Sequence[Tensor], after: Sequence[Tensor]) -> None:
        """Note an update of some parameters by the gradient of a loss."""
        reached = self.of([*leaves_of(loss), *before])
        self.on |= {id(p): (p, reached) for p in after}

    def of(self, tensors: Iterable[Tensor]) -> Players:
        """Return the players on whose parameters at the start of the step these depend."""
        known = (self.on[id(tensor)][1] for tensor in tensors if id(tensor) in self.on)
        return frozenset().union(*known)


def leaves_of(loss: Tensor) -> Iterator[Tensor]:
    """Yield the leaves of a graph."""
    waiting, seen = [loss.grad_fn], {loss.grad_fn}
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        if hasattr(node, "variable"):
            yield node.variable
        nodes = {each for each, _ in node.next_functions} - seen
        seen |= nodes
        waiting += nodes
