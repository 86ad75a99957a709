"""A `TaskSpec` as plain data, for a run's folder and for adapted models: what is needed to build a translator again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metai2i.tasks import TaskSpec


def spec_data(spec: TaskSpec) -> dict[str, Any]:
    """The spec as JSON has it."""
    return {
        "structure_channels": spec.structure_channels,
        "size": list(spec.size),
        "fields": sorted(spec.fields),
        "domains": spec.domains,
        "classes": list(spec.classes),
        "palette": [list(colour) for colour in spec.palette],
    }


def spec_from(data: Mapping[str, Any]) -> TaskSpec:
    """The spec that `spec_data` wrote.

    Raises:
        KeyError, TypeError, ValueError: when it is something else.
    """
    height, width = data["size"]
    return TaskSpec(
        structure_channels=int(data["structure_channels"]),
        size=(int(height), int(width)),
        fields=frozenset(map(str, data["fields"])),
        domains=int(data["domains"]),
        classes=tuple(map(str, data["classes"])),
        palette=tuple((int(r), int(g), int(b)) for r, g, b in data["palette"]),
    )
