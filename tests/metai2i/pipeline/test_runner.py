"""A whole run, as a user starts it, with plugins that stand in a single file."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from metai2i.cli import invoke as metai2i
from metai2i.pipeline.runner import tell_remarks
from metai2i.run_folder.alone import alone_in
from metai2i.tasks import TaskSource

STRIPES = Path(__file__).parents[2] / "downstream" / "stripes.yaml"


def run(tmp_path: Path, *more: str, out: str = "run") -> int:
    return metai2i(["run", str(STRIPES), "--out", str(tmp_path / out), "--stages", str(tmp_path / "stages"), *more])


def stages(tmp_path: Path, out: str = "run") -> dict[str, str]:
    records = json.loads((tmp_path / out / "provenance.json").read_text())["stages"]
    return {f"{stage['name']} {','.join(stage['rows'])}": stage["cache"] for stage in records}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("finished")
    assert run(folder) == 0
    return folder


def test_a_run_leaves_the_folder_that_the_documentation_lays_out(finished):
    folder = finished / "run"
    names = {"recipe.yaml", "provenance.json", "results.csv", "summary.json", "images", "log.jsonl", "report.html"}
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "results.csv").read_text().splitlines()[0] == "row,task,query,metric,value"


def test_every_row_is_scored_on_the_same_tasks_and_queries(finished):
    with (finished / "run" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    seen = {row["row"]: set() for row in rows}
    for row in rows:
        seen[row["row"]].add((row["task"], row["query"], row["metric"]))
    assert len(seen) == 6
    assert len({frozenset(keys) for keys in seen.values()}) == 1
    assert len(next(iter(seen.values()))) == 8 * 3 * (4 + 1)  # tasks, queries, metrics and `map_iou`


def test_rows_share_the_stages_that_they_have_in_common(finished):
    names = [name.split()[0] for name in stages(finished)]
    assert (names.count("pretrain"), names.count("continued"), names.count("metatrain")) == (1, 1, 2)
    assert names.count("evaluate") == 6


def test_a_second_run_trains_nothing(finished, tmp_path):
    shutil.copytree(finished / "stages", tmp_path / "stages")
    assert run(tmp_path) == 0
    assert set(stages(tmp_path).values()) == {"hit"}
    assert (tmp_path / "run" / "results.csv").read_bytes() == (finished / "run" / "results.csv").read_bytes()


def test_what_its_data_has_to_be_said_of_is_told_at_the_end_of_a_run(finished, tmp_path, monkeypatch, caplog):
    shutil.copytree(finished / "stages", tmp_path / "stages")
    monkeypatch.setattr(TaskSource, "remarks", lambda source: ["3 label maps, such as a.png: a remark"])
    assert run(tmp_path, "--rows", "Copy") == 0
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count("of the files that were read: 3 label maps, such as a.png: a remark") == 1


def test_rows_with_the_same_settings_are_told(finished, tmp_path, capsys):
    shutil.copytree(finished / "stages", tmp_path / "stages")
    words = "the rows 'Copy', 'Line' have the same settings, and will have the same numbers"
    assert run(tmp_path, "rows.Line.strategy.use=copy") == 0
    assert words in " ".join(capsys.readouterr().err.split())
    assert run(tmp_path) == 0
    assert "same settings" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("remarks", "words"),
    [
        (lambda source: "a text", r"data: remarks\(\) of Source .* gives 'a text', expected a list of texts"),
        (lambda source: 1 / 0, r"what is to be said of the data: ZeroDivisionError in .*: division by zero"),
    ],
    ids=["no list", "an error"],
)
def test_a_source_that_fails_at_its_remarks_is_told_and_costs_no_result(tmp_path, caplog, remarks, words):
    source = type("Source", (TaskSource,), {"remarks": remarks, "spec": None, "tasks": None, "__module__": "plugin"})()
    tell_remarks([source], tmp_path)
    (record,) = caplog.records
    assert re.search(words, record.getMessage())


def test_a_run_in_the_place_of_another_recipes_is_told(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    assert run(tmp_path) == 0
    assert "run of another recipe" not in capsys.readouterr().err
    assert run(tmp_path, "adapt.iterations=2") == 0
    assert "holds a run of another recipe, which this one will replace" in " ".join(capsys.readouterr().err.split())


def test_a_folder_that_a_run_may_not_take_is_told_before_anything_is_trained(tmp_path, capsys):
    (tmp_path / "run" / "images").mkdir(parents=True)
    (tmp_path / "run" / "images" / "holiday.jpg").write_bytes(b"mine")
    assert run(tmp_path) == 2
    assert "this folder holds files that no run of metai2i has written: images" in capsys.readouterr().err
    assert (tmp_path / "run" / "images" / "holiday.jpg").read_bytes() == b"mine"
    with alone_in(tmp_path / "other", ""):
        assert run(tmp_path, out="other") == 2
    assert f"another run (process {os.getpid()} on " in capsys.readouterr().err
    assert run(tmp_path, "--stages", str(tmp_path / "new" / "images"), out="new") == 2
    assert "the stage store is in this folder" in capsys.readouterr().err
    assert run(tmp_path, out="stages/run") == 2
    assert "this folder is in the stage store" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_with_the_recipe_or_the_data_is_refused(tmp_path, capsys):
    (tmp_path / "root").mkdir()
    path = recipe(tmp_path, plugins=str(with_root(tmp_path)), tasks={"use": "rooted", "root": str(tmp_path / "root")})
    path = path.rename(tmp_path / "mine.yaml")
    command = ["run", str(path), "--stages", str(tmp_path.parent / f"{tmp_path.name}-stages"), "--out"]
    for out, message in ((tmp_path, "the recipe is in this folder"), (tmp_path / "root", "tasks.root is this folder")):
        assert metai2i([*command, str(out)]) == 2
        assert message in capsys.readouterr().err
    assert path.is_file()


def with_root(tmp_path: Path) -> Path:
    """A folder of plugins whose task source reads a folder."""
    (tmp_path / "plugins").mkdir()
    source = (STRIPES.parent / "one_file" / "stripes.py").read_text()
    (tmp_path / "plugins" / "stripes.py").write_text(source)
    (tmp_path / "plugins" / "rooted.py").write_text(
        "from pathlib import Path\nfrom metai2i import TaskSource, hookimpl\n\n"
        "class Rooted(TaskSource):\n"
        "    def __init__(self, root: Path) -> None: ...\n"
        "    def spec(self): ...\n"
        "    def tasks(self, split): ...\n\n"
        "@hookimpl\ndef register_task_sources(register):\n    register('rooted', Rooted)\n"
    )
    return tmp_path / "plugins"


def test_a_run_lists_its_files_and_counts_its_numbers(finished):
    folder = finished / "run"
    provenance = json.loads((folder / "provenance.json").read_text())
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert provenance["files"].keys() == files - {"provenance.json", "report.html", "summary.json"}
    assert provenance["files"]["results.csv"] == hashlib.sha256((folder / "results.csv").read_bytes()).hexdigest()
    metrics = ("lpips", "ssim", "mse", "psnr", "map_iou")
    assert provenance["measured"]["Line"] == {"tasks": 8, "queries": 8 * 3, "numbers": dict.fromkeys(metrics, 8 * 3)}
    assert len(provenance["measured"]) == 6


def test_a_users_notes_stay_when_another_run_takes_the_folder(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert run(tmp_path, "evaluate.images=1") == 0
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    assert len(json.loads((tmp_path / "run" / "images" / "index.json").read_text())["tasks"]) == 1
    assert metai2i(["report", str(tmp_path / "run")]) == 0


def test_a_report_that_cannot_be_made_costs_the_report_alone(finished, tmp_path, monkeypatch):
    def fail(context):
        raise ZeroDivisionError("oh no")

    shutil.copytree(finished / "stages", tmp_path / "stages")
    monkeypatch.setattr("metai2i.report.page.render", fail)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path)
    assert (tmp_path / "run" / "results.csv").read_bytes() == (finished / "run" / "results.csv").read_bytes()
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_full_disk_leaves_the_old_run_and_names_the_file_that_does_not_fit(finished, tmp_path, monkeypatch, capsys):
    from metai2i import files

    def full(draft: Path, content: bytes) -> int:
        if draft.parent.parent.name == "general":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(draft, content)

    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "run" / "provenance.json").read_bytes()
    write_bytes = files.Path.write_bytes
    monkeypatch.setattr(files.Path, "write_bytes", full)
    assert run(tmp_path) == 2
    printed = capsys.readouterr().err
    assert re.search(
        rf"error: {tmp_path}/run/images/[^/]+/general/[^/]+/0\.png: cannot write: the disk is full", printed
    )
    assert (tmp_path / "run" / "provenance.json").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"run", "stages", ".run.at-work.json"}  # for `metai2i watch`


def test_changing_only_the_adaptation_retrains_nothing(finished, tmp_path):
    shutil.copytree(finished / "stages", tmp_path / "stages")
    assert run(tmp_path, "adapt.iterations=3") == 0
    records = stages(tmp_path)
    assert {cache for name, cache in records.items() if not name.startswith("evaluate")} == {"hit"}
    assert {cache for name, cache in records.items() if name.startswith("evaluate")} == {"run"}


def test_a_row_is_tuned_on_validation_scenes_and_scored_with_what_was_chosen(finished, tmp_path):
    shutil.copytree(finished / "stages", tmp_path / "stages")
    assert run(tmp_path, "rows.Line (2-shot).tune={lr: [1e-9, 1e-1]}", "rows.Line (2-shot).adapt={lr: 1e-9}") == 0
    records = json.loads((tmp_path / "run" / "provenance.json").read_text())["stages"]
    stage = next(stage for stage in records if stage["name"] == "tune")
    assert stage["rows"] == ["Line (2-shot)"]
    assert [tried["lr"] for tried in stage["tried"]] == [1e-9, 1e-1]
    assert stage["chosen"] == {"lr": 1e-1, "iterations": 5}  # a network that stands still is not the best
    lines = [(folder / "run" / "results.csv").read_text().splitlines() for folder in (tmp_path, finished)]
    tuned, plain = ([line for line in scores if line.startswith("Line (2-shot)")] for scores in lines)
    assert tuned == plain  # 1e-1 is what the finished run's recipe says


def test_a_row_adapts_with_what_was_chosen_for_another_and_tries_nothing(finished, tmp_path):
    shutil.copytree(finished / "stages", tmp_path / "stages")
    tried = "rows.BiL-Line w/o Aux (2-shot).tune={lr: [1e-9]}"
    assert run(tmp_path, tried, "rows.BiL-Line (2-shot).tune={match: BiL-Line w/o Aux (2-shot)}") == 0
    assert run(tmp_path, tried, "rows.BiL-Line (2-shot).tune={lr: [1e-9]}", out="own") == 0
    records = json.loads((tmp_path / "run" / "provenance.json").read_text())["stages"]
    (stage,) = (stage for stage in records if stage["name"] == "tune")
    assert set(stage["rows"]) == {"BiL-Line (2-shot)", "BiL-Line w/o Aux (2-shot)"}
    files = [folder / "results.csv" for folder in (tmp_path / "run", tmp_path / "own", finished / "run")]
    lines = [[line for line in file.read_text().splitlines() if line.startswith("BiL-Line (2")] for file in files]
    assert lines[0] == lines[1] != lines[2]


def test_another_seed_shares_nothing(finished, tmp_path):
    shutil.copytree(finished / "stages", tmp_path / "stages")
    assert run(tmp_path, "seed=1") == 0
    assert set(stages(tmp_path).values()) == {"run"}
    assert (tmp_path / "run" / "results.csv").read_bytes() != (finished / "run" / "results.csv").read_bytes()


def test_the_resolved_recipe_runs_again_to_the_same_results(finished, tmp_path):
    shutil.copytree(finished / "stages", tmp_path / "stages")
    resolved = finished / "run" / "recipe.yaml"
    arguments = ["--out", str(tmp_path / "again"), "--stages", str(tmp_path / "stages")]
    assert metai2i(["run", str(resolved), *arguments]) == 0
    assert set(stages(tmp_path, "again").values()) == {"hit"}
    assert (tmp_path / "again" / "results.csv").read_bytes() == (finished / "run" / "results.csv").read_bytes()


def test_the_general_models_images_are_kept_of_every_row(finished):
    (task, _) = json.loads((finished / "run" / "images" / "index.json").read_text())["tasks"]
    place = finished / "run" / "images" / task["dir"]
    assert task["general"].keys() == task["rows"].keys()
    assert "reference" not in task

    def images(kind: str, row: str) -> list[bytes]:
        return [(place / task[kind][row] / f"{q}.png").read_bytes() for q in task["queries"]]

    assert images("general", "BiL-Line (2-shot)") != images("rows", "BiL-Line (2-shot)")
    assert images("general", "Line") == images("rows", "Line")  # which is not adapted


def stage_folder(folder: Path, name: str, rows: int | None = None) -> Path:
    """The folder of a stage in a copy of the finished run, by how many rows share it."""
    records = json.loads((folder / "run" / "provenance.json").read_text())["stages"]
    keys = [each["key"] for each in records if each["name"] == name and rows in (None, len(each["rows"]))]
    return folder / "stages" / keys[0]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-41] ^= 0x40
    path.write_bytes(bytes(content))


def same_bytes(tmp_path: Path, finished: Path) -> bool:
    return (tmp_path / "run" / "results.csv").read_bytes() == (finished / "run" / "results.csv").read_bytes()


def test_a_scored_stage_that_lost_an_image_is_scored_anew(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    next((stage_folder(tmp_path, "evaluate") / "images").rglob("*.png")).unlink()
    assert run(tmp_path) == 0
    assert sorted(stages(tmp_path).values()) == ["hit"] * 9 + ["run"]
    assert same_bytes(tmp_path, finished)


def test_weights_are_trained_anew_if_they_are_damaged_and_wanted(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    flip(stage_folder(tmp_path, "pretrain") / "model.safetensors")
    assert run(tmp_path) == 0
    assert set(stages(tmp_path).values()) == {"hit"}  # nobody wanted them
    shutil.rmtree(stage_folder(tmp_path, "continued"))
    assert run(tmp_path) == 0
    printed = " ".join(capsys.readouterr().err.split())
    assert "model.safetensors is not what was written, by its digest; it is trained anew" in printed
    anew = {name.split()[0] for name, cache in stages(tmp_path).items() if cache == "run"}
    assert anew == {"pretrain", "continued"}
    assert same_bytes(tmp_path, finished)


def test_stages_whose_folders_were_exchanged_are_made_anew(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    first, other = stage_folder(tmp_path, "pretrain"), stage_folder(tmp_path, "continued")
    first.rename(tmp_path / "x")
    other.rename(first)
    (tmp_path / "x").rename(other)
    assert run(tmp_path) == 0
    assert {name.split()[0] for name, cache in stages(tmp_path).items() if cache == "run"} == {"pretrain", "continued"}
    assert same_bytes(tmp_path, finished)


def test_why_a_stage_is_trained_anew_is_told(finished, tmp_path, capsys):
    shutil.copytree(finished / "stages", tmp_path / "stages")
    assert run(tmp_path, "adapt.iterations=3") == 0
    assert "evaluate: scored anew, adapt.iterations 5 -> 3" in " ".join(capsys.readouterr().err.split())


def test_the_matched_baseline_spends_what_meta_training_spends(finished):
    records = json.loads((finished / "run" / "provenance.json").read_text())["stages"]
    further = next(stage for stage in records if stage["name"] == "continued")
    # 10 meta-iterations x 2 tasks x (2 inner steps x 5 samples + 3 queries), in batches of 4
    assert further["iterations"] == 10 * 2 * (2 * 5 + 3) // 4


def test_drift_is_logged_during_meta_training(finished):
    lines = [json.loads(line) for line in (finished / "run" / "log.jsonl").read_text().splitlines()]
    losses = {name for line in lines if line["stage"] == "metatrain" for name in line["losses"]}
    assert {"query/generator/l1", "probe/unadapted_lpips", "probe/adapted_lpips"} <= losses


@pytest.mark.slow
def test_a_killed_run_resumed_gives_the_same_bytes(finished, tmp_path):
    """kill -9 at random moments, three times, then the same command to the end."""
    arguments = [str(STRIPES), "--out", str(tmp_path / "run"), "--stages", str(tmp_path / "stages")]
    # One thread, like the tests themselves: sums over other numbers of threads differ in the last bit.
    command = [sys.executable, "-c", "import torch; torch.set_num_threads(1)\n"
               "import metai2i.training.loop as l; l.SAVE_EVERY = 0.0\n"
               "from metai2i.cli import main; main()", "run", *arguments]  # fmt: skip
    results, expected = tmp_path / "run" / "results.csv", (finished / "run" / "results.csv").read_bytes()
    moments = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        process.stderr.readline()  # it has begun to work
        time.sleep(moments.uniform(0, 3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        # A fast run may have come to its results by now; then they are whole.
        assert not results.exists() or results.read_bytes() == expected
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert results.read_bytes() == expected


def recipe(tmp_path: Path, **changes: object) -> Path:
    data = yaml.safe_load(STRIPES.read_text()) | {"plugins": str(STRIPES.parent / "one_file")} | changes
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def refused(capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path, *more: str) -> str:
    """What a refused run says; it must exit with 2, without a traceback, and leave no run folder."""
    code = metai2i(["run", str(path), "--out", str(tmp_path / "run"), "--stages", str(tmp_path / "stages"), *more])
    printed = capsys.readouterr().err
    assert code == 2, printed
    assert "Traceback" not in printed
    assert not (tmp_path / "run").exists()
    return " ".join(printed.split())


def test_too_few_pairs_are_told_before_anything_is_trained(tmp_path, capsys):
    error = refused(capsys, recipe(tmp_path, episodes={"shots": 5, "queries": 5}), tmp_path)
    assert "8 test tasks have fewer pairs than 5 shots + 5 queries, 'test-0' has 8" in error
    assert not (tmp_path / "stages").exists()


def test_a_loss_that_is_not_finite_names_stage_step_and_term(tmp_path, capsys):
    (tmp_path / "plugins").mkdir()
    source = (STRIPES.parent / "one_file" / "stripes.py").read_text()
    broken = source.replace(
        'yield "generator", self.',
        'yield "generator", {"l9": torch.tensor(float("nan"))} if step.index == 7 else self.',
    )
    (tmp_path / "plugins" / "stripes.py").write_text(broken)
    error = refused(capsys, recipe(tmp_path, plugins=str(tmp_path / "plugins")), tmp_path)
    assert "pretrain (6 rows), step 7: the loss term 'l9' of 'generator' is nan" in error
    assert not list((tmp_path / "stages").glob("*/done.json"))


def test_a_constructor_that_raises_is_told_as_the_plugins_fault(tmp_path, capsys):
    (tmp_path / "plugins").mkdir()
    source = (STRIPES.parent / "one_file" / "stripes.py").read_text()
    broken = source.replace("self.objective, self.gain = objective, gain", 'raise ZeroDivisionError("oh no")')
    (tmp_path / "plugins" / "stripes.py").write_text(broken)
    error = refused(capsys, recipe(tmp_path, plugins=str(tmp_path / "plugins")), tmp_path)
    assert "the translator 'line' raised ZeroDivisionError in its constructor: oh no" in error


METRIC = """
from metai2i import Metric, UserError, hookimpl

