"""`--device auto|cpu|cuda`."""

from __future__ import annotations

import torch

from metai2i.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device by name; "auto" is the GPU where there is one.

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
