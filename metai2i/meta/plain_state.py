"""Plain state: what a component keeps in ordinary attributes, where torch neither saves it nor copies it.

A list of past outputs, a counter, a flag that `training_step` sets: learn2learn's clones share such things with their
model, so they would go from one scene to the next. `copy_plain` gives a copy its own. `plain_state` says what there is,
so that whoever compares two of them can name the attribute that has changed.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import itertools
import pickle
import random
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

INTERNAL = frozenset(vars(nn.Module())) | {"precision", "_inner_loops"}
"""Attributes of a module that torch or the host keeps."""
ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, type(Ellipsis), torch.dtype, torch.device})
"""Types of values that nothing can change."""
_MOST = 200_000
"""How many values are looked at in one component; what holds more is no state of a plugin's but somebody's library."""


def plain_state(thing: object) -> dict[str, str]:
    """Return a digest of every plain attribute of a component, by name; of a translator those of all its modules."""
    digest = _Digest(thing)
    if isinstance(thing, nn.Module):
        return {
            ".".join(filter(None, (path, name))): digest.of(value)
            for path, module in thing.named_modules()
            for name, value in vars(module).items()
            if name not in INTERNAL
        }
    return {name: digest.of(value) for name, value in _attributes(thing)}


def shared_state(thing: object) -> dict[str, str]:
    """Return a digest of what all objects of a component's class share: attributes of the class, and variables of the
    modules that it came with. No copy has its own of these.
    """
    package = type(thing).__module__.partition(".")[0]
    if package in ("metai2i", "torch", "builtins"):
        return {}
    digest = _Digest(thing)
    shared: dict[str, str] = {}
    for module in [m for name, m in sys.modules.items() if name.partition(".")[0] == package and m is not None]:
        for name, value in list(vars(module).items()):
            if isinstance(value, type) and value.__module__ == module.__name__:
                shared |= {f"{name}.{attribute}": digest.of(held) for attribute, held in _data(vars(value))}
        shared |= {f"{module.__name__}.{name}": digest.of(value) for name, value in _data(vars(module))}
    return shared


def changed_names(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the names under which two states differ, sorted."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def copy_plain(origin: nn.Module, clone: nn.Module) -> None:
    """Give a clone its own of the plain state that it shares with its origin.

    Modules, parameters and buffers of the origin that stand in lists and the like are replaced by the clone's. What
    cannot be copied (a lock, an open file) and modules that are held outside the tree stay shared.
    """
    memo: dict[int, Any] = {}
    pairs = zip(origin.named_modules(remove_duplicate=False), clone.named_modules(remove_duplicate=False), strict=True)
    for (_, old), (_, new) in pairs:
        memo[id(old)] = memo[id(new)] = new
        for kept, new_entries in ((old._parameters, new._parameters), (old._buffers, new._buffers)):
            for name, tensor in new_entries.items():
                memo[id(tensor)] = memo[id(kept[name])] = tensor
    for module in clone.modules():
        held = vars(module)
        for name, value in held.items():
            if name not in INTERNAL and not _atomic(value):
                held[name] = _copied(value, memo)


def _atomic(value: object) -> bool:
    return type(value) in ATOMS or (type(value) in (tuple, frozenset) and all(map(_atomic, value)))  # type: ignore[call-overload]


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    """Return a deep copy, but for what is to stay shared."""
    if isinstance(value, types.FunctionType | type):
        return value
    _share(value, memo, set())
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # a lock, an open file, a generator, somebody's own __deepcopy__
        return value


def _share(value: Any, memo: dict[int, Any], seen: set[int]) -> None:
    """Note in a memo of `copy.deepcopy` what is to stay as it is."""
    if id(value) in memo or id(value) in seen or _atomic(value) or len(seen) > _MOST:
        return
    seen.add(id(value))
    graph = isinstance(value, Tensor) and value.requires_grad
    if graph or isinstance(value, nn.Module) or type(value).__module__.partition(".")[0] == "metai2i":
        memo[id(value)] = value
    elif isinstance(value, Mapping):
        for key, held in value.items():
            _share(key, memo, seen)
            _share(held, memo, seen)
    elif isinstance(value, list | tuple | deque | Set):
        for held in value:
            _share(held, memo, seen)
    elif not isinstance(value, Tensor | np.ndarray | type | types.ModuleType):
        for _, held in _attributes(value):
            _share(held, memo, seen)


def _attributes(thing: object) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds, in `__dict__` and in slots."""
    yield from list(getattr(thing, "__dict__", {}).items())
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            if name not in ("__dict__", "__weakref__") and hasattr(thing, name):
                yield name, getattr(thing, name)


