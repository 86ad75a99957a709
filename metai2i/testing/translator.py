"""The contracts of a `Translator`."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence, ValuesView
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from metai2i.batch import Batch
from metai2i.losses.objective import Objective
from metai2i.meta.instance import detach, instance_of
from metai2i.testing import keeping, painting, under_strategies
from metai2i.testing.bench import Bench, address, step_at
from metai2i.testing.contract import Contract, ContractError, NotApplicable, promise, require
from metai2i.testing.probes import (
    check_images,
    check_range,
    global_generators_alone,
    in_way,
    painted,
    painted_in_all_ways,
    same_losses,
)
from metai2i.testing.scenes import SCENE_FIELDS, ToyScenes
from metai2i.testing.trial import INTERFACES, READ, begun, make, plain_step
from metai2i.training.checkpoint import digest
from metai2i.training.driving import Update, descend, drive, parameter_groups, parameters_of, watch, with_draws
from metai2i.training.ways import ask, fields_of_way, ways_of
from metai2i.translator import Translator

CONTRACTS: list[Contract] = []
LARGE = 10.0
"""How much larger the parameters are made to see whether anything holds the images in their range."""


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

    def replace(self, **fields: Tensor) -> Watched:
        """Return the batch with further fields; what is read of the ones that it has is kept in mind here."""
        batch = Watched(**{**self._fields, **fields})
        batch.read = self.read
        return batch

    def values(self) -> ValuesView[Tensor]:
        """Return all fields: by them the host sees where the batch is, which is no look of the translator's."""
        return self._fields.values()


@promise(CONTRACTS, READ)
def it_reads_no_field_that_it_does_not_need(bench: Bench) -> None:
    """Training and translating on batches with further fields reads those of `needs` only, and translating in one of
    its `ways` those of the way only."""
    translator = make(bench)
    batch = bench.batch(2)
    if isinstance(bench.scenes, ToyScenes):  # they have whatever they are asked for
        batch = ToyScenes(spec=bench.spec, fields=SCENE_FIELDS).tasks("train")[0].load([0, 1]).replace(**batch)
    watched = Watched(**batch.replace(reference=batch["target"]) if "reference" not in batch else batch)
    drawn: set[str] = set()
    for phase in translator.phases:
        drawn |= set(translator.draws(bench.needed(2), step_at(phase=phase)))
        drive(translator, watched, step_at(phase=phase), watch)
    allowed = {"": (watched.read - drawn, bench.needs)}
    translator.eval()
    for way in ways_of(translator):
        asked = Watched(**watched)
        with torch.no_grad():
            ask(translator, asked, way)
        allowed[in_way(way)] = asked.read, bench.needs if way is None else fields_of_way(translator, way)
    for where, (read, fields) in allowed.items():
        extra, named = sorted(read - fields), ", ".join(sorted(fields))
        whose = "`needs`" if fields is bench.needs else "the way"
        require(
            not extra, f"that only the fields of {whose} ({named}) are read{where}", f"a look at {', '.join(extra)}"
        )


@promise(CONTRACTS, READ)
def every_tensor_is_a_parameter_or_a_buffer(bench: Bench) -> None:
    """No module keeps a tensor as a plain attribute: it would not be saved, copied or moved to a GPU."""
    translator = make(bench)
    plain_step(translator, bench.needed(2), step_at(phase=translator.phases[-1]))
    for path, module in translator.named_modules():
        for name, value in vars(module).items():
            if name not in ("_parameters", "_buffers") and any(isinstance(v, Tensor) for v in _flat(value)):
                where = ".".join(filter(None, (path, name)))
                raise ContractError("every tensor registered (register_buffer)", f"the plain attribute {where}")


