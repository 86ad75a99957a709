"""Each contract of retrievers catches the plugin that breaks it, and a good one keeps them all."""

from __future__ import annotations

import pytest
import torch

from metai2i import Match, Retriever
from metai2i.data.map_iou import summed_iou
from metai2i.testing import contracts_of, run_contracts
from metai2i.testing.scenes import ToyScenes


class Good(Retriever):
    """The summed IoU of the first maps."""

    needs = frozenset({"structure"})

    def __init__(self) -> None:
        self.tasks = []

    def index(self, tasks):
        self.tasks = list(tasks)

    def score(self, support, task):
        return float(summed_iou(support["structure"], task.load([0, 1])["structure"]).mean())

    def naive(self, support, task):
        return self.score(support, task)

    def order(self, scores):
        return sorted(range(len(scores)), key=lambda n: -scores[n])

    def query(self, support, k):
        scores = [self.score(support, task) for task in self.tasks]
        return [Match(self.tasks[n], scores[n]) for n in self.order(scores)[:k]]


class Tensors(Good):
    """Scores that JSON cannot write."""

    def query(self, support, k):
        return [Match(match.task, torch.tensor(match.score)) for match in super().query(support, k)]


class Generous(Good):
    """One more than asked for."""

    def query(self, support, k):
        return super().query(support, k + 1)


class WorstFirst(Good):
    naive = None

    def order(self, scores):
        return sorted(range(len(scores)), key=lambda n: scores[n])


class LastFirst(Good):
    """Ties from the back of the index."""

    naive = None

    def order(self, scores):
        return sorted(range(len(scores)), key=lambda n: (-scores[n], -n))


class Learns(Good):
    """Scores change with each question, their order does not; two questions are asked for each."""

    naive = None
    asked = 0

    def query(self, support, k):
        self.asked += 1
        return [Match(match.task, match.score + (self.asked - 1) // 2) for match in super().query(support, k)]


class Keeps(Good):
    """Candidates of earlier indices stay."""

    def index(self, tasks):
        self.tasks += list(tasks)


class Doubles(Good):
    """Not the score that it says."""

    def naive(self, support, task):
        return 2 * self.score(support, task)


class Peeks(Good):
    """It does not say that it reads label maps."""

    needs = frozenset()


BREAKS = {
    Peeks: "it reads no field that it does not need",
    Tensors: "it takes in scenes and answers with matches",
    Generous: "it gives as many as asked for",
    WorstFirst: "the best come first",
    LastFirst: "ties are in the order of the index",
    Learns: "the same support finds the same",
    Keeps: "only indexed scenes are found",
    Doubles: "it equals its naive reference",
}


def outcomes(retriever: type):
    return run_contracts("retriever", retriever)


def test_a_good_retriever_keeps_all_contracts():
    assert {outcome.status for outcome in outcomes(Good)} == {"ok"}


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.__name__)
def test_exactly_the_contract_that_is_broken_fails(broken):
    failed = [outcome for outcome in outcomes(broken) if outcome.status == "failed"]
    assert [outcome.contract.name for outcome in failed] == [BREAKS[broken]]
    assert failed[0].error.read.startswith("docs/")


def test_every_contract_has_a_plugin_that_breaks_it():
    assert {contract.name for contract in contracts_of("retriever")} == set(BREAKS.values())


def test_on_scenes_without_its_fields_all_is_skipped_with_the_reason():
    outcomes_here = run_contracts("retriever", Good, source=ToyScenes(fields=frozenset({"target"})))
    assert {(outcome.status, outcome.why) for outcome in outcomes_here} == {
        ("skipped", "the task source provides no structure")
    }


def test_equal_scores_of_all_say_nothing_of_ties():
    class Flat(Good):
        naive = None

        def score(self, support, task):
            return 0.0

    by_contract = {outcome.contract.name: outcome for outcome in outcomes(Flat)}
    assert by_contract["ties are in the order of the index"].status == "skipped"
    assert by_contract["it equals its naive reference"].why == "it has no method `naive(support, task)`"
