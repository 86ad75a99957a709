"""Pix2pix for metai2i."""

from metai2i import Register, hookimpl
from metai2i_pix2pix.translator import Pix2pix as Pix2pix


@hookimpl
def register_translators(register: Register) -> None:
    """Hand over `Pix2pix`."""
    register("pix2pix", Pix2pix)
