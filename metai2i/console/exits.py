"""How a process ends: never with exit code 0 before its work is done, as far as that can be seen to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

EXIT_USER_ERROR = 2
"""The exit code for what a user can put right."""
EXIT_INTERRUPTED = 130
"""The exit code after Ctrl-C."""
EXIT_UNREAD = 1
"""The exit code when nobody reads on, as behind `| head`."""


class Ended(SystemExit):
    """A process ends as it should: its failure is told by another one, or nobody is there to read it."""


def open_streams() -> None:
    """Open the null device in place of what the caller has closed of stdin, stdout and stderr (`>&-`).

    Otherwise the next file that is opened gets the number of the closed one, and what is meant for stdout would be
    written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the smallest free number, which is this one
        if getattr(sys, name) is None:
            stream = open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def leave_broken_pipes() -> None:
    """Point stdout and stderr to the null device where nobody reads them any more, so that ending is quiet."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except BrokenPipeError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
        except (OSError, ValueError):  # a full disk, which has been told; a stream that is closed
            pass


@contextmanager
def no_way_out(code: int) -> Iterator[None]:
    """End the process, when `os._exit(0)` is called within it, with another exit code and a message.

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
    """Do what `no_way_out` does, until the function that it returns is called."""
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
