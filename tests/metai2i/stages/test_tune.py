"""Tuning the inner rate on validation scenes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from toys import ToyTask, toy_row

from metai2i import Randomness, UserError
from metai2i.files import write_json
from metai2i.recipe.schema import Tune
from metai2i.stages.row_evaluator import RowEvaluator
from metai2i.stages.score import finite
from metai2i.stages.tune import candidates, mean_of, tune, with_choice
from metai2i.training.stage_context import StageContext


def test_candidates_are_all_combinations_and_measure_only_what_chooses():
    row = toy_row(adapt={"iterations": 9, "lr": 0.5})
    both = candidates(row, Tune(lr=(1.0, 2.0), iterations=(3, 4), metric="ssim"))
    assert [change for change, _ in both] == [
        {"lr": lr, "iterations": steps} for lr in (1.0, 2.0) for steps in (3, 4)
    ]  # fmt: skip
    assert [(r.adapt.lr, r.adapt.iterations) for _, r in both] == [(1.0, 3), (1.0, 4), (2.0, 3), (2.0, 4)]
    assert {(r.evaluate.metrics, r.evaluate.images) for _, r in both} == {(("ssim",), 0)}
    assert [change for change, _ in candidates(row, Tune(lr=(1.0,)))] == [{"lr": 1.0, "iterations": 9}]


def test_rates_can_be_tried_with_a_number_of_steps_of_their_own_and_leave_the_rows_alone():
    row, tuning = toy_row(adapt={"iterations": 100}), Tune(lr=(1.0, 2.0), at=20)
    both = candidates(row, tuning)
    assert [change for change, _ in both] == [{"lr": 1.0}, {"lr": 2.0}]
    assert {tried.adapt.iterations for _, tried in both} == {20}
    assert with_choice(row, both[0][0]).adapt.iterations == 100
    with pytest.raises(ValueError, match="`at` fixes the steps"):
        Tune(iterations=(1, 2), at=20)


def test_the_mean_is_over_scenes_and_not_over_queries():
    scenes = [{"queries": [{"lpips": 1.0}]}, {"queries": [{"lpips": 4.0}, {"lpips": 6.0}, {"ssim": 1.0}]}]
    assert mean_of(scenes, "lpips") == 3.0
    assert mean_of(scenes, "psnr") is None


@pytest.fixture
def scored(monkeypatch, tmp_path):
    """Tunes with given scores by inner rate instead of trained models."""

    def run(scores, higher_is_better=False):
        def fake(place, judge, tasks, *, trial):
            assert trial
            place.folder.mkdir(parents=True)
            score = scores[judge.row.adapt.lr]
            told_of = {"queries": [] if isinstance(score, str) else [{} if score is None else finite({"m": score})]}
            told_of |= {"diverged": score} if isinstance(score, str) else {}
            write_json(place.folder / "results.json", [{"task": t.id, **told_of} for t in tasks])
            return {"iterations": len(tasks), "seconds": 1.0, "peak_memory_mib": 5.0}

        monkeypatch.setattr("metai2i.stages.tune.evaluate", fake)
        judge = RowEvaluator(None, None, None, [], None, None, Randomness(), torch.device("cpu"), {})
        row = toy_row()
        judges = [
            (change, replace(judge, row=changed_row)) for change, changed_row in candidates(row, Tune(lr=tuple(scores)))
        ]
        place = StageContext(tmp_path / "tune", "tune", torch.device("cpu"))
        return tune(place, judges, [ToyTask("a", 4)], "m", higher_is_better)

    return run


def test_the_best_on_the_validation_scenes_is_chosen_and_all_are_told(scored):
    record = scored({0.1: 3.0, 0.2: 1.0, 0.4: 2.0})
    assert record["chosen"]["lr"] == 0.2
    assert [(tried["lr"], tried["m"]) for tried in record["tried"]] == [(0.1, 3.0), (0.2, 1.0), (0.4, 2.0)]
    assert record["seconds"] == 3.0


def test_where_higher_is_better_the_highest_is_chosen(scored):
    assert scored({0.1: 3.0, 0.2: 1.0}, higher_is_better=True)["chosen"]["lr"] == 0.1


def test_the_first_of_equals_is_chosen_and_what_could_not_be_measured_never(scored):
    assert scored({0.1: None, 0.2: 1.0, 0.4: 1.0})["chosen"]["lr"] == 0.2


def test_a_candidate_that_diverges_is_never_chosen_and_told(scored):
    record = scored({0.1: 3.0, 0.2: 2.0, 9.0: "the loss term 'l1' is nan"})
    assert record["chosen"]["lr"] == 0.2
    assert [tried["m"] for tried in record["tried"]] == [3.0, 2.0, None]
    (warning,) = record["warnings"]
    assert warning.startswith("lr 9.0, iterations 3: adapting diverged for 1 of 1 scenes")
    assert warning.endswith("the first of them task 'a': the loss term 'l1' is nan")


def test_where_all_candidates_diverge_that_is_told(scored):
    with pytest.raises(UserError, match=r"lr 8\.0.* diverged .* is nan; so with every candidate") as caught:
        scored({8.0: "the loss term 'l1' is nan", 9.0: "a gradient is not finite"})
    assert caught.value.hint == "try lower rates"


def test_nothing_measured_is_an_error(scored):
    with pytest.raises(UserError, match="no validation scene has a value of 'm'"):
        scored({0.1: None})


def test_an_infinite_score_is_chosen_where_higher_is_better_and_can_be_written(scored, tmp_path):
    done = scored({1.0: 20.0, 2.0: float("inf")}, higher_is_better=True)
    assert done["chosen"]["lr"] == 2.0
    assert [float(tried["m"]) for tried in done["tried"]] == [20.0, float("inf")]
    write_json(tmp_path / "done.json", done)
