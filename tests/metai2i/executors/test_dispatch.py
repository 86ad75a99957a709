"""A graph is worked through whoever dies, and what fails takes along only what needs it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from metai2i.errors import UserError
from metai2i.executors.dispatch import Dispatch
from metai2i.executors.executor import Died, Outcome
from metai2i.executors.graph import Job, urgencies

DIAMOND = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ()}


def graph(needs: dict[str, tuple[str, ...]] = DIAMOND, **urgent: float) -> dict[str, Job]:
    return {
        key: Job(key, "evaluate", f"stage {key}", each, 1, 0, Path(key), urgent.get(key, 0.0))
        for key, each in needs.items()
    }


@dataclass
class Script:
    """Workers that end one order at a time, the first that was handed in, as it is written for each key."""

    says: dict[str, list[Any]] = field(default_factory=dict)
    chains: bool = False
    submitted: list[tuple[str, bool, tuple[str, ...]]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    waiting: list[Any] = field(default_factory=list)

    def submit(self, order: Any, stage: str, after: Sequence[Any]) -> Any:
        key, begun = order
        handle = SimpleNamespace(key=key, after=[each.key for each in after])
        self.submitted.append((key, begun, tuple(handle.after)))
        self.waiting.append(handle)
        return handle

    def ended(self, handles: Sequence[Any], seconds: float) -> list[Any]:
        return [self.waiting.pop(0)]

    def outcome(self, handle: Any) -> Outcome:
        said = self.says.get(handle.key, [])
        answer = said.pop(0) if said else Outcome("here")
        if isinstance(answer, Died):
            raise answer
        return answer

    def cancel(self, handle: Any) -> None:
        self.cancelled.append(handle.key)
        self.waiting.remove(handle)


def work(workers: Script, **options: Any) -> tuple[Dispatch, dict[str, Exception]]:
    options = {"retries": 2, "graph": graph(), **options}
    dispatch = Dispatch(workers=workers, order=lambda job, begun: (job.key, begun), **options)
    return dispatch, dict(dispatch.work())


def test_a_stage_is_handed_in_once_what_it_needs_is_done():
    workers = Script()
    dispatch, failed = work(workers)
    keys = [key for key, _, _ in workers.submitted]
    assert failed == {}
    assert dispatch.done == set(DIAMOND)
    assert sorted(keys) == sorted(DIAMOND)
    assert all(keys.index(need) < keys.index(key) for key, needs in DIAMOND.items() for need in needs)
    assert workers.cancelled == []


def test_the_most_urgent_is_handed_in_first_and_no_more_at_once_than_is_asked_for():
    workers = Script()
    work(workers, graph=graph({"a": (), "b": (), "c": ()}, a=1, b=3, c=2), at_once=1)
    assert [key for key, _, _ in workers.submitted] == ["b", "c", "a"]


def test_urgent_is_what_much_waits_for():
    assert urgencies(DIAMOND, {"a": 1, "b": 2, "c": 5, "d": 10, "e": 7}) == {"a": 16, "b": 12, "c": 15, "d": 10, "e": 7}


def test_a_stage_whose_worker_has_died_is_tried_again_from_where_it_was(caplog):
    caplog.set_level(logging.INFO, "metai2i")
    workers = Script({"b": [Died("killed by 9")]})
    dispatch, failed = work(workers)
    assert failed == {}
    assert dispatch.done == set(DIAMOND)
    assert [(key, begun) for key, begun, _ in workers.submitted if key == "b"] == [("b", False), ("b", True)]
    assert "stage b (b): its worker has died (killed by 9); it is tried again (1 of 2)" in caplog.text


def test_a_worker_that_dies_each_time_is_given_up_and_what_does_not_need_it_is_done():
    workers = Script({"b": [Died("no memory")] * 3})
    dispatch, failed = work(workers)
    assert dispatch.done == {"a", "c", "e"}
    assert failed.keys() == {"b", "d"}
    assert str(failed["b"]).startswith("stage b (b): its worker has died 3 times: no memory (")
    assert failed["d"] is failed["b"]


def test_an_error_that_a_user_can_put_right_is_one_here_and_is_not_tried_again():
    workers = Script({"c": [Outcome("there", texts=("x.yaml: no rain (come in)",))]})
    dispatch, failed = work(workers)
    assert dispatch.done == {"a", "b", "e"}
    assert isinstance(failed["c"], UserError)
    assert str(failed["c"]) == "x.yaml: no rain (come in)"
    assert len([key for key, _, _ in workers.submitted if key == "c"]) == 1


def test_a_fault_keeps_its_traceback_and_the_machine():
    _, failed = work(Script({"a": [Outcome("node7", texts=("Traceback …",), user=False)]}))
    assert isinstance(failed["a"], RuntimeError)
    assert str(failed["a"]) == "stage a failed on node7:\nTraceback …"


def test_workers_that_hold_orders_back_get_all_at_once_with_what_each_needs():
    workers = Script(chains=True)
    work(workers)
    assert {key: after for key, _, after in workers.submitted} == DIAMOND
    assert len(workers.submitted) == len(DIAMOND)


def test_what_was_queued_behind_one_that_has_died_is_queued_anew():
    workers = Script({"a": [Died("time limit")]}, chains=True)
    dispatch, failed = work(workers)
    assert failed == {}
    assert dispatch.done == set(DIAMOND)
    assert sorted(workers.cancelled) == ["b", "c", "d"]
    assert [key for key, _, _ in workers.submitted].count("d") == 2


def test_whatever_stops_the_program_takes_back_what_is_handed_in():
    class Interrupted(Script):
        def ended(self, handles: Sequence[Any], seconds: float) -> list[Any]:
            raise KeyboardInterrupt

    workers = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        work(workers)
    assert sorted(workers.cancelled) == ["a", "e"]


def test_what_is_said_elsewhere_is_said_here_but_for_warnings_which_come_with_the_run(caplog):
    caplog.set_level(logging.INFO, "metai2i")
    said = ((logging.INFO, "pretrain: trained anew"), (logging.WARNING, "pretrain: lifeless"))
    work(Script({"a": [Outcome("node7", said)]}))
    assert "node7: pretrain: trained anew" in caplog.text
    assert "lifeless" not in caplog.text
