"""Each contract of translators catches the plugin that breaks it, and a good one keeps them all."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from metai2i_baselines import FineTune
from metai2i_bil import Bil
from torch import nn

from metai2i import TaskSpec, Translator, UserError
from metai2i.losses import network
from metai2i.losses.backbone_weights import MissingWeights
from metai2i.testing import ContractError, contracts_of, run_contracts
from metai2i.testing.bench import Bench
from metai2i.testing.scenes import TWIN_FIELDS, ToyScenes
from metai2i.testing.under_strategies import told_under

SPEC = TaskSpec(structure_channels=3, size=(16, 16))
GPU = "it works on a gpu"


class Good(Translator):
    """One convolution against another."""

    def __init__(self, *, spec, objective) -> None:
        super().__init__()
        self.objective = objective
        self.generator = nn.Conv2d(spec.structure_channels, 3, 3, padding=1)
        self.discriminator = nn.Conv2d(3, 1, 1) if objective.uses_discriminator else None

    def players(self):
        networks = {"discriminator": self.discriminator, "generator": self.generator}
        return {name: network.parameters() for name, network in networks.items() if network is not None}

    def training_step(self, batch, step):
        fake, logits = self.paint(batch["structure"]), None
        if self.discriminator is not None:
            judged = self.discriminator(batch["target"]), self.discriminator(fake.detach())
            yield "discriminator", self.objective.discriminator(*judged)
            logits = self.discriminator(fake)
        yield "generator", self.objective.generator(fake, batch["target"], logits)

    def paint(self, structure):
        return self.generator(structure).tanh()

    def translate(self, batch):
        return self.paint(batch["structure"])


class NotFinite(Good):
    def __init__(self, *, spec, objective) -> None:
        super().__init__(spec=spec, objective=objective)
        nn.init.constant_(self.generator.bias, float("nan"))


class WrongRate(Good):
    rates: ClassVar = {"genrator": 0.1}


class Curious(Good):
    """Reads what it has not asked for, where it is there."""

    def translate(self, batch):
        batch.get("instances")
        return super().translate(batch)


class PlainTensor(Good):
    def __init__(self, *, spec, objective) -> None:
        super().__init__(spec=spec, objective=objective)
        self.weights = [torch.ones(3, 1, 1)]


class Unused(Good):
    """A layer that nothing runs through."""

    def __init__(self, *, spec, objective) -> None:
        super().__init__(spec=spec, objective=objective)
        self.generator.extra = nn.Conv2d(3, 3, 1)


class Backward(Good):
    """Computes gradients itself."""

    def training_step(self, batch, step):
        for player, losses in super().training_step(batch, step):
            if not step.inner:
                sum(losses.values()).backward(retain_graph=True, inputs=[*self.players()[player]])
            yield player, losses


class Meddles(Good):
    """Weakens the discriminator whenever the generator has moved."""

    def training_step(self, batch, step):
        for player, losses in super().training_step(batch, step):
            before = self.generator.bias.detach().clone()
            yield player, losses
            if not step.inner and self.discriminator is not None and not torch.equal(before, self.generator.bias):
                with torch.no_grad():
                    self.discriminator.weight.mul_(0.9)


class Stale(Good):
    """In its first phase, a second move of a player goes through a forward pass from before the first."""

    phases = ("warm", "train")

    def training_step(self, batch, step):
        if step.phase == "train":
            yield from super().training_step(batch, step)
            return
        hidden = self.generator(self.generator(batch["structure"])[:, :3])
        yield "generator", {"l1": (hidden - batch["target"]).abs().mean()}
        yield "generator", {"l2": (hidden - batch["target"]).square().mean()}


class Unbounded(Good):
    def paint(self, structure):
        return self.generator(structure)


class NeedsTwo(Good):
    """A loss over the spread of the batch, which one sample has not got."""

    def training_step(self, batch, step):
        for player, losses in super().training_step(batch, step):
            yield player, {**losses, "spread": sum(losses.values()) * batch["target"].std(0).mean()}


class Peeks(Good):
    def translate(self, batch):
        return batch["target"] if "target" in batch else super().translate(batch)


class Noisy(Good):
    """Noise that no address decides."""

    def training_step(self, batch, step):
        noise = 1 + float(np.random.default_rng().random()) / 10
        for player, losses in super().training_step(batch, step):
            yield player, {name: noise * loss for name, loss in losses.items()}


class GlobalPython(Good):
    def training_step(self, batch, step):
        random.random()
        yield from super().training_step(batch, step)


class GlobalNumpy(Good):
    def translate(self, batch):
        np.random.rand()
        return super().translate(batch)


class Seeds(Good):
    """Seeds torch, so that every run starts from the same networks."""

    def __init__(self, *, spec, objective) -> None:
        torch.manual_seed(0)
        super().__init__(spec=spec, objective=objective)


class Forgets(Good):
    """What it has drawn is not in its state."""

    def __init__(self, *, spec, objective) -> None:
        super().__init__(spec=spec, objective=objective)
        self.gain = float(torch.rand(()))

    def paint(self, structure):
        return (self.gain * self.generator(structure)).tanh()


class Shares(Good):
    """A dict of the class, which copies have in common."""

    adapted: ClassVar = {"steps": 0}

    def training_step(self, batch, step):
        self.adapted["steps"] += step.inner
        yield from super().training_step(batch, step)

    def paint(self, structure):
        return (self.generator(structure) / (1 + self.adapted["steps"])).tanh()


class Flagged(Good):
    """A flag that only its adapted copies have, and no file."""

    adapted = False

    def training_step(self, batch, step):
        self.adapted = step.inner
        yield from super().training_step(batch, step)

    def paint(self, structure):
        return (self.generator(structure) / (1 + self.adapted)).tanh()


class Adversarial(Good):
    """Takes it for granted that there is a discriminator."""

    def training_step(self, batch, step):
        assert next(self.discriminator.parameters()) is not None
        yield from super().training_step(batch, step)


class Schedule(Good):
    """Divides by zero where there is one step alone, as for an unseen scene."""

    def training_step(self, batch, step):
        done = step.index / (step.total - 1)
        for player, losses in super().training_step(batch, step):
            yield player, {name: (1 + done) * loss for name, loss in losses.items()}


class Hoards(Good):
    """Keeps the mean brightness of all photographs where it is not saved."""

    brightness = 0.0

    def begin(self, phase, data):
        self.brightness = float(torch.cat([batch["target"] for batch in data()]).mean())

    def paint(self, structure):
        return super().paint(structure) * 0.5 + self.brightness / 2


class TrainsWithIt(Good):
    """Trains by an option that is said to matter for images alone."""

    paint_options = frozenset({"strength"})

    def __init__(self, *, spec, objective, strength: float = 0.5) -> None:
        super().__init__(spec=spec, objective=objective)
        self.strength = strength

    def paint(self, structure):
        return super().paint(structure) * self.strength / (1 + self.strength)


class Silent(Good):
    """Draws where it translates, and does not say so."""

    def translate(self, batch):
        return super().translate(batch) * torch.rand(()) * 0.9


class Boasts(Good):
    """Says that it draws."""

    samples = True


class Ramps(Good):
    """Says that a recording of one of its steps would do for all."""

    replayable = True

    def training_step(self, batch, step):
        for player, losses in super().training_step(batch, step):
            yield player, {name: (1 + step.index / step.total) * loss for name, loss in losses.items()}


class OnceOnly(torch.autograd.Function):
    """The identity, without a second derivative."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        if torch.is_grad_enabled():  # it is, where a gradient is to keep its graph
            raise RuntimeError("no second derivative")
        return gradient.clone()


