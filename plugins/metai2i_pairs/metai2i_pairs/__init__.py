"""Photographs of the user's own with their maps, a folder for each scene, as a metai2i task source."""

from __future__ import annotations

from metai2i import Register, hookimpl


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `Pairs`."""
    from metai2i_pairs.source import Pairs

    register("pairs", Pairs)
