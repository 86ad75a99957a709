"""A batch in parts: one step by the mean of what the parts give, the same bits whoever computes them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from toys import Toy, ToySource

from metai2i import Batch, Randomness, Step, UserError
from metai2i.data.sampling import Sampling
from metai2i.recipe.schema import Pretrain
from metai2i.stages.pretrain import pretrain
from metai2i.training.batch_parts import StepInParts, split
from metai2i.training.checkpoint import digest
from metai2i.training.driving import NonFinite, descend, drive
from metai2i.training.optimizers import plain_optimizer
from metai2i.training.stage_context import StageContext


@pytest.fixture
def batch() -> Batch:
    return Sampling().mixed(ToySource().tasks("train"), 5, Randomness((3,)))


def toy_of(kind: type[Toy], spec, **options) -> Toy:
    with Randomness((1,)).scope():
        return kind(spec=spec, **options)


def stepped(toy: Toy, batch: Batch, parts: int, steps: int = 1, clip: float | None = None) -> list[dict[str, float]]:
    optimizer = torch.optim.SGD(toy.parameters(), lr=0.1)
    step = StepInParts(toy, optimizer, parts, clip)
    losses = [step(batch, Step(Randomness((0, i)), i, steps)) for i in range(steps)]
    return [{name: float(value) for name, value in each.items()} for each in losses]


@pytest.mark.parametrize(
    ("size", "parts", "sizes"), [(6, 3, [2, 2, 2]), (5, 3, [2, 2, 1]), (3, 3, [1, 1, 1]), (7, 2, [4, 3]), (4, 1, [4])]
)
def test_a_batch_falls_into_parts_that_differ_by_one_sample_at_most(size, parts, sizes):
    ranges = split(size, parts)
    assert [len(each) for each in ranges] == sizes
    assert [place for each in ranges for place in each] == list(range(size))


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_losses_that_are_means_over_samples_make_the_step_of_the_whole_batch(spec, batch, parts):
    """The discriminator moves before the generator is judged by it: parts wait for each other at every move."""
    ours, theirs = toy_of(Toy, spec), toy_of(Toy, spec)
    (losses,) = stepped(ours, batch, parts, clip=0.5)
    adam = torch.optim.SGD(theirs.parameters(), lr=0.1)
    wanted = drive(theirs, batch, Step(Randomness((0, 0))), descend(theirs, adam, 0.5))
    assert losses == pytest.approx({name: float(value) for name, value in wanted.items()}, abs=1e-6)
    for (name, mine), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, other, msg=lambda text, name=name: f"{name}: {text}")


def test_parts_of_different_sizes_count_by_their_samples(spec, batch):
    """The gradient is 2/5 of that of the first two samples, 2/5 of the next two and 1/5 of the last."""

    class Whole(Toy):
        def training_step(self, batch, step):
            yield "generator", {"largest": (self.generator(batch["structure"]) - batch["target"]).abs().max()}

    toy = toy_of(Whole, spec, adversarial=False)
    wanted = torch.zeros_like(toy.generator.bias)
    for places, weight in ((range(2), 0.4), (range(2, 4), 0.4), ([4], 0.2)):
        loss = next(iter(toy.training_step(batch.select(places), Step())))[1]["largest"]
        wanted += weight * torch.autograd.grad(loss, toy.generator.bias)[0]
    before = toy.generator.bias.detach().clone()
    stepped(toy, batch, 3)
    torch.testing.assert_close(before - toy.generator.bias, 0.1 * wanted)


class Noisy(Toy):
    """Draws from the address, from torch's global generator before and between its moves, and by `draws`."""

    drawn: list[tuple[float, ...]]

    def draws(self, batch, step):
        return {"z": torch.rand(batch.size, generator=step.rng.at("z").generator())}

    def training_step(self, batch, step):
        by_address = torch.rand((), generator=step.rng.at("here").generator())
        numbers = [torch.rand(()).item()]
        for player, losses in super().training_step(batch, step):
            yield player, losses
            numbers.append(torch.rand(()).item())
        self.drawn.append((by_address.item(), *batch["z"].tolist(), *numbers))