class AsksLate(Good):
    """Asks for a frozen network while it is trained, so that nobody knows of it before."""

    def training_step(self, batch, step):
        network("hed")
        yield from super().training_step(batch, step)


class Renames(Good):
    """Takes all tensors for those of another program."""

    def adopted(self, part, tensors):
        return {f"net.{name}": tensor for name, tensor in tensors.items()}


class FirstOrderOnly(Good):
    def paint(self, structure):
        return OnceOnly.apply(self.generator(structure)).tanh()


class Blackens(Good):
    """Takes the brightest and the darkest off the photographs that it is handed, and not off copies of them."""

    def training_step(self, batch, step):
        batch["target"].clamp_(-0.5, 0.5)
        yield from super().training_step(batch, step)


class OnTheCpu(Good):
    def paint(self, structure):
        return self.generator(structure).tanh() * torch.ones(3, 1, 1)


BREAKS = {
    NotFinite: "it is made with players of finite parameters",
    WrongRate: "what it declares exists",
    Curious: "it reads no field that it does not need",
    PlainTensor: "every tensor is a parameter or a buffer",
    Unused: "every player moves and its loss reaches all its parameters",
    Blackens: "a batch stays as it was",
    Backward: "a step changes no parameter by itself",
    Meddles: "a move changes its own players alone",
    Stale: "plain training runs in every phase",
    Unbounded: "images are finite and in range",
    NeedsTwo: "a batch of one is enough",
    Peeks: "the target is not looked at to translate",
    Noisy: "the same seed gives the same moves",
    Ramps: "it calls itself replayable only if all steps are alike",
    GlobalPython: "nothing is drawn outside its address",
    GlobalNumpy: "nothing is drawn outside its address",
    Seeds: "nothing is drawn outside its address",
    Forgets: "its state survives saving",
    Hoards: "what it gathers of all data is kept",
    Silent: "it draws images where it says so",
    Boasts: "it draws images where it says so",
    TrainsWithIt: "its paint options change no training",
    Shares: "a copy shares nothing with its model",
    Flagged: "an adapted copy survives saving",
    Adversarial: "it does without an adversarial term",
    Schedule: "it adapts under every strategy",
    AsksLate: "its frozen networks stay as they are",
    Renames: "it adopts tensors of its own names as they are",
    FirstOrderOnly: "it learns under every strategy",
}
NOT_AGAIN = (Noisy, Shares)
"""Those whose steps are others when they are taken again, which second order by `adjoint` does as well."""
STRATEGIES = {"finetune": FineTune, "bil": Bil}


