"""The contracts of a `Translator` about what matters only when it makes images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from metai2i.registry.options import check_options, describe_options, options_schema, plain_options
from metai2i.testing.bench import Bench, address, step_at
from metai2i.testing.contract import Contract, promise, require
from metai2i.testing.probes import in_way, painted, same_losses, takes
from metai2i.testing.trial import READ, make, plain_step
from metai2i.training.checkpoint import digest
from metai2i.training.ways import drawing_ways, ways_of

CONTRACTS: list[Contract] = []


@promise(CONTRACTS, READ)
def its_paint_options_change_no_training(bench: Bench) -> None:
    """`paint_options` names options of its constructor; with other values of them it is initialised alike, and training
    steps in every phase give the same losses and the same weights, bit for bit."""
    names: frozenset[str] = bench.component.paint_options  # type: ignore[attr-defined]
    known = [option.name for option in describe_options(bench.component)]
    strange = sorted(names - set(known))
    require(not strange, f"names of options in paint_options ({', '.join(known)})", ", ".join(map(repr, strange)))
    tried = [(name, other) for name in sorted(names) if (other := with_another(bench, name)) is not None]
    for name, other in tried:
        first, second = make(bench), make(other)
        require(digest(first) == digest(second), f"the same weights with another {name}", "others when it is made")
        for phase in first.phases:
            batch, step = bench.needed(2, phase), step_at(phase=phase)
            losses, again = (plain_step(each, batch, step) for each in (first, second))
            same = same_losses(losses, again) and digest(first) == digest(second)
            require(same, f"the same training in {phase!r} with another {name}", "other losses or weights")


@promise(CONTRACTS, READ)
def it_draws_images_where_it_says_so(bench: Bench) -> None:
    """In the ways that `samples` names (all for True) another address gives other images, and in the others the same
    ones; the same address gives the same images in any way. Its weights are moved a little before."""
    translator, batch = make(bench), bench.needed(2)
    said = translator.samples
    strange = [] if isinstance(said, bool) else sorted(set(said) - set(translator.ways))
    require(not strange, f"names of its ways ({', '.join(translator.ways)}) in samples", ", ".join(map(repr, strange)))
    with torch.no_grad():  # layers that begin at 0 would hide what is drawn
        for n, parameter in enumerate(translator.parameters()):
            noise = torch.randn(parameter.shape, generator=address("moved", n).generator())
            parameter.add_(0.05 * noise.to(parameter))
    for way in ways_of(translator):
        first, again, other = (painted(translator, batch, step_at(seed=seed), way) for seed in (0, 0, 1))
        require(torch.equal(first, again), f"the same images at one address{in_way(way)}", "others")
        if way in drawing_ways(translator):
            wish = f"other images at another address{in_way(way)}, as `samples` says"
            require(not torch.equal(first, other), wish, "the same ones")
        else:
            wish = f"the same images at every address{in_way(way)}, as `samples` does not say that it draws"
            require(torch.equal(first, other), wish, "others: say `samples = True`, or name the ways that draw")


def with_another(bench: Bench, name: str) -> Bench | None:
    """Return the bench with another value of an option; None where none is known that the component takes."""
    plain = plain_options(bench.options)
    for value in other_values(bench, name, plain.get(name)):
        if value == plain.get(name) or not takes(bench.component, name, value):
            continue
        other = replace(bench, options=check_options(bench.component, {**plain, name: value}))
        try:
            make(other)
        except Exception:  # a range that the constructor looks at itself
            continue
        return other
    return None


def other_values(bench: Bench, name: str, now: Any) -> Iterator[Any]:
    """Yield values that an option may have besides the one that it has."""
    schema = options_schema(bench.component)["properties"].get(name, {})
    for each in (schema, *schema.get("anyOf", ())):
        yield from each.get("enum", ())
        yield from [each["const"]] if "const" in each else ()
    if isinstance(now, bool):
        yield not now
    elif isinstance(now, int | float):
        yield from (now + 1, now * 2, now - 1, now / 2, 1, 0, 0.5)
    else:
        yield from (1, 0.5, True, "other", None)
