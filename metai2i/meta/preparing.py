"""A strategy before its first step: where what it draws comes from."""

from __future__ import annotations

from metai2i.randomness import Randomness
from metai2i.strategy import MetaStrategy
from metai2i.translator import Translator


def prepare_strategy(strategy: MetaStrategy, gp: Translator, seed: int) -> None:
    """Let a strategy make its meta-parameters, which a recipe's seed decides where torch's generators draw them."""
    with Randomness((seed, "prepare")).scope():
        strategy.prepare(gp)
