"""The contracts of a `FrozenNetwork`."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from metai2i.errors import UserError
from metai2i.network import FrozenNetwork
from metai2i.testing.bench import Bench
from metai2i.testing.contract import Contract, NotApplicable, promise, require
from metai2i.testing.probes import disturb
from metai2i.training.checkpoint import digest

CONTRACTS: list[Contract] = []
READ = "docs/write-a-translator.md#networks"


def loaded(bench: Bench) -> nn.Module:
    """Return the network on trial, newly made from its file.

    Raises:
        NotApplicable: when the file is not here.
    """
    network: FrozenNetwork = bench.make()
    network.name = bench.component.__name__
    try:
        network.stored()
    except UserError as error:
        raise NotApplicable(str(error.what)) from error
    return network.on("cpu")


@promise(CONTRACTS, READ, gate=True)
def it_says_what_it_is_and_where_its_file_is_from(bench: Bench) -> None:
    """It is constructed without options; its docstring, `files` and `origin` are texts."""
    network: FrozenNetwork = bench.make()
    require(bool((type(network).__doc__ or "").strip()), "a docstring that says what it is", "none")
    require(bool(network.files), "the name of a file", "none")
    require(bool(network.origin.strip()), "where its file is from", "nothing")


@promise(CONTRACTS, READ)
def a_file_of_something_else_is_refused(bench: Bench) -> None:
    """`build` raises a KeyError, a RuntimeError or a ValueError for tensors of other names: nothing stays as it was
    drawn."""
    network: FrozenNetwork = bench.make()
    for tensors in ({}, {"something.else": torch.zeros(2)}):
        try:
            built: Any = network.build(tensors)
        except (KeyError, RuntimeError, ValueError):
            continue
        raised = "a KeyError, a RuntimeError or a ValueError"
        require(False, f"{raised} for tensors that are not its own", f"a {type(built).__name__}")


@promise(CONTRACTS, READ)
def it_is_no_part_of_what_keeps_it(bench: Bench) -> None:
    """It is no module, so that nobody saves, copies or trains it, and a deep copy is the object itself."""
    from metai2i.losses.networks import shared_network

    network = shared_network(bench.component, bench.component.__name__)
    require(not isinstance(network, nn.Module), "an object that is no module", "an nn.Module")
    require(copy.deepcopy([network])[0] is network, "the object itself from a deep copy", "another one")


@promise(CONTRACTS, READ)
def it_is_frozen(bench: Bench) -> None:
    """Made of its file, no parameter requires gradients, and all modules are in evaluation mode."""
    module = loaded(bench)
    moving = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    require(not moving, "parameters without gradients", f"one for {', '.join(moving[:3])}")
    require(not any(each.training for each in module.modules()), "evaluation mode", "a module in training mode")


@promise(CONTRACTS, READ)
def the_same_file_gives_the_same_network(bench: Bench) -> None:
    """Made twice, wherever the global generators stand, it has the same parameters and buffers."""
    digests = set()
    for seed in (0, 1):
        disturb(seed)
        digests.add(digest(loaded(bench)))
    require(len(digests) == 1, "the same parameters and buffers from one file", "others: is something drawn in build?")
