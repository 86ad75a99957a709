"""Domains of images without pairs as a metai2i task source.

The names of `__all__` are what other plugins may build on; the modules of this package may change.
"""

from __future__ import annotations

from metai2i import Register, hookimpl
from metai2i_domains.layouts import Part as Part
from metai2i_domains.layouts import Parts as Parts
from metai2i_domains.layouts import Tree as Tree
from metai2i_domains.layouts import find_tree as find_tree
from metai2i_domains.layouts import images_in as images_in

__all__ = ["Part", "Parts", "Tree", "find_tree", "images_in"]


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `Domains` and `DomainsLandmarks`."""
    from metai2i_domains.source import Domains, DomainsLandmarks

    register("domains", Domains)
    register("domains_landmarks", DomainsLandmarks)
