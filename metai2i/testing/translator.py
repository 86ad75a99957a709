"""The contracts of a `Translator`."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Mapping, Sequence, ValuesView
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metai2i.batch import Batch
from metai2i.losses.objective import Objective
from metai2i.meta.instance import instance_of, settle
from metai2i.meta.outer_step import meta_step, outer_optimizer
from metai2i.meta.plain_state import changed, plain_state
from metai2i.strategy import MetaStrategy
from metai2i.testing.bench import Bench, address, step_at
from metai2i.testing.contract import Contract, ContractError, NotApplicable, promise, require
from metai2i.testing.probes import (
    check_pictures,
    check_range,
    global_generators_alone,
    lacks_options,
    painted,
    same_losses,
    shared_storage,
    takes,
    untouched,
)
from metai2i.testing.scenes import FIELDS, ToyScenes
from metai2i.training.checkpoint import digest, load, save
from metai2i.training.driving import Update, descend, drive, parameter_groups, parameters_of, watch
from metai2i.translator import Step, Translator

CONTRACTS: list[Contract] = []
READ = "docs/write-a-translator.md#translators"
INTERFACES = "docs/interfaces.md#harder-systems-in-the-interfaces"
LARGE = 10.0
"""How much larger the parameters are made to see whether anything holds the pictures in their range."""


def make(bench: Bench, seed: int = 0, adversarial: float = 1.0) -> Translator:
    """The translator on trial, freshly initialised."""
    objective = Objective(l1=1.0, adversarial=adversarial, perceptual=0.0)
    made: Translator = bench.make(seed, spec=bench.spec, objective=objective)
    return made


def plain_step(translator: Translator, batch: Batch, step: Step, lr: float = 1e-3) -> dict[str, Tensor]:
    """One step of plain training with fresh optimiser state."""
    groups: list[Any] = parameter_groups(translator, lr)
    return drive(translator, batch, step, descend(translator, torch.optim.Adam(groups, lr=lr)))


@promise(CONTRACTS, READ, gate=True)
def it_is_made_with_players_of_finite_parameters(bench: Bench) -> None:
    """It is constructed for the scenes; `players()` names all its players, each with parameters of its own that are
    finite, trainable and part of the module."""
    translator = make(bench)
    require(isinstance(translator.players(), Mapping), "players() to give a mapping", str(type(translator.players())))
    require(bool(translator.players()), "at least one player", "none")
    registered = {id(parameter) for parameter in translator.parameters()}
    owner: dict[int, str] = {}
    for player in translator.players():
        parameters = parameters_of(translator, [player])
        require(bool(parameters), f"parameters of the player {player!r}", "none")
        for parameter in parameters:
            trains = isinstance(parameter, nn.Parameter) and parameter.requires_grad
            require(trains, f"{player!r} to have nn.Parameters that require gradients", f"{type(parameter).__name__}")
            require(id(parameter) in registered, f"the parameters of {player!r} to be the module's own", "a stranger")
            require(bool(torch.isfinite(parameter).all()), f"finite parameters of {player!r}", "NaN or infinite values")
            other = owner.setdefault(id(parameter), player)
            require(other == player, "players without parameters in common", f"one of both {other!r} and {player!r}")


@promise(CONTRACTS, READ)
def what_it_declares_exists(bench: Bench) -> None:
    """`rates` names players, with multiples of 0 or more; `phases` are distinct names."""
    translator = make(bench)
    players, phases = list(translator.players()), list(translator.phases)
    unknown = [player for player in translator.rates if player not in players]
    require(not unknown, f"rates for players, which are {', '.join(players)}", f"a rate for {', '.join(unknown)}")
    negative = [player for player, rate in translator.rates.items() if rate < 0]
    require(not negative, "rates of 0 or more", f"one below 0 for {', '.join(negative)}")
    named = bool(phases) and all(isinstance(phase, str) for phase in phases) and len(set(phases)) == len(phases)
    require(named and not isinstance(translator.phases, str), "distinct phases by name", repr(translator.phases))


class Watched(Batch):
    """A batch that keeps in mind which of its fields are read."""

    def __init__(self, **fields: Tensor) -> None:
        super().__init__(**fields)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return super().__getitem__(name)

    def values(self) -> ValuesView[Tensor]:
        """All fields: by them the host sees where the batch is, which is no look of the translator's."""
        return self._fields.values()


