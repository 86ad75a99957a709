"""The contracts of a `Retriever`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from metai2i.batch import Batch
from metai2i.retriever import Match, Retriever
from metai2i.tasks import Task
from metai2i.testing.bench import SHOTS, Bench
from metai2i.testing.contract import Contract, NotApplicable, promise, require
from metai2i.testing.fields import lone_scenes, no_other_fields
from metai2i.testing.probes import disturb, global_generators_alone

CONTRACTS: list[Contract] = []
READ = "docs/write-a-translator.md#retrievers"
K = 3


class Twin(Task):
    """A scene with the samples of another, under a name of its own."""

    def __init__(self, task: Task, name: str) -> None:
        self.task, self.id = task, name

    def __len__(self) -> int:
        return len(self.task)

    def load(self, indices: Sequence[int]) -> Batch:
        """Return the other scene's."""
        return self.task.load(indices)


def candidates(bench: Bench) -> list[Task]:
    """Return training scenes, the first three of which have a twin further down."""
    tasks = list(bench.scenes.tasks("train"))
    return [*tasks, *(Twin(task, f"{task.id}-twin") for task in tasks[:K])]


def indexed(bench: Bench) -> tuple[Retriever, list[Task]]:
    """Return the retriever on trial, with the candidates that it has taken in."""
    retriever: Retriever = bench.make()
    tasks = candidates(bench)
    retriever.index(tasks)
    return retriever, tasks


def support(bench: Bench, scene: int = 0) -> Batch:
    """Return a support to search by."""
    return bench.episode(scene).support


def ids_and_scores(matches: Sequence[Match]) -> list[tuple[str, float]]:
    """Return ids and scores."""
    return [(match.task.id, match.score) for match in matches]


@promise(CONTRACTS, READ, gate=True)
def it_takes_in_scenes_and_answers_with_matches(bench: Bench) -> None:
    """It is constructed, indexes training scenes, and gives `Match`es with finite scores."""
    retriever, _ = indexed(bench)
    for match in retriever.query(support(bench), K):
        require(isinstance(match, Match), "a Match for each scene", type(match).__name__)
        score: Any = match.score
        require(isinstance(score, float) and math.isfinite(score), "finite floats as scores", repr(score))


@promise(CONTRACTS, READ)
def it_reads_no_field_that_it_does_not_need(bench: Bench) -> None:
    """On scenes that have photographs and the fields of its `needs` alone, it indexes and answers."""
    retriever: Retriever = bench.make()
    scenes = lone_scenes(bench, retriever.needs | {"target"})
    with no_other_fields(retriever.needs):
        retriever.index(scenes.tasks("train"))
        retriever.query(scenes.tasks("train")[0].load(range(SHOTS)), K)


@promise(CONTRACTS, READ)
def it_gives_as_many_as_asked_for(bench: Bench) -> None:
    """`k` scenes, or all when there are fewer, none twice."""
    retriever, tasks = indexed(bench)
    for k in (1, K, len(tasks), len(tasks) + 5):
        ids = [match.task.id for match in retriever.query(support(bench), k)]
        count = min(k, len(tasks))
        require(len(ids) == count, f"{count} scenes of {len(tasks)} for k = {k}", str(len(ids)))
        require(len(set(ids)) == len(ids), "no scene twice", f"{len(set(ids))} different ones of {len(ids)}")


@promise(CONTRACTS, READ)
def the_best_come_first(bench: Bench) -> None:
    """Scores never rise, and the first k of more are those that are given for k."""
    retriever, tasks = indexed(bench)
    every = ids_and_scores(retriever.query(support(bench), len(tasks)))
    scores = [score for _, score in every]
    require(scores == sorted(scores, reverse=True), "scores from the highest down", str(scores))
    few = ids_and_scores(retriever.query(support(bench), K))
    require(few[:K] == every[:K], f"the best {K} of all for k = {K}", f"{few} of {every}")


@promise(CONTRACTS, READ)
def ties_are_in_the_order_of_the_index(bench: Bench) -> None:
    """Scenes with equal scores come as they were indexed; some candidates have the same samples."""
    retriever, tasks = indexed(bench)
    scored = ids_and_scores(retriever.query(support(bench), len(tasks)))
    if len({score for _, score in scored}) < 2:
        raise NotApplicable("all its scores are equal, so that they order nothing")
    place = {task.id: n for n, task in enumerate(tasks)}
    wrong = [(a, b) for (a, score), (b, other) in pairwise(scored) if score == other and place[a] > place[b]]
    got = "none" if not wrong else f"{wrong[0][0]} before {wrong[0][1]}"
    require(not wrong, "equal scores in the order of the index", got)


@promise(CONTRACTS, READ)
def the_same_support_finds_the_same(bench: Bench) -> None:
    """Asked again, after other questions and wherever the global generators stand, it gives the same scenes and
    scores, and leaves the support as it was."""
    retriever, tasks = indexed(bench)
    shown = support(bench)
    before = {name: field.clone() for name, field in shown.items()}
    answers = []
    for seed in (0, 1):
        disturb(seed)
        with global_generators_alone("query"):
            answers.append(ids_and_scores(retriever.query(shown, len(tasks))))
        retriever.query(support(bench, 1), K)
    require(
        answers[0] == answers[1],
        "the same scenes and scores for the same support",
        f"{answers[0][:K]}, {answers[1][:K]}",
    )
    same = all(torch.equal(before[name], shown[name]) for name in before)
    require(same, "the support as it was", "a support that query has changed")


@promise(CONTRACTS, READ)
def only_indexed_scenes_are_found(bench: Bench) -> None:
    """What it finds are the very scenes that it was given last: a new index replaces the old one."""
    retriever, tasks = indexed(bench)
    few = tasks[1:3]
    retriever.index(few)
    tasks_matched = [match.task for match in retriever.query(support(bench), len(tasks))]
    strange = [task.id for task in tasks_matched if not any(task is known for known in few)]
    require(not strange, "only the scenes of the latest index", f"{', '.join(strange)} too")


@promise(CONTRACTS, READ)
def it_equals_its_naive_reference(bench: Bench) -> None:
    """A retriever that has a method `naive(support, task)`, its score written plainly, gives these scores and their
    order."""
    retriever, tasks = indexed(bench)
    naive: Any = getattr(retriever, "naive", None)
    if naive is None:
        raise NotApplicable("it has no method `naive(support, task)`")
    shown = support(bench, 1)
    plain = [float(naive(shown, task)) for task in tasks]
    order = sorted(range(len(tasks)), key=lambda n: (-round(plain[n], 9), n))
    scored = ids_and_scores(retriever.query(shown, len(tasks)))
    for (name, score), n in zip(scored, order, strict=True):
        require(name == tasks[n].id, f"{tasks[n].id} in the naive order", name)
        near = math.isclose(score, plain[n], rel_tol=1e-6, abs_tol=1e-9)
        require(near, f"the naive score {plain[n]:.6g} of {name}", f"{score:.6g}")
