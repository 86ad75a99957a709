"""Names that a package hands out from its modules, imported on first use: `metai2i --help` does not wait for torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def exported(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` (PEP 562) of a package that hands out names of its modules.

    Args:
        package: its `__name__`.
        homes: by name, the module below the package in which it is defined.
    """

    def take(name: str) -> Any:
        if name in homes:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return take
