"""Data made one step ahead, in a thread."""

from __future__ import annotations

import threading

import pytest

from metai2i.data.prefetch import Prefetcher


def test_every_step_gets_its_own_and_nothing_is_made_twice_or_beyond_the_end():
    steps = []
    with Prefetcher(lambda i: steps.append(i) or i * i, 5) as squares:
        assert [squares(i) for i in range(2, 5)] == [4, 9, 16]
    assert steps == [2, 3, 4]


def test_the_next_is_made_while_a_step_runs():
    begun = {i: threading.Event() for i in range(3)}
    with Prefetcher(lambda i: begun[i].set(), 3) as data:
        data(0)
        assert begun[1].wait(60)  # nobody has asked for it yet
        assert not begun[2].is_set()


def test_an_error_is_raised_at_the_step_that_needs_what_could_not_be_made():
    def make(i):
        if i == 1:
            raise ValueError("a broken file")
        return i

    with Prefetcher(make, 3) as data:
        assert data(0) == 0
        with pytest.raises(ValueError, match="a broken file"):
            data(1)


def test_leaving_ends_the_thread_even_when_a_step_has_failed():
    def step(data):
        data(0)
        raise RuntimeError

    with pytest.raises(RuntimeError), Prefetcher(lambda i: i, 9) as data:
        step(data)
    assert not any(thread.name.startswith("ahead") for thread in threading.enumerate())


def test_waiting_is_added_up():
    ready = threading.Event()
    threading.Timer(0.05, ready.set).start()
    with Prefetcher(lambda i: ready.wait(60), 1) as data:
        data(0)
    assert data.waited > 0
