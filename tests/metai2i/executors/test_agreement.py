"""A machine that would not do the same work is told with what differs."""

from __future__ import annotations

import pytest

from metai2i.errors import UserError
from metai2i.executors.agreement import disagreement, refuse_others
from metai2i.executors.worker import View, described
from metai2i.pipeline.stage_store import Stage

VERSIONS = {"Python": "3.12", "metai2i": "0.2.0"}


def stage(torch: str = "2.9", data: str = "a") -> Stage:
    packages = {"packages": {"torch": torch}, "files": {"metai2i/x.py": "0"}}
    return Stage("pretrain", {"core": packages, "data": data, "device": "cpu"})


def view(host: str = "node1", *stages: Stage, **changes: object) -> View:
    return View(host, VERSIONS, tuple(map(described, stages)))._replace(**changes)


def test_one_that_plans_the_same_is_fine():
    assert disagreement(view("node1", stage()), VERSIONS, [stage()]) is None
    refuse_others([view("node1", stage()), view("node2", stage())], VERSIONS, [stage()])


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (view("a", stage("2.8")), "it plans other stages: torch 2.9 -> 2.8"),
        (view("a", stage(data="b")), "it plans other stages: the data of split train has changed"),
        (view("a"), "it plans other stages: others than here"),
        (view("a", stage(), versions={"Python": "3.11", "metai2i": "0.2.0"}), "Python 3.11, here 3.12"),
        (view("a", texts=("/data: no such folder",)), "/data: no such folder"),
    ],
)
def test_what_differs_is_told(other, words):
    assert disagreement(other, VERSIONS, [stage()]) == words


def test_all_machines_are_told_in_one_message_with_what_to_do():
    views = [view("node1", stage()), view("node2", stage("2.8")), view("node3", texts=("no store",))]
    with pytest.raises(UserError) as refusal:
        refuse_others(views, VERSIONS, [stage()])
    assert str(refusal.value) == (
        "2 machines cannot work on this: node2: it plans other stages: torch 2.9 -> 2.8; node3: no store "
        "(every machine needs the same versions, plugins, weights and data, and sees the stage store)"
    )