def _flat(value: Any) -> Iterator[Any]:
    """Yield a value, or what is in a list, tuple or dict of values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _flat(each)
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
                grads = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
                reached.update(named[id(p)] for p, g in zip(parameters, grads, strict=True) if g is not None)

        drive(translator, bench.needed(2, phase), step_at(phase=phase), look)
        require(bool(moves), f"a move in the phase {phase!r}", "none")
    for player, parameters in translator.players().items():
        ids = {id(parameter) for parameter in parameters}
        missed = [name for name, p in translator.named_parameters() if id(p) in ids and name not in reached]
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
def a_batch_stays_as_it_was(bench: Bench) -> None:
    """Neither a step nor `translate` changes a tensor of its batch in place: an inner loop hands over the same support
    again and again."""
    translator = make(bench)
    for phase in translator.phases:
        batch = bench.needed(2, phase)
        kept = batch.map(Tensor.clone)
        drive(translator, batch, step_at(phase=phase), watch)
        same_fields(batch, kept, f"training_step in the phase {phase!r}")
    batch = bench.needed(2)
    for way in ways_of(translator):
        kept = batch.map(Tensor.clone)
        painted(translator, batch, step_at(), way)
        same_fields(batch, kept, f"translate{in_way(way)}")


def same_fields(batch: Batch, kept: Batch, by: str) -> None:
    """Require that no tensor of a batch has changed."""
    changed = [name for name in kept if not torch.equal(batch[name], kept[name])]
    wish = f"a batch as it was after {by}"
    require(not changed, wish, f"other numbers in {', '.join(changed)} (is there a method that ends in _?)")


@promise(CONTRACTS, READ)
def a_move_changes_its_own_players_alone(bench: Bench) -> None:
    """From each update to the next, in plain training, no parameter of a player changes that does not move."""
    translator = make(bench)
    for phase in translator.phases:
        groups: list[Any] = parameter_groups(translator, 1e-3)
        descending = descend(translator, torch.optim.Adam(groups, lr=1e-3))
        watched: list[tuple[Sequence[str], dict[str, list[Tensor]]]] = []

        def update(
            players: Sequence[str], loss: Tensor, descending: Update = descending, watched: list[Any] = watched
        ) -> None:
            watched.append((players, kept_parameters(translator)))
            descending(players, loss)

        try:
            drive(translator, bench.needed(2, phase), step_at(phase=phase), update)
        except RuntimeError as error:
            raise NotApplicable("plain training does not run, as another contract tells") from error
        after = [kept for _, kept in watched[1:]] + [kept_parameters(translator)]
        for (players, before), now in zip(watched, after, strict=True):
            for player in before.keys() - set(players):
                same = all(torch.equal(a, b) for a, b in zip(before[player], now[player], strict=True))
                wish = f"no change of {player!r} by the move of {'+'.join(players)!r}"
                require(same, wish, "another parameter after it", INTERFACES)


def kept_parameters(translator: Translator) -> dict[str, list[Tensor]]:
    """Copy of all players' parameters, as they are."""
    return {player: [p.detach().clone() for p in parameters] for player, parameters in translator.players().items()}


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
def images_are_finite_and_in_range(bench: Bench) -> None:
    """`translate` gives (B, 3, H, W), finite, in [-1, 1]; in range also when all parameters are ten times as large."""
    translator, batch = make(bench), bench.needed(3)
    for way in ways_of(translator):
        check_images(painted(translator, batch, step_at(), way), 3, bench.spec.size, f"images{in_way(way)}")
    with torch.no_grad():
        for parameter in translator.parameters():
            parameter.mul_(LARGE)
    images = painted_in_all_ways(translator, batch, step_at())
    finite = images[torch.isfinite(images)]
    if finite.numel():
        check_range(finite, "images of any parameters")


@promise(CONTRACTS, READ)
def a_batch_of_one_is_enough(bench: Bench) -> None:
    """Training and translating take a single sample: an unseen scene may have one pair."""
    translator, batch = make(bench), bench.needed(1)
    for phase in translator.phases:
        drive(translator, batch, step_at(phase=phase), watch)
    for way in ways_of(translator):
        check_images(painted(translator, batch, step_at(), way), 1, bench.spec.size, f"images{in_way(way)}")


@promise(CONTRACTS, READ)
def the_target_is_not_looked_at_to_translate(bench: Bench) -> None:
    """The images are the same without a target in the batch and with any."""
    translator, batch = make(bench), bench.needed(2)
    if "target" not in batch:
        raise NotApplicable("it needs no target")
    for way, target in product(ways_of(translator), (batch["target"], -batch["target"])):
        with torch.no_grad():
            alone = painted(translator, batch, step_at(), way)
            with step_at().rng.at("global").scope():
                beside = ask(translator, batch.replace(target=target), way)
        same = torch.equal(alone, beside)
        require(same, f"images that do not depend on the target{in_way(way)}", "others when the target is in the batch")


