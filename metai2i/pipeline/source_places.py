"""Where modules and their files lie, and what of it is installed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType

from metai2i.registry.discovery import installed_plugins


def files_below(folder: Path) -> list[Path]:
    """Return the files of a folder and those below it, without what Python and the system put there."""
    files = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or path.name == "__pycache__" or path.suffix == ".pyc":
                continue
            if path.is_dir():
                files += [] if path.is_symlink() else files_below(path)
            elif path.is_file():
                files.append(path)
    return files


def module_file(package: Path, parts: Sequence[str]) -> Path | None:
    """Return the file of a module below a folder, as a package or as a single file; None for what is no module."""
    place = package.joinpath(*parts)
    for file in (place / "__init__.py", *([place.with_name(f"{place.name}.py")] if parts else [])):
        if file.is_file():
            return file
    return None


def place_of(top: str, beside: Path | None) -> Path | None:
    """Return the folder of a package, or the file of a module, that is imported by a name without dots."""
    module = sys.modules.get(top)
    if module is not None:
        return _place_of_module(module)
    if beside is not None:
        near = module_file(beside, [top])
        if near is not None:
            return near.parent if near.name == "__init__.py" else near
    with suppress(Exception):  # a finder of somebody's
        spec = importlib.util.find_spec(top)
        if spec is not None and spec.submodule_search_locations:
            return Path(next(iter(spec.submodule_search_locations)))
        if spec is not None and spec.has_location and spec.origin:
            return Path(spec.origin)
    return None


def _place_of_module(module: ModuleType) -> Path | None:
    with suppress(Exception):  # a module that is none, or a lazy one
        for folder in getattr(module, "__path__", None) or ():
            return Path(folder)
        if module.__file__:
            return Path(module.__file__)
    return None


def is_standard(top: str, place: Path) -> bool:
    """Return whether what lies there is of the standard library."""
    return top in sys.stdlib_module_names and place.is_relative_to(_folder("stdlib")) and not is_installed(place)


def is_installed(place: Path) -> bool:
    """Return whether a place is among what is installed in the environment."""
    return any(place.is_relative_to(_folder(name)) for name in ("purelib", "platlib")) or any(
        part in ("site-packages", "dist-packages") for part in place.parts
    )


@cache
def _folder(name: str) -> Path:
    return Path(sysconfig.get_path(name))


@cache
def plugin_packages() -> frozenset[str]:
    """Return the packages of the plugins that are installed."""
    return frozenset(plugin.package for plugin in installed_plugins() if plugin.package)


@cache
def distribution(top: str) -> dict[str, str]:
    """Return what is installed under the name of a package: its version, and a digest of what was installed."""
    names = [top] if _version(top) else sorted(set(importlib.metadata.packages_distributions().get(top, ())))
    return {f"package {name} {_version(name)}": _record(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _record(name: str) -> str:
    """Return a digest of the files of a distribution, by the digests that its installer has noted."""
    record = importlib.metadata.distribution(name).read_text("RECORD") or ""
    lines = (line for line in record.splitlines() if "sha256=" in line and ".dist-info/" not in line)
    return hashlib.sha256("\n".join(sorted(line for line in lines if not line.startswith(".."))).encode()).hexdigest()
