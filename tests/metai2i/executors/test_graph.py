"""The graph of several runs has each stage once."""

from __future__ import annotations

from pathlib import Path

import torch
from small_run import RECIPE

from metai2i.executors.graph import graph_of
from metai2i.pipeline.runner import Runner
from metai2i.pipeline.stage_store import StageStore
from metai2i.recipe import load_recipe
from metai2i.registry import Registry


def planned(folder: Path, *overrides: str, out: str = "run") -> Runner:
    (folder / "small.yaml").write_text(RECIPE)
    registry = Registry()
    recipe = load_recipe(folder / "small.yaml", overrides, registry)
    runner = Runner(recipe, registry, folder / out, StageStore(folder / "stages"), torch.device("cpu"))
    runner.plan()
    return runner


def test_runs_share_the_stages_that_they_have_in_common(tmp_path):
    first, again, other = (
        planned(tmp_path, *words, out=f"run{n}")
        for n, words in enumerate([[], ["adapt.iterations=3"], ["seed=1"]])
    )  # fmt: skip
    alone = graph_of([first])
    assert alone.keys() == {stage.key for stage in first.stages}
    shared = graph_of([first, again])
    assert len([job for job in shared.values() if job.stage == "pretrain"]) == 1
    assert len(graph_of([first, other])) == 2 * len(alone)
    assert {job.title.split(": ")[0] for job in graph_of([first, other]).values()} == {"run0", "run2"}


def test_what_is_done_is_neither_in_the_graph_nor_needed(tmp_path):
    runner = planned(tmp_path)
    (pretrain,) = (stage for stage in runner.stages if stage.name == "pretrain")
    runner.work(pretrain.key)
    graph = graph_of([planned(tmp_path)])
    assert pretrain.key not in graph
    assert all(pretrain.key not in job.needs for job in graph.values())
    assert {job.stage for job in graph.values() if not job.needs} == {"metatrain", "evaluate"}


def test_what_others_wait_for_is_more_urgent(tmp_path):
    graph = graph_of([planned(tmp_path)])
    assert all(graph[need].urgency > job.urgency for job in graph.values() for need in job.needs)
