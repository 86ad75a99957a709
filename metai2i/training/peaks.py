"""The most memory that a stage held."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from metai2i.guards.system import forget_peak_of_process, peak_of_process


def forget_peak(device: torch.device) -> None:
    """Start measuring the peak anew; where the system cannot, it stays that of the whole process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        forget_peak_of_process()


def peak_memory(device: torch.device) -> float | None:
    """Return the most memory, in MiB, held since `forget_peak`: by torch on a GPU, by the whole process on a CPU.

    It is None where the system does not say.
    """
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else peak_of_process()
    return None if peak is None else round(peak, 1)


def largest(peaks: Iterable[float | None]) -> float | None:
    """Return the largest of what was measured; None where nothing was."""
    return max((peak for peak in peaks if peak is not None), default=None)
