"""What a translator has to show besides its images, looked at before it is kept."""

from __future__ import annotations

import pytest
import torch
from toys import Toy, ToyTask

from metai2i import Step, TaskSpec, UserError
from metai2i.training.driving import shown_images, translate

BATCH = ToyTask("a", 2).load([0, 1])


def shower(given: object) -> Toy:
    class Shower(Toy):
        def shown(self, batch):
            assert "target" not in batch
            assert not self.training
            return given(batch) if callable(given) else given

    return Shower(spec=TaskSpec(structure_channels=3, size=(16, 16)))


def test_nothing_is_shown_by_default_and_images_come_out_by_their_names():
    assert shown_images(Toy(spec=TaskSpec(3, (16, 16))), BATCH, Step()) == {}
    shown = shown_images(shower(lambda batch: {"map": batch["structure"] - 1}), BATCH, Step())
    assert torch.equal(shown["map"], BATCH["structure"] - 1)


def test_its_draws_are_decided_by_the_address_and_leave_the_generators_alone():
    translator = shower(lambda batch: {"noise": torch.rand_like(batch["structure"])})
    state = torch.get_rng_state()
    first, again = (shown_images(translator, BATCH, Step())["noise"] for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state)


def test_its_draws_are_those_of_the_outputs_that_they_go_with():
    class Noise(Toy):
        def translate(self, batch):
            return torch.rand_like(batch["structure"])

        def shown(self, batch):
            return {"again": torch.rand_like(batch["structure"])}

    translator, step = Noise(spec=TaskSpec(3, (16, 16))), Step().at("translate")
    assert torch.equal(shown_images(translator, BATCH, step)["again"], translate(translator, BATCH, step))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], r"shown\(\) of Shower gives a list, expected images by names"),
        ({"a/b": torch.zeros(2, 3, 4, 4)}, r"shown\(\) of Shower gives a dict, expected images by names"),
        ({"mask": torch.zeros(2, 1, 4, 4)}, r"gives \(2, 1, 4, 4\) for 'mask', expected finite images \(2, 3, H, W\)"),
        ({"mask": torch.full((2, 3, 4, 4), torch.nan)}, r"for 'mask', expected finite images"),
        ({"samples": torch.zeros(2, 3, 4, 4)}, r"gives 'samples', as the outputs for a query are called"),
    ],
)
def test_what_is_no_image_is_told_by_the_name_of_the_translator(given, why):
    with pytest.raises(UserError, match=why):
        shown_images(shower(given), BATCH, Step())
