"""EdgeGAN for metai2i."""

from metai2i import Register, hookimpl
from metai2i_edgegan.translator import EdgeGan

__all__ = ["EdgeGan"]


@hookimpl
def register_translators(register: Register) -> None:
    """Hand over `EdgeGan`."""
    register("edgegan", EdgeGan)
