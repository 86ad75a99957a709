"""The contracts of a `Translator` about what it keeps: in files and in copies."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from metai2i.errors import UserError
from metai2i.losses.networks import asking, network
from metai2i.losses.objective import Objective
from metai2i.meta.instance import detach, instance_of
from metai2i.meta.plain_state import changed_names, plain_state
from metai2i.recipe.schema import WHOLE
from metai2i.testing.bench import Bench, step_at
from metai2i.testing.contract import Contract, ContractError, NotApplicable, promise, require
from metai2i.testing.probes import (
    painted_in_all_ways,
    same_losses,
    shared_storage,
    untouched,
)
from metai2i.testing.trial import READ, begun, make, plain_step
from metai2i.training.checkpoint import digest, load, save
from metai2i.training.driving import drive, watch
from metai2i.training.passes import checked_pass, load_weights, makes_passes
from metai2i.translator import Translator

CONTRACTS: list[Contract] = []


@promise(CONTRACTS, READ)
def its_state_survives_saving(bench: Bench) -> None:
    """A trained translator, written as safetensors and read into one of another seed, paints the same images."""
    translator, batch = make(bench), bench.needed(2)
    plain_step(translator, batch, step_at(phase=translator.phases[-1]))
    fresh = make(bench, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        save(file, translator.state_dict(), {})
        load_weights(fresh, load(file)[0])
    same = torch.equal(*(painted_in_all_ways(each, batch, step_at()) for each in (translator, fresh)))
    require(same, "the same images after saving and loading", "others: something is kept outside state_dict()")


@promise(CONTRACTS, READ)
def what_it_gathers_of_all_data_is_kept(bench: Bench) -> None:
    """What `begin` and `end` gather is the same each time; written as safetensors and read into a translator of another
    seed, it gives the same losses and images. They keep nothing in plain attributes."""
    translator = made_plainly(bench, 0)
    if not makes_passes(translator):
        return
    try:
        begun(translator, bench, checked_pass)
    except UserError as error:
        raise ContractError("what it gathers of all data in buffers or parameters", error.what) from error
    require(digest(translator) == digest(make(bench)), "the same buffers from the same data", "others")
    fresh, batch = made_plainly(bench, 1), bench.needed(2)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        save(file, translator.state_dict(), {})
        load_weights(fresh, load(file)[0])
    same = torch.equal(*(painted_in_all_ways(each, batch, step_at()) for each in (translator, fresh)))
    require(same, "the same images after saving and loading", "others")
    step = step_at(phase=translator.phases[-1])
    alike = same_losses(*(drive(each, batch, step, watch) for each in (translator, fresh)))
    require(alike, "the same losses after saving and loading", "others")


def made_plainly(bench: Bench, seed: int) -> Translator:
    """Return the translator on trial before it has looked through any data."""
    objective = Objective(l1=1.0, adversarial=1.0, perceptual=0.0)
    translator: Translator = bench.make(seed, spec=bench.spec, objective=objective)
    return translator


@promise(CONTRACTS, READ)
def a_copy_shares_nothing_with_its_model(bench: Bench) -> None:
    """An instance-specific copy has parameters and buffers of its own, but for those that belong to no player and
    require no gradient; adapting it changes neither the parameters and buffers nor the images of the model that it was
    taken from."""
    translator, batch = make(bench), bench.needed(2)
    copied = detach(instance_of(translator))
    shared = shared_storage(copied, translator)
    require(shared is None, "a copy with tensors of its own", f"{shared} in common")
    before = painted_in_all_ways(translator, batch, step_at())
    with untouched(translator, "adapting a copy"):
        for index in range(2):
            plain_step(copied, batch, step_at(index, phase=translator.phases[-1], inner=True), lr=1e-2)
    same = torch.equal(before, painted_in_all_ways(translator, batch, step_at()))
    require(same, "the model's images as they were after adapting a copy", "others: is there a list or dict in it?")


@promise(CONTRACTS, READ)
def an_adapted_copy_survives_saving(bench: Bench) -> None:
    """A copy that two inner steps have adapted, written as safetensors and read into a translator of another seed,
    paints the same images: what the steps have set must be a parameter or a buffer."""
    translator, batch = make(bench), bench.needed(2)
    copied = detach(instance_of(translator))
    for index in range(2):
        plain_step(copied, batch, step_at(index, phase=translator.phases[-1], inner=True), lr=1e-2)
    fresh = make(bench, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "adapted.safetensors"
        save(file, copied.state_dict(), {})
        load_weights(fresh, load(file)[0])
    unadapted = make(bench, seed=1)
    load_weights(unadapted, translator.state_dict())
    if not torch.equal(*(painted_in_all_ways(each, batch, step_at()) for each in (translator, unadapted))):
        raise NotApplicable("what it is before adapting is not saved either, as another contract tells")
    names = changed_names(plain_state(fresh), plain_state(copied))
    same = torch.equal(*(painted_in_all_ways(each, batch, step_at()) for each in (copied, fresh)))
    kept = f"the plain attribute {', '.join(names[:3])}" if names else "something outside state_dict()"
    require(same, "the same images of the adapted copy after saving and loading", f"others: it keeps {kept}")


@promise(CONTRACTS, READ)
def its_frozen_networks_stay_as_they_are(bench: Bench) -> None:
    """Frozen networks are asked for in its constructor, so that their weights are known to decide what is trained; a
    step of training in each phase leaves them as they were."""
    with asking() as asked:
        translator = make(bench)
    with asking() as later:
        try:
            before = {name: digest(network(name).on("cpu")) for name in asked}
        except UserError as error:
            raise NotApplicable(str(error.what)) from error
        try:
            for phase in translator.phases:
                plain_step(translator, bench.needed(2, phase), step_at(phase=phase))
        except RuntimeError as error:
            raise NotApplicable("plain training does not run, as another contract tells") from error
        painted_in_all_ways(translator, bench.needed(2), step_at())
    late = sorted(later - asked)
    require(not late, "network() in the constructor alone", f"a call for {', '.join(late)} behind it")
    changed = [name for name in asked if digest(network(name).on("cpu")) != before[name]]
    require(not changed, "frozen networks as they were", f"a change of {', '.join(changed)}")


@promise(CONTRACTS, READ)
def it_adopts_tensors_of_its_own_names_as_they_are(bench: Bench) -> None:
    """`adopted` gives the state of the whole translator, and that of each of its networks, back under their names."""
    translator = make(bench)
    for name, module in ((WHOLE, translator), *translator.named_children()):
        state = module.state_dict()
        adopted = translator.adopted(name, dict(state))
        wish = f"the tensors of {name} under the names that they have"
        require(adopted.keys() == state.keys(), wish, f"{len(adopted.keys() ^ state.keys())} other names")
        same = all(adopted[key] is tensor or torch.equal(adopted[key], tensor) for key, tensor in state.items())
        require(same, wish, "other tensors")
