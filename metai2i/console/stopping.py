"""SIGTERM and SIGHUP: the program puts away what it has begun and says why it ends, instead of vanishing.

Python runs its handlers between two steps of its own, which a process that waits inside a library for another may not
reach. So a thread watches as well, and ends the program when the handler has not come to it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from metai2i.guards.system import never_block

_PATIENCE = 5.0
"""Seconds that the program has to end by itself."""
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """A signal asked the program to end. It passes through all that an interruption passes through.

    Args:
        signal: which one.
    """

    def __init__(self, signal: signal.Signals) -> None:
        super().__init__(signal.name)
        self.signal = signal

    @property
    def exit_code(self) -> int:
        """Return 128 and the signal's number, as shells have it."""
        return 128 + self.signal


def cause_of(error: BaseException) -> Stopped | None:
    """Return the signal behind an interruption; None for Ctrl-C."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, Stopped):
            return chain
        chain = chain.__cause__ or chain.__context__
    return None


def once(tell: Callable[[Stopped | None], object]) -> Callable[[Stopped | None], object]:
    """Return what tells the first time alone, whichever thread comes to it: that which ends, or that which watches."""
    untold = threading.Lock()
    return lambda stopped: tell(stopped) if untold.acquire(blocking=False) else None


@contextmanager
def stoppable(tell: Callable[[Stopped], object]) -> Iterator[None]:
    """Raise `Stopped`, within it and in the main thread, at a signal; signals that are ignored or handled already are
    left.

    Args:
        tell: says why the program ends, where nothing has caught `Stopped` within `_PATIENCE` seconds.
    """
    mine = [each for each in SIGNALS if signal.getsignal(each) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread() or not mine:
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise Stopped(signal.Signals(number))

    ended = threading.Event()
    reading, writing = os.pipe()
    watched = never_block(writing)  # else there is only Python's own handler
    before = signal.set_wakeup_fd(writing if watched else -1, warn_on_full_buffer=False)
    for each in mine:
        signal.signal(each, stop)
    watch = threading.Thread(target=_watch, args=(reading, mine, ended, tell), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        for each in mine:
            signal.signal(each, signal.SIG_DFL)
        signal.set_wakeup_fd(before)
        os.close(writing)
        watch.join()
        os.close(reading)


def _watch(reading: int, mine: list[signal.Signals], ended: threading.Event, tell: Callable[[Stopped], object]) -> None:
    """Read the numbers of signals as they come, until there is nobody who writes."""
    while numbers := os.read(reading, 64):
        number = next((number for number in numbers if number in mine), None)
        if number is not None and not ended.wait(_PATIENCE):
            stopped = Stopped(signal.Signals(number))
            with suppress(OSError):
                tell(stopped)
            os._exit(stopped.exit_code)