def _data(names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield those of a class's or a module's names that are neither code nor Python's own."""
    for name, value in list(names.items()):
        code = isinstance(value, types.ModuleType | type | property | classmethod | staticmethod)
        if not code and not name.startswith("__") and not name.startswith("_abc_"):
            yield name, value


class _Digest:
    """Digests of values, with the modules, parameters and buffers of a component told by their names."""

    def __init__(self, thing: object) -> None:
        self.names: dict[int, str] = {}
        if isinstance(thing, nn.Module):
            tensors = itertools.chain(thing.named_parameters(), thing.named_buffers())
            self.names = {id(each): name for name, each in itertools.chain(thing.named_modules(), tensors)}

    def of(self, value: Any) -> str:
        """Return the digest of one value; equal for equal ones."""
        if type(value) in ATOMS:
            return repr(value)
        self.hasher = hashlib.blake2b(digest_size=16)
        self.seen: dict[int, Any] = {}  # values stay alive while their ids count
        self._add(value)
        return self.hasher.hexdigest()

    def _say(self, *words: object) -> None:
        for word in words:
            self.hasher.update(word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogatepass"))
            self.hasher.update(b"\0")

    def _add(self, value: Any) -> None:  # noqa: PLR0912 - a case for each type
        if type(value) in ATOMS:
            self._say(type(value).__name__, repr(value))
            return
        if id(value) in self.names:
            self._say("its own", self.names[id(value)])
            return
        if id(value) in self.seen or len(self.seen) > _MOST:
            self._say("again")
            return
        self.seen[id(value)] = value
        self._say(type(value).__qualname__)
        match value:
            case Tensor():
                self._say(value.shape, value.dtype, *_bytes_of(value))
            case np.ndarray() if value.dtype != object:
                self._say(value.shape, value.dtype.str, value.tobytes())
            case np.ndarray():
                self._each(value.tolist())
            case Mapping():
                self._each(part for item in list(value.items()) for part in item)
            case list() | tuple() | deque():
                self._each(list(value))
            case Set():
                self._say(*sorted(_Digest(None).of(each) for each in value))
            case nn.Module():  # outside of the tree: a frozen network, too large to be hashed for every scene
                tensors = itertools.chain(value.parameters(), value.buffers())
                self._say(id(value), *((id(tensor), tensor._version) for tensor in tensors))
                self._each(held for m in value.modules() for n, held in vars(m).items() if n not in INTERNAL)
            case types.ModuleType() | type():
                self._say(value.__name__)
            case types.FunctionType():
                self._say(value.__module__)
                self._each((_cells(value), value.__defaults__, value.__kwdefaults__, vars(value)))
            case types.MethodType():
                self._each((value.__func__, value.__self__))
            case types.GeneratorType():
                frame = value.gi_frame
                self._each(("over",) if frame is None else (frame.f_lasti, dict(frame.f_locals)))
            case functools.partial():
                self._each((value.func, value.args, value.keywords))
            case torch.Generator():
                self._add(value.get_state())
            case random.Random():
                self._add(value.getstate())
            case np.random.Generator():
                self._add(value.bit_generator.state)
            case np.random.RandomState():
                self._add(value.get_state(legacy=False))
            case _:
                self._object(value)

    def _each(self, values: Iterable[Any]) -> None:
        for value in values:
            self._add(value)

    def _object(self, value: Any) -> None:
        """Digest any other object: what it holds; of the core's and the standard library's what they say of
        themselves.
        """
        package = type(value).__module__.partition(".")[0]
        if package == "metai2i":
            return
        if package == "itertools":
            self._say(repr(value))
        elif package in sys.stdlib_module_names and not isinstance(value, types.SimpleNamespace):
            try:
                self._say(pickle.dumps(value))
            except Exception:  # a lock, a file: they hold no number
                self._say("unknown")
        else:
            for name, held in _attributes(value):
                self._say(name)
                self._add(held)


def _cells(function: types.FunctionType) -> list[Any]:
    """Return what a function has closed over."""
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # not filled yet
            cells.append(None)
    return cells


def _bytes_of(tensor: Tensor) -> Iterator[bytes]:
    """Yield the bytes of a tensor; none of one that has none (sparse, on no device)."""
    try:
        yield tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    except (RuntimeError, TypeError, NotImplementedError):
        return
