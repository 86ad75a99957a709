"""Retrieval by photographs and by errors, on scenes whose right order is known."""

from __future__ import annotations

import json

import pytest
import torch
from metai2i_appearance import Appearance, Errors
from toys import ToySource

from metai2i import Batch, Task, UserError
from metai2i.recipe import load_recipe
from metai2i.testing import run_contracts


class Scene(Task):
    """Stripes of some width in some colour, and what a model would make of them."""

    def __init__(self, name: str, width: int, colour: tuple[float, float, float], fake: float | None = None) -> None:
        self.id, self.width, self.colour, self.fake = name, width, colour, fake

    def __len__(self) -> int:
        return 6

    def load(self, indices):
        images = []
        for n in indices:
            stripes = ((torch.arange(32) + n) // self.width % 2).float() * 2 - 1
            images.append(torch.tensor(self.colour)[:, None, None] * stripes.expand(3, 32, 32))
        target = torch.stack(images)
        # A model that gets one thing wrong: it draws everything flat, or leaves everything as it is.
        fake = target if self.fake is None else torch.full_like(target, self.fake)
        return Batch(target=target, fake=fake)


RED, BLUE = (1.0, -0.5, -0.5), (-0.5, -0.5, 1.0)
SCENES = [
    Scene("fine red", 1, RED), Scene("coarse red", 8, RED), Scene("fine blue", 1, BLUE), Scene("coarse blue", 8, BLUE),
]  # fmt: skip


def names(retriever, support, k=4):
    return [match.task.id for match in retriever.query(support, k)]


@pytest.mark.parametrize("asked", SCENES, ids=lambda scene: scene.id)
def test_the_scene_that_looks_alike_comes_first_whatever_its_frames(asked):
    retriever = Appearance(frames=2)
    retriever.index(SCENES)
    assert names(retriever, asked.load([5]))[0] == asked.id


def test_errors_are_told_apart_where_photographs_are_the_same():
    """The model draws some scenes flat and dark, some flat and bright, and some as they are."""
    drawn = {"dark": -1.0, "bright": 1.0, "right": None}
    scenes = [Scene(name, 2, RED, fake) for name, fake in drawn.items()]
    by_errors, by_looks = Errors(), Appearance()
    by_errors.index(scenes)
    by_looks.index(scenes)
    for scene in scenes:
        assert names(by_errors, scene.load([1, 2]))[0] == scene.id
    assert len({match.score for match in by_looks.query(scenes[0].load([1]), 3)}) == 1


def test_scores_are_cosines_and_a_lone_candidate_is_like_nothing():
    retriever = Appearance()
    retriever.index(SCENES)
    scores = [match.score for match in retriever.query(SCENES[0].load(range(6)), 4)]
    assert all(-1 - 1e-9 <= score <= 1 + 1e-9 for score in scores)
    assert scores[0] > 0.9
    retriever.index(SCENES[:1])
    assert [match.score for match in retriever.query(SCENES[1].load([0]), 4)] == [0.0]


def test_without_candidates_nothing_is_retrieved():
    retriever = Appearance()
    retriever.index([])
    assert list(retriever.query(SCENES[0].load([0]), 3)) == []


@pytest.mark.parametrize("retriever", [Appearance, Errors])
def test_no_frames_are_refused(retriever):
    with pytest.raises(UserError, match=r"retriever.frames"):
        retriever(frames=0)


def test_a_recipe_may_ask_for_errors_though_no_task_source_provides_what_the_model_makes(tmp_path):
    file = tmp_path / "recipe.yaml"
    sections = {
        "name": "mine",
        "tasks": {"use": "scenes"},
        "translator": {"use": "pix2pix"},
        "rows": {"a row": {"strategy": {"use": "reptile"}, "retriever": {"use": "errors", "frames": 2}}},
    }
    file.write_text(json.dumps(sections))
    row = load_recipe(file).rows["a row"]
    assert row.retriever is not None
    assert row.retriever.use == "errors"


def test_a_retriever_of_errors_is_tried_on_scenes_of_any_source_of_photographs():
    outcomes = list(run_contracts("retriever", Errors, {"frames": 1}, source=ToySource(scenes=5, size=(32, 32))))
    assert {outcome.status for outcome in outcomes} == {"ok"}, [outcome.error for outcome in outcomes]
