"""What scoring a scene gives, as `results.json` of an evaluation has it: one of these per scene."""

from __future__ import annotations

from pathlib import Path
from typing import NotRequired, TypedDict

from metai2i.files import read_json, write_json

SCENE_SCORES = "results.json"


class SceneScore(TypedDict):
    """The numbers of one scene.

    - `seconds` of all; `adapt_seconds` and `aux_seconds`, means over draws: of adapting alone, and of retrieving and
      fine-tuning before it
    - `own_numbers` and `own_bytes` of the first draw's model, None where it is not the general model's network
    - `aux`: the scenes retrieved for the first draw, each with its score
    - `queries`: what was measured of each; infinity is written as text, which `float` reads
    - `lifeless`, in words, where a draw's images show that the network is dead
    - `beyond`, the lowest and the highest value of its images, where these are out of [-1, 1] by more than files show
    - `alike`, True where several outputs for each query were asked for and are all the same
    - `diverged`, in words, where adapting to it did, at a rate that was tried; nothing else was measured then
    - `sets`: what metrics of sets say of the scene's outputs, where there are such
    """

    task: str
    seconds: float
    adapt_seconds: float
    aux_seconds: float
    own_numbers: int | None
    own_bytes: int | None
    aux: list[tuple[str, float]]
    queries: list[dict[str, float | str]]
    lifeless: NotRequired[str]
    beyond: NotRequired[tuple[float, float]]
    alike: NotRequired[bool]
    diverged: NotRequired[str]
    sets: NotRequired[dict[str, float | str]]


def write_scores(folder: Path, scores: list[SceneScore]) -> None:
    """Write the scores of an evaluation into its folder."""
    write_json(folder / SCENE_SCORES, scores)


def read_scores(folder: Path) -> list[SceneScore]:
    """Return the scores of a finished evaluation, whose marker has vouched for the file.

    Raises:
        UserError: when they cannot be read.
    """
    scores: list[SceneScore] = read_json(folder / SCENE_SCORES)
    return scores
