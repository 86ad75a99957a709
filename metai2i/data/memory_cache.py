"""A bounded memory of decoded images."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np


class MemoryCache:
    """Keeps the arrays used last, up to a number of bytes. Copies of it (in other processes, say) begin empty."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._kept: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the array under `key`, made if it is not kept. It must not be written to."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        array = make()
        array.setflags(write=False)
        with self._lock:
            if key not in self._kept and array.nbytes <= self.limit:
                self._kept[key] = array
                self.used += array.nbytes
                while self.used > self.limit:
                    self.used -= self._kept.popitem(last=False)[1].nbytes
        return array

    def __len__(self) -> int:
        return len(self._kept)

    def __reduce__(self) -> tuple[Any, ...]:
        return MemoryCache, (self.limit,)
