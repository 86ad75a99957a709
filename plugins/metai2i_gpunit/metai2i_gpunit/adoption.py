"""The names of williamyang1991/GP-UNIT's checkpoints, and ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

Tensors = Mapping[str, Tensor]
SPECTRAL = {
    "bias": "bias",
    "weight_orig": "parametrizations.weight.original",
    "weight_u": "parametrizations.weight.0._u",
    "weight_v": "parametrizations.weight.0._v",
}
"""What a convolution under spectral norm keeps, by its names in older torch and in newer."""
CONTENT = re.compile(r"layer(\d)\.(\d)\.conv\.(bias|weight_orig|weight_u|weight_v)")
GENERATOR = re.compile(r"model\.(\d)\.(reslayer|postlayer|rgblayer|skiplayer)\.(.+)")
BLOCK = {
    "conv_0": "conv1", "conv_1": "conv2", "conv_s": "shortcut",
    "norm_0.style": "norm1.fc", "norm_1.style": "norm2.fc", "norm_s.style": "shortcut_norm.fc",
}  # fmt: skip
SKIP = {"trans": "state", "reset": "reset", "mask": "mask", "update": "update"}
SAMPLER = {"lin1": "layers.0", "bn1": "layers.1", "lin2": "layers.3", "bn2": "layers.4", "lin_out": "layers.6"}


def adopted(part: str, tensors: Tensors) -> Tensors:
    """Return the tensors of a published network under our names; as they are where they have these already.

    `content_encoder.pt` is the part `encoder`. A task's file has `g_ema`, of which the parts `generator` and `style`
    are taken, and `sampler`, which is the part `samplers.0`.
    """
    if part == "encoder" and any(CONTENT.fullmatch(name) for name in tensors):
        return _encoder(tensors)
    if part == "generator" and any(GENERATOR.fullmatch(name) for name in tensors):
        return _generator(tensors)
    if part == "style" and any(name.startswith("style_encoder.") for name in tensors):
        theirs = {
            name.removeprefix("style_encoder."): tensor for name, tensor in tensors.items() if "style_enc" in name
        }
        return {re.sub(r"^model\.", "convs.", name): tensor for name, tensor in theirs.items()}
    if part.startswith("samplers.") and any(name.partition(".")[0] in SAMPLER for name in tensors):
        return {_renamed(name, SAMPLER): tensor for name, tensor in tensors.items()}
    return tensors


def _encoder(tensors: Tensors) -> Tensors:
    matches = [match for name in tensors if (match := CONTENT.fullmatch(name))]
    last = max(int(match[1]) for match in matches)
    ours = {}
    for match in matches:
        level = int(match[1])
        home = "last" if level == last else f"levels.{level - 1}"
        ours[f"{home}.{match[2]}.conv.{SPECTRAL[match[3]]}"] = tensors[match[0]]
    return ours


def _generator(tensors: Tensors) -> Tensors:
    """Return the layers that make the largest image; those for smaller images are left out."""
    matches = [match for name in tensors if (match := GENERATOR.fullmatch(name))]
    last = max(int(match[1]) for match in matches)
    ours = {}
    for match in matches:
        level, kind, rest = int(match[1]), match[2], match[3]
        if kind == "rgblayer":
            if level == last:
                ours[f"to_rgb.{rest}"] = tensors[match[0]]
        elif kind == "skiplayer":
            ours[f"skips.{8 * 2**level}.{_renamed(rest, SKIP)}"] = tensors[match[0]]
        else:
            block = "first" if level == 0 and kind == "reslayer" else f"blocks.{level}"
            ours[f"{block}.{_renamed(rest, BLOCK)}"] = tensors[match[0]]
    return ours


def _renamed(name: str, names: Mapping[str, str]) -> str:
    """Return a tensor's name with the layer that it is of called by ours."""
    layer, _, rest = name.rpartition(".")
    return f"{names.get(layer, layer)}.{rest}"
