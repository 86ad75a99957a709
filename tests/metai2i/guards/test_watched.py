"""A strategy that changes the general model in its meta-gradient, or remembers episodes, is refused by its name."""

from __future__ import annotations

import pytest
import torch
from metai2i_bil import Bil
from metai2i_mamlpp import MamlPlusPlus
from metai2i_metasgd import MetaSGD
from metai2i_reptile import Reptile
from toys import Toy, ToyTask

from metai2i import Adaptation, Randomness, Step, TaskSpec, UserError
from metai2i.guards.watched import meta_gradient, watched_meta_gradient
from metai2i.meta.outer_step import meta_step, outer_optimizer

EPISODE = ToyTask("scene", 6).episode(2, 2, Randomness((1,)))


@pytest.fixture
def gp() -> Toy:
    torch.manual_seed(0)
    return Toy(spec=TaskSpec(structure_channels=3, size=(16, 16)))


def refused(gp, strategy) -> str:
    strategy.prepare(gp)
    with pytest.raises(UserError) as caught:
        watched_meta_gradient(gp, strategy, EPISODE, Step())
    return caught.value.what


def changing(change):
    class Changing(Bil):
        def meta_gradient(self, gp, episode, step):
            change(gp)
            return super().meta_gradient(gp, episode, step)

    return Changing(inner=Adaptation(), steps=1)


CHANGES = {
    "generator.bias": lambda gp: gp.generator.bias.data.add_(1),
    "generator.weight": lambda gp: gp.generator.weight.detach().mul_(2),
    "seen": lambda gp: gp.seen.add_(1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_general_model_is_told_by_the_tensor_and_the_strategy(name, gp):
    said = refused(gp, changing(CHANGES[name]))
    assert said.startswith(f"meta_gradient has changed the general model ({name}): the strategy Changing of ")


def test_a_change_of_its_own_meta_parameters_is_told(gp):
    class Drifting(MetaSGD):
        def meta_gradient(self, gp, episode, step):
            next(iter(self.meta_parameters().values())).data.add_(1)
            return super().meta_gradient(gp, episode, step)

    assert refused(gp, Drifting(inner=Adaptation())).startswith("meta_gradient has changed the general model (meta-par")


def test_a_strategy_that_remembers_episodes_is_refused_by_what_it_keeps(gp):
    class Remembering(Bil):
        past = 0

        def meta_gradient(self, gp, episode, step):
            self.past += 1
            losses = super().meta_gradient(gp, episode, step)
            for parameter in gp.parameters():
                parameter.grad.mul_(self.past)
            return losses

    said = refused(gp, Remembering(inner=Adaptation(), steps=1))
    assert said.startswith("meta_gradient of the strategy Remembering of ")
    assert "(Remembering.past)" in said


@pytest.mark.parametrize("given", [None, [1], {"query/x": 1.0}, {"query/x": torch.zeros(2)}])
def test_what_is_no_loss_by_name_is_told(given, gp):
    strategy = Bil(inner=Adaptation())
    strategy.meta_gradient = lambda gp, episode, step: given
    with pytest.raises(UserError, match=r"meta_gradient of the strategy Bil of .*expected"):
        meta_gradient(gp, strategy, EPISODE, Step())


@pytest.mark.parametrize("make", [Bil, Reptile, MetaSGD, MamlPlusPlus])
def test_looking_changes_no_number(make, gp):
    grads = []
    for call in (meta_gradient, watched_meta_gradient):
        strategy = make(inner=Adaptation())
        with Randomness((3,)).scope():
            strategy.prepare(gp)
        gp.zero_grad(set_to_none=True)
        call(gp, strategy, EPISODE, Step())
        grads.append([p.grad.clone() for p in [*gp.parameters(), *strategy.meta_parameters().values()]])
    assert all(torch.equal(left, other) for left, other in zip(*grads, strict=True))


def test_an_outer_loop_without_an_optimiser_is_told(gp):
    strategy = Bil(inner=Adaptation())
    strategy.outer = lambda groups, lr: None
    with pytest.raises(UserError, match=r"outer of the strategy Bil of .* gives None, expected a torch\.optim"):
        outer_optimizer(gp, strategy, 1e-3)


def test_a_copys_plain_state_does_not_reach_the_next_episode(gp):
    """So that meta-training does not depend on which process has which episode."""

    class Listing(Toy):
        def training_step(self, batch, step):
            self.past = [*getattr(self, "past", []), step.role]
            yield from super().training_step(batch, step)

    gp.__class__ = Listing
    gp.past = []
    strategy = Bil(inner=Adaptation(), steps=2)
    meta_step(gp, strategy, outer_optimizer(gp, strategy, 1e-3), [EPISODE, EPISODE], Step())
    assert gp.past == []