@promise(CONTRACTS, READ)
def it_reads_no_field_that_it_does_not_need(bench: Bench) -> None:
    """Training and translating on batches with further fields reads those of `needs` only."""
    translator = make(bench)
    batch = bench.batch(2)
    if isinstance(bench.scenes, ToyScenes):  # they have whatever they are asked for
        batch = ToyScenes(spec=bench.spec, fields=FIELDS).tasks("train")[0].load([0, 1]).replace(**batch)
    watched = Watched(**batch.replace(reference=batch["target"]) if "reference" not in batch else batch)
    for phase in translator.phases:
        drive(translator, watched, step_at(phase=phase), watch)
    translator.eval()
    with torch.no_grad():
        translator.translate(watched)
    extra = sorted(watched.read - bench.needs)
    needs = ", ".join(sorted(bench.needs))
    require(not extra, f"that only the fields of `needs` ({needs}) are read", f"a look at {', '.join(extra)}")


@promise(CONTRACTS, READ)
def every_tensor_is_a_parameter_or_a_buffer(bench: Bench) -> None:
    """No module keeps a tensor as a plain attribute: it would not be saved, copied or moved to a GPU."""
    translator = make(bench)
    plain_step(translator, bench.needed(2), step_at(phase=translator.phases[-1]))
    for path, module in translator.named_modules():
        for name, value in vars(module).items():
            if name not in ("_parameters", "_buffers") and any(isinstance(v, Tensor) for v in flat(value)):
                where = ".".join(filter(None, (path, name)))
                raise ContractError("every tensor registered (register_buffer)", f"the plain attribute {where}")


def flat(value: Any) -> Iterator[Any]:
    """A value, or what is in a list, tuple or dict of values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from flat(each)
    else:
        yield value


@promise(CONTRACTS, READ)
def every_player_moves_and_its_loss_reaches_all_its_parameters(bench: Bench) -> None:
    """In every phase somebody moves; over all phases, each parameter of each player has a gradient from a loss of that
    player's own."""
    translator = make(bench)
    reached: set[str] = set()

    for phase in translator.phases:
        moves: list[str] = []

        def look(players: Sequence[str], loss: Tensor, moves: list[str] = moves) -> None:
            moves.extend(players)
            parameters = parameters_of(translator, players)
            named = {id(parameter): name for name, parameter in translator.named_parameters()}
            if loss.requires_grad:
                found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
                reached.update(named[id(p)] for p, g in zip(parameters, found, strict=True) if g is not None)

        drive(translator, bench.needed(2, phase), step_at(phase=phase), look)
        require(bool(moves), f"a move in the phase {phase!r}", "none")
    for player, parameters in translator.players().items():
        own = {id(parameter) for parameter in parameters}
        missed = [name for name, p in translator.named_parameters() if id(p) in own and name not in reached]
        got = f"no gradient for {', '.join(missed[:3])}"
        require(not missed, f"a loss of {player!r} that reaches all its parameters", got, INTERFACES)


@promise(CONTRACTS, READ)
def a_step_changes_no_parameter_by_itself(bench: Bench) -> None:
    """While it yields its moves, and nobody updates, no player's parameter changes and none gets a `.grad`: updates
    are for whoever drives it."""
    translator = make(bench)
    before = kept_parameters(translator)
    for phase in translator.phases:
        drive(translator, bench.needed(2, phase), step_at(phase=phase), watch)
    for player, kept in before.items():
        now = parameters_of(translator, [player])
        same = len(now) == len(kept) and all(torch.equal(a, b) for a, b in zip(kept, now, strict=True))
        require(same, f"parameters of {player!r} that only updates change", "a change by training_step")
        clean = all(parameter.grad is None for parameter in now)
        require(clean, f"no .grad of {player!r}'s left by training_step", "one (is there a backward() in it?)")


