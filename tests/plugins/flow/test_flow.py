"""`flow`: paths, their times, and what is minimised along them, against closed forms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from metai2i_flow import Flow, FlowReference
from metai2i_flow.network import DIVISOR, TimedUNet
from torch import nn

from metai2i import Batch, Objective, Randomness, Step, TaskSpec, UserError

PLAIN = {"l1": 1.0, "adversarial": 0.0, "perceptual": 0.0}


def flow(objective=None, size=(16, 16), **options) -> Flow:
    with Randomness((3,)).scope():
        spec = TaskSpec(structure_channels=4, size=size)
        return Flow(spec=spec, objective=Objective(**(objective or PLAIN)), **{"width": 4, "d_layers": 1, **options})


def samples(count: int = 2, side: int = 16) -> Batch:
    generator = torch.Generator().manual_seed(1)
    classes = torch.randint(4, (count, side, side), generator=generator)
    structure = torch.nn.functional.one_hot(classes, 4).permute(0, 3, 1, 2).float()
    return Batch(structure=structure, target=torch.rand(count, 3, side, side, generator=generator) * 1.8 - 0.9)


def drawn(translator: Flow, batch: Batch, step: Step | None = None) -> Batch:
    """The batch with what the host puts into it."""
    return Batch(**{name: batch[name] for name in batch}, **translator.draws(batch, step or Step(Randomness((5,)))))


class Known(nn.Module):
    """A generator that knows the answer, and remembers what it was asked."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.answer, self.asked = answer, []

    def forward(self, given, time):
        self.asked.append((given, time))
        return self.answer(given, time)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_generator_that_knows_the_image_arrives_there_by_any_number_of_steps(steps):
    translator, batch = flow(steps=steps), samples()
    translator.generator = Known(lambda given, time: batch["target"].atanh())
    torch.testing.assert_close(translator.translate(batch), batch["target"])
    times = [float(time[0]) for _, time in translator.generator.asked]
    assert times == [number / steps for number in range(steps)]


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_generator_that_knows_the_velocity_arrives_there_too(steps):
    translator, batch = flow(steps=steps, predict="velocity"), samples()
    start = translator.colours(batch["structure"]).tanh()
    translator.generator = Known(lambda given, time: batch["target"] - start)
    torch.testing.assert_close(translator.translate(batch), batch["target"])


def test_points_on_the_way_lie_on_the_line_between_layout_and_photograph():
    translator, batch = flow(times=4, noise=0.0), drawn(flow(), samples(4))
    translator.generator = Known(lambda given, time: given[:, :3])
    next(translator.training_step(batch, Step()))
    ((shown, time),) = translator.generator.asked
    start = translator.colours(batch["structure"]).tanh()
    along = batch["time"][:, None, None, None]
    torch.testing.assert_close(shown[:, :3], (1 - along) * start + along * batch["target"])
    torch.testing.assert_close(shown[:, 3:], batch["structure"])
    assert torch.equal(time, batch["time"])


def test_noise_is_as_strong_as_it_is_said_to_be_and_is_gone_at_the_photograph():
    batch = samples(2)
    clean, noisy = flow(noise=0.0), flow(noise=0.5)
    noise = torch.randn(2, 3, 16, 16)
    for time, left in ((0.0, 0.5), (0.75, 0.125)):
        asked = []
        for translator in (clean, noisy):
            translator.generator = Known(lambda given, time: given[:, :3])
            full = Batch(**{name: batch[name] for name in batch}, time=torch.full((2,), time), noise=noise)
            next(translator.training_step(full, Step()))
            asked.append(translator.generator.asked[0][0][:, :3])
        torch.testing.assert_close(asked[1] - asked[0], left * noise)


def test_one_time_is_a_plain_regression_on_the_layout():
    translator = flow(times=1, noise=0.0)
    batch = drawn(translator, samples())
    assert batch["time"].tolist() == [0, 0]
    player, losses = next(translator.training_step(batch, Step()))
    assert player == "generator"
    assert losses.keys() == {"l1"}
    torch.testing.assert_close(losses["l1"], (translator.translate(batch) - batch["target"]).abs().mean())


def test_the_velocitys_loss_is_its_mean_squared_error_and_moves_no_colours_to_where_it_is_easy():
    translator = flow(predict="velocity", noise=0.0, times=1)
    batch = drawn(translator, samples())
    translator.generator = Known(lambda given, time: torch.zeros_like(given[:, :3]))
    ((player, losses),) = translator.training_step(batch, Step())
    start = translator.colours(batch["structure"]).tanh()
    assert player == "generator"
    torch.testing.assert_close(losses["flow"], (batch["target"] - start).square().mean().detach())
    assert not losses["flow"].requires_grad


