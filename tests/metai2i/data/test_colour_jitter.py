"""Looks of training scenes: one for all photographs of an episode, none for scenes that are judged."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from toys import ToySource, ToyTask

from metai2i import Augment, Batch, Randomness, UserError
from metai2i.data.colour_jitter import ColourJitter
from metai2i.data.reference import Reference
from metai2i.data.sampling import Sampling

STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, "tint": 0.0}


def grey(value: float, count: int = 2) -> Batch:
    return Batch(structure=torch.ones(count, 1, 4, 4), target=torch.full((count, 3, 4, 4), value))


def test_brightness_multiplies_the_photograph_and_stays_in_its_range():
    jitter = ColourJitter(**{**STILL, "brightness": 0.5})
    factors = [(jitter(grey(-0.5), Randomness((n,)))["target"] + 1).unique() / 0.5 for n in range(40)]
    assert all(len(each) == 1 for each in factors)
    assert 0.5 <= min(map(float, factors)) < 0.7
    assert 1.3 < max(map(float, factors)) <= 1.5
    assert jitter(grey(0.9), Randomness((3,)))["target"].abs().max() <= 1


def test_a_tint_is_one_factor_for_each_colour():
    tinted = (ColourJitter(**{**STILL, "tint": 0.3})(grey(-0.4), Randomness((1,)))["target"] + 1) / 0.6
    assert all(len(tinted[:, channel].unique()) == 1 for channel in range(3))
    assert len(tinted.mean((0, 2, 3)).unique()) == 3


def test_no_amount_changes_nothing():
    batch = ToyTask("a", 3).load(range(3))
    torch.testing.assert_close(ColourJitter(**STILL)(batch, Randomness())["target"], batch["target"])


def test_one_address_is_one_look_and_maps_are_left_alone():
    batch, jitter = ToyTask("a", 4).load(range(4)), ColourJitter()
    seen = jitter(batch, Randomness((5,)))
    halves = [jitter(batch.select(part), Randomness((5,)))["target"] for part in ([0, 1], [2, 3])]
    torch.testing.assert_close(torch.cat(halves)[:, 0] > 0, seen["target"][:, 0] > 0)
    assert torch.equal(seen["structure"], batch["structure"])
    assert not torch.allclose(seen["target"], batch["target"])


def test_support_and_query_of_a_training_episode_look_alike_and_unseen_scenes_as_they_are():
    task, jitter, rng = ToyTask("a", 6), ColourJitter(**{**STILL, "brightness": 0.5}), Randomness((2,))
    plain = Sampling().episode(task, 2, 2, rng)
    seen, unseen = (Sampling(colour_jitter=jitter).episode(task, 2, 2, rng, unseen=each) for each in (False, True))
    assert torch.equal(unseen.support["target"], plain.support["target"])
    ratio = [
        (a["target"] + 1) / (b["target"] + 1) for a, b in ((seen.support, plain.support), (seen.query, plain.query))
    ]
    inside = [part[(part - part.median()).abs() < 1e-3] for part in ratio]  # the rest was cut off at white
    assert float(inside[0].median()) == pytest.approx(float(inside[1].median()), abs=1e-4)


def test_in_plain_training_each_pair_has_a_look_of_its_own_which_its_reference_shares():
    class Flat(ToyTask):
        def load(self, indices):
            return super().load(indices).replace(target=torch.zeros(len(indices), 3, *self.size))

    still = Reference(rotate=0, crop=1)
    sampling = Sampling(None, still, ColourJitter(**{**STILL, "brightness": 0.5}))
    batch = sampling.mixed([Flat("a", 4), Flat("b", 4)], 6, Randomness((0,)))
    levels = batch["target"].mean((1, 2, 3))
    assert len(levels.unique()) == 6
    torch.testing.assert_close(batch["reference"].mean((1, 2, 3)), levels)


def test_without_jitter_the_draws_of_plain_training_are_the_same():
    tasks = ToySource().tasks("train")
    plain, looking = (
        Sampling(Augment(), colour_jitter=each).mixed(tasks, 4, Randomness((0,)))
        for each in (None, ColourJitter(**STILL))
    )
    torch.testing.assert_close(plain["target"], looking["target"])
    assert torch.equal(plain["structure"], looking["structure"])


@pytest.mark.parametrize(("name", "amount"), [("brightness", 1.5), ("hue", 0.6), ("tint", -0.1)])
def test_an_amount_out_of_its_range_is_refused(name, amount):
    with pytest.raises(UserError, match=rf"colour_jitter\.{name}: got .*, expected at "):
        ColourJitter(**{name: amount})


def test_torchvision_is_imported_when_it_is_asked_for_alone():
    """It takes longer than all the rest of a start."""
    code = "import metai2i.inference.adapt, metai2i.inference.translate, sys; print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
