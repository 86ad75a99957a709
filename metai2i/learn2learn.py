"""The two functions of learn2learn that the inner loop stands on, imported without its noise.

Importing learn2learn imports gym, which prints a page about its own retirement to stderr; a user of metai2i has never
asked for gym and should not see it.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from functools import cache
from importlib import import_module
from typing import Any, cast

from metai2i.translator import Translator


@cache
def utils() -> Any:
    """`learn2learn.utils`, imported on first use: a run that finds all its stages done never needs it."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        return import_module("learn2learn.utils")


def clone_module(module: Translator) -> Translator:
    """A copy whose parameters are `clone()`s of the module's, so that gradients flow back to it; buffers are shared."""
    return cast(Translator, utils().clone_module(module))


def update_module(module: Translator) -> None:
    """Replaces every parameter `p` that carries an `update` by `p + p.update`, keeping the graph."""
    utils().update_module(module)
