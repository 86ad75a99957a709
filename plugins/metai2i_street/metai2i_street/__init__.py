"""CamVid, Cityscapes and BDD100K as a metai2i task source."""

from __future__ import annotations

from metai2i import Register, hookimpl


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `Street`."""
    from metai2i_street.street import Street

    register("street", Street)
