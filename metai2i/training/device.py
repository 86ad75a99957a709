"""`--device auto|cpu|cuda`, and the memory of the C library."""

from __future__ import annotations

import ctypes
import os
import sys

import torch

from metai2i.errors import UserError

_KEEP = ((-3, 2**30), (-1, 2**31 - 1), (-2, 2**26))
"""M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD, in bytes."""


def choose_device(name: str) -> torch.device:
    """Return the device by name; "auto" is the GPU where there is one.

    Raises:
        UserError: when "cuda" is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no CUDA device", hint="use --device auto or --device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":  # the same run must give the same bytes
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
    return torch.device(name)


def give_freed_memory_back() -> bool:
    """Tell the C library to hand freed memory back to the system; return whether it could be told.

    Large arrays that come and go leave holes in which small ones are kept, and the heap only grows.
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError, TypeError):  # another C library; Windows names none
        return False


def keep_freed_memory() -> bool:
    """Tell the C library to keep freed memory for the next allocation instead of handing it back to the system.

    A training step frees and allocates the same buffers again and again; the page faults of getting them back cost a
    small network on a CPU 7 to 9 % of its time. Only glibc can be told, and settings of the user's own
    (`MALLOC_TRIM_THRESHOLD_`, ...) are left alone.

    Returns:
        whether it was told.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all(mallopt(parameter, value) for parameter, value in _KEEP)