@promise(CONTRACTS, READ)
def a_move_changes_its_own_players_alone(bench: Bench) -> None:
    """From each update to the next, in plain training, no parameter of a player changes that does not move."""
    translator = make(bench)
    for phase in translator.phases:
        groups: list[Any] = parameter_groups(translator, 1e-3)
        descending = descend(translator, torch.optim.Adam(groups, lr=1e-3))
        told: list[tuple[Sequence[str], dict[str, list[Tensor]]]] = []

        def update(
            players: Sequence[str], loss: Tensor, descending: Update = descending, told: list[Any] = told
        ) -> None:
            told.append((players, kept_parameters(translator)))
            descending(players, loss)

        try:
            drive(translator, bench.needed(2, phase), step_at(phase=phase), update)
        except RuntimeError as error:
            raise NotApplicable("plain training does not run, as another contract tells") from error
        after = [kept for _, kept in told[1:]] + [kept_parameters(translator)]
        for (players, before), now in zip(told, after, strict=True):
            for player in before.keys() - set(players):
                same = all(torch.equal(a, b) for a, b in zip(before[player], now[player], strict=True))
                wish = f"no change of {player!r} by the move of {'+'.join(players)!r}"
                require(same, wish, "another parameter after it", INTERFACES)


def kept_parameters(translator: Translator) -> dict[str, list[Tensor]]:
    """Copies of all players' parameters, as they are."""
    return {player: [p.detach().clone() for p in own] for player, own in translator.players().items()}


@promise(CONTRACTS, READ)
def plain_training_runs_in_every_phase(bench: Bench) -> None:
    """Two steps of Adam in each phase, every move updating its players, leave finite parameters."""
    translator = make(bench)
    for phase in translator.phases:
        groups: list[Any] = parameter_groups(translator, 1e-3)
        update = descend(translator, torch.optim.Adam(groups, lr=1e-3))
        for index in range(2):
            drive(translator, bench.needed(2, phase, index), step_at(index, phase=phase), update)
    finite = all(bool(torch.isfinite(parameter).all()) for parameter in translator.parameters())
    require(finite, "finite parameters after two steps in each phase", "NaN or infinite values")


@promise(CONTRACTS, READ)
def pictures_are_finite_and_in_range(bench: Bench) -> None:
    """`translate` gives (B, 3, H, W), finite, in [-1, 1]; in range also when all parameters are ten times as large."""
    translator, batch = make(bench), bench.needed(3)
    check_pictures(painted(translator, batch, step_at()), 3, bench.spec.size, "pictures")
    with torch.no_grad():
        for parameter in translator.parameters():
            parameter.mul_(LARGE)
    pictures = painted(translator, batch, step_at())
    finite = pictures[torch.isfinite(pictures)]
    if finite.numel():
        check_range(finite, "pictures of any parameters")


@promise(CONTRACTS, READ)
def a_batch_of_one_is_enough(bench: Bench) -> None:
    """Training and translating take a single sample: an unseen scene may have one pair."""
    translator, batch = make(bench), bench.needed(1)
    for phase in translator.phases:
        drive(translator, batch, step_at(phase=phase), watch)
    check_pictures(painted(translator, batch, step_at()), 1, bench.spec.size, "pictures")


@promise(CONTRACTS, READ)
def the_target_is_not_looked_at_to_translate(bench: Bench) -> None:
    """The pictures are the same without a target in the batch and with any."""
    translator, batch = make(bench), bench.needed(2)
    if "target" not in batch:
        raise NotApplicable("it needs no target")
    with torch.no_grad():
        alone = painted(translator, batch, step_at())
        for target in (batch["target"], -batch["target"]):
            with step_at().rng.at("global").scope():
                beside = translator.translate(batch.replace(target=target))
            same = torch.equal(alone, beside)
            require(same, "pictures that do not depend on the target", "others when the target is in the batch")


