"""LPIPS, the learned perceptual distance (Zhang et al., 2018), with real weights and one target pass."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from metai2i.errors import UserError
from metai2i.losses.backbone_weights import Backbone, backbone, weights_folder
from metai2i.precision import at_least_single

SMALLEST: dict[str, int] = {"alex": 31, "vgg16": 16, "squeeze": 17}
"""The smallest height or width that leaves something of an image after the network's pooling."""


class LpipsDistance(nn.Module):
    """LPIPS v0.1: weighted squared differences of unit-length features, averaged over space, summed over layers.

    Frozen and in evaluation mode. A copy of whoever holds it holds the same network: 15 M weights that nobody changes.

    Args:
        network: an `lpips.LPIPS` with all its weights.
        name: the name of its feature network.
    """

    def __init__(self, network: nn.Module, name: Backbone) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.name = name
        self._last: _Kept | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> LpipsDistance:
        return self

    def train(self, mode: bool = True) -> LpipsDistance:
        """Stay in evaluation mode."""
        return self

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances between the images of `a` and of `b`, with gradients for `a` only.

        Args:
            a: (B, 3, H, W) in [-1, 1].
            b: (B, 3, H, W) in [-1, 1]; no gradient goes back to it, so its features cost one pass without a graph.
                They are kept while `b` is the last one and somebody holds its memory, as an inner loop does.

        Returns:
            (B,) distances, 0 for equal images.

        Raises:
            UserError: when the images are smaller than the network can take.
        """
        return torch.stack([layer.mean(dim=(1, 2, 3)) for layer in self._distances(a, b)]).sum(dim=0)

    def at_pixels(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distance at each pixel, (B, 1, H, W): each layer's, enlarged bilinearly, as `lpips` has it with
        `spatial=True`. Arguments and errors are those of `forward`.
        """
        size = a.shape[-2:]
        layers = [interpolate(layer, size, mode="bilinear", align_corners=False) for layer in self._distances(a, b)]
        return torch.stack(layers).sum(dim=0)

    def _distances(self, a: Tensor, b: Tensor) -> list[Tensor]:
        """Return the distance at each position of each layer, (B, 1, h, w)."""
        self._refuse_smaller(a)
        heads = cast(nn.ModuleList, self.network.lins)
        layers = list(zip(heads, self.features(a), self._aims(b), strict=True))
        with torch.autocast(a.device.type, enabled=False):  # features may be rough, what is made of them may not
            return [head((x - y).square()) for head, x, y in layers]

    def _refuse_smaller(self, images: Tensor) -> None:
        if min(images.shape[-2:]) < SMALLEST[self.name]:
            raise UserError(
                f"LPIPS with {self.name!r} needs images of at least {SMALLEST[self.name]} pixels a side, "
                f"got {images.shape[-2]}x{images.shape[-1]}",
                hint="vgg16 takes the smallest images (16)",
            )

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the features of each layer, of unit length at every position; (B, 3, H, W) images in [-1, 1]."""
        return [_unit(layer) for layer in self.layers(images)]

    def layers(self, images: Tensor) -> list[Tensor]:
        """Return the features of each layer as the network has them, (B, C, h, w); (B, 3, H, W) images in [-1, 1]."""
        scale = cast(Callable[[Tensor], Tensor], self.network.scaling_layer)
        trunk = cast(Callable[[Tensor], tuple[Tensor, ...]], self.network.net)
        return [at_least_single(layer) for layer in trunk(scale(images))]

    def _aims(self, images: Tensor) -> list[Tensor]:
        """Return the features without a graph: those that are kept, if they are of these very images.

        Only those of the last images are kept, and not longer than the images themselves.
        """
        memory, last = images.untyped_storage(), self._last
        view = (images.shape, images.stride(), images.storage_offset(), images.dtype)
        state = (*view, images._version, torch.is_autocast_enabled(images.device.type))
        if last is not None and last.memory() is memory and last.state == state:
            return last.features

        def forget(gone: weakref.ref[torch.UntypedStorage]) -> None:
            if self._last is not None and self._last.memory is gone:
                self._last = None

        with torch.no_grad():
            features = self.features(images)
        self._last = _Kept(weakref.ref(memory, forget), state, features)
        return features


@dataclass(frozen=True)
class _Kept:
    """Features, and what they are of.

    Args:
        memory: of the images, as long as there is somebody else who holds it: they may come as another tensor on it.
        state: how the images lie there, their version, which counts what was written into them, and whether the
            features were computed under autocast.
        features: of each layer.
    """

    memory: weakref.ref[torch.UntypedStorage]
    state: tuple[object, ...]
    features: list[Tensor]


def lpips_distance(net: Backbone = "alex", device: torch.device | str = "cpu") -> LpipsDistance:
    """Return the LPIPS of a feature network on a device; made once per process, and shared.

    Args:
        net: "alex" (the one to report), "vgg16" (the one to train with) or "squeeze".
        device: where it is to compute.

    Returns:
        a frozen module; `lpips_distance(net)(a, b)` gives the (B,) distances of (B, 3, H, W) images in [-1, 1].

    Raises:
        UserError: when there are no real weights for `net`.
    """
    return _build(net, str(torch.device(device)), weights_folder())


def lpips_at_pixels(fake: Tensor, real: Tensor, net: Backbone = "alex") -> Tensor:
    """Return LPIPS v0.1 at each pixel, for a metric: (B, 1, H, W) float32, computed in full precision.

    Args:
        fake: (B, 3, H, W) in [-1, 1], at least `SMALLEST[net]` pixels a side: 31 for AlexNet.
        real: the same.
        net: the feature network.

    Raises:
        UserError: when the images are too small, or when there are no real weights for `net`.
    """
    with torch.no_grad(), torch.autocast(fake.device.type, enabled=False):
        return lpips_distance(net, fake.device).at_pixels(fake.float(), real.float())


@lru_cache(maxsize=8)
def _build(net: Backbone, device: str, folder: Path | None) -> LpipsDistance:
    import lpips

    short = "vgg" if net == "vgg16" else net
    # On the meta device the random weights that are about to be replaced cost neither time nor draws from the
    # global generator; what is left on it afterwards was not set.
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net=short, pnet_rand=True, pretrained=False, verbose=False)
    network.scaling_layer = lpips.ScalingLayer()
    features, heads = backbone(net, folder), _heads(Path(lpips.__file__).parent / "weights" / "v0.1" / f"{short}.pth")
    names = [name for name in network.state_dict() if not name.startswith("scaling_layer.")]
    state = {name: features[_published(name)] if name.startswith("net.") else heads[_own(name)] for name in names}
    network.load_state_dict(state, strict=False, assign=True)
    unset = [name for name, tensor in network.state_dict().items() if tensor.is_meta]
    unused = set(features) - {_published(name) for name in names if name.startswith("net.")}
    if unset or unused:
        raise RuntimeError(f"LPIPS with {net!r} has layers without weights: {unset}, or weights without: {unused}")
    distance = LpipsDistance(network, net).to(device)
    if torch.device(device).type == "cpu":  # convolutions of 1x1, pooling and norms over channels are faster so
        distance = distance.to(memory_format=torch.channels_last)
    return distance


def _heads(file: Path) -> dict[str, Tensor]:
    """Return the linear heads that the lpips package carries."""
    heads: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return heads


def _published(name: str) -> str:
    """Rename `net.slice2.3.weight` to `features.3.weight`: the package keeps torchvision's numbers within
    its slices.
    """
    return ".".join(["features", *name.split(".")[2:]])


def _own(name: str) -> str:
    """Rename `lins.3.model.1.weight`, the head's second name, to `lin3.model.1.weight`."""
    return name.replace("lins.", "lin", 1)


def _unit(features: Tensor) -> Tensor:
    """Scale features to length 1 at every position.

    The norm's gradient is 0 where all channels are 0; a square root of a sum of squares would give NaN there.
    """
    lengths: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (lengths + 1e-10)
