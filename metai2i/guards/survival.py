"""Whether a translator survives being saved: its images must not depend on what it keeps in plain attributes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.errors import UserError
from metai2i.meta.instance import detach, instance_of
from metai2i.meta.plain_state import changed_names, plain_state
from metai2i.registry.discovery import label_of
from metai2i.training.driving import drive, paint, watch
from metai2i.training.ways import ways_of
from metai2i.translator import Step, Translator

_NEAR = 1e-4
"""How far images in [-1, 1] may differ by rounding."""
CURE = "keep it as a buffer (register_buffer), or work it out anew from the batch and the step"


def lost(model: Translator, trained: Translator, batch: Batch, step: Step) -> list[str]:
    """Return the plain attributes that a trained or adapted copy of `model` would lose by being saved, where its images
    depend on them; none where they do not.

    Args:
        model: that it is a copy of.
        trained: what has become of the copy.
        batch: images are compared for it.
    """
    names = changed_names(plain_state(model), plain_state(trained))
    if not names:
        return []
    again = detach(instance_of(model, share=False))
    again.load_state_dict(trained.state_dict())
    pairs = [[paint(each, batch, step, way) for each in (trained, again)] for way in ways_of(model)]
    return [] if all(_alike(first, second) for first, second in pairs) else names


def _alike(first: object, second: object) -> bool:
    """Return whether images differ by rounding at most."""
    return isinstance(first, Tensor) and isinstance(second, Tensor) and torch.allclose(first, second, atol=_NEAR)


def refuse_lost(names: Sequence[str], translator: Translator) -> None:
    """Refuse a translator whose images depend on plain attributes.

    Args:
        names: what `lost` gave.

    Raises:
        UserError: naming the attributes, when there are any.
    """
    if not names:
        return
    translator_class = type(translator)
    attributes = f"the plain attribute{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))}"
    raise UserError(
        f"the translator {translator_class.__name__} of {label_of(translator_class)} keeps state in {attributes}, "
        "on which its images depend; being neither a parameter nor a buffer, it is lost when the model is saved",
        hint=CURE,
    )


def tried(translator: Translator, batch: Batch, steps: Iterable[Step]) -> None:
    """Take steps without updates on a copy of a translator, and refuse it if it would not survive being saved.

    What fails otherwise is left to the first step of training, which tells it with its place.

    Raises:
        UserError: naming the plain attributes on which images depend.
    """
    for step in steps:
        trial = detach(instance_of(translator, share=False))
        try:
            drive(trial, batch, step, watch)
            names = lost(translator, trial, batch, step)
        except Exception:
            return
        refuse_lost(names, translator)
