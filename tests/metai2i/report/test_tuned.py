"""What was tuned on validation scenes."""

from __future__ import annotations

import json

import pytest
from fake_run import BASELINE, make_run

from metai2i.metrics.display import MEASURES, MetricInfo
from metai2i.report import build_report
from metai2i.report.tuned import tuned_values
from metai2i.run_folder.record import StageRecord

TRIED = [{"lr": lr, "iterations": 20, "lpips": score} for lr, score in ((1e-4, 0.43), (5e-4, 0.398), (1e-3, 0.41))]


def stage(chosen, tried=TRIED, **keys):
    return {"name": "tune", "rows": ["A", "B"], "chosen": chosen, "tried": tried, **keys}


def tuned(*stages, measures=MEASURES):
    return tuned_values([StageRecord.model_validate(each) for each in stages], measures)


def test_the_choice_and_all_that_was_tried_are_told():
    (choice,) = tuned({"name": "pretrain"}, stage({"lr": 5e-4, "iterations": 20}))
    assert (choice["rows"], choice["chosen"], choice["ends"]) == (["A", "B"], "lr 0.0005, iterations 20", [])
    assert [(each["setting"], each["score"], each["chosen"]) for each in choice["tried"]] == [
        ("lr 0.0001", "LPIPS 0.430", False),
        ("lr 0.0005", "LPIPS 0.398", True),
        ("lr 0.001", "LPIPS 0.410", False),
    ]


@pytest.mark.parametrize(("lr", "ends"), [(1e-4, ["lr"]), (5e-4, []), (1e-3, ["lr"])])
def test_a_choice_at_the_end_of_what_was_tried_is_told(lr, ends):
    (choice,) = tuned(stage({"lr": lr, "iterations": 20}))
    assert choice["ends"] == ends


def test_a_metric_of_a_plugin_has_its_title_and_a_missing_score_is_a_dash():
    tried = [{"lr": 1.0, "nme": 4.25}, {"lr": 2.0, "nme": None}]
    known = {"nme": MetricInfo("nme", "NME", higher_is_better=False, digits=1)}
    (choice,) = tuned(stage({"lr": 1.0}, tried), measures=known)
    assert [each["score"] for each in choice["tried"]] == ["NME 4.2", "NME –"]


@pytest.mark.parametrize("odd", [{"chosen": None, "tried": []}, {"chosen": {"lr": 1}}, {}])
def test_a_stage_that_tells_nothing_is_left_out(odd):
    assert tuned({"name": "tune", "rows": ["A"], **odd}) == []


def test_the_page_has_a_table_and_the_warning(tmp_path):
    path = make_run(tmp_path / "run", tasks=2, images=False)
    assert "Tuned on validation scenes" not in build_report(path).read_text()
    provenance = json.loads((path / "provenance.json").read_text())
    provenance["stages"].append(stage({"lr": 1e-3, "iterations": 20}) | {"rows": [BASELINE], "key": "ab"})
    (path / "provenance.json").write_text(json.dumps(provenance))
    text = build_report(path).read_text()
    assert "<h2>Tuned on validation scenes</h2>" in text
    assert '<span class="try best">lr 0.001: LPIPS 0.410</span>' in text
    assert f"{BASELINE}: lr lies at the end of what was tried, so a better value may lie beyond." in text
