"""The contracts of a `Translator` about strategies: it adapts and learns under each that is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from metai2i.losses.backbone_weights import MissingWeights
from metai2i.meta.outer_step import meta_step, outer_optimizer
from metai2i.strategy import MetaStrategy
from metai2i.testing.bench import Bench, step_at
from metai2i.testing.contract import Contract, ContractError, NotApplicable, promise, require
from metai2i.testing.probes import (
    in_way,
    lacks_options,
    painted,
    takes,
    untouched,
)
from metai2i.testing.trial import INTERFACES, READ, make
from metai2i.training.ways import ways_of

CONTRACTS: list[Contract] = []


def variants(strategy: type) -> list[dict[str, Any]]:
    """Return options for a strategy to be tried with: few steps, and each order of gradients that it has."""
    base: dict[str, Any] = {"steps": 2} if takes(strategy, "steps", 2) else {}
    return [{**base, "order": order} for order in ("first", "second") if takes(strategy, "order", order)] or [base]


def fits(strategy: type[MetaStrategy], bench: Bench) -> bool:
    """Return whether a strategy can be made with its defaults, and the scenes have the fields that it reads."""
    return not lacks_options(strategy) and strategy.needs <= bench.scenes.provides


def every_strategy(bench: Bench) -> Iterator[tuple[str, MetaStrategy]]:
    """Yield each installed strategy in each of its orders, with what it is called."""
    usable = {name: strategy for name, strategy in bench.strategies.items() if fits(strategy, bench)}
    if not usable:
        raise NotApplicable("no strategy is installed that fits these scenes and that its defaults suffice for")
    for name, strategy in sorted(usable.items()):
        for options in variants(strategy):
            ready = strategy(inner=bench.adaptation(), **options)
            called = f"{name} ({options['order']} order)" if "order" in options else name
            yield called, ready


@promise(CONTRACTS, READ)
def it_adapts_under_every_strategy(bench: Bench) -> None:
    """Under each installed strategy whose fields the scenes have, a copy is adapted to an unseen scene by two steps and
    paints its queries; the general model stays as it was."""
    episode = bench.episode()
    for called, strategy in every_strategy(bench):
        gp = make(bench)
        step = step_at(phase=gp.phases[-1], total=1)
        with told_under(called):
            strategy.prepare(gp)
            with untouched(gp, "adapting"):
                adapted = strategy.adapt(gp, episode.support, step)
            wanted = (episode.query.size, 3, *bench.spec.size)
            for way in ways_of(adapted):
                shape = tuple(painted(adapted, episode.query, step, way).shape)
                require(shape == wanted, f"images of the shape {wanted}{in_way(way)}", str(shape))


@promise(CONTRACTS, READ)
def it_learns_under_every_strategy(bench: Bench) -> None:
    """Under each strategy with a meta-gradient, in first order and in second where there is one, a step of the outer
    loop leaves finite parameters."""
    episodes = [bench.episode(0), bench.episode(1)]
    tried = 0
    for called, strategy in every_strategy(bench):
        if not strategy.meta:
            continue
        tried, gp = tried + 1, make(bench)
        with told_under(called):
            strategy.prepare(gp)
            optimizer = outer_optimizer(gp, strategy, 1e-3)
            meta_step(gp, strategy, optimizer, episodes, step_at(phase=gp.phases[-1]))
            finite = all(bool(torch.isfinite(parameter).all()) for parameter in gp.parameters())
            require(finite, "finite parameters", "NaN or infinite values")
    if not tried:
        raise NotApplicable("no strategy with a meta-gradient is installed")


@contextmanager
def told_under(called: str) -> Iterator[None]:
    """Say under which strategy something failed; weights that are not here are no failure."""
    try:
        yield
    except MissingWeights:
        raise
    except ContractError as error:
        raise ContractError(f"{error.expected} under {called}", error.got, error.read or INTERFACES) from error
    except Exception as error:
        got = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        raise ContractError(f"no error under {called}", got, INTERFACES) from error
