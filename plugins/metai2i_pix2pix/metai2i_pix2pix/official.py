"""Tensors of the official PyTorch code (junyanz/pytorch-CycleGAN-and-pix2pix) under the names that they have here.

Its U-Net is nested: the block of each level has the next one inside, between its way down and its way up. It is
trained and tested by the statistics of the images at hand, as ours is, so the running ones of its files are left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_RUNNING = ("running_mean", "running_var", "num_batches_tracked")
_BLOCK = re.compile(r"(?:module\.)?model\.model\.((?:\d+\.model\.)*)(\d+)\.(\w+)")


def official_generator(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a U-Net's tensors, `model.model.1.model.3.model.1.weight` as `down.2.weight`; others as they are."""
    parsed = {name: _BLOCK.fullmatch(name) for name in tensors}
    innermost = max((match[1].count("model") for match in parsed.values() if match), default=0)
    renamed: dict[str, Tensor] = {}
    for name, match in parsed.items():
        if match is None:
            renamed[name] = tensors[name]
        elif match[3] not in _RUNNING:
            level = match[1].count("model")
            place = _place(int(match[2]), level, innermost)
            renamed[name if place is None else f"{place}.{match[3]}"] = tensors[name]
    return renamed


def _place(number: int, level: int, innermost: int) -> str | None:
    """Return what stands at a number of a level's block: convolution down and its norm, convolution up and its norm.

    >>> [_place(n, 0, 7) for n in (0, 3)], [_place(n, 2, 7) for n in (1, 2, 5, 6)], [_place(n, 7, 7) for n in (1, 3, 4)]
    (['down.0', 'up.0'], ['down.2', 'down_norm.2', 'up.2', 'up_norm.1'], ['down.7', 'up.7', 'up_norm.6'])
    """
    down, norm, up, up_norm = f"down.{level}", f"down_norm.{level}", f"up.{level}", f"up_norm.{level - 1}"
    if level == 0:
        return {0: down, 3: up}.get(number)
    return ({1: down, 3: up, 4: up_norm} if level == innermost else {1: down, 2: norm, 5: up, 6: up_norm}).get(number)


def official_discriminator(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a PatchGAN's tensors, `model.2.weight` as `2.weight`; others as they are."""
    if not any(name.removeprefix("module.").startswith("model.") for name in tensors):
        return dict(tensors)
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(_RUNNING)}
    return {name.removeprefix("module.").removeprefix("model."): tensor for name, tensor in kept.items()}
