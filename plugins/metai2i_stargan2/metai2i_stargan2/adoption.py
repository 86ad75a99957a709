"""The names of clovaai/stargan-v2's checkpoints, and ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]
HEAD = re.compile(r"unshared\.(\d+)\.(?:(\d+)\.)?(weight|bias)")
UNREAD = re.compile(r"hpf\..*|decode\.\d+\.conv1x1\..*")
LAYER = re.compile(r"(?:shared|main)\.(\d+)\.(.+)")


def adopted(part: str, tensors: Tensors, *, spare: bool = True, high_pass: bool = False) -> Tensors:
    """Return the tensors of one of the four networks under our names; as they are where they have these already.

    `nets_ema.ckpt` has them as `generator`, `mapping_network` and `style_encoder`, and `nets.ckpt` as `discriminator`
    too. Layers for a domain that training does not know begin as 0, beyond the mean of the others.

    Args:
        part: `generator`, `mapping`, `style` or `discriminator`.
        tensors: of that network, by name.
        spare: whether our network has layers for such a domain.
        high_pass: whether our generator has the skip; the official one then keeps shortcuts that nothing goes through.
    """
    if part == "generator":
        unread = UNREAD if high_pass else re.compile(r"hpf\..*")
        return {name: tensor for name, tensor in tensors.items() if not unread.fullmatch(name)}
    ours = tensors
    if part == "mapping" and any(HEAD.fullmatch(name) for name in tensors):
        ours = _mapping(tensors)
    elif part == "style" and any(HEAD.fullmatch(name) for name in tensors):
        heads = _heads("heads", [name for name in tensors if HEAD.fullmatch(name)], tensors)
        ours = {**_halvings(tensors), **heads}
    elif part == "discriminator" and any(name.startswith("main.") for name in tensors):
        ours = _discriminator(tensors)
    if ours is tensors or spare:
        return ours
    return {name: tensor for name, tensor in ours.items() if ".spare_" not in name}


def _mapping(tensors: Tensors) -> Tensors:
    ours = {}
    for name, tensor in tensors.items():
        if layer := LAYER.fullmatch(name):  # a ReLU stands behind each
            ours[f"shared.{int(layer[1]) // 2}.{layer[2]}"] = tensor
    heads = [match for name in tensors if (match := HEAD.fullmatch(name))]
    for place in sorted({int(match[2]) for match in heads}):
        names = [match[0] for match in heads if int(match[2]) == place]
        ours |= _heads(f"heads.{place // 2}", names, tensors)
    return ours


def _heads(name: str, theirs: list[str], tensors: Tensors) -> dict[str, Tensor]:
    """Return the layers of all domains as one, by its name."""
    ours = {}
    for kind in ("weight", "bias"):
        of_kind = [each for each in theirs if each.endswith(kind)]
        ours[f"{name}.{kind}"] = torch.stack([tensors[each] for each in sorted(of_kind, key=_domain)])
    return ours | _spare(name, ours)


def _domain(name: str) -> int:
    match = HEAD.fullmatch(name)
    assert match is not None
    return int(match[1])


def _spare(name: str, heads: Tensors) -> dict[str, Tensor]:
    return {f"{name}.spare_{kind}": torch.zeros_like(heads[f"{name}.{kind}"][0]) for kind in ("weight", "bias")}


def _halvings(tensors: Tensors) -> dict[str, Tensor]:
    """Return what lies before the domains part: a convolution, blocks, and behind an activation another convolution."""
    places = sorted({int(match[1]) for name in tensors if (match := LAYER.fullmatch(name))})
    blocks = {int(name.split(".")[1]) for name in tensors if ".conv1." in name}
    ends = [place for place in places if place not in blocks]
    ours = {}
    for name, tensor in tensors.items():
        if layer := LAYER.fullmatch(name):
            place = int(layer[1])
            if place in blocks:
                ours[f"shared.blocks.{place - 1}.{layer[2]}"] = tensor
            elif place in ends[:2]:
                ours[f"shared.{'first' if place == ends[0] else 'last'}.{layer[2]}"] = tensor
    return ours


def _discriminator(tensors: Tensors) -> Tensors:
    last = max(int(match[1]) for name in tensors if (match := LAYER.fullmatch(name)))
    heads = {
        "heads.weight": tensors[f"main.{last}.weight"].flatten(2).transpose(1, 2),  # (K, F, 1, 1) -> (K, 1, F)
        "heads.bias": tensors[f"main.{last}.bias"][:, None],
    }
    return {**_halvings(tensors), **heads, **_spare("heads", heads)}