def outcomes(translator: type, **given):
    return run_contracts("translator", translator, spec=SPEC, strategies=STRATEGIES, **given)


def test_a_good_translator_keeps_all_contracts():
    statuses = {outcome.contract.name: outcome.status for outcome in outcomes(Good)}
    assert statuses.pop(GPU) == ("ok" if torch.cuda.is_available() else "skipped")
    assert set(statuses.values()) == {"ok"}


def test_a_translator_whose_steps_are_alike_may_say_so():
    class Alike(Good):
        replayable = True

    assert {outcome.status for outcome in outcomes(Alike) if outcome.contract.name != GPU} == {"ok"}


ANNOTATED = {
    "int": 3,
    "bool": True,
    "float": 0.25,
    "str": "soft",
    "Literal['soft', 'hard']": "hard",
    "int | None": None,
}


@pytest.mark.parametrize(("annotation", "value"), ANNOTATED.items())
def test_paint_options_of_any_type_are_tried_with_another_value(annotation, value):
    seen = []

    class Paints(Good):
        paint_options = frozenset({"extra"})

        def __init__(self, *, spec, objective, extra=value) -> None:
            super().__init__(spec=spec, objective=objective)
            seen.append(extra)

    Paints.__init__.__annotations__["extra"] = annotation
    Paints.__init__.__globals__.setdefault("Literal", Literal)
    assert {outcome.status for outcome in outcomes(Paints) if outcome.contract.name != GPU} == {"ok"}
    assert len(set(seen)) == 2


def test_a_misspelt_paint_option_is_told():
    class Misspelt(TrainsWithIt):
        paint_options = frozenset({"strenght"})

    failed = [outcome.error.got for outcome in outcomes(Misspelt) if outcome.status == "failed"]
    assert failed == ["'strenght'"]


@pytest.mark.filterwarnings("ignore:std")
@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.__name__)
def test_exactly_the_contract_that_is_broken_fails(broken):
    failed = [outcome for outcome in outcomes(broken) if outcome.status == "failed" and outcome.contract.name != GPU]
    as_well = ["it learns under every strategy"] if broken in NOT_AGAIN else []
    assert [outcome.contract.name for outcome in failed] == [BREAKS[broken], *as_well]
    error = failed[0].error
    assert error.expected
    assert error.got
    assert error.read.startswith("docs/")


def test_every_contract_has_a_plugin_that_breaks_it():
    assert {contract.name for contract in contracts_of("translator")} == {*BREAKS.values(), GPU}


@pytest.mark.gpu
def test_a_tensor_left_on_the_cpu_is_caught_on_a_gpu():
    failed = [outcome.contract.name for outcome in outcomes(OnTheCpu) if outcome.status == "failed"]
    assert failed == [GPU]


def test_behind_a_broken_constructor_all_is_skipped():
    first, *others = outcomes(NotFinite)
    assert first.status == "failed"
    assert {outcome.status for outcome in others} == {"skipped"}
    assert first.contract.name in others[0].why


def test_what_a_plugin_raises_is_told_with_its_line():
    class Raises(Good):
        def __init__(self, *, spec, objective) -> None:
            raise ZeroDivisionError("by nothing")

    first = outcomes(Raises)[0]
    assert first.error.expected == "no error"
    assert first.error.got.startswith("ZeroDivisionError: by nothing (test_translator.py:")


def test_options_and_specs_that_are_refused_are_the_users_to_put_right():
    class Refuses(Good):
        def __init__(self, *, spec, objective, width: int = 1) -> None:
            raise UserError("too small")

    with pytest.raises(UserError, match="too small"):
        outcomes(Refuses)
    with pytest.raises(UserError, match="wdth"):
        outcomes(Refuses, options={"wdth": 2})


