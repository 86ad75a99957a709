"""The bounded memory of decoded images."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from metai2i.data.memory_cache import MemoryCache


def test_an_array_is_made_once_and_cannot_be_written_to():
    cache, calls = MemoryCache(1000), []

    def make():
        calls.append(1)
        return np.zeros(10, np.uint8)

    first = cache.get("a", make)
    assert cache.get("a", make) is first
    assert calls == [1]
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


def test_what_was_used_last_is_kept_up_to_the_limit():
    cache = MemoryCache(30)
    for key in "abc":
        cache.get(key, lambda: np.zeros(10, np.uint8))
    cache.get("a", lambda: np.zeros(10, np.uint8))
    cache.get("d", lambda: np.zeros(10, np.uint8))  # drops b
    assert cache.used == 30
    calls = []
    for key in "acdb":
        cache.get(key, lambda key=key: calls.append(key) or np.zeros(10, np.uint8))
    assert calls == ["b"]


def test_an_array_beyond_the_limit_is_given_and_not_kept():
    cache = MemoryCache(5)
    assert len(cache.get("a", lambda: np.zeros(10, np.uint8))) == 10
    assert (len(cache), cache.used) == (0, 0)


def test_a_copy_for_another_process_begins_empty():
    cache = MemoryCache(100)
    cache.get("a", lambda: np.zeros(10, np.uint8))
    copied = pickle.loads(pickle.dumps(cache))
    assert (len(copied), copied.limit) == (0, 100)
