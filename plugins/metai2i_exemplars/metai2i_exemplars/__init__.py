"""ADE20K, CelebAMask-HQ and DeepFashion as a metai2i task source."""

from __future__ import annotations

from metai2i import Register, hookimpl


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `Exemplars`."""
    from metai2i_exemplars.exemplars import Exemplars

    register("exemplars", Exemplars)