class Ink(Metric):
    label, higher_is_better = "ink ↑", True

    def __init__(self, *, spec):
        if spec.structure_channels < WANTED:
            raise UserError("ink needs more classes")

    def __call__(self, images, query):
        value = -images.mean((1, 2, 3))
        value[0] = float("nan")
        return value

@hookimpl
def register_metrics(register):
    register("ink", Ink)
"""


def with_ink(tmp_path: Path, wanted: int, **changes: object) -> Path:
    (tmp_path / "plugins").mkdir()
    source = (STRIPES.parent / "one_file" / "stripes.py").read_text()
    (tmp_path / "plugins" / "stripes.py").write_text(source)
    (tmp_path / "plugins" / "ink.py").write_text(METRIC.replace("WANTED", str(wanted)))
    rows = {"Line": {"strategy": {"use": "none"}}, "Copy": {"strategy": {"use": "copy"}}}
    evaluate = {"images": 1, "metrics": ["ink", "mse"]}
    compare = {"baseline": "Line", "metric": "ink"}
    return recipe(tmp_path, plugins=str(tmp_path / "plugins"), rows=rows, evaluate=evaluate, compare=compare, **changes)


def test_a_plugins_metric_is_measured_told_and_compared_by(tmp_path, capsys):
    path = with_ink(tmp_path, wanted=1)
    assert metai2i(["run", str(path), "--out", str(tmp_path / "run"), "--stages", str(tmp_path / "stages")]) == 0
    assert "ink (higher)" in capsys.readouterr().out
    with (tmp_path / "run" / "results.csv").open() as file:
        lines = {(r["task"], r["query"], r["metric"]) for r in csv.DictReader(file) if r["row"] == "Line"}
    measured = {metric: {query for _, query, name in lines if name == metric} for metric in ("ink", "mse", "map_iou")}
    assert measured == {"ink": {"1", "2"}, "mse": {"0", "1", "2"}, "map_iou": {"0", "1", "2"}}
    provenance = json.loads((tmp_path / "run" / "provenance.json").read_text())
    measure = {"title": "ink", "higher_is_better": True, "unit": "", "digits": 3, "by_count": False}
    assert provenance["metrics"]["ink"] == measure
    assert "ink" in {plugin["name"] for plugin in provenance["plugins"] if plugin["kind"] == "metric"}
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["metrics"] == ["mse", "ink"]
    assert summary["pairs"]["Copy"]["ink"]["verdict"] in ("better", "worse", "no difference shown")  # not "higher"
    shutil.rmtree(tmp_path / "plugins")
    assert metai2i(["report", str(tmp_path / "run")]) == 0  # which needs no plugin
    assert "ink (higher)" in capsys.readouterr().out


def test_a_changed_metric_is_measured_anew_and_nothing_is_trained(tmp_path):
    path = with_ink(tmp_path, wanted=1)
    command = ["run", str(path), "--out", str(tmp_path / "run"), "--stages", str(tmp_path / "stages")]
    assert metai2i(command) == 0
    (tmp_path / "plugins" / "ink.py").write_text(METRIC.replace("WANTED", "1").replace("-images", "-2 * images"))
    assert metai2i(command) == 0
    assert stages(tmp_path) == {"pretrain Line,Copy": "hit", "evaluate Line": "run", "evaluate Copy": "run"}


def test_a_metric_that_does_not_fit_the_data_is_told_before_anything_is_trained(tmp_path, capsys):
    assert "ink needs more classes" in refused(capsys, with_ink(tmp_path, wanted=99), tmp_path)
    assert not list((tmp_path / "stages").glob("*/done.json"))


def test_changing_a_plugins_code_runs_its_stages_anew(tmp_path):
    (tmp_path / "plugins").mkdir()
    source = (STRIPES.parent / "one_file" / "stripes.py").read_text()
    (tmp_path / "plugins" / "stripes.py").write_text(source)
    rows = {"Line": {"strategy": {"use": "none"}}}
    path = recipe(tmp_path, plugins=str(tmp_path / "plugins"), rows=rows, compare={"metric": "lpips"})
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    caches = []
    for text in (source, source, source.replace("gain: float = 1.0", "gain: float = 1.1")):
        (tmp_path / "plugins" / "stripes.py").write_text(text)
        command = [sys.executable, "-m", "metai2i", "run", str(path), "--out", str(tmp_path / "run"),
                   "--stages", str(tmp_path / "stages")]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, env=environment)
        caches.append(set(stages(tmp_path).values()))
    assert caches == [{"run"}, {"hit"}, {"run"}]


def test_the_device_that_is_not_there_is_told(tmp_path, capsys):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert "torch sees no CUDA device" in refused(capsys, STRIPES, tmp_path, "--device", "cuda")