def test_the_discriminator_moves_first_on_the_same_images():
    translator = flow({"l1": 1.0, "adversarial": 1.0, "perceptual": 0.0})
    moves = list(translator.training_step(drawn(translator, samples()), Step()))
    assert [player for player, _ in moves] == ["discriminator", "generator"] == list(translator.players())
    assert [set(losses) for _, losses in moves] == [{"real", "fake"}, {"l1", "adversarial"}]
    assert list(flow().players()) == ["generator"] == list(flow(predict="velocity").players())


@given(times=st.integers(1, 8), count=st.integers(1, 8), first=st.integers(0, 50))
def test_every_time_is_seen_equally_often_from_any_step_on(times, count, first):
    translator, batch = flow(times=times), samples(count, 8)
    seen = torch.cat([
        translator.draws(batch, Step(Randomness((index,)), index, 100))["time"] for index in range(first, first + times)
    ])  # fmt: skip
    values, counts = (seen * times).round().unique(return_counts=True)
    assert values.tolist() == list(range(times))
    assert counts.tolist() == [count] * times


def test_which_sample_has_which_time_changes_from_step_to_step():
    translator, batch = flow(times=4), samples(4)
    orders = {tuple(translator.draws(batch, Step(Randomness((n,)), n))["time"].tolist()) for n in range(20)}
    assert len(orders) > 10


def test_each_image_is_made_by_itself():
    translator, batch = flow(steps=2), samples(3)
    alone = [translator.translate(batch.select([n])) for n in range(3)]
    torch.testing.assert_close(translator.translate(batch), torch.cat(alone))


def test_blocks_do_nothing_and_the_time_says_nothing_before_training():
    with Randomness((0,)).scope():
        network = TimedUNet(5, 8)
    given = torch.randn(2, 5, 16, 16)
    assert torch.equal(network(given, torch.zeros(2)), network(given, torch.full((2,), 0.75)))
    block = network.down[1]
    features = torch.randn(2, 16, 4, 4)
    assert torch.equal(block(features, torch.randn(2, 32)), features)


def test_images_from_noise_differ_and_those_from_a_layout_do_not():
    batch = samples()
    for source, differ in (("noise", True), ("layout", False)):
        translator = flow(source=source)
        assert translator.samples is differ
        assert torch.equal(translator.translate(batch), translator.translate(batch)) is not differ
    assert flow(source="noise").colours is None


def test_a_reference_is_shown_to_the_generator_beside_the_structure():
    with Randomness((3,)).scope():
        spec = TaskSpec(structure_channels=4, size=(16, 16))
        translator = FlowReference(spec=spec, objective=Objective(**PLAIN), width=4)
    reference = torch.rand(2, 3, 16, 16)
    batch = Batch(structure=samples()["structure"], reference=reference)
    translator.generator = Known(lambda given, time: given[:, :3])
    translator.translate(batch)
    assert torch.equal(translator.generator.asked[0][0][:, 7:], reference)


@pytest.mark.parametrize(
    ("options", "size", "words"),
    [
        ({"times": 4, "steps": 3}, (16, 16), "translator.steps: got 3, expected a divisor of translator.times, 4"),
        ({}, (20, 32), f"flow: size 20x32 is not divisible by {DIVISOR}"),
        ({"times": 0}, (16, 16), "translator.times"),
        ({"noise": -0.1}, (16, 16), "translator.noise"),
    ],
)
def test_what_it_cannot_do_is_said_at_once(options, size, words):
    with pytest.raises(UserError, match=words):
        flow(size=size, **options)


def test_the_nearest_sizes_and_the_steps_that_fit_are_named():
    with pytest.raises(UserError) as refused:
        flow(size=(20, 32))
    assert refused.value.hint == "the nearest sizes are 16x32 and 24x40"
    with pytest.raises(UserError) as refused:
        flow(times=6, steps=4)
    assert refused.value.hint.startswith("1, 2, 3, 6;")


@pytest.mark.parametrize("count", [1, 5])
def test_an_inner_loop_sees_all_times_alike_on_average(count):
    translator, batch = flow(times=4), samples(count, 8)
    steps = [Step(Randomness((n,)), 3, 100, inner=True) for n in range(400)]
    seen = torch.cat([translator.draws(batch, step)["time"] for step in steps])
    shares = torch.bincount((4 * seen).long(), minlength=4) / len(seen)
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.06, rtol=0)
