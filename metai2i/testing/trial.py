"""A translator on trial: made anew, and trained by a step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.losses.objective import Objective
from metai2i.testing.bench import Bench
from metai2i.training.driving import descend, drive, parameter_groups
from metai2i.translator import Step, Translator

READ = "docs/write-a-translator.md#translators"
"""The page that says more about most contracts of a translator."""
INTERFACES = "docs/interfaces.md#harder-systems-in-the-interfaces"
"""The page about players, moves and strategies."""


def make(bench: Bench, seed: int = 0, adversarial: float = 1.0) -> Translator:
    """Return the translator on trial, freshly initialised."""
    objective = Objective(l1=1.0, adversarial=adversarial, perceptual=0.0)
    translator: Translator = bench.make(seed, spec=bench.spec, objective=objective)
    return translator


def plain_step(translator: Translator, batch: Batch, step: Step, lr: float = 1e-3) -> dict[str, Tensor]:
    """Take one step of plain training with fresh optimiser state."""
    groups: list[Any] = parameter_groups(translator, lr)
    return drive(translator, batch, step, descend(translator, torch.optim.Adam(groups, lr=lr)))
