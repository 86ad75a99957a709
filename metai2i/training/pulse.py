"""Signs that a rate has killed a network: its images are saturated, of one colour or all alike, or nothing moves it.

Its numbers are finite all the while, so nothing else stops, and a table would show it as a bad method.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.training.driving import paint, parameters_of, wrong_images
from metai2i.translator import Step, Translator

SATURATED = 0.999
"""From this absolute value on a value of an image in [-1, 1] is at the end of its range."""
_MOST = 0.99
"""The share of such values from which an image counts as saturated."""
_BEYOND = 1 + 1e-3
"""What lies beyond this absolute value is no rounding: the network does not end in [-1, 1]."""
SHOWN = 4
"""How many images are looked at."""


def why_lifeless(images: Tensor, batch: Batch) -> str | None:
    """Return what is wrong with a translator's images (B, 3, H, W) in [-1, 1], in words; None where they live.

    What holds of the photographs as well, such as drawings in black and white, is nothing wrong.

    Args:
        batch: that the images were made for, with `target` if there is one.
    """
    truth = batch.get("target")
    share = saturated(images)
    if share > _MOST and (truth is None or saturated(truth) <= _MOST):
        return f"its images are saturated: {100 * share:.0f} % of their values are at -1 or 1"
    if _flat(images) and (truth is None or not _flat(truth)):
        return "each of its images is of a single colour"
    shown = batch.get("structure", batch.get("source"))
    if shown is not None and _alike(images) and not _alike(shown) and (truth is None or not _alike(truth)):
        return "its images are the same whatever the input"
    return None


def saturated(images: Tensor) -> float:
    """Return the share of values at the ends of [-1, 1], not beyond them."""
    sizes = images.abs()
    return float(((sizes >= SATURATED) & (sizes <= _BEYOND)).float().mean())


def beyond_range(images: Tensor) -> str | None:
    """Return that images leave [-1, 1], in words; None where they do not."""
    low, high = (float(end) for end in torch.aminmax(images))
    if max(-low, high) <= _BEYOND:
        return None
    reach = f"its images reach from {low:.3g} to {high:.3g}, expected [-1, 1]"
    return f"{reach}; what lies beyond is clipped where they are shown and scored: let its last layer end in a tanh"


def _flat(images: Tensor) -> bool:
    """Return whether each image (C, H, W) has one colour only."""
    return bool((images.amax((2, 3)) == images.amin((2, 3))).all())


def _alike(images: Tensor) -> bool:
    """Return whether there are several images, all of them equal."""
    return len(images) > 1 and bool((images == images[:1]).all())


def unmoved(translator: Translator) -> list[str]:
    """Return the players whose gradients, as the last step has left them, are exactly 0."""
    still = []
    for player in translator.players():
        gradients = [p.grad for p in parameters_of(translator, [player]) if p.grad is not None]
        if gradients and not any(bool(gradient.any()) for gradient in gradients):
            still.append(player)
    return still


def sign(translator: Translator, batch: Batch, step: Step) -> str | None:
    """Return what a translator's images of a batch show of its having been killed; None where they live."""
    images = _looked_at(translator, batch, step)
    return None if images is None else why_lifeless(images, batch)


def _looked_at(translator: Translator, batch: Batch, step: Step) -> Tensor | None:
    """Return a translator's images of a batch; None where they cannot be looked at, which evaluation tells with its
    place.
    """
    try:
        images = paint(translator, batch, step)
    except Exception:
        return None
    whole = wrong_images(images, batch) is None and bool(torch.isfinite(images).all())
    return images if whole else None


def signs(translator: Translator, batch: Batch, step: Step, rates: Mapping[str, float]) -> list[str]:
    """Return what a trained translator shows of having been killed, each with the rates that may have done it, and that
    its images leave their range.

    Args:
        batch: what it paints.
        rates: by their names in a recipe, such as "pretrain.lr".
    """
    images = _looked_at(translator, batch, step)
    words = [None if images is None else why_lifeless(images, batch)]
    words += [
        f"the gradient of {player!r} is exactly 0, so nothing trains it any more" for player in unmoved(translator)
    ]
    wide = None if images is None else beyond_range(images)
    return [
        *([] if wide is None else [wide]),
        *(f"{text}; lower {spelled(rates)}" for text in words if text is not None),
    ]


def spelled(rates: Mapping[str, float]) -> str:
    """Return rates with their values, in words."""
    return " or ".join(f"{name} ({rate:g})" for name, rate in rates.items())
