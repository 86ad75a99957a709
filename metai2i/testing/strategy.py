"""The contracts of a `MetaStrategy`."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metai2i.adaptation import Adaptation
from metai2i.batch import Batch
from metai2i.data.retrieved import RetrievedRows
from metai2i.meta.outer_step import as_module, meta_step, outer_optimizer
from metai2i.scene_state import differing, same_kind
from metai2i.stages.auxiliary import beside
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Episode
from metai2i.testing.bench import QUERIES, SHOTS, Bench, address, step_at
from metai2i.testing.contract import Contract, NotApplicable, promise, require
from metai2i.testing.fields import lone_scenes, no_other_fields
from metai2i.testing.probes import (
    check_images,
    disturb,
    global_generators_alone,
    painted,
    shared_storage,
    takes,
    untouched,
)
from metai2i.testing.toy_translators import Awkward, Colours, Redraws, Spied
from metai2i.training.checkpoint import digest, load, save
from metai2i.translator import Step, Translator

CONTRACTS: list[Contract] = []
READ = "docs/write-a-translator.md#strategies"
INNER_LR = 0.5
"""Large enough for the closed forms of first and second order to differ by far."""
INNER_STEPS = 2
_LAST = 3
"""The last outer step, at which nothing is annealed any more."""
EXACT = 1e-5
"""How far a closed form may be off, as a share of the largest gradient: step sizes may be in single precision."""


def make(bench: Bench, **adaptation: Any) -> MetaStrategy:
    """Return the strategy on trial."""
    strategy: MetaStrategy = bench.make(inner=bench.adaptation(**adaptation))
    return strategy


def model(bench: Bench) -> Translator:
    """Return a general model."""
    with address("model").scope():
        return Awkward(spec=bench.spec)


def prepared(bench: Bench, seed: int = 0, **adaptation: Any) -> tuple[MetaStrategy, Translator]:
    """Return the strategy and the general model that it has been prepared for; another seed prepares it differently."""
    strategy, gp = make(bench, **adaptation), model(bench)
    with address("prepare", seed).scope():
        strategy.prepare(gp)
    return strategy, gp


def learner(bench: Bench, **adaptation: Any) -> tuple[MetaStrategy, Translator]:
    """Return the same, for contracts that are about meta-gradients.

    Raises:
        NotApplicable: when the strategy has none.
    """
    strategy, gp = prepared(bench, **adaptation)
    if not strategy.meta:
        raise NotApplicable("it has no meta-gradient (meta = False)")
    return strategy, gp


def gradients_of(bench: Bench, episode: Episode, step: Step | None = None, **adaptation: Any) -> dict[str, Tensor]:
    """Return the meta-gradient that it leaves, by parameter; those without one are left out."""
    strategy, gp = learner(bench, **adaptation)
    strategy.meta_gradient(gp, episode, step or step_at())
    named = {**dict(gp.named_parameters()), **{f"its own {k}": p for k, p in strategy.meta_parameters().items()}}
    return {name: p.grad.clone() for name, p in named.items() if p.grad is not None}


@promise(CONTRACTS, READ, gate=True)
def it_is_made_with_an_inner_loop(bench: Bench) -> None:
    """It is constructed with the recipe's `adapt:` section as `inner`, prepared for a model, and says whether it has a
    meta-gradient."""
    strategy, _ = prepared(bench)
    require(isinstance(strategy.meta, bool), "meta as True or False", repr(strategy.meta))


@promise(CONTRACTS, READ)
def adapting_leaves_the_general_model_alone(bench: Bench) -> None:
    """`adapt` leaves parameters, buffers and `.grad` of the general model as they were, and its own meta-parameters."""
    strategy, gp = prepared(bench)
    with untouched(gp, "adapt"), untouched(as_module(strategy.meta_parameters()), "adapt"):
        strategy.adapt(gp, bench.episode().support, step_at())
    left = [name for name, parameter in gp.named_parameters() if parameter.grad is not None]
    require(not left, "no .grad in the general model after adapt", f"one of {', '.join(left[:3])}")


@promise(CONTRACTS, READ)
def the_adapted_model_stands_on_its_own(bench: Bench) -> None:
    """What `adapt` gives has no tensor in common with the general model but those that nobody trains, and no graph back
    to it."""
    strategy, gp = prepared(bench)
    adapted = strategy.adapt(gp, bench.episode().support, step_at())
    require(isinstance(adapted, Translator), "a Translator from adapt", type(adapted).__name__)
    require(adapted is not gp, "a copy from adapt", "the general model itself")
    shared = shared_storage(adapted, gp)
    require(shared is None, "a copy with tensors of its own", f"{shared} in common")
    hanging = [name for name, parameter in adapted.named_parameters() if not parameter.is_leaf]
    hint = f"a graph behind {', '.join(hanging[:3])} (metai2i.meta.inner_loop.settle cuts it)"
    require(not hanging, "a free-standing copy from adapt", hint)


@promise(CONTRACTS, READ)
def what_it_keeps_of_a_scene_restores_its_model(bench: Bench) -> None:
    """`restored` makes the adapted model again, bit for bit, from the general model and what `kept` gave; the general
    model stays as it was."""
    strategy, gp = prepared(bench)
    adapted = strategy.adapt(gp, bench.episode().support, step_at())
    if not same_kind(gp, adapted):
        raise NotApplicable("what it adapts is no copy of the general model")
    stored = {name: tensor.detach().clone() for name, tensor in strategy.kept(gp, adapted).items()}
    with untouched(gp, "restored"):
        again = type(strategy).restored(gp, stored)
    off = differing(adapted, again)
    require(not off, "the adapted model from what was kept of it", f"another {', '.join(list(off)[:3])}")


@promise(CONTRACTS, READ)
def the_adapted_model_paints_any_number_of_maps(bench: Bench) -> None:
    """What `adapt` gives paints batches of another size than the support."""
    strategy, gp = prepared(bench)
    adapted = strategy.adapt(gp, bench.episode().support, step_at())
    for count in (1, SHOTS + 1):
        batch = bench.needed(count, "any")
        check_images(painted(adapted, batch, step_at()), count, bench.spec.size, "images of the adapted model")


@promise(CONTRACTS, READ)
def it_reads_no_field_that_it_does_not_need(bench: Bench) -> None:
    """On scenes that have the fields of its `needs` and of the model alone, it adapts, and learns if it has a
    meta-gradient."""
    strategy, gp = make(bench), Redraws(spec=bench.spec)
    scenes = lone_scenes(bench, Redraws.needs | strategy.needs)
    with address("prepare").scope(), no_other_fields(strategy.needs):
        strategy.prepare(gp)
        episode = scenes.tasks("train")[0].episode(SHOTS, QUERIES, address("lone"))
        strategy.adapt(gp, episode.support, step_at())
        if strategy.meta:
            strategy.meta_gradient(gp, episode, step_at())


@promise(CONTRACTS, READ)
def adapting_depends_on_its_arguments_alone(bench: Bench) -> None:
    """From one model, support and step come the same adapted images, whatever was adapted in between and wherever the
    global generators stand; none of these is drawn from."""
    strategy, gp = prepared(bench)
    support, other, queries = bench.episode(0).support, bench.episode(1).support, bench.needed(3, "queries")
    images = []
    for seed in (0, 1):
        disturb(seed)
        with global_generators_alone("adapt"):
            images.append(painted(strategy.adapt(gp, support, step_at()), queries, step_at()))
        strategy.adapt(gp, other, step_at(seed=seed + 1))
    same = torch.equal(*images)
    require(same, "the same adapted model from the same model, support and step", "another the second time")


@promise(CONTRACTS, READ)
def no_inner_steps_leave_the_model_as_it_is(bench: Bench) -> None:
    """With `adapt.iterations` 0, a copy of the general model is adapted by nothing."""
    strategy, gp = prepared(bench, iterations=0)
    adapted = strategy.adapt(gp, bench.episode().support, step_at())
    if type(adapted) is not type(gp):
        raise NotApplicable("what it adapts is no copy of the general model")
    require(digest(adapted) == digest(gp), "the general model's parameters after 0 steps", "others")


@promise(CONTRACTS, READ)
def a_frozen_player_is_not_adapted(bench: Bench) -> None:
    """With `adapt.freeze: [discriminator]` the copy's discriminator is the general model's."""
    strategy, gp = prepared(bench, freeze=("discriminator",), lr=1e-2)
    adapted = strategy.adapt(gp, bench.episode().support, step_at())
    if type(adapted) is not type(gp):
        raise NotApplicable("what it adapts is no copy of the general model")
    pairs = zip(adapted.players()["discriminator"], gp.players()["discriminator"], strict=True)
    require(all(torch.equal(a, b) for a, b in pairs), "a frozen player as it was", "an adapted one")


@promise(CONTRACTS, READ)
def its_cost_is_a_number_of_samples(bench: Bench) -> None:
    """`cost` is a whole number: 0 or more, and more than 0 with a meta-gradient."""
    strategy = make(bench)
    for shots, queries in ((1, 1), (2, 3), (5, 5)):
        cost = strategy.cost(shots, queries)
        whole = isinstance(cost, int) and not isinstance(cost, bool)
        require(whole, "cost() as a whole number", repr(cost))
        require(cost >= int(strategy.meta), f"cost() of {int(strategy.meta)} or more", str(cost))


@promise(CONTRACTS, READ)
def its_cost_tells_whose_steps_it_trains_with(bench: Bench) -> None:
    """With other `adapt.iterations`, which count the steps at test, its meta-gradient stays the same unless its cost
    changes, too: a meta-training whose cost stays is found again, not repeated. `inner.for_training(steps)` has steps
    of its own."""
    episode, gradient, costs = bench.episode(), [], []
    for iterations in (INNER_STEPS, INNER_STEPS + 1):
        disturb(0)
        gradient.append(gradients_of(bench, episode, iterations=iterations))
        costs.append(make(bench, iterations=iterations).cost(2, 3))
    same = all(torch.equal(gradient[0][name], gradient[1][name]) for name in gradient[0])
    expected = "a cost that counts `inner.iterations`, or meta-training by `inner.for_training(steps)`"
    require(same or costs[0] != costs[1], expected, f"{costs[0]} samples whatever they are, and another meta-gradient")


@promise(CONTRACTS, READ)
def the_meta_gradient_leaves_the_general_model_alone(bench: Bench) -> None:
    """`meta_gradient` changes no parameter and no buffer: it leaves `.grad` for the driver, and nothing else."""
    strategy, gp = learner(bench)
    with untouched(gp, "meta_gradient"), untouched(as_module(strategy.meta_parameters()), "meta_gradient"):
        strategy.meta_gradient(gp, bench.episode(), step_at())


@promise(CONTRACTS, READ)
def each_step_says_what_it_is_for(bench: Bench) -> None:
    """Training steps of `adapt` have the role "adapt"; those of `meta_gradient` have "adapt" or "query", as
    `metai2i.training.driving.query_losses` sets it: a translator may do other things in plain training."""
    strategy, gp = make(bench), Spied.of(model(bench))
    strategy.prepare(gp)
    episode = bench.episode()
    works: dict[str, Callable[[], object]] = {"adapt": lambda: strategy.adapt(gp, episode.support, step_at())}
    if strategy.meta:
        works["meta_gradient"] = lambda: strategy.meta_gradient(gp, episode, step_at())
    for method, work in works.items():
        allowed = {"adapt"} if method == "adapt" else {"adapt", "query"}
        Spied.roles.clear()
        work()
        wrong = sorted(set(Spied.roles) - allowed)
        wanted = " or ".join(map(repr, sorted(allowed)))
        require(not wrong, f"steps of {method} in the role {wanted}", f"some in the role {', '.join(map(repr, wrong))}")


@promise(CONTRACTS, READ)
def every_parameter_gets_a_meta_gradient(bench: Bench) -> None:
    """Each parameter of each player, and each of its own, has a finite `.grad`; what it reports are finite scalars by
    name."""
    strategy, gp = learner(bench)
    losses: Any = strategy.meta_gradient(gp, bench.episode(), step_at())
    named = {**dict(gp.named_parameters()), **dict(strategy.meta_parameters())}
    without = [name for name, parameter in named.items() if parameter.grad is None]
    require(not without, "a .grad of every parameter", f"none for {', '.join(without[:3])}")
    still = all(not bool(p.grad.any()) for p in named.values() if p.grad is not None)
    hint = "0 everywhere: differentiate the loss of a copy by the copy's parameters"
    require(not still, "meta-gradients other than 0", hint)
    wild = [name for name, p in named.items() if p.grad is not None and not bool(torch.isfinite(p.grad).all())]
    require(not wild, "finite meta-gradients", f"NaN or infinite values for {', '.join(wild[:3])}")
    require(isinstance(losses, Mapping), "losses by name from meta_gradient", type(losses).__name__)
    for name, value in losses.items():
        scalar = isinstance(value, Tensor) and value.numel() == 1 and bool(torch.isfinite(value).all())
        require(scalar, f"{name!r} as a finite scalar tensor", repr(value))


@promise(CONTRACTS, READ)
def the_meta_gradient_depends_on_its_arguments_alone(bench: Bench) -> None:
    """The same model, episode and step give the same meta-gradient, wherever the global generators stand."""
    learner(bench)
    episode, grads = bench.episode(), []
    for seed in (0, 1):
        disturb(seed)
        with global_generators_alone("meta_gradient"):
            grads.append(gradients_of(bench, episode))
    first, again = grads
    same = list(first) == list(again) and all(torch.equal(first[name], again[name]) for name in first)
    require(same, "the same meta-gradient from the same model, episode and step", "another the second time")


@promise(CONTRACTS, READ)
def an_outer_step_moves_the_general_model(bench: Bench) -> None:
    """With the optimiser that `outer` makes, a step of the outer loop changes parameters and leaves them finite."""
    strategy, gp = learner(bench)
    before = digest(gp)
    optimizer = outer_optimizer(gp, strategy, 1e-2)
    is_one = isinstance(optimizer, torch.optim.Optimizer)
    require(is_one, "a torch.optim.Optimizer from outer", type(optimizer).__name__)
    meta_step(gp, strategy, optimizer, [bench.episode(0)], step_at())
    require(digest(gp) != before, "other parameters after an outer step", "the same")
    finite = all(bool(torch.isfinite(parameter).all()) for parameter in gp.parameters())
    require(finite, "finite parameters after an outer step", "NaN or infinite values")


@promise(CONTRACTS, READ)
def a_copy_of_it_learns_on_its_own(bench: Bench) -> None:
    """The auxiliary training works on `copy.deepcopy((gp, strategy))`: an outer step on these changes neither the
    general model nor the meta-parameters that they were copied from."""
    strategy, gp = learner(bench)
    copied, other = copy.deepcopy((gp, strategy))
    with untouched(gp, "a copy's outer step"), untouched(as_module(strategy.meta_parameters()), "a copy's outer step"):
        meta_step(copied, other, outer_optimizer(copied, other, 1e-2), [bench.episode(0)], step_at())


@promise(CONTRACTS, READ)
def retrieved_scenes_are_taken_for_one_scene_only(bench: Bench) -> None:
    """Where it has a use of its own for retrieved scenes, `with_retrieved` gives another strategy, and it adapts
    afterwards as it did before."""
    strategy, gp = prepared(bench)
    support, queries = bench.episode().support, bench.needed(2, "queries")
    before = painted(strategy.adapt(gp, support, step_at()), queries, step_at())
    taken: Any = strategy.with_retrieved(bench.scenes.tasks("train")[1:3], step_at())
    if taken is None:
        raise NotApplicable("it leaves retrieved scenes to the host")
    other = isinstance(taken, MetaStrategy) and taken is not strategy
    require(other, "another strategy from with_retrieved", "itself" if taken is strategy else type(taken).__name__)
    taken.adapt(gp, support, step_at())
    after = painted(strategy.adapt(gp, support, step_at()), queries, step_at())
    require(torch.equal(before, after), "the same adapted model after with_retrieved", "another")


@promise(CONTRACTS, READ)
def it_adapts_by_the_inner_loop_that_the_host_changes(bench: Bench) -> None:
    """Where it takes inner steps, pairs of retrieved scenes that the host adds to its `inner` (`aux.into: batches`)
    make another adapted model, for one scene only."""
    support, queries = bench.episode().support, bench.needed(2, "queries")

    def adapted(strategy: MetaStrategy, gp: Translator) -> Tensor:
        return painted(strategy.adapt(gp, support, step_at()), queries, step_at())

    strategy, gp = prepared(bench, lr=1e-2)
    before = adapted(strategy, gp)
    if torch.equal(before, adapted(*prepared(bench, lr=1e-2, iterations=0))):
        raise NotApplicable("it takes no inner steps")
    keeps = isinstance(getattr(strategy, "inner", None), Adaptation)
    if not keeps and type(strategy).with_retrieved is not MetaStrategy.with_retrieved:
        raise NotApplicable("it has a use of its own for retrieved scenes")
    require(keeps, "the inner loop that its constructor is given as `self.inner`", "none there")
    rows = RetrievedRows.of(bench.scenes.tasks("train")[1:3], SHOTS)
    require(
        not torch.equal(before, adapted(beside(strategy, rows), gp)),
        "another adapted model with pairs of retrieved scenes in `self.inner`",
        "the same: `adapt` must take its steps by `self.inner`",
    )
    after = adapted(strategy, gp)
    require(torch.equal(before, after), "the same adapted model for the next scene", "another")


@promise(CONTRACTS, READ)
def its_meta_parameters_survive_saving(bench: Bench) -> None:
    """Meta-parameters that have moved, written as safetensors and read into a strategy that was prepared by another
    seed, are all that it adapts with."""
    strategy, gp = prepared(bench)
    if not strategy.meta_parameters():
        raise NotApplicable("it has no meta-parameters")
    with torch.no_grad():
        for parameter in strategy.meta_parameters().values():
            parameter.mul_(1.5).add_(0.01)
    moved = as_module(strategy.meta_parameters())
    fresh, _ = prepared(bench, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "strategy.safetensors"
        save(file, moved.state_dict(), {})
        as_module(fresh.meta_parameters()).load_state_dict(load(file)[0])
    same = digest(as_module(fresh.meta_parameters())) == digest(moved)
    require(same, "the meta-parameters that were saved", "others (are they made anew at each call?)")
    support, queries = bench.episode().support, bench.needed(2, "queries")
    images = (painted(each.adapt(gp, support, step_at()), queries, step_at()) for each in (strategy, fresh))
    require(torch.equal(*images), "the same adapted model with the meta-parameters that were saved", "another")


@promise(CONTRACTS, READ)
def its_orders_are_exact_on_a_linear_problem(bench: Bench) -> None:
    """Of strategies with an option `order`: with SGD inside, on a translator that is linear in its parameters with a
    squared error, the meta-gradient is the closed form, in first order at the adapted parameters, in second through
    the inner steps."""
    orders = [order for order in ("first", "second") if takes(bench.component, "order", order)]
    if not orders:
        raise NotApplicable("it has no option `order`")
    episode = doubled(bench.episode())
    for order in orders:
        chosen = {"steps": INNER_STEPS} if takes(bench.component, "steps", INNER_STEPS) else {}
        inner = bench.adaptation(optimizer="sgd", lr=INNER_LR, iterations=INNER_STEPS)
        options = {**bench.options, **chosen, "order": order}
        if "lr" in options:
            options["lr"] = INNER_LR
        strategy, gp = bench.component(inner=inner, **options), Colours(spec=bench.spec)
        strategy.prepare(gp)
        strategy.meta_gradient(gp, episode, step_at(_LAST, total=_LAST + 1))
        wanted = closed_form(gp.colours.detach(), episode, second=order == "second")
        got = torch.zeros_like(wanted) if gp.colours.grad is None else gp.colours.grad
        off = float((got - wanted).abs().max() / wanted.abs().max())
        require(off < EXACT, f"the closed form of the meta-gradient in {order} order", f"one that is {off:.2g} off it")


def doubled(episode: Episode) -> Episode:
    """Return the episode in double precision."""
    support, query = (batch.map(lambda t: t.double() if t.is_floating_point() else t) for batch in
                      (episode.support, episode.query))  # fmt: skip
    return Episode(episode.task, support, query)


def closed_form(colours: Tensor, episode: Episode, *, second: bool) -> Tensor:
    """Return the meta-gradient of `Colours` after steps of SGD on the whole support: (3, C).

    The error is quadratic with a diagonal Hessian h, so that k steps of size a leave w = y + (1 - a h)^k (w0 - y),
    where y are the mean colours of the support, and dw/dw0 = (1 - a h)^k.
    """
    (curve, mean), (query_curve, query_mean) = (quadratic(batch) for batch in (episode.support, episode.query))
    shrunk = (1 - INNER_LR * curve) ** INNER_STEPS
    adapted = mean + shrunk * (colours - mean)
    first = query_curve * (adapted - query_mean)
    return first * shrunk if second else first


def quadratic(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the mean squared error as a parabola for each colour: its curvature (1, C) and its minimum (3, C)."""
    maps, photos = batch["structure"], batch["target"]
    pixels = maps.sum((0, 2, 3))
    means = torch.einsum("bchw,brhw->rc", maps, photos) / pixels.clamp(min=1)
    return (2 * pixels / photos.numel())[None], means
