"""How a process ends: never with exit code 0 before its work is done, as far as that can be seen to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn


class Ended(SystemExit):
    """A process of a run ends as it should: its failure is told by another one."""


@contextmanager
def no_way_out(code: int) -> Iterator[None]:
    """Within it, `os._exit(0)` ends the process with another exit code and a message.

    Only Python's own `os._exit` can be watched, and in this process alone: what C code does, or `os.execv`, cannot.

    Args:
        code: the exit code instead of 0.
    """
    undo = watch_exits(code)
    try:
        yield
    finally:
        undo()


def watch_exits(code: int) -> Callable[[], None]:
    """Does what `no_way_out` does, until the function that it returns is called."""
    real, process = os._exit, os.getpid()

    def watched(status: int) -> NoReturn:
        if status == 0 and os.getpid() == process:
            caller: Any = sys._getframe(1)
            at = f"{caller.f_code.co_filename}:{caller.f_lineno}"
            with suppress(Exception):
                said = f"error: os._exit(0) in {at} has ended the process before its work was done"
                print(said, file=sys.stderr, flush=True)
            real(code)
        real(status)

    os._exit = watched

    def undo() -> None:
        os._exit = real

    return undo
