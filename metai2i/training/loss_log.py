"""`LossLog`: the curve of a stage's losses, which goes on where a killed stage goes on."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from metai2i.files import append_line, write_text

log = logging.getLogger("metai2i")

Window = Mapping[str, Sequence[float]]
"""Losses of the steps since the last line of a log, by name."""


class LossLog:
    """`log.jsonl` of a stage: a line for every `every` steps, with the means of the losses since the last."""

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every
        self.window: dict[str, list[float]] = {}
        self.since = time.monotonic()
        self.steps = 0

    def rewind(self, step: int, window: Window) -> None:
        """Drop the lines of steps that will be done again, and what is no line of a log.

        Args:
            window: the losses behind the last line, up to the step.
        """
        self.window = {name: list(values) for name, values in window.items()}
        try:
            text = self.path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            text = ""
        whole = text[: text.rfind("\n") + 1].splitlines()  # a killed run may have left a last line without its end
        steps = [logged_step(line) for line in whole]
        if None in steps:
            log.warning("%s: left out %d lines that are none of a log", self.path, steps.count(None))
        kept = [line for line, at in zip(whole, steps, strict=True) if at is not None and at <= step]
        write_text(self.path, "".join(f"{line}\n" for line in kept))

    def add(self, index: int, losses: Mapping[str, float]) -> None:
        """Take in one step's losses."""
        self.steps += 1
        for name, value in losses.items():
            self.window.setdefault(name, []).append(value)
        if (index + 1) % self.every == 0:
            means = {name: sum(values) / len(values) for name, values in self.window.items()}
            rate = self.steps / max(time.monotonic() - self.since, 1e-9)
            append_line(self.path, json.dumps({"step": index + 1, "losses": means, "rate": round(rate, 3)}))
            self.window.clear()
            self.since, self.steps = time.monotonic(), 0


def logged_step(line: str) -> int | None:
    """Return the step of a line of a log; None for what is no such line."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = record.get("step") if isinstance(record, dict) and isinstance(record.get("losses"), dict) else None
    return step if isinstance(step, int) else None
