"""Each contract of strategies catches the plugin that breaks it, and a good one keeps them all."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from metai2i import MetaStrategy, TaskSpec, Translator, UserError
from metai2i.meta.inner_loop import adapt_in_graph, adapted
from metai2i.meta.instance import instance_of
from metai2i.testing import contracts_of, run_contracts
from metai2i.testing.scenes import ToyScenes
from metai2i.training.driving import add_gradients, drive, gradients, parameters_of, query_losses

SPEC = TaskSpec(structure_channels=3, size=(16, 16))


class Good(MetaStrategy):
    """MAML with a learned scale of what it adapts to, and a use of its own for retrieved scenes."""

    def __init__(self, *, inner, steps: int = 2, order: Literal["first", "second"] = "second") -> None:
        self.inner, self.steps, self.order = inner, steps, order
        self.others = ()

    def prepare(self, gp):
        self.scale = nn.Parameter(torch.ones(()))

    def meta_parameters(self):
        return {"scale": self.scale}

    def cost(self, shots, queries):
        return self.steps * self.inner.samples(shots) + queries

    def with_retrieved(self, tasks, step):
        other = copy.copy(self)
        other.others = tuple(tasks)
        return other

    def meta_gradient(self, gp, episode, step):
        copied = instance_of(gp)
        inner = self.inner.for_training(self.steps)
        adapt_in_graph(copied, episode.support, inner, step.at("in"), order=self.order)

        def collect(players, loss):
            origin = [*parameters_of(gp, players), self.scale]
            add_gradients(origin, gradients(self.scale / self.scale.detach() * loss, origin, retain=True))

        return query_losses(copied, episode.query, step, collect)

    def adapt(self, gp, support, step):
        return self.scaled(adapted(gp, support, self.inner, step))

    def scaled(self, copied):
        with torch.no_grad():
            for name, buffer in copied.named_buffers():
                if name.endswith("running_var"):
                    buffer.mul_(self.scale)
        return copied


class NoFlag(Good):
    meta = "yes"


class AdaptsInPlace(Good):
    """Its steps are thrown away, and its counting in a buffer of the general model is not."""

    def adapt(self, gp, support, step):
        gp.steps += 1
        done = super().adapt(gp, support, step)
        done.steps.copy_(gp.steps)
        return done


class Connected(Good):
    """Gives away a copy that hangs on the general model's graph."""

    def adapt(self, gp, support, step):
        copied = instance_of(gp)
        adapt_in_graph(copied, support, self.inner, step)
        return self.scaled(copied)


class Memory(Translator):
    """Paints what it was adapted to, and nothing else."""

    def __init__(self, photos) -> None:
        super().__init__()
        self.register_buffer("photos", photos.clone())

    def players(self):
        return {}

    def training_step(self, batch, step):
        return iter(())

    def translate(self, batch):
        return self.photos


class OneSize(Good):
    def adapt(self, gp, support, step):
        return Memory(support["target"])


class Wanders(Good):
    """Depends on how torch was seeded, wherever that was."""

    def adapt(self, gp, support, step):
        copied = super().adapt(gp, support, step)
        shift = torch.rand((), generator=torch.Generator().manual_seed(torch.initial_seed()))
        copied.generator[1].running_mean.add_(shift if self.inner.iterations else 0)
        return copied


class AlwaysOne(Good):
    def adapt(self, gp, support, step):
        return self.scaled(adapted(gp, support, self.inner.for_training(max(1, self.inner.iterations)), step))


class Thaws(Good):
    def adapt(self, gp, support, step):
        return self.scaled(adapted(gp, support, replace(self.inner, freeze=()), step))


class Free(Good):
    def cost(self, shots, queries):
        return queries / 2


class HiddenSteps(Good):
    """Meta-trains with the steps of the test, and its cost does not say so."""

    def meta_gradient(self, gp, episode, step):
        self.steps = self.inner.iterations
        losses = super().meta_gradient(gp, episode, step)
        self.steps = 2
        return losses


class Touches(Good):
    """Drives the general model itself, whose buffers count."""

    def meta_gradient(self, gp, episode, step):
        drive(gp, episode.query, step.at(role="query"), lambda players, loss: None)
        return super().meta_gradient(gp, episode, step)


class Unsaid(Good):
    """Looks at the query in the role of plain training."""

    def meta_gradient(self, gp, episode, step):
        drive(instance_of(gp), episode.query, step.at("query"), lambda players, loss: None)
        return super().meta_gradient(gp, episode, step)


class Forgetful(Good):
    """Nobody looks at the discriminator."""

    def meta_gradient(self, gp, episode, step):
        losses = super().meta_gradient(gp, episode, step)
        for parameter in gp.players().get("discriminator", ()):
            parameter.grad = None
        return losses


class Noisy(Good):
    """Noise of the meta-gradient that no address decides, small beside it."""

    def meta_gradient(self, gp, episode, step):
        losses = super().meta_gradient(gp, episode, step)
        if "tint" in gp.players():
            gp.tint.grad += 1e-6 * torch.randn(3, 1, 1)
        return losses


class StandsStill(Good):
    def outer(self, groups, lr):
        return torch.optim.SGD([{**group, "lr": 0.0} for group in groups], lr=0.0)


class Shared(Good):
    """A copy learns the same meta-parameters."""

    def __deepcopy__(self, memo):
        return copy.copy(self)


