"""What a strategy draws before its first step."""

from __future__ import annotations

import torch
from toys import Toy

from metai2i import Adaptation, MetaStrategy, TaskSpec
from metai2i.meta.preparing import prepare_strategy


class Drawing(MetaStrategy):
    def __init__(self, *, inner: Adaptation) -> None:
        self.inner, self.drawn = inner, torch.zeros(())

    def prepare(self, gp):
        self.drawn = torch.rand(())

    def adapt(self, gp, support, step):
        return gp


def test_the_recipes_seed_decides_and_the_global_generator_stays():
    gp = Toy(spec=TaskSpec(structure_channels=3, size=(8, 8)))

    def drawn(seed: int) -> float:
        strategy = Drawing(inner=Adaptation())
        prepare_strategy(strategy, gp, seed)
        return float(strategy.drawn)

    before = torch.get_rng_state()
    assert drawn(0) == drawn(0) != drawn(1)
    assert torch.equal(torch.get_rng_state(), before)
