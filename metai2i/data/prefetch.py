"""`Prefetcher`: the data of the next step is made while this one is computed, so that training does not wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Makes what step i needs, in a thread, while step i - 1 runs. Nothing else may draw from the source meanwhile.

    Draws have addresses, so what is made does not depend on when it is made. An error is raised at the step that needs
    what could not be made.

    Args:
        make: gives what a step needs, by the step's number.
        stop: the number behind the last step.

    >>> with Ahead(lambda i: i * i, 3) as squares:
    ...     [squares(i) for i in range(3)]
    [0, 1, 4]
    """

    def __init__(self, make: Callable[[int], T], stop: int) -> None:
        self.waited = 0.0
        """Seconds for which steps had to wait."""
        self._make, self._stop = make, stop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._next: tuple[int, Future[T]] | None = None

    def __call__(self, i: int) -> T:
        """Return what step `i` needs."""
        began = time.perf_counter()
        if self._next is None or self._next[0] != i:  # the first step
            self._next = i, self._thread.submit(self._make, i)
        batch = self._next[1].result()
        self.waited += time.perf_counter() - began
        self._next = (i + 1, self._thread.submit(self._make, i + 1)) if i + 1 < self._stop else None
        return batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
