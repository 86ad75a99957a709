"""The files of a run and of its stages are what their typed records say, and what is read again is what was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_type_hints

import pytest
from record_types import misfits
from small_run import PLUGINS

from metai2i.cli import invoke
from metai2i.metrics.display import MeasureRecord
from metai2i.run_folder.provenance import CountRecord, DataFacts, ProvenanceRecord
from metai2i.run_folder.record import (
    Adapting,
    DataRecord,
    MeasuredRow,
    MetricRecord,
    Provenance,
    StageRecord,
    SupportImages,
    TaskImages,
)
from metai2i.run_folder.spec_json import RowsSpecPart, RowsSpecRecord
from metai2i.run_folder.writer import SupportEntry, TaskEntry
from metai2i.stages.scene_scores import SceneScore, read_scores
from metai2i.statistics import Summary
from metai2i.training.stage_records import AboutRecord, AdaptingRecord, DoneRecord, RunStageRecord

RECIPE = f"""
name: typed
plugins: {PLUGINS}
tasks: {{use: stripes, scenes: 2, pairs: 6}}
episodes: {{shots: 2, queries: 2}}
augment: null
translator: {{use: line, gain: 1.5}}
objective: {{l1: 1, adversarial: 0, perceptual: 0}}
pretrain: {{iterations: 1, batch: 2}}
metatrain: {{iterations: 1, tasks: 1}}
adapt: {{iterations: 1}}
aux: {{iterations: 1, tasks: 1}}
evaluate: {{images: 1, tasks: 1, metrics: [mse]}}
compare: {{baseline: Line (2-shot), metric: mse}}
rows:
  Line (2-shot): {{strategy: {{use: finetune}}, continued: {{match: Reptile}}}}
  Reptile: {{strategy: {{use: reptile, steps: 1}}, tune: {{lr: [1e-1, 1e-2], metric: mse}}}}
  Aux: {{strategy: {{use: finetune}}, retriever: {{use: iou, k: 1}}}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run with every kind of stage; its stages are beside it."""
    here = tmp_path_factory.mktemp("typed")
    (here / "typed.yaml").write_text(RECIPE)
    out, stages = str(here / "run"), str(here / "stages")
    assert invoke(["run", str(here / "typed.yaml"), "--out", out, "--stages", stages]) == 0
    return here / "run"


def read(path: Path) -> object:
    return json.loads(path.read_text())


def test_the_provenance_of_a_run_is_what_its_record_says(run):
    provenance = read(run / "provenance.json")
    assert misfits(provenance, ProvenanceRecord) == []
    assert {stage["name"] for stage in provenance["stages"]} == {
        "pretrain",
        "continued",
        "metatrain",
        "tune",
        "evaluate",
    }


def test_the_summary_of_a_run_is_what_its_record_says(run):
    assert misfits(read(run / "summary.json"), Summary) == []


def test_the_list_of_images_is_what_its_record_says(run):
    tasks = read(run / "images" / "index.json")["tasks"]
    assert tasks
    assert misfits(tasks, list[TaskEntry]) == []


def test_scores_and_markers_of_stages_are_what_their_records_say(run):
    stages = sorted(path.parent for path in (run.parent / "stages").glob("*/done.json"))
    scored = [folder for folder in stages if (folder / "results.json").exists()]
    assert len(scored) == 3
    for folder in scored:
        assert misfits(read_scores(folder), list[SceneScore]) == []
    for folder in stages:
        about = read(folder / "stage.json")
        kept = {name: about[name] for name in AboutRecord.__annotations__}
        assert misfits(kept, AboutRecord) == []
        marker = read(folder / "done.json")
        done = {name: value for name, value in marker.items() if name not in ("files", "stage", "seal")}
        assert misfits(done, DoneRecord) == []


def test_a_record_with_another_key_or_type_does_not_fit():
    right = {"tasks": 1, "queries": 2, "numbers": {"mse": 2}}
    assert misfits(right, CountRecord) == []
    assert misfits({**right, "tasks": True}, CountRecord) == ["record.tasks: True is no <class 'int'>"]
    assert misfits({**right, "more": 1}, CountRecord) == ["record.more is no key of CountRecord"]
    assert misfits({"tasks": 1, "queries": 2}, CountRecord) == ["record.numbers is missing"]
    assert misfits({**right, "numbers": {"mse": "2"}}, CountRecord) == ["record.numbers.mse: '2' is no <class 'int'>"]


@pytest.mark.parametrize(
    ("read_again", "written", "of_old"),
    [
        (Provenance, ProvenanceRecord, {"next"}),  # while a run is put in the place of another one
        (StageRecord, RunStageRecord, set()),
        (Adapting, AdaptingRecord, set()),
        (MetricRecord, MeasureRecord, set()),
        (DataRecord, DataFacts, set()),
        (MeasuredRow, CountRecord, set()),
        (TaskImages, TaskEntry, set()),
        (SupportImages, SupportEntry, set()),
        (RowsSpecPart, RowsSpecRecord, set()),
    ],
)
def test_what_is_read_again_is_what_is_written(read_again, written, of_old):
    assert read_again.model_fields.keys() - of_old <= get_type_hints(written).keys()
