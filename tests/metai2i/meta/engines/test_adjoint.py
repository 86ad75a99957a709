"""The adjoint engine against closed forms, and what it keeps."""

from __future__ import annotations

import tempfile

import pytest
import torch
from torch import nn

from metai2i import Adaptation, Batch, Step, Translator, UserError
from metai2i.meta.engines.adjoint import Adjoint
from metai2i.meta.engines.inner_steps import InnerSteps
from metai2i.meta.engines.iterates import InMemory
from metai2i.meta.engines.learn2learn import Learn2Learn
from metai2i.training.driving import drive


class Spring(Translator):
    """One weight and the loss `stiffness / 2 * weight ** 2`, where the stiffness is the mean of the target."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(3.0, dtype=torch.float64))

    def players(self):
        return {"generator": [self.weight]}

    def training_step(self, batch, step):
        yield "generator", {"energy": batch["target"].mean() / 2 * self.weight**2}

    def translate(self, batch):
        return self.weight * batch["target"]


class Game(Translator):
    """Two numbers that play against each other, nothing cut off: `a` minimises `a * b + a ** 2 / 2`, then `b` minimises
    `b ** 2 / 2 - a * b`. Each step is linear in (a, b)."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor(-1.0, dtype=torch.float64))

    def players(self):
        return {"a": [self.a], "b": [self.b]}

    def training_step(self, batch, step):
        yield "a", {"a": self.a * self.b + self.a**2 / 2}
        yield "b", {"b": self.b**2 / 2 - self.a * self.b}

    def translate(self, batch):
        return batch["target"] * self.a * self.b


class Chain(Translator):
    """Four players, of whom each learns of the one before: `b` of `a`, `c` of `b`; `d` of nobody."""

    def __init__(self) -> None:
        super().__init__()
        for name in "abcd":
            setattr(self, name, nn.Parameter(torch.tensor(1.0, dtype=torch.float64)))

    def players(self):
        return {name: [getattr(self, name)] for name in "cbad"}

    def training_step(self, batch, step):
        for name, other in (("c", self.b), ("b", self.a), ("a", 1.0), ("d", 2.0)):
            yield name, {"l2": (getattr(self, name) - other) ** 2}

    def translate(self, batch):
        return batch["target"]


class Deep(Translator):
    """Many layers, so that what is saved for the way back is counted in layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(6)))

    def players(self):
        return {"generator": self.layers.parameters()}

    def training_step(self, batch, step):
        yield "generator", {"l2": (self.translate(batch) - batch["target"]).square().mean()}

    def translate(self, batch):
        return self.layers(batch["structure"])


def stiffness(value: float) -> Batch:
    target = torch.full((1, 3, 2, 2), value, dtype=torch.float64)
    return Batch(structure=target, target=target)


@pytest.mark.parametrize("steps", [0, 1, 3, 7])
def test_a_spring_has_its_closed_form(steps):
    gp, lr, inner, outer = Spring(), 0.1, 2.0, 5.0

    def judge(copy, collect):
        return drive(copy, stiffness(outer), Step(), collect)

    Adjoint("sqrt").meta_gradient(
        gp, stiffness(inner), judge, Adaptation(iterations=steps, optimizer="sgd", lr=lr), Step()
    )
    shrunk = (1 - lr * inner) ** steps  # what a descent of so many steps leaves of the weight
    assert gp.weight.grad.item() == pytest.approx(outer * (shrunk * 3.0) * shrunk, rel=1e-12)


@pytest.mark.parametrize("engine", [Adjoint(), Adjoint("sqrt"), Learn2Learn("second")], ids=lambda e: e.name)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_game_has_the_steps_of_plain_training_and_their_derivative(engine, steps):
    """The gradient of a move is taken at the others' parameters as they are, not at what they have learned of it."""
    gp, lr, losses = Game(), 0.1, {}

    def judge(copy, collect):
        losses.update(a=copy.a.item(), b=copy.b.item())
        return drive(copy, stiffness(1.0), Step(), collect)

    engine.meta_gradient(gp, stiffness(1.0), judge, Adaptation(iterations=steps, optimizer="sgd", lr=lr), Step())
    a_moves = torch.tensor([[1 - lr, -lr], [0, 1]], dtype=torch.float64)
    b_moves = torch.tensor([[1, 0], [lr, 1 - lr]], dtype=torch.float64)
    whole = torch.linalg.matrix_power(b_moves @ a_moves, steps)
    a, b = (whole @ torch.tensor([2.0, -1.0], dtype=torch.float64)).tolist()
    assert (losses["a"], losses["b"]) == pytest.approx((a, b), rel=1e-12)
    for_a = whole.T @ torch.tensor([a + b, a], dtype=torch.float64)  # of what `a` minimises, by (a, b)
    for_b = whole.T @ torch.tensor([-b, b - a], dtype=torch.float64)
    assert gp.a.grad.item() == pytest.approx(for_a[0].item(), rel=1e-12)
    assert gp.b.grad.item() == pytest.approx(for_b[1].item(), rel=1e-12)


