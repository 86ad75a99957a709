"""What files and folders are called in the folder of a stage."""

from __future__ import annotations

WEIGHTS = "model.safetensors"
"""What a training leaves to the stages behind it."""
PROGRESS = "progress.safetensors"
"""The checkpoint from which a killed one goes on."""
LOG = "log.jsonl"
"""The curve of its losses."""
SIDE_BY_SIDE = "samples"
"""What the outputs for one query are called where a run's images have them side by side."""
