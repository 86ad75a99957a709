"""Layers that keep instances apart, a translator made of them, and metrics of the borders between them, for metai2i."""

from __future__ import annotations

from metai2i import Register, hookimpl


@hookimpl
def register_translators(register: Register) -> None:
    """Hand over `Panoptic`."""
    from metai2i_panoptic.translator import Panoptic

    register("panoptic", Panoptic)


@hookimpl
def register_metrics(register: Register) -> None:
    """Hand over `InstanceBand`, `InstanceEdges` and `InstanceLpips`."""
    from metai2i_panoptic.metrics import InstanceBand, InstanceEdges, InstanceLpips

    register("instance_band", InstanceBand)
    register("instance_edges", InstanceEdges)
    register("instance_lpips", InstanceLpips)
