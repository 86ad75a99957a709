"""What a machine has of what metai2i needs."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from metai2i import __version__
from metai2i.data.places import cache_folder
from metai2i.errors import UserError, counted
from metai2i.extras import extra_command
from metai2i.guards.system import processor_name
from metai2i.losses.backbone_weights import MissingWeights, set_weights_folder, without_downloads
from metai2i.network import FrozenNetwork
from metai2i.registry import Registry

GB = 1e9
LITTLE = 5 * GB
"""Free bytes of a disk below which it is told."""


class Examined(NamedTuple):
    """Something that was looked at.

    Args:
        state: "ok"; "without", where something does without it; "wrong", where recipes cannot run as it is.
        what: was looked at.
        seen: on this machine.
        remedy: what to do, unless it is ok.
    """

    state: Literal["ok", "without", "wrong"]
    what: str
    seen: str
    remedy: str = ""


def examination(stages: Path, plugins_dirs: Sequence[Path] = (), weights: Path | None = None) -> Iterator[Examined]:
    """Yield what is found, without downloading or writing anything.

    Args:
        stages: the stage store, which need not exist.
        plugins_dirs: folders of one-file plugins.
        weights: a folder with weights of frozen networks.
    """
    yield Examined(
        "ok", "versions", f"metai2i {__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    )
    yield _device()
    yield _engine()
    for extra, module, use in (("ray", "ray", "metai2i run --on ray"), ("slurm", "submitit", "metai2i run --on slurm")):
        yield _extra(extra, module, use)
    registry = Registry(plugins_dirs)
    yield from _plugins(registry)
    if weights is not None:
        try:
            set_weights_folder(weights)
        except UserError as error:
            yield Examined("wrong", "folder of --weights", str(error), "name a folder that is there")
    yield from _networks(registry)
    yield _place("stage store", stages, "--stages or METAI2I_STAGES names another folder")
    cache = cache_folder()
    if cache is None:
        yield Examined(
            "without", "cache", "none: data is decoded and read through anew by each run", "set METAI2I_CACHE"
        )
    else:
        yield _place("cache", cache, "METAI2I_CACHE names another folder")


def _device() -> Examined:
    if torch.cuda.is_available():
        name, memory = torch.cuda.get_device_name(0), torch.cuda.get_device_properties(0).total_memory
        return Examined("ok", "device", f"{counted(torch.cuda.device_count(), 'GPU')}: {name}, {memory / GB:.0f} GB")
    threads = f"{processor_name()}, {counted(torch.get_num_threads(), 'thread')}"
    if torch.version.cuda is None:
        return Examined("without", "device", threads, "torch is built for CPUs; for a GPU install one built for CUDA")
    return Examined("without", "device", threads, "torch sees no GPU; `nvidia-smi` shows whether the system does")


def _engine() -> Examined:
    if find_spec("learn2learn") is not None:
        return Examined("ok", "learn2learn", "installed")
    return Examined(
        "without", "learn2learn", "not installed: engines of metai2i do the same", "needed for engine: learn2learn"
    )


def _extra(extra: str, module: str, use: str) -> Examined:
    """Return whether what an extra brings is installed."""
    if find_spec(module) is not None:
        return Examined("ok", module, "installed")
    return Examined("without", module, "not installed", f"for `{use}`: {extra_command('metai2i', extra)}")


def _plugins(registry: Registry) -> Iterator[Examined]:
    statuses = registry.all()
    usable = sum(status.status == "ok" for status in statuses)
    yield Examined("ok", "plugins", f"{counted(usable, 'component')} can be used")
    for status in statuses:
        if status.status != "ok":
            seen = f"{status.status}: {status.cause}"
            yield Examined("wrong", f"plugin {status.name}", seen, f"`metai2i plugins {status.name}` shows more")


def _networks(registry: Registry) -> Iterator[Examined]:
    """Yield which weights of frozen networks are here. Losses and metrics ask for theirs when they are used."""
    for name in sorted(registry.components("network")):
        network: FrozenNetwork = registry.get("network", name)()
        network.name = name
        try:
            with without_downloads():
                file = network.stored()[1]
        except MissingWeights:
            get = f"downloaded when it is asked for, or from {network.origin}" if network.address else network.origin
            yield Examined("without", f"weights of {name}", "not here", f"{' or '.join(network.files)}: {get}")
        except UserError as error:
            yield Examined("wrong", f"weights of {name}", str(error), f"get it anew from {network.origin}")
        else:
            yield Examined("ok", f"weights of {name}", str(file))


def _place(what: str, folder: Path, remedy: str) -> Examined:
    """Return whether a folder, or the one that it would be made in, can be written, and how much is free there."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Examined("wrong", what, f"{folder} cannot be written", remedy)
    free = shutil.disk_usage(place).free
    state: Literal["ok", "without"] = "ok" if free >= LITTLE else "without"
    return Examined(
        state, what, f"{folder}, {free / GB:.0f} GB free", "" if state == "ok" else f"little room; {remedy}"
    )