@promise(CONTRACTS, READ)
def the_same_seed_gives_the_same_moves(bench: Bench) -> None:
    """Made twice from one seed, it has the same parameters; driven twice at one address, the same moves and losses;
    the same pictures at one address too."""
    first, again = make(bench), make(bench)
    require(digest(first) == digest(again), "the same parameters and buffers from one seed", "others")
    batch = bench.needed(2)
    for phase in first.phases:
        told, retold = (drive(translator, batch, step_at(phase=phase), watch) for translator in (first, again))
        require(same_losses(told, retold), f"the same moves and losses at one address in {phase!r}", "others")
    same = torch.equal(*(painted(translator, batch, step_at()) for translator in (first, again)))
    require(same, "the same pictures at one address", "others")


@promise(CONTRACTS, READ)
def it_calls_itself_replayable_only_if_all_steps_are_alike(bench: Bench) -> None:
    """Where it says that its steps may be replayed, the first and the last step of a phase have the same losses on one
    batch, whatever their addresses."""
    first, last = make(bench), make(bench)
    if not first.replayable:
        return
    batch = bench.needed(2)
    for phase in first.phases:
        steps = (
            step_at(0, phase=phase, total=10),
            replace(step_at(9, phase=phase, total=10).at("elsewhere"), inner=True),
        )
        told, retold = (drive(gp, batch, step, watch) for gp, step in zip((first, last), steps, strict=True))
        require(same_losses(told, retold), f"the same losses at any step of {phase!r}, as it is replayable", "others")


@promise(CONTRACTS, READ)
def nothing_is_drawn_outside_its_address(bench: Bench) -> None:
    """Constructor, training step and `translate` leave Python's and numpy's global generators alone, and never seed
    torch's."""
    batch = bench.needed(2)
    states: dict[str, list[Tensor]] = {"the constructor": [], "training_step": [], "translate": []}
    for seed in (0, 1):
        with global_generators_alone("the constructor"), address("outer", seed).scope():
            objective = Objective(l1=1.0, adversarial=1.0, perceptual=0.0)
            translator = bench.component(spec=bench.spec, objective=objective, **bench.options)
            states["the constructor"].append(torch.get_rng_state())

        def note(players: Sequence[str], loss: Tensor) -> None:
            states["training_step"].append(torch.get_rng_state())

        step = step_at(seed=seed, phase=translator.phases[-1])
        with global_generators_alone("training_step"):
            drive(translator, batch, step, note)
        with global_generators_alone("translate"), address("pictures", seed).scope(), torch.no_grad():
            translator.eval()
            translator.translate(batch)
            states["translate"].append(torch.get_rng_state())
    for where, found in states.items():
        half = len(found) // 2
        seeded = any(torch.equal(a, b) for a, b in zip(found[:half], found[half:], strict=False))
        require(not seeded, f"torch's generator as the host has seeded it in {where}", "a torch.manual_seed")