def test_every_part_draws_for_itself_and_is_not_disturbed_by_the_others(spec, batch):
    together, alone = toy_of(Noisy, spec), toy_of(Noisy, spec)
    together.drawn, alone.drawn = [], []
    stepped(together, batch, 5)
    for n in range(5):  # what parts draw does not depend on which others are computed here
        step = StepInParts(alone, torch.optim.SGD(alone.parameters(), lr=0.1), 5)
        step._share = lambda n=n: [n]
        step(batch, Step(Randomness((0, 0))))
    assert together.drawn == alone.drawn
    assert len({number for each in together.drawn for number in each}) == 5 * 5
    latents = torch.rand(5, generator=Randomness((0, 0, "z")).generator()).tolist()
    assert [each[1] for each in together.drawn] == latents  # as the batch would have them whole


def test_torchs_generator_is_left_as_it_was(spec, batch):
    toy = toy_of(Noisy, spec)
    toy.drawn = []
    before = torch.get_rng_state()
    stepped(toy, batch, 2)
    assert torch.equal(torch.get_rng_state(), before)


class Averaged(Toy):
    """Follows its generator with an EMA copy behind the last move, counts its steps, and keeps a mean of its inputs."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.copy = nn.Conv2d(3, 3, 1).requires_grad_(False)
        self.copy.load_state_dict(self.generator.state_dict())
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.zeros(3))

    def training_step(self, batch, step):
        self.steps += 1
        self.mean = 0.5 * self.mean + 0.5 * batch["target"].mean((0, 2, 3))  # another tensor, as authors write it
        yield from super().training_step(batch, step)
        with torch.no_grad():
            for kept, new in zip(self.copy.parameters(), self.generator.parameters(), strict=True):
                kept.lerp_(new, 0.1)


def test_what_no_player_moves_is_changed_once_a_step_whatever_the_number_of_parts(spec, batch):
    ours, theirs = toy_of(Averaged, spec), toy_of(Averaged, spec)
    kept = ours.mean
    stepped(ours, batch, 5, steps=3)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for i in range(3):
        drive(theirs, batch, Step(Randomness((0, i)), i, 3), descend(theirs, optimizer))
    assert (int(ours.steps), float(ours.seen)) == (3, 3.0)
    torch.testing.assert_close(ours.copy.weight, theirs.copy.weight)
    torch.testing.assert_close(ours.mean, theirs.mean)  # of equal parts the mean of means
    assert ours.mean is kept


def test_batch_normalisation_is_that_of_a_part_and_its_statistics_are_the_mean(spec, batch):
    class Normed(Toy):
        def __init__(self, **options) -> None:
            super().__init__(**options)
            self.norm = nn.BatchNorm2d(3, affine=False)

        def training_step(self, batch, step):
            images = self.norm(batch["target"] + 0 * self.generator(batch["structure"]))
            yield "generator", {"squares": images.square().mean()}

    toy = toy_of(Normed, spec, adversarial=False)
    (losses,) = stepped(toy, batch, 2)
    assert losses["generator/squares"] == pytest.approx(1, abs=1e-3)
    parts = [batch["target"][:3], batch["target"][3:]]
    means = [part.mean((0, 2, 3)) for part in parts]
    variances = [part.var((0, 2, 3)) for part in parts]
    torch.testing.assert_close(toy.norm.running_mean, 0.1 * (0.6 * means[0] + 0.4 * means[1]))
    torch.testing.assert_close(toy.norm.running_var, 0.9 + 0.1 * (0.6 * variances[0] + 0.4 * variances[1]))
    assert int(toy.norm.num_batches_tracked) == 1


def test_a_graph_that_reads_a_buffer_sees_what_its_part_has_written(spec, batch):
    """The gradient of part 1 is taken after part 2 has run: each must have read its own scale."""

    class Scaled(Toy):
        def __init__(self, **options) -> None:
            super().__init__(**options)
            self.register_buffer("scale", torch.ones(()))

        def training_step(self, batch, step):
            self.scale.copy_(batch["target"].mean())
            images = self.generator(batch["structure"]) * self.scale
            yield "discriminator", {"real": self.discriminator(batch["target"]).mean()}
            yield "generator", {"mean": images.mean()}

    toy = toy_of(Scaled, spec)
    before = toy.generator.bias.detach().clone()
    stepped(toy, batch, 5)
    wanted = batch["target"].mean((1, 2, 3)).mean() / 3
    torch.testing.assert_close(before - toy.generator.bias, (0.1 * wanted).expand(3))


class Queue(Toy):
    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.register_buffer("classes", torch.zeros(3, dtype=torch.long))

    def training_step(self, batch, step):
        self.classes.copy_((batch["structure"].sum((0, 2, 3))).long())
        yield from super().training_step(batch, step)


class Clipped(Toy):
    def training_step(self, batch, step):
        yield from super().training_step(batch, step)
        self.generator.weight.data.clamp_(-0.01, 0.01)  # which torch's count of writes does not see


class Choosy(Toy):
    def training_step(self, batch, step):
        moves = list(super().training_step(batch, step))
        yield moves[int(batch.size == 1)]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (Queue, "parts of one batch leave different values in 'classes' of Queue, which have no mean"),
        (Clipped, "Clipped.training_step writes into the parameters of 'generator' itself"),
        (Choosy, "Choosy.training_step lets discriminator and generator move in the same turn of parts of one batch"),
    ],
)
def test_a_step_that_cannot_be_shared_is_refused_with_what_to_do(spec, batch, kind, what):
    with pytest.raises(UserError) as refused:
        stepped(toy_of(kind, spec), batch, 3)
    assert refused.value.what == what
    assert refused.value.hint.endswith("pretrain.parts: 1 computes the batch whole")


def test_a_loss_that_is_not_finite_in_one_part_stops_before_the_update(spec, batch):
    class Bad(Toy):
        def training_step(self, batch, step):
            self.seen += 1
            for player, losses in super().training_step(batch, step):
                yield player, {name: value / (batch.size - 1) for name, value in losses.items()}

    toy = toy_of(Bad, spec)
    before, buffer = digest(toy), toy.seen
    with pytest.raises(NonFinite):
        stepped(toy, batch, 3)
    assert digest(toy) == before
    assert toy.seen is buffer


def trained(tmp_path, spec, **settings) -> str:
    toy = toy_of(Averaged, spec)
    place = StageContext(tmp_path, "pretrain", torch.device("cpu"))
    pretrain(place, toy, ToySource().tasks("train"), Pretrain(**settings), Sampling(), Randomness((0, "pretrain")))
    return digest(toy)


def test_plain_training_takes_the_parts_that_a_recipe_asks_for(tmp_path, spec):
    whole = trained(tmp_path / "whole", spec, iterations=6, lr=1e-2, batch=4)
    assert whole == trained(tmp_path / "one", spec, iterations=6, lr=1e-2, batch=4, parts=1)
    assert whole != trained(tmp_path / "four", spec, iterations=6, lr=1e-2, batch=4, parts=4)


def test_the_optimiser_sees_only_who_moves(spec, batch):
    """Adam's state of a player that did not move stays as it was."""

    class One(Toy):
        def training_step(self, batch, step) -> Iterable:
            yield list(super().training_step(batch, step))[step.index % 2]

    toy = toy_of(One, spec)
    adam = plain_optimizer(toy, Pretrain())
    step = StepInParts(toy, adam, 2)
    step(batch, Step(index=0))
    assert [len(adam.state[p]) > 0 for p in (toy.discriminator.weight, toy.generator.weight)] == [True, False]
    step(batch, Step(index=1))
    assert [int(adam.state[p]["step"]) for p in (toy.discriminator.weight, toy.generator.weight)] == [1, 1]


def test_more_parts_than_samples_are_refused_by_the_recipe():
    with pytest.raises(ValidationError, match="`parts` is 5, expected at most the 4 of `batch`"):
        Pretrain(batch=4, parts=5)
