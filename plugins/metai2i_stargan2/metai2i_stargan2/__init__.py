"""StarGAN v2 for metai2i."""

from metai2i import Register, hookimpl
from metai2i_stargan2.translator import StarGan2

__all__ = ["StarGan2"]


@hookimpl
def register_translators(register: Register) -> None:
    """Hand over `StarGan2`."""
    register("stargan2", StarGan2)