def test_toy_scenes_say_which_fields_they_cannot_have():
    class NeedsPoses(Good):
        needs = frozenset({"structure", "pose"})

    with pytest.raises(UserError, match="no field 'pose'"):
        outcomes(NeedsPoses)


def test_toy_twins_are_the_same_blocks_in_the_colours_of_the_other_domain():
    fields = frozenset({"structure", "source", "domain"}) | TWIN_FIELDS
    batch = ToyScenes(fields=fields).tasks("train")[0].load([0, 1])
    assert batch["twin_domain"].tolist() == [1, 0] == (1 - batch["domain"]).tolist()
    floor = batch["structure"][:, :1] == 1
    assert torch.equal(batch["mask"], (~floor).float())
    assert torch.equal(batch["mask"], batch["twin_mask"])
    shade = torch.linspace(-0.2, 0.2, 32).expand(32, 32)
    for sample in range(2):
        blocks = batch["structure"][sample].argmax(0)
        for name in range(3):
            there = (batch["twin"][sample] - shade)[:, blocks == name]
            assert torch.allclose(there, there[:, :1].expand_as(there), atol=1e-6)
    assert not torch.allclose(batch["twin"], batch["source"])


def test_a_task_source_of_its_own_takes_the_place_of_toy_scenes():
    class Sees(Good):
        def __init__(self, *, spec, objective) -> None:
            super().__init__(spec=spec, objective=objective)
            sizes.add(spec.size)

    sizes: set[tuple[int, int]] = set()
    source = ToyScenes(spec=TaskSpec(structure_channels=2, size=(8, 12)))
    run_contracts("translator", Sees, source=source, strategies={})
    assert sizes == {(8, 12)}


def test_toy_scenes_of_a_given_size_have_domains_where_samples_have_one():
    fields = frozenset({"structure", "target", "domain"})
    small = TaskSpec(structure_channels=2, size=(8, 12))
    assert ToyScenes(fields=fields).spec().domains == 2
    assert ToyScenes(spec=replace(small, domains=5), fields=fields).spec().domains == 5
    assert ToyScenes(spec=small, fields=fields).spec() == replace(small, domains=2)
    assert ToyScenes(spec=small).spec() == small


def test_the_generators_of_the_caller_are_left_alone():
    states = random.getstate(), torch.get_rng_state()
    outcomes(Seeds)
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])


def test_an_unknown_kind_is_told_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'translator'"):
        contracts_of("translater")


def test_an_error_says_expected_got_and_where_to_read():
    error = ContractError("one", "two", "docs/three.md")
    assert str(error) == "expected one; got two; read docs/three.md"
    assert isinstance(error, AssertionError)


def test_a_reference_is_made_where_one_is_needed():
    bench = Bench(Good, {}, ToyScenes(), needs=frozenset({"structure", "target", "reference"}))
    assert bench.needed(2)["reference"].shape == (2, 3, 32, 32)
    assert "reference" in bench.episode().query


def test_the_map_and_the_ids_of_an_exemplar_are_there_for_a_translator_that_needs_them():
    class Guided(Good):
        needs = frozenset({"structure", "target", "reference", "reference_structure", "reference_instances"})

        def training_step(self, batch, step):
            assert batch["reference_structure"].shape == batch["structure"].shape
            assert batch["reference_instances"].dtype == torch.int64
            yield from super().training_step(batch, step)

        def translate(self, batch):
            shown = batch["reference_structure"] * (batch["reference_instances"] > 0)[:, None]
            return self.paint(batch["structure"] + 0.1 * shown) * 0.9 + 0.1 * batch["reference"].mean()

    outcomes = list(run_contracts("translator", Guided, spec=SPEC, strategies={"finetune": FineTune}))
    assert [outcome.contract.name for outcome in outcomes if outcome.status == "failed"] == []
    assert sum(outcome.status == "ok" for outcome in outcomes) > 10


def test_toy_scenes_have_several_instances_of_a_class_and_none_of_two():
    scenes = ToyScenes(spec=SPEC, fields=frozenset({"structure", "instances"}))
    sample = scenes.tasks("train")[0].load([0])
    classes, ids = sample["structure"].argmax(1), sample["instances"]
    of = [set(classes[ids == each].tolist()) for each in ids.unique()]
    assert all(len(each) == 1 for each in of)
    assert len(of) > len(set.union(*of))


def test_weights_that_are_not_here_are_no_failure_under_a_strategy():
    with pytest.raises(MissingWeights), told_under("bil"):
        raise MissingWeights("no weights")
    with pytest.raises(ContractError, match="expected no error under bil; got UserError: other"), told_under("bil"):
        raise UserError("other")
