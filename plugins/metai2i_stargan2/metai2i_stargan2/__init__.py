"""StarGAN v2 for metai2i."""

from metai2i import Register, hookimpl
from metai2i_stargan2.fan import Fan
from metai2i_stargan2.translator import StarGan2, StarGan2Landmarks

__all__ = ["Fan", "StarGan2", "StarGan2Landmarks"]


@hookimpl
def register_translators(register: Register) -> None:
    """Hand over `StarGan2` and `StarGan2Landmarks`."""
    register("stargan2", StarGan2)
    register("stargan2_landmarks", StarGan2Landmarks)


@hookimpl
def register_networks(register: Register) -> None:
    """Hand over `Fan`."""
    register("fan", Fan)
