"""Frozen networks by their names: who asks for them, and the digests by which stages know them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from metai2i.errors import UserError
from metai2i.hookspecs import Register, hookimpl
from metai2i.losses.hed import Hed
from metai2i.losses.inception import InceptionFid
from metai2i.losses.vgg import Alex, Squeeze, Vgg16, Vgg19, Vgg19Caffe, Vgg19Raw
from metai2i.network import FrozenNetwork

if TYPE_CHECKING:
    from metai2i.registry import Registry

NETWORKS: dict[str, type[FrozenNetwork]] = {
    "alex": Alex,
    "squeeze": Squeeze,
    "vgg16": Vgg16,
    "vgg19": Vgg19,
    "vgg19-raw": Vgg19Raw,
    "vgg19-caffe": Vgg19Caffe,
    "inception-fid": InceptionFid,
    "hed": Hed,
}
"""The core's own."""

_shared: dict[tuple[type[FrozenNetwork], str], FrozenNetwork] = {}
_registry: ContextVar[Registry | None] = ContextVar("registry", default=None)
_asked: ContextVar[set[str] | None] = ContextVar("asked", default=None)
_allowed: ContextVar[Collection[str] | None] = ContextVar("allowed", default=None)


@hookimpl
def register_networks(register: Register) -> None:
    """Hand over the core's frozen networks."""
    for name, network_class in NETWORKS.items():
        register(name, network_class)


def network(name: str) -> FrozenNetwork:
    """Return a frozen network, which is called like a module: `network("vgg19")(images, ["relu3_1"])`.

    Ask for it in the constructor and keep it as an attribute: the host then knows that its weights decide what is
    trained, and puts their digest into the stage's name. Its file is read when it is first called, so that images can
    be made where only losses need it.

    Args:
        name: a network of the core (`vgg16`, `vgg19`, `vgg19-raw`, `vgg19-caffe`, `alex`, `squeeze`, `inception-fid`,
            `hed`) or of a plugin.

    Returns:
        the object that all share; no part of a module that keeps it, and no copy has its own.

    Raises:
        UserError: when there is none of that name, or when the host has not been told of it before it trains.
    """
    asked, allowed = _asked.get(), _allowed.get()
    if asked is None and allowed is not None and name not in allowed:
        raise UserError(
            f"the network {name!r} is asked for while training, and no stage's name has its digest",
            hint="call network() in the constructor and keep what it gives; a metric names it in feature_networks",
        )
    network_class = NETWORKS.get(name) or _known_registry().get("network", name)
    if asked is not None:
        asked.add(name)
    return shared_network(network_class, name)


def shared_network(network_class: type[FrozenNetwork], name: str) -> FrozenNetwork:
    """Return the one object of a class under a name, which its messages have."""
    if (network_class, name) not in _shared:
        _shared[network_class, name] = network_class()
        _shared[network_class, name].name = name
    return _shared[network_class, name]


def network_digest(registry: Registry, name: str) -> str:
    """Return a hash of a network's weights, and of the code of one that a plugin brings.

    Raises:
        UserError: when there is none of that name, or when its weights are not there.
    """
    network_class = registry.get("network", name)
    weights = shared_network(network_class, name).digest()
    core = network_class.__module__.partition(".")[0] == "metai2i"
    return weights if core else f"{weights} {registry.depends('network', name).digest[:16]}"


@contextmanager
def looking_in(registry: Registry) -> Iterator[set[str]]:
    """Let `network` look in a registry within it; yield the names that are asked for."""
    token = _registry.set(registry)
    try:
        with asking() as asked:
            yield asked
    finally:
        _registry.reset(token)


@contextmanager
def asking() -> Iterator[set[str]]:
    """Yield the names that are asked for within it, wherever they are looked for."""
    asked: set[str] = set()
    token = _asked.set(asked)
    try:
        yield asked
    finally:
        _asked.reset(token)


@contextmanager
def only_networks(names: Collection[str], registry: Registry | None = None) -> Iterator[None]:
    """Refuse, within it, networks of other names than those whose digests have been taken; they are in a registry."""
    tokens = _allowed.set(names), _registry.set(registry)
    try:
        yield
    finally:
        _allowed.reset(tokens[0])
        _registry.reset(tokens[1])


def _known_registry() -> Registry:
    from metai2i.registry import Registry

    return _registry.get() or Registry()
