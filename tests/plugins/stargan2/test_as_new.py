"""What episodes of a new domain train: the spare layers, which those of known domains leave alone."""

from __future__ import annotations

import pytest
import torch
from metai2i_stargan2 import StarGan2

from metai2i import NEW_DOMAIN, Batch, Episode, Field, Objective, Randomness, Step, TaskSpec
from metai2i.data.as_new import AsNew

NAMES = ("cat", "dog", NEW_DOMAIN)
SPEC = TaskSpec(0, (32, 32), StarGan2.needs, domains=2, also={"domain": Field("label", len(NAMES), NAMES)})


def episode():
    generator = Randomness().generator()
    names = ("source", "reference", "reference2")
    photos = {name: torch.rand(2, 3, 32, 32, generator=generator) * 2 - 1 for name in names}
    batch = Batch(**photos, domain=torch.tensor([0, 0]), reference_domain=torch.tensor([1, 1]))
    return Episode("into dogs", batch, batch)


@pytest.mark.parametrize("as_new", [True, False])
def test_episodes_of_a_new_domain_train_the_spare_layers_and_others_leave_them_alone(as_new):
    with Randomness().scope():
        translator = StarGan2(spec=SPEC, objective=Objective(l1=1, perceptual=0), width=4, widest=8, hidden=8)
    drawn = AsNew.of(SPEC)(episode()) if as_new else episode()
    batch = drawn.support.replace(**translator.draws(drawn.support, Step()))
    spare = {name: each for name, each in translator.named_parameters() if "spare_weight" in name}
    assert {name.split(".")[0] for name in spare} == {"mapping", "style", "discriminator"}
    total = sum(loss for move in translator.training_step(batch, Step()) for loss in move[1].values())
    gradients = torch.autograd.grad(total, [*spare.values()], allow_unused=True)
    moved = {name: each is not None and bool(each.any()) for name, each in zip(spare, gradients, strict=True)}
    assert moved == dict.fromkeys(spare, as_new)
