"""What the files of a training are called in a stage's folder."""

from __future__ import annotations

WEIGHTS = "model.safetensors"
"""What it leaves to the stages behind it."""
PROGRESS = "progress.safetensors"
"""The checkpoint from which a killed one goes on."""
LOG = "log.jsonl"
"""The curve of its losses."""
SIDE_BY_SIDE = "samples"
"""What the outputs for one query are called where a run's images have them side by side."""
