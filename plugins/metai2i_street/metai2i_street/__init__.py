"""CamVid, Cityscapes, BDD100K and COCO as a metai2i task source."""

from __future__ import annotations

from metai2i import Register, hookimpl


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `Street`, `StreetInstances` and `Coco`."""
    from metai2i_street.coco import Coco
    from metai2i_street.street import Street, StreetInstances

    register("street", Street)
    register("street_instances", StreetInstances)
    register("coco", Coco)
