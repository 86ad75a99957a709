"""Joint fine-tuning against plain fine-tuning on a support that was merged by hand."""

from __future__ import annotations

import json
import math

import pytest
import torch
from metai2i_baselines import FineTune
from metai2i_bil import Bil
from metai2i_joint import Joint
from strategy_laws import check_ordinary, check_untouched, short_run
from toys import LastTasks, Toy, ToySource, ToyTask, toy_row

from metai2i import Adaptation, Augment, Batch, Randomness, Reference, Step, TaskSpec
from metai2i.data.sampling import Sampling
from metai2i.errors import UserError
from metai2i.metrics import measure
from metai2i.stages.auxiliary import auxiliary
from metai2i.stages.evaluate import evaluate
from metai2i.stages.row_evaluator import RowEvaluator
from metai2i.training.checkpoint import digest
from metai2i.training.stage_context import StageContext


def order(n: int, size: int) -> list[int]:
    return torch.randperm(size, generator=Step().rng.at("pairs", n).generator()).tolist()


def test_it_is_fine_tuning_on_the_merged_support(toy, episode):
    inner = Adaptation(iterations=3, lr=1e-2, augment=Augment())
    tasks = [ToyTask("x", 4), ToyTask("y", 8)]
    adapted = Joint(inner=inner, pairs=5).with_retrieved(tasks, Step()).adapt(toy, episode.support, Step())
    merged = Batch.cat([episode.support, *(task.load(order(n, len(task))[:5]) for n, task in enumerate(tasks))])
    assert merged.size == 5 + 4 + 5
    assert digest(adapted) == digest(FineTune(inner=inner).adapt(toy, merged, Step()))
    assert digest(adapted) != digest(FineTune(inner=inner).adapt(toy, episode.support, Step()))


def test_without_retrieved_scenes_it_is_fine_tuning(toy, episode):
    inner = Adaptation(iterations=3, lr=1e-2)
    ours, theirs = (make(inner=inner).adapt(toy, episode.support, Step()) for make in (Joint, FineTune))
    assert digest(ours) == digest(theirs)


def test_what_was_retrieved_for_one_scene_is_forgotten_for_the_next(toy, episode):
    strategy = Joint(inner=Adaptation(iterations=2, lr=1e-2))
    before = digest(strategy.adapt(toy, episode.support, Step()))
    strategy.with_retrieved([ToyTask("x", 4)], Step())
    assert digest(strategy.adapt(toy, episode.support, Step())) == before


class Unpaired(Toy):
    """Sees no photograph."""

    needs = frozenset({"structure"})

    def training_step(self, batch, step):
        yield "generator", {"level": self.generator(batch["structure"]).square().mean()}


class WithoutTargets(ToyTask):
    def load(self, indices):
        return Batch(structure=super().load(indices)["structure"])


def test_scenes_without_targets_are_merged_as_well(spec):
    inner, gp = Adaptation(iterations=3, lr=1e-2), Unpaired(spec=spec)
    support, other = (WithoutTargets(name, 4).load(range(4)) for name in "xy")
    adapted = Joint(inner=inner, pairs=4).with_retrieved([WithoutTargets("y", 4)], Step()).adapt(gp, support, Step())
    merged = Batch.cat([support, other.select(order(0, 4))])
    assert digest(adapted) == digest(FineTune(inner=inner).adapt(gp, merged, Step()))


class Keeping(Toy):
    """Keeps the batches that it sees while it is adapted."""

    needs = frozenset({"structure", "target", "reference"})

    def training_step(self, batch, step):
        self.batches.append(batch)
        yield from super().training_step(batch, step)


