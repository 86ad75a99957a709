"""A run on data without photographs, scored by set metrics and by one of several outputs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import metai2i
from metai2i.pipeline.stage_store import StageStore
from metai2i.report import load_run

UNPAIRED = """
import torch

import metai2i
from metai2i import Batch, Metric, SetMetric, Task, TaskSource, TaskSpec, Translator


class Scene(Task):
    def __init__(self, name):
        self.id = name

    def __len__(self):
        return 7

    def load(self, indices):
        seeds = [sum(map(ord, self.id)) * 100 + int(i) for i in indices]
        drawn = [torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return Batch(source=torch.stack(drawn) * 2 - 1)


class Unpaired(TaskSource):
    provides = frozenset({"source"})

    def spec(self):
        return TaskSpec(structure_channels=0, size=(8, 8), fields=self.provides)

    def tasks(self, split):
        return [Scene(f"{split}-{n}") for n in range(3)]


class Noisy(Translator):
    needs = frozenset({"source"})

    def __init__(self, *, spec, objective):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def players(self):
        return {"generator": [self.scale]}

    def training_step(self, batch, step):
        yield "generator", {"l2": (batch["source"] * self.scale - batch["source"]).square().mean()}

    def translate(self, batch):
        return (batch["source"] * self.scale + 0.1 * torch.randn(batch["source"].shape)).clamp(-1, 1)


class Follows(Metric):
    label, higher_is_better, needs = "follows ↓", False, frozenset({"source"})

    def __call__(self, images, query):
        return (images - query["source"]).abs().mean((1, 2, 3))


class Spread(Metric):
    label, higher_is_better, needs, several = "spread ↑", True, frozenset(), True

    def __call__(self, images, query):
        return images.std(1).mean((1, 2, 3)) + 1000 * (images.shape[1] != 2)


class Means(SetMetric):
    label, higher_is_better, against = "means ↓", False, "source"

    def features(self, images):
        return images.mean((2, 3))

    def score(self, outputs, real):
        return float((outputs.mean(0) - real.mean(0)).norm())


class Crowd(Means):
    least = 100


@metai2i.hookimpl
def register_task_sources(register):
    register("unpaired", Unpaired)


@metai2i.hookimpl
def register_translators(register):
    register("noisy", Noisy)


@metai2i.hookimpl
def register_metrics(register):
    for metric in (Follows, Spread, Means, Crowd):
        register(metric.__name__.lower(), metric)
"""
RECIPE = """
plugins: plugins
tasks: {use: unpaired}
translator: {use: noisy}
episodes: {shots: 2, queries: 3}
augment: null
objective: {l1: 1, adversarial: 0, perceptual: 0}
pretrain: {iterations: 1}
metatrain: {iterations: 2, tasks: 1}
adapt: {iterations: 1}
evaluate: {metrics: [means, follows, spread, crowd], samples: 2, images: 1}
rows:
  as it is: {strategy: {use: none}}
  reptile: {strategy: {use: reptile, steps: 1}}
compare: {baseline: as it is, metric: means}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpaired")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "unpaired.py").write_text(UNPAIRED)
    (folder / "recipe.yaml").write_text(RECIPE)
    return metai2i.run(folder / "recipe.yaml", out=folder / "run", stages=folder / "stages", device="cpu")


def test_each_scene_has_a_number_of_its_set_and_all_scenes_together_have_one(run):
    queries = {(r.task, r.query) for r in run.records if r.metric == "means" and r.row == "reptile"}
    assert queries == {("test-0", "set"), ("test-1", "set"), ("test-2", "set"), ("*", "set")}
    together = run.provenance.sets["reptile"]["means"]
    assert (together.outputs, together.real, together.scenes) == (3 * 3 * 2, 3 * 5, 3)
    (number,) = [r.value for r in run.records if (r.row, r.task, r.metric) == ("reptile", "*", "means")]
    assert together.value == number
    assert together.low < number < together.high


def test_a_run_that_is_stopped_before_the_marker_has_lost_no_scene_and_keeps_no_features(run, monkeypatch, caplog):
    finish = StageStore.finish

    def stopped(store, stage, record):
        if stage.name == "evaluate":
            raise KeyboardInterrupt
        finish(store, stage, record)

    folder = run.path.parent
    where = {"out": folder / "again", "stages": folder / "again-stages", "device": "cpu", "only": ["as it is"]}
    monkeypatch.setattr(StageStore, "finish", stopped)
    with pytest.raises(KeyboardInterrupt):
        metai2i.run(folder / "recipe.yaml", **where)
    monkeypatch.undo()
    again = metai2i.run(folder / "recipe.yaml", **where, resume=True)
    assert not [message for message in caplog.messages if "anew" in message]
    assert not list((folder / "again-stages").glob("*/features"))
    assert [r.value for r in again.records] == [r.value for r in run.records if r.row == "as it is"]


def test_tests_compare_scenes_and_not_what_is_said_of_all_of_them(run):
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["tasks"]["ids"] == ["test-0", "test-1", "test-2"]
    assert summary["rows"]["reptile"]["means"]["n"] == summary["pairs"]["reptile"]["means"]["n"] == 3


def test_the_number_of_images_stands_beside_every_number_of_a_set(run):
    page = (run.path / "report.html").read_text()
    assert "means (n = 6)" in page
    assert "n = 18, 15 real" in page


def test_a_set_that_is_too_small_has_no_number_and_the_report_says_so(run):
    assert not [r for r in run.records if r.metric == "crowd"]
    page = (run.path / "report.html").read_text()
    assert "crowd has no number over all scenes together: crowd needs 100 outputs" in page


def test_metrics_of_one_and_of_several_outputs_see_them(run):
    spread = [r.value for r in run.records if r.metric == "spread"]
    assert len(spread) == 18
    assert all(0 < value < 0.2 for value in spread)


def test_the_outputs_for_a_query_are_shown_side_by_side(run):
    for row in ("as-it-is", "reptile"):
        (folder,) = (run.path / "images").glob(f"*/shown/samples/{row}")
        strips = [np.asarray(Image.open(folder / f"{query}.png")) for query in range(3)]
        assert {strip.shape for strip in strips} == {(8, 16, 3)}
        first = np.asarray(Image.open(folder.parents[2] / row / "0.png"))
        assert np.array_equal(strips[0][:, :8], first)
        assert not np.array_equal(strips[0][:, 8:], first)
    assert "query 0: Samples, as it is" in (run.path / "report.html").read_text()


def test_drift_is_watched_by_the_first_metric_of_single_images_and_no_truth_is_shown(run):
    terms = {term for line in run.log for term in line.get("losses", {}) if term.startswith("probe/")}
    assert terms == {"probe/unadapted_follows", "probe/adapted_follows"}
    assert not list((run.path / "images").rglob("truth"))
    assert "Truth" not in (run.path / "report.html").read_text()


def test_the_run_can_be_read_again(run):
    assert load_run(run.path).records == run.records
