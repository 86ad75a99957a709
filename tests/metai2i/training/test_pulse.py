"""A network that a rate has killed is told, and one that lives is not."""

from __future__ import annotations

import pytest
import torch
from toys import Toy, ToyTask

from metai2i import Batch, Step, TaskSpec
from metai2i.training.driving import descend, drive
from metai2i.training.pulse import signs, unmoved, why_lifeless

BATCH = ToyTask("scene", 4).load(range(3))
NOISE = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
DEAD = {
    "saturated": (NOISE.sign(), "its images are saturated: 100 % of their values are at -1 or 1"),
    "one colour each": (torch.arange(3.0).view(3, 1, 1, 1).expand(3, 3, 16, 16) / 4, "is of a single colour"),
    "all alike": (NOISE[:1].expand(3, -1, -1, -1), "its images are the same whatever the input"),
}


@pytest.mark.parametrize("what", DEAD)
def test_images_of_a_dead_network_are_told(what):
    images, words = DEAD[what]
    assert words in why_lifeless(images, BATCH)


@pytest.mark.parametrize("what", DEAD)
def test_what_the_photographs_are_as_well_is_no_fault(what):
    images, _ = DEAD[what]
    assert why_lifeless(images, BATCH.replace(target=images)) is None


def test_living_images_are_not_told():
    assert why_lifeless(NOISE, BATCH) is None
    assert why_lifeless(NOISE[:1], BATCH.select([0])) is None
    half = torch.where(NOISE > 0, NOISE.sign(), NOISE)
    assert why_lifeless(half, BATCH) is None
    assert why_lifeless(NOISE[:1].expand(3, -1, -1, -1), BATCH.select([0, 0, 0])) is None, "the maps are alike, too"


def test_without_photographs_the_images_alone_decide():
    assert "saturated" in why_lifeless(NOISE.sign(), Batch(structure=BATCH["structure"]))


class Wide(Toy):
    def translate(self, batch):
        return self.generator(batch["structure"]) * 0 + 3 * torch.linspace(-1, 1, 16)


def test_images_beyond_their_range_are_told_as_such_and_not_as_a_rates_fault():
    model = Wide(spec=TaskSpec(structure_channels=3, size=(16, 16)), adversarial=False)
    assert why_lifeless(model.translate(BATCH), BATCH) == "its images are the same whatever the input"
    warnings = signs(model, BATCH, Step(index=0, total=1), {"pretrain.lr": 1e-3})
    assert warnings[0].startswith("its images reach from -3 to 3, expected [-1, 1]; what lies beyond is clipped")
    assert not any("saturated" in warning for warning in warnings)


class Tanh(Toy):
    def training_step(self, batch, step):
        yield "generator", {"l1": (self.translate(batch) - batch["target"]).abs().mean()}

    def translate(self, batch):
        return self.generator(batch["structure"]).tanh()


@pytest.mark.parametrize(("lr", "message"), [(1e-2, 0), (1e9, 2)])
def test_a_rate_that_kills_is_told_with_its_name_and_value(lr, message):
    torch.manual_seed(0)
    model = Tanh(spec=TaskSpec(structure_channels=3, size=(16, 16)), adversarial=False)
    update = descend(model, torch.optim.Adam(model.parameters(), lr=lr))
    for index in range(3):
        drive(model, BATCH, Step(index=index, total=3), update)
    remarks = signs(model, BATCH, Step(), {"pretrain.lr": lr})
    assert len(remarks) == message
    assert all(text.endswith("; lower pretrain.lr (1e+09)") for text in remarks)
    assert unmoved(model) == (["generator"] if message else [])


def test_images_that_cannot_be_looked_at_are_left_to_evaluation():
    class Broken(Tanh):
        def translate(self, batch):
            raise ZeroDivisionError

    class Nothing(Tanh):
        def translate(self, batch):
            return None

    for translator_class in (Broken, Nothing):
        assert (
            signs(
                translator_class(spec=TaskSpec(structure_channels=3, size=(16, 16))),
                BATCH,
                Step(),
                {"pretrain.lr": 1.0},
            )
            == []
        )
