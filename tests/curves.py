"""The curve of losses that a stage leaves."""

from __future__ import annotations

import json
from pathlib import Path


def points(folder: Path) -> list[tuple[int, dict[str, float]]]:
    """Return the points of the curve in a stage's folder: a step, and the means of the losses since the last."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["losses"]) for line in lines]
