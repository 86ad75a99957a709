"""What is done with retrieved scenes: outer steps of a copy, or pairs in the batches of the inner loop."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from metai2i_baselines import Copy, FineTune, NoAdaptation
from metai2i_joint import Joint
from metai2i_reptile import Reptile
from toys import ToyTask, toy_row

from metai2i import Adaptation, Batch, Step
from metai2i.data.retrieved import RetrievedRows
from metai2i.data.sampling import Sampling
from metai2i.errors import UserError, UserErrors
from metai2i.meta.inner_loop import support_batches
from metai2i.recipe import load_recipe
from metai2i.stages.auxiliary import auxiliary, check_joins
from metai2i.training.checkpoint import digest
from metai2i.training.driving import descend, drive, parameter_groups

INNER = Adaptation(iterations=3, lr=1e-2, batch=2)
TASKS = [ToyTask(name, 6) for name in "xyz"]
CPU = torch.device("cpu")
HERE = Step().at("aux")


def row(strategy: str = "finetune", **aux):
    return toy_row(strategy, retriever={"use": "last", "k": 3}, aux=aux)


def batches_row(**aux):
    return row(into="batches", rows=2, **aux)


def test_into_batches_the_model_stays_and_the_inner_loop_sees_support_and_retrieved_pairs(toy, episode):
    strategy = FineTune(inner=INNER)
    start, joined = auxiliary(toy, strategy, batches_row(), Sampling(), TASKS, HERE, CPU)
    assert start is toy
    ours = joined.adapt(toy, episode.support, Step())
    by_hand = copy.deepcopy(toy)
    adam = torch.optim.Adam(parameter_groups(by_hand, 1e-2), betas=(0.5, 0.999))
    rows = RetrievedRows(tuple(task.load(range(6)) for task in TASKS), 2)
    for i, batch in enumerate(support_batches(episode.support, INNER, Step().rng)):
        more = rows.batch(Sampling(), Step().rng.at(i, "retrieved"))
        drive(by_hand, Batch.cat([batch, more]), Step().at(i, inner=True), descend(by_hand, adam))
    for a, b in zip(ours.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_into_batches_the_strategy_forgets_the_scenes_for_the_next(toy, episode):
    strategy = FineTune(inner=INNER)
    before, model = digest(strategy.adapt(toy, episode.support, Step())), digest(toy)
    _, joined = auxiliary(toy, strategy, batches_row(), Sampling(), TASKS, HERE, CPU)
    assert digest(joined.adapt(toy, episode.support, Step())) != before
    assert digest(strategy.adapt(toy, episode.support, Step())) == before
    assert digest(toy) == model


def test_into_batches_no_outer_step_is_taken_and_into_the_model_some_are(toy):
    strategy = Reptile(inner=INNER, steps=2)
    for into, same in (("batches", True), ("model", False)):
        start, _ = auxiliary(toy, strategy, row("reptile", into=into, iterations=1), Sampling(), TASKS, HERE, CPU)
        assert (digest(start) == digest(toy)) is same


class Told(Reptile):
    """Keeps the scenes of its episodes."""

    scenes: ClassVar[list[str]] = []

    def meta_gradient(self, gp, episode, step):
        self.scenes.append(episode.task)
        return super().meta_gradient(gp, episode, step)


@pytest.mark.parametrize(("weights", "often"), [("equal", (1, 1, 1)), ("rank", (6, 3, 2))])
def test_weights_say_how_often_a_scene_is_trained_on(toy, weights, often, monkeypatch):
    monkeypatch.setattr(Told, "scenes", [])
    settings = row("reptile", iterations=300, tasks=1, weights=weights)
    inner = replace(INNER, iterations=1)
    auxiliary(toy, Told(inner=inner, steps=1), settings, Sampling(), TASKS, HERE, CPU)
    counted = Counter(Told.scenes)
    shares = [counted[task.id] / 300 for task in TASKS]
    assert shares == pytest.approx([each / sum(often) for each in often], abs=0.1)  # over three standard deviations


def test_a_strategy_with_a_use_of_its_own_gets_the_scenes_however_aux_says(toy):
    _, joined = auxiliary(toy, Joint(inner=INNER), batches_row(), Sampling(), TASKS, HERE, CPU)
    assert isinstance(joined, Joint)
    assert [other.size for other in joined.others] == [5, 5, 5]


class Keepless(Joint):
    """Keeps its inner loop under another name, and may leave retrieved scenes to the host."""

    def __init__(self, *, inner: Adaptation) -> None:
        self.mine = inner


def test_a_strategy_that_does_not_keep_its_inner_loop_is_refused_before_anything_runs():
    with pytest.raises(UserError, match=r"aux.into: batches: the strategy 'finetune' has no inner loop whose batches"):
        check_joins(batches_row(), Keepless(inner=INNER))
    check_joins(batches_row(), Joint(inner=INNER))
    check_joins(row(), Keepless(inner=INNER))
    check_joins(batches_row().model_copy(update={"retriever": None}), Keepless(inner=INNER))


@pytest.mark.parametrize("strategy", [NoAdaptation, Copy])
def test_a_strategy_that_takes_no_inner_steps_is_refused(strategy):
    with pytest.raises(UserError, match="has no inner loop whose batches pairs could join"):
        check_joins(batches_row(), strategy(inner=INNER))


def test_an_inner_loop_of_no_steps_is_refused():
    still = batches_row().model_copy(update={"adapt": toy_row(adapt={"iterations": 0}).adapt})
    with pytest.raises(UserError, match=r"with adapt\.iterations: 0 there are no batches"):
        check_joins(still, FineTune(inner=INNER))


def test_the_place_of_what_is_refused_is_told(tmp_path):
    (file := tmp_path / "recipe.yaml").write_text(
        "tasks: {use: scenes}\ntranslator: {use: pix2pix}\nstrategy: {use: copy}\nretriever: {use: iou}\n"
        "aux: {rows: 3, into: batches}\n"
    )
    with pytest.raises(UserErrors) as raised:
        load_recipe(file)
    (error,) = raised.value.errors
    assert (error.where.line, error.where.column) == (5, 22)


class PlainSampling(Sampling):
    """Keeps the weights that plain training is asked for with."""

    def mixed(self, tasks, size, rng, weights=None):
        self.__dict__["weights"] = weights
        return super().mixed(tasks, size, rng, weights)


def test_plain_training_draws_by_the_weights_too(toy):
    sampling = PlainSampling()
    auxiliary(toy, FineTune(inner=INNER), row(iterations=1, weights="rank"), sampling, TASKS, HERE, CPU)
    assert sampling.__dict__["weights"] == [1, 1 / 2, 1 / 3]