def test_influence_spreads_by_one_player_for_each_step():
    inner = InnerSteps(Chain(), stiffness(1.0), Adaptation(optimizer="sgd", lr=0.1), Step())
    at = inner.start()
    for i in range(2):
        at = inner.advance(i, at)
    assert [inner.influenced(["a"], steps) for steps in range(3)] == [{"a"}, {"a", "b"}, {"a", "b", "c"}]
    assert inner.influenced(["d"], 2) == {"d"}
    assert inner.influenced(["c"], 2) == {"c"}


def test_a_judge_may_call_several_times_and_weigh():
    gp, support = Spring(), stiffness(2.0)

    def judge(copy, collect):
        for query, weight in ((5.0, 0.25), (1.0, 0.75)):
            drive(copy, stiffness(query), Step(), lambda players, loss, weight=weight: collect(players, weight * loss))
        return {}

    Adjoint().meta_gradient(gp, support, judge, Adaptation(iterations=2, optimizer="sgd", lr=0.1), Step())
    assert gp.weight.grad.item() == pytest.approx((0.25 * 5.0 + 0.75 * 1.0) * 3.0 * 0.8**4, rel=1e-12)


def test_gradients_are_added_to_those_that_are_there():
    gp = Spring()
    gp.weight.grad = torch.tensor(1.0, dtype=torch.float64)
    judge = lambda copy, collect: drive(copy, stiffness(1.0), Step(), collect)  # noqa: E731
    Adjoint().meta_gradient(gp, stiffness(1.0), judge, Adaptation(iterations=0), Step())
    assert gp.weight.grad.item() == pytest.approx(1.0 + 3.0)


def saved(engine, steps: int) -> int:
    """The largest number of tensors that autograd holds at one time for a way back."""
    torch.manual_seed(0)
    gp, rows = Deep(), torch.randn(2, 3, 4)
    pairs = Batch(structure=rows[0], target=rows[1])
    now = most = 0

    class Held:
        def __init__(self, tensor: torch.Tensor) -> None:
            nonlocal now, most
            self.tensor, now = tensor, now + 1
            most = max(most, now)

        def __del__(self) -> None:
            nonlocal now
            now -= 1

    with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.tensor):
        engine.meta_gradient(
            gp, pairs, lambda copy, collect: drive(copy, pairs, Step(), collect), Adaptation(iterations=steps), Step()
        )
    return most


def test_only_one_step_has_a_graph_at_a_time():
    assert saved(Adjoint(), 8) == saved(Adjoint(), 2)
    assert saved(Learn2Learn("second"), 8) > 3 * saved(Learn2Learn("second"), 2)


@pytest.mark.parametrize(("steps", "most"), [(1, 1), (5, 3), (20, 7), (100, 19)])
def test_every_root_th_iterate_is_kept_and_the_others_come_again(steps, most):
    taken = []

    def advance(i: int, at: int) -> int:
        assert at == i
        taken.append(i)
        return at + 1

    every = max(1, int(steps**0.5))
    iterates = InMemory(lambda: 0, advance, every)
    for i in range(steps):
        iterates.put(i, i)
    seen = 0
    for i in reversed(range(steps)):
        assert iterates.take(i) == i
        seen = max(seen, len(iterates.held) + 1)
    assert seen <= most
    assert sorted(taken) == [i for i in range(steps) if (i + 1) % every and i + 1 < steps]  # none comes more than once


def test_nothing_stays_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    def judge(copy, collect):
        seen.extend(path.name for path in tmp_path.rglob("*.pt"))
        return drive(copy, stiffness(1.0), Step(), collect)

    Adjoint("disk").meta_gradient(Spring(), stiffness(1.0), judge, Adaptation(iterations=4), Step())
    assert sorted(seen) == ["1.pt", "2.pt", "3.pt"]
    assert list(tmp_path.iterdir()) == []


class Ageing(Spring):
    """A spring that its own steps make stiffer, by a number that no copy of an iterate has."""

    def __init__(self) -> None:
        super().__init__()
        self.age = 1.0

    def training_step(self, batch, step):
        yield "generator", {"energy": self.age * batch["target"].mean() / 2 * self.weight**2}
        self.age *= 1.5


@pytest.mark.parametrize("keep", ["all", "sqrt", "disk"])
def test_steps_that_are_others_when_taken_again_are_refused(keep):
    def judge(copy, collect):
        return drive(copy, stiffness(1.0), Step(), collect)

    with pytest.raises(UserError, match="give other losses when they are taken again") as caught:
        Adjoint(keep).meta_gradient(Ageing(), stiffness(1.0), judge, Adaptation(lr=0.1, iterations=4), Step())
    assert "learn2learn" in str(caught.value.hint)
