"""What a task source says of its data, all splits together."""

from __future__ import annotations

from metai2i import TaskSource
from metai2i.tasks import SPLITS


def fingerprints(source: TaskSource) -> tuple[str, ...]:
    """The fingerprints of the three splits."""
    return tuple(source.fingerprint(split) for split in SPLITS)
