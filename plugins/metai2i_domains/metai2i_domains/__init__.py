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
from metai2i_domains.twin_scenes import TWIN_FIELDS as TWIN_FIELDS
from metai2i_domains.twin_scenes import Masked as Masked
from metai2i_domains.twin_scenes import TwinScene as TwinScene
from metai2i_domains.twin_scenes import twin_kinds as twin_kinds

__all__ = ["TWIN_FIELDS", "Masked", "Part", "Parts", "Tree", "TwinScene", "find_tree", "images_in", "twin_kinds"]


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `Domains`, `DomainsLandmarks` and `Twins`."""
    from metai2i_domains.source import Domains, DomainsLandmarks
    from metai2i_domains.twins import Twins

    register("domains", Domains)
    register("domains_landmarks", DomainsLandmarks)
    register("twins", Twins)
