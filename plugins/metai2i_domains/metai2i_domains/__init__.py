"""Domains of images without pairs as a metai2i task source."""

from __future__ import annotations

from metai2i import Register, hookimpl


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `Domains`."""
    from metai2i_domains.source import Domains

    register("domains", Domains)