@promise(CONTRACTS, READ)
def its_state_survives_saving(bench: Bench) -> None:
    """A trained translator, written as safetensors and read into one of another seed, paints the same pictures."""
    translator, batch = make(bench), bench.needed(2)
    plain_step(translator, batch, step_at(phase=translator.phases[-1]))
    fresh = make(bench, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        save(file, translator.state_dict(), {})
        fresh.load_state_dict(load(file)[0])
    same = torch.equal(*(painted(each, batch, step_at()) for each in (translator, fresh)))
    require(same, "the same pictures after saving and loading", "others: something is kept outside state_dict()")


@promise(CONTRACTS, READ)
def a_copy_shares_nothing_with_its_model(bench: Bench) -> None:
    """An instance-specific copy has parameters and buffers of its own, and adapting it changes neither these nor the
    pictures of the model that it was taken from."""
    translator, batch = make(bench), bench.needed(2)
    copied = settle(instance_of(translator))
    shared = shared_storage(copied, translator)
    require(shared is None, "a copy with tensors of its own", f"{shared} in common")
    before = painted(translator, batch, step_at())
    with untouched(translator, "adapting a copy"):
        for index in range(2):
            plain_step(copied, batch, step_at(index, phase=translator.phases[-1], inner=True), lr=1e-2)
    same = torch.equal(before, painted(translator, batch, step_at()))
    require(same, "the model's pictures as they were after adapting a copy", "others: is there a list or dict in it?")


@promise(CONTRACTS, READ)
def an_adapted_copy_survives_saving(bench: Bench) -> None:
    """A copy that two inner steps have adapted, written as safetensors and read into a translator of another seed,
    paints the same images: what the steps have set must be a parameter or a buffer."""
    translator, batch = make(bench), bench.needed(2)
    copied = settle(instance_of(translator))
    for index in range(2):
        plain_step(copied, batch, step_at(index, phase=translator.phases[-1], inner=True), lr=1e-2)
    fresh = make(bench, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "adapted.safetensors"
        save(file, copied.state_dict(), {})
        fresh.load_state_dict(load(file)[0])
    unadapted = make(bench, seed=1)
    unadapted.load_state_dict(translator.state_dict())
    if not torch.equal(*(painted(each, batch, step_at()) for each in (translator, unadapted))):
        raise NotApplicable("what it is before adapting is not saved either, as another contract tells")
    names = changed(plain_state(fresh), plain_state(copied))
    same = torch.equal(*(painted(each, batch, step_at()) for each in (copied, fresh)))
    kept = f"the plain attribute {', '.join(names[:3])}" if names else "something outside state_dict()"
    require(same, "the same images of the adapted copy after saving and loading", f"others: it keeps {kept}")


@promise(CONTRACTS, READ)
def it_does_without_an_adversarial_term(bench: Bench) -> None:
    """With `objective.adversarial` 0 it is made, trains and paints."""
    translator, batch = make(bench, adversarial=0.0), bench.needed(2)
    plain_step(translator, batch, step_at(phase=translator.phases[-1]))
    check_pictures(painted(translator, batch, step_at()), 2, bench.spec.size, "pictures")


def variants(strategy: type) -> list[dict[str, Any]]:
    """Options for a strategy to be tried with: few steps, and each order of gradients that it has."""
    base: dict[str, Any] = {"steps": 2} if takes(strategy, "steps", 2) else {}
    return [{**base, "order": order} for order in ("first", "second") if takes(strategy, "order", order)] or [base]


def fits(strategy: type[MetaStrategy], bench: Bench) -> bool:
    """Whether a strategy can be made with its defaults, and the scenes have the fields that it reads."""
    return not lacks_options(strategy) and strategy.needs <= bench.scenes.provides


def every_strategy(bench: Bench) -> Iterator[tuple[str, MetaStrategy]]:
    """Each installed strategy in each of its orders, with what it is called."""
    usable = {name: strategy for name, strategy in bench.strategies.items() if fits(strategy, bench)}
    if not usable:
        raise NotApplicable("no strategy is installed that fits these scenes and that its defaults suffice for")
    for name, strategy in sorted(usable.items()):
        for options in variants(strategy):
            made = strategy(inner=bench.adaptation(), **options)
            called = f"{name} ({options['order']} order)" if "order" in options else name
            yield called, made


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
            shape = tuple(painted(adapted, episode.query, step).shape)
            require(shape == wanted, f"pictures of the shape {wanted}", str(shape))


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
    """Says under which strategy something failed."""
    try:
        yield
    except ContractError as error:
        raise ContractError(f"{error.expected} under {called}", error.got, error.read or INTERFACES) from error
    except Exception as error:
        got = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        raise ContractError(f"no error under {called}", got, INTERFACES) from error


@promise(CONTRACTS, READ)
def it_works_on_a_gpu(bench: Bench) -> None:
    """Moved to a GPU, it trains, is copied and paints there."""
    if not torch.cuda.is_available():
        raise NotApplicable("torch sees no CUDA device")
    translator, batch = make(bench).to("cuda"), bench.needed(2).to("cuda")
    for phase in translator.phases:
        plain_step(translator, batch, step_at(phase=phase))
    copied = settle(instance_of(copy.deepcopy(translator)))
    plain_step(copied, batch, step_at(phase=translator.phases[-1], inner=True))
    pictures = painted(copied, batch, step_at())
    require(pictures.is_cuda, "pictures on the GPU", str(pictures.device))
    check_pictures(pictures, 2, bench.spec.size, "pictures")
