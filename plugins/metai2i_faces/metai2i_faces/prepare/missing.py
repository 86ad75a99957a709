"""What only the preparation needs is imported when it is used, and told how to get when it is not there."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from metai2i import UserError, extra_command

PACKAGES = {"av": "av", "dlib": "dlib-bin", "face_recognition_models": "face-recognition-models"}
"""From modules to the packages that bring them."""


def needed(module: str) -> ModuleType:
    """Return the module, imported.

    Raises:
        UserError: naming the package extra that brings it.
    """
    try:
        return import_module(module)
    except ImportError:
        raise _not_there(module) from None


def folder_of(module: str) -> Path:
    """Return the folder of a package, which is not imported.

    Raises:
        UserError: naming the package extra that brings it.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise _not_there(module)
    return Path(spec.origin).parent


def _not_there(module: str) -> UserError:
    return UserError(
        f"preparing faces needs {PACKAGES[module]}, which is not installed",
        hint=f"`{extra_command('metai2i-faces', 'prepare')}` brings it",
    )