class Hoards(Good):
    """Keeps one scene's retrieved scenes for the next."""

    def with_retrieved(self, tasks, step):
        self.others = tuple(tasks)
        return copy.copy(self)

    def adapt(self, gp, support, step):
        copied = super().adapt(gp, support, step)
        with torch.no_grad():
            copied.tint.add_(0.1 * len(self.others))
        return copied


class OwnLoop(Good):
    """Adapts by a copy of its inner loop that it made when it was made."""

    def __init__(self, *, inner) -> None:
        super().__init__(inner=inner)
        self.mine = inner

    def adapt(self, gp, support, step):
        return self.scaled(adapted(gp, support, self.mine, step))


class Unlisted(Good):
    """Adapts by what it has drawn and does not save."""

    def prepare(self, gp):
        super().prepare(gp)
        self.shift = torch.rand(())

    def adapt(self, gp, support, step):
        copied = super().adapt(gp, support, step)
        copied.generator[1].running_mean.add_(self.shift if self.inner.iterations else 0)
        return copied


class KeepsHalf(Good):
    """Forgets the generator of a scene when it is stored."""

    def kept(self, gp, adapted):
        return {name: t for name, t in super().kept(gp, adapted).items() if not name.startswith("generator")}


class WrongOrder(Good):
    """Calls second what is first order."""

    def meta_gradient(self, gp, episode, step):
        kept, self.order = self.order, "first"
        losses = super().meta_gradient(gp, episode, step)
        self.order = kept
        return losses


class Peeks(Good):
    """It does not say that it reads label maps."""

    def adapt(self, gp, support, step):
        return super().adapt(gp, support.replace(structure=support["structure"]), step)


class Says(Peeks):
    needs = frozenset({"structure"})


BREAKS = {
    Peeks: "it reads no field that it does not need",
    NoFlag: "it is made with an inner loop",
    AdaptsInPlace: "adapting leaves the general model alone",
    Connected: "the adapted model stands on its own",
    KeepsHalf: "what it keeps of a scene restores its model",
    OneSize: "the adapted model paints any number of maps",
    Wanders: "adapting depends on its arguments alone",
    AlwaysOne: "no inner steps leave the model as it is",
    Thaws: "a frozen player is not adapted",
    Free: "its cost is a number of samples",
    HiddenSteps: "its cost tells whose steps it trains with",
    Touches: "the meta gradient leaves the general model alone",
    Unsaid: "each step says what it is for",
    Forgetful: "every parameter gets a meta gradient",
    Noisy: "the meta gradient depends on its arguments alone",
    StandsStill: "an outer step moves the general model",
    Shared: "a copy of it learns on its own",
    Hoards: "retrieved scenes are taken for one scene only",
    OwnLoop: "it adapts by the inner loop that the host changes",
    Unlisted: "its meta parameters survive saving",
    WrongOrder: "its orders are exact on a linear problem",
}


def outcomes(strategy: type):
    return run_contracts("strategy", strategy, spec=SPEC)


def test_a_good_strategy_keeps_all_contracts():
    assert {outcome.contract.name: outcome.status for outcome in outcomes(Good)} == {
        contract.name: "ok" for contract in contracts_of("strategy")
    }


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.__name__)
def test_exactly_the_contract_that_is_broken_fails(broken):
    failed = [outcome for outcome in outcomes(broken) if outcome.status == "failed"]
    assert [outcome.contract.name for outcome in failed] == [BREAKS[broken]]
    assert failed[0].error.read.startswith("docs/")


def test_every_contract_has_a_plugin_that_breaks_it():
    assert {contract.name for contract in contracts_of("strategy")} == set(BREAKS.values())


def test_a_strategy_that_says_what_it_reads_keeps_all_contracts():
    assert {outcome.status for outcome in outcomes(Says)} == {"ok"}


def test_on_scenes_without_its_fields_all_is_skipped_with_the_reason():
    scenes = ToyScenes(spec=SPEC, fields=frozenset({"source", "target"}))
    outcomes_here = run_contracts("strategy", Says, source=scenes)
    assert {(outcome.status, outcome.why) for outcome in outcomes_here} == {
        ("skipped", "the task source provides no structure")
    }


def test_a_strategy_without_a_meta_gradient_is_not_asked_for_one():
    class Plain(MetaStrategy):
        meta = False

        def __init__(self, *, inner) -> None:
            self.inner = inner

        def adapt(self, gp, support, step):
            return adapted(gp, support, self.inner, step)

    by_contract = {outcome.contract.name: outcome for outcome in outcomes(Plain)}
    skipped = [name for name, outcome in by_contract.items() if outcome.status == "skipped"]
    assert (
        by_contract["the meta gradient leaves the general model alone"].why == "it has no meta-gradient (meta = False)"
    )
    assert "its orders are exact on a linear problem" in skipped
    assert {outcome.status for outcome in by_contract.values()} == {"ok", "skipped"}


def test_the_signature_of_before_is_refused_where_the_class_is_written():
    with pytest.raises(UserError) as raised:

        class Old(Good):
            def meta_gradient(self, gp, episodes, step):
                return {}

    assert "Old.meta_gradient takes `episodes`, expected meta_gradient(self, gp, episode, step)" in str(raised.value)
    assert Path(str(raised.value.where.file)).name == "test_strategy.py"
    assert raised.value.where.line is not None