def test_the_reference_of_a_merged_pair_comes_from_its_own_scene(spec, monkeypatch):
    """Each scene has one brightness, so that a photograph tells whose it is."""
    shape = (4, 3, 16, 16)
    flat = [Batch(structure=torch.rand(shape), target=torch.full(shape, level)) for level in (-0.5, 0.0, 0.5)]
    gp = Keeping(spec=spec)
    monkeypatch.setattr(Keeping, "batches", [], raising=False)  # of the class: an adapted copy has a list of its own
    inner = Adaptation(iterations=10, reference=Reference(rotate=0.0, crop=1.0))
    strategy = Joint(inner=inner)
    strategy.others = tuple(flat[1:])
    strategy.adapt(gp, flat[0], Step())
    seen = Batch.cat(gp.batches)
    assert set(seen["target"].unique().tolist()) == {-0.5, 0.0, 0.5}
    torch.testing.assert_close(seen["reference"], seen["target"])


def judge(strategy, aux: bool = True) -> RowEvaluator:
    row = toy_row("joint", retriever={"use": "last", "k": 2})
    with Randomness((1,)).scope():
        gp = Toy(spec=TaskSpec(structure_channels=3, size=(32, 32)))
    train, retriever = ToySource(size=(32, 32)).tasks("train"), LastTasks()
    retriever.index(train)
    rng, cpu = Randomness((0, "evaluate")), torch.device("cpu")
    return RowEvaluator(gp, strategy, retriever if aux else None, train, row, Sampling(), rng, cpu)


def test_evaluation_hands_it_the_retrieved_scenes_and_the_general_model_as_it_is(tmp_path):
    evaluator = judge(Joint(inner=Adaptation(iterations=3, lr=1e-1), pairs=2))
    task, before = ToyTask("test", 6, (32, 32)), digest(evaluator.gp)
    evaluate(StageContext(tmp_path, "evaluate (a row)", torch.device("cpu")), evaluator, [task])
    scores = json.loads((tmp_path / "results.json").read_text())[0]
    rng = evaluator.rng.at(task.id, 0)
    episode = task.episode(2, 3, rng)
    retrieved = evaluator.train_tasks[::-1][:2]
    strategy = evaluator.strategy.with_retrieved(retrieved, Step(rng).at("aux"))
    assert sum(other.size for other in strategy.others) == 4
    model = strategy.adapt(evaluator.gp, episode.support, Step(rng).at("adapt"))
    expected = measure(model.translate(episode.query).detach(), episode.query["target"])["mse"]
    assert [query["mse"] for query in scores["queries"]] == expected
    assert [name for name, _ in scores["aux"]] == [task.id for task in retrieved]
    assert digest(evaluator.gp) == before


def test_strategies_that_make_nothing_of_retrieved_scenes_leave_them_to_the_host():
    for strategy in (Bil(inner=Adaptation(), steps=1), FineTune(inner=Adaptation())):
        assert strategy.with_retrieved([ToyTask("x", 4)], Step()) is None
        evaluator = judge(strategy)
        copied, tuned_strategy = auxiliary(
            evaluator.gp,
            evaluator.strategy,
            evaluator.row,
            evaluator.sampling,
            evaluator.train_tasks[:2],
            Step(),
            evaluator.device,
        )
        assert digest(copied) != digest(evaluator.gp)
        assert type(tuned_strategy) is type(strategy)


def test_the_general_model_is_untouched_and_the_copy_an_ordinary_one(toy, episodes):
    inner = Adaptation(lr=1e-2, augment=Augment(), iterations=2)
    strategy = Joint(inner=inner).with_retrieved([ToyTask("x", 4)], Step())
    check_untouched(strategy, toy, episodes)
    check_ordinary(strategy.adapt(toy, episodes[0].support, Step()), toy)


def test_it_has_no_meta_training_and_costs_none():
    assert not Joint.meta
    assert Joint(inner=Adaptation()).cost(shots=5, queries=5) == 0
    with pytest.raises(UserError, match=r"strategy\.pairs: got 0, expected at least 1"):
        Joint(inner=Adaptation(), pairs=0)


def test_it_runs_from_a_recipe(tmp_path):
    scores = short_run(tmp_path, {"use": "joint", "pairs": 3})
    assert not math.isclose(scores["plain"], scores["retrieved"])
