"""What stages say of themselves: in their markers in the stage store, and in the provenance of a run."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class AdaptingRecord(TypedDict):
    """What adapting to a scene takes, medians over scenes.

    `seconds` of adapting alone and `aux_seconds` of what is done before it with retrieved scenes; `scene_seconds`:
    lower quartile, median and upper quartile of both together; `numbers` and `bytes` that are a scene's own, None where
    an adapted model is not the general model's network.
    """

    seconds: float
    aux_seconds: float
    scene_seconds: list[float]
    numbers: int | None
    bytes: int | None


class DoneRecord(TypedDict):
    """What a finished stage says of itself.

    - every stage: `iterations`, `seconds`, `peak_memory_mib` (None where the system does not say), and `warnings` where
      there are any
    - meta-training: what the strategy chose by itself (`choices`)
    - tuning: with what the row adapts (`chosen`), every candidate with its score (`tried`), and by which `metric`
    - evaluation: what `adapting` takes
    """

    iterations: int
    seconds: float
    peak_memory_mib: float | None
    warnings: NotRequired[list[str]]
    choices: NotRequired[dict[str, str]]
    chosen: NotRequired[dict[str, float]]
    tried: NotRequired[list[dict[str, float | str | None]]]
    metric: NotRequired[str]
    adapting: NotRequired[AdaptingRecord | None]


class RunStageRecord(DoneRecord):
    """A stage in the provenance of a run, with its rows; `cache`: "hit" where it was looked up, else "run"."""

    name: str
    key: str
    rows: list[str]
    cache: str


class FileRecord(TypedDict):
    """What a marker says of a file: its size in bytes and its SHA-256."""

    size: int
    sha256: str


class AboutRecord(TypedDict):
    """What a stage's folder says of it besides what determines it, so that others can be held against it.

    `upstream`: the key of the stage that it builds on; `recipe`: that asked for it; `rows`: that share it; `scenes`:
    split -> scene -> digest.
    """

    upstream: str | None
    recipe: str
    rows: list[str]
    scenes: dict[str, dict[str, str]]