@promise(CONTRACTS, READ)
def the_same_seed_gives_the_same_moves(bench: Bench) -> None:
    """Made twice from one seed, it has the same parameters; driven twice at one address, the same moves and losses;
    the same images at one address too."""
    first, again = make(bench), make(bench)
    require(digest(first) == digest(again), "the same parameters and buffers from one seed", "others")
    batch = bench.needed(2)
    for phase in first.phases:
        losses, retold = (drive(translator, batch, step_at(phase=phase), watch) for translator in (first, again))
        require(same_losses(losses, retold), f"the same moves and losses at one address in {phase!r}", "others")
    same = torch.equal(*(painted_in_all_ways(translator, batch, step_at()) for translator in (first, again)))
    require(same, "the same images at one address", "others")


@promise(CONTRACTS, READ)
def it_calls_itself_replayable_only_if_all_steps_are_alike(bench: Bench) -> None:
    """Where it says that its steps may be replayed, the first and the last step of a phase have the same losses on one
    batch, with one set of `draws`, whatever their addresses."""
    first, last = make(bench), make(bench)
    if not first.replayable:
        return
    batch = bench.needed(2)
    for phase in first.phases:
        steps = (
            step_at(0, phase=phase, total=10),
            replace(step_at(9, phase=phase, total=10).at("elsewhere"), inner=True),
        )
        drawn = with_draws(first, batch, steps[0])  # what it draws is handed to it, also when a step is replayed
        losses, retold = (drive(gp, drawn, step, watch) for gp, step in zip((first, last), steps, strict=True))
        require(same_losses(losses, retold), f"the same losses at any step of {phase!r}, as it is replayable", "others")


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
        begun(translator, bench)

        def note(players: Sequence[str], loss: Tensor) -> None:
            states["training_step"].append(torch.get_rng_state())

        step = step_at(seed=seed, phase=translator.phases[-1])
        with global_generators_alone("training_step"):
            drive(translator, batch, step, note)
        with global_generators_alone("translate"), address("pictures", seed).scope(), torch.no_grad():
            translator.eval()
            for way in ways_of(translator):
                ask(translator, batch, way)
            states["translate"].append(torch.get_rng_state())
    for where, state in states.items():
        half = len(state) // 2
        seeded = any(torch.equal(a, b) for a, b in zip(state[:half], state[half:], strict=False))
        require(not seeded, f"torch's generator as the host has seeded it in {where}", "a torch.manual_seed")


CONTRACTS += keeping.CONTRACTS  # here, for they are run in this order


@promise(CONTRACTS, READ)
def it_does_without_an_adversarial_term(bench: Bench) -> None:
    """With `objective.adversarial` 0 it is made, trains and paints."""
    translator, batch = make(bench, adversarial=0.0), bench.needed(2)
    plain_step(translator, batch, step_at(phase=translator.phases[-1]))
    check_images(painted(translator, batch, step_at()), 2, bench.spec.size, "images")


CONTRACTS += painting.CONTRACTS
CONTRACTS += under_strategies.CONTRACTS


@promise(CONTRACTS, READ)
def it_works_on_a_gpu(bench: Bench) -> None:
    """Moved to a GPU, it trains, is copied and paints there."""
    if not torch.cuda.is_available():
        raise NotApplicable("torch sees no CUDA device")
    translator, batch = make(bench).to("cuda"), bench.needed(2).to("cuda")
    for phase in translator.phases:
        plain_step(translator, batch, step_at(phase=phase))
    copied = detach(instance_of(copy.deepcopy(translator)))
    plain_step(copied, batch, step_at(phase=translator.phases[-1], inner=True))
    for way in ways_of(copied):
        images = painted(copied, batch, step_at(), way)
        require(images.is_cuda, "images on the GPU", str(images.device))
        check_images(images, 2, bench.spec.size, "images")
