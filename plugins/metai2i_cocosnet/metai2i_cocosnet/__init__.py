"""CoCosNet for metai2i: an exemplar is warped to the layout of a map, and guides the image of it."""

from __future__ import annotations

from metai2i import Register, hookimpl


@hookimpl
def register_translators(register: Register) -> None:
    """Hand over `Cocosnet`."""
    from metai2i_cocosnet.translator import Cocosnet

    register("cocosnet", Cocosnet)
