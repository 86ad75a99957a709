"""A translator on trial: made anew, and trained by a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.losses.objective import Objective
from metai2i.testing.bench import Bench, address
from metai2i.training.driving import descend, drive, parameter_groups
from metai2i.training.passes import Hook, make_pass, makes_passes
from metai2i.translator import Step, Translator

READ = "docs/write-a-translator.md#translators"
"""The page that says more about most contracts of a translator."""
INTERFACES = "docs/interfaces.md#harder-systems-in-the-interfaces"
"""The page about players, moves and strategies."""


def make(bench: Bench, seed: int = 0, adversarial: float = 1.0) -> Translator:
    """Return the translator on trial, freshly initialised; one that looks through all data has done so."""
    objective = Objective(l1=1.0, adversarial=adversarial, perceptual=0.0)
    return begun(bench.make(seed, spec=bench.spec, objective=objective), bench)


def begun(translator: Translator, bench: Bench, make: Callable[..., None] = make_pass) -> Translator:
    """Return a translator after the passes that stand before its last phase.

    Args:
        translator: freshly initialised.
        bench: whose training scenes it looks through.
        make: makes a pass; `checked_pass` also looks where it keeps what it gathers.
    """
    hooks: list[tuple[Hook, str]] = [(hook, phase) for phase in translator.phases for hook in ("begin", "end")][:-1]
    for hook, phase in hooks if makes_passes(translator) else ():
        make(translator, hook, phase, bench.scenes.tasks("train"), address(hook, phase), torch.device("cpu"))
    return translator


def plain_step(translator: Translator, batch: Batch, step: Step, lr: float = 1e-3) -> dict[str, Tensor]:
    """Take one step of plain training with fresh optimiser state."""
    groups: list[Any] = parameter_groups(translator, lr)
    return drive(translator, batch, step, descend(translator, torch.optim.Adam(groups, lr=lr)))
