"""What not every operating system has: its timers, its peak of memory, its processor's name, pipes that never block.

Whatever is asked here has an answer everywhere, if only that there is none. The rest of the package calls nothing that
is missing on Windows or macOS.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
from contextlib import suppress
from pathlib import Path

TIMERS: tuple[int, ...] = tuple(
    getattr(signal, name) for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF") if hasattr(signal, name)
)
"""The timers that a process may set; none on Windows."""
_STATUS = Path("/proc/self/status")


def timer_runs(timer: int) -> bool:
    """Return whether one of `TIMERS` is set."""
    return signal.getitimer(timer)[0] > 0


def stop_timer(timer: int) -> None:
    """Stop one of `TIMERS`."""
    signal.setitimer(timer, 0)


def forget_peak_of_process() -> None:
    """Measure the peak of memory anew from now on; where the system cannot, it stays that since the process began."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_of_process() -> float | None:
    """Return the largest amount of memory, in MiB, that this process held; None where the system does not say."""
    with suppress(OSError):
        for line in _STATUS.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def processor_name() -> str:
    """Return what the system calls its processor."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def never_block(pipe: int) -> bool:
    """Let writing to a full pipe fail instead of wait; return whether the system can do so (Windows: from Python 3.12).

    Args:
        pipe: the file number of its writing end.
    """
    if not hasattr(os, "set_blocking"):
        return False
    os.set_blocking(pipe, False)
    return True


def birth_of_process(number: int) -> str | None:
    """Return when a process of this machine began, in the system's own count; None where it is not there any more.

    Where the system tells of no such time the text is empty for all that are there; on Windows, where nothing may ask
    whether a process is there without harm, for all.
    """
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    if sys.platform == "win32":
        return ""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # somebody else's
        pass
    return ""
