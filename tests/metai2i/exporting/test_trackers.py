"""Trackers: what TensorBoard's own reader finds in the files, and a run that is followed while it trains."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from fake_run import make_run
from small_run import RECIPE

import metai2i
from metai2i import UserError
from metai2i.exporting.export import EXPORT_MARK, ExportRequest, export
from metai2i.exporting.live import FollowedStage
from metai2i.exporting.mlflow import MLflow
from metai2i.exporting.run_content import run_content
from metai2i.registry import Registry
from metai2i.testing.exporter import toy_run


def events(folder: Path):
    """What TensorBoard reads of a folder of one series."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    read.Reload()
    return read


def series_of(folder: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Series -> tag -> (step, value) of all scalars."""
    known = {}
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        read = events(each)
        tags = read.Tags()["scalars"]
        known[each.name] = {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in tags}
    return known


def test_tensorboard_reads_the_curves_the_table_and_the_images(tmp_path):
    pytest.importorskip("tensorboard")
    run = make_run(tmp_path / "run", tasks=6)
    done = export(ExportRequest(run, "tensorboard"), Registry())
    assert done.place == tmp_path / "run-tensorboard"
    assert done.sentence == f"tensorboard --logdir {done.place} shows it"
    content, series = run_content(run), series_of(done.place)
    logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [entry for entry in logged if "losses" in entry and entry["key"] == logged[0]["key"]]
    (name,) = [each for each in series if each.endswith(f"_{logged[0]['key'][:6]}")]
    for term in losses[0]["losses"]:
        expected = [(entry["step"], entry["losses"][term]) for entry in losses]
        assert [step for step, _ in series[name][term]] == [step for step, _ in expected]
        assert [value for _, value in series[name][term]] == pytest.approx([value for _, value in expected], rel=1e-6)
    rows = [points for each, points in series.items() if each.startswith("row_")]
    for number in content.numbers:
        tags = {key: f"table/{number['metric']} {key}" for key in ("mean", "low", "high")}
        written = [tuple(points[tag][0][1] for tag in tags.values()) for points in rows if tags["mean"] in points]
        assert pytest.approx((number["mean"], number["low"], number["high"]), rel=1e-6) in written
    read = events(done.place / "images")
    assert set(read.Tags()["images"]) == {image["tag"] for image in content.images}
    image = read.Images(content.images[0]["tag"])[0]
    assert (image.width, image.height) == (24, 24)


def test_a_folder_of_an_exporter_is_replaced_when_asked_and_another_never(tmp_path):
    pytest.importorskip("tensorboard")
    run = make_run(tmp_path / "run", tasks=3, images=False)
    wish = ExportRequest(run, "tensorboard")
    place = export(wish, Registry()).place
    assert place is not None
    (place / "old").touch()
    with pytest.raises(UserError, match=r"this is there already \(--overwrite"):
        export(wish, Registry())
    export(ExportRequest(run, "tensorboard", overwrite=True), Registry())
    assert not (place / "old").exists()
    (place / EXPORT_MARK).unlink()
    with pytest.raises(UserError, match="holds something else than `metai2i export` has written"):
        export(ExportRequest(run, "tensorboard", overwrite=True), Registry())
    assert {path.name for path in tmp_path.iterdir()} == {"run", "run-tensorboard"}


def test_a_run_is_followed_while_it_trains_and_its_numbers_are_the_same(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(RECIPE)
    metai2i.run("small.yaml", only=["Line (2-shot)", "Reptile (2-shot)"], out="a", stages="plain")
    run = metai2i.run("small.yaml", only=["Line (2-shot)", "Reptile (2-shot)"], out="b", log="tensorboard")
    assert Path("a/results.csv").read_bytes() == Path("b/results.csv").read_bytes()
    series = series_of(Path("b-tensorboard"))
    logged = [entry for entry in run.log if "losses" in entry]
    for key in {str(entry["key"]) for entry in logged}:
        (name,) = [each for each in series if each.endswith(f"_{key[:6]}")]
        steps = [entry["step"] for entry in logged if entry["key"] == key]
        assert all([step for step, _ in points] == steps for tag, points in series[name].items() if "probe" not in tag)
    export(ExportRequest(Path("b"), "tensorboard", Path("c")), Registry())
    assert series_of(Path("c")) == series, "the same as of the finished run"


TRACKER = """
from metai2i import Tracker, hookimpl


class Fragile(Tracker):
    \"\"\"It fails at a method.

    Args:
        at: the method.
    \"\"\"

    def __init__(self, *, at: str = "AT") -> None:
        self.at = at

    def begin(self, name, recipe, out):
        if self.at == "begin":
            raise RuntimeError("no server")

    def scalar(self, series, term, step, value):
        if self.at == "scalar":
            raise RuntimeError("the server has gone")

    def number(self, number): ...
    def image(self, tag, path): ...
    def end(self, failed):
        open("ended.txt", "a").write(f"{failed}\\n")


@hookimpl
def register_exporters(register):
    register("fragile", Fragile)
"""


def with_tracker(folder: Path, at: str) -> list[Path]:
    from small_run import PLUGINS

    (folder / "mine").mkdir()
    (folder / "mine" / "fragile.py").write_text(TRACKER.replace("AT", at))
    (folder / "small.yaml").write_text(RECIPE)
    return [folder / "mine", PLUGINS]


def test_a_tracker_that_fails_later_ends_the_logging_alone(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    dirs = with_tracker(tmp_path, "scalar")
    run = metai2i.run("small.yaml", only=["Line"], log="fragile", plugins_dirs=dirs)
    assert run.records
    assert "--log has stopped: RuntimeError: the server has gone" in caplog.text
    assert Path("ended.txt").read_text() == "True\n"


def test_a_tracker_that_cannot_begin_stops_the_run_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dirs = with_tracker(tmp_path, "begin")
    with pytest.raises(UserError, match="--log cannot begin: RuntimeError: no server"):
        metai2i.run("small.yaml", only=["Line"], log="fragile", plugins_dirs=dirs)
    assert not Path("runs/small").exists()
    assert not list(Path("runs/.stages").glob("*/model.safetensors"))


def test_an_exporter_that_cannot_follow_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(RECIPE)
    with pytest.raises(
        UserError, match=r"--log latex: this exporter cannot follow a run .*`metai2i export RUN --to latex`"
    ):
        metai2i.run("small.yaml", log="latex")


def test_a_log_gives_its_whole_lines_once_and_goes_on_after_a_rewind(tmp_path):
    path = tmp_path / "log.jsonl"
    stage = FollowedStage("s", path)
    line = '{"step": %d, "losses": {"l1": %d}}\n'
    assert stage.news() == []
    path.write_text(line % (1, 5) + line % (2, 4) + '{"step": 3, "los')
    assert stage.news() == [(1, {"l1": 5.0}), (2, {"l1": 4.0})]
    assert stage.news() == []
    path.write_text(line % (1, 5))  # a resumed stage drops what it does again
    assert stage.news() == []
    path.write_text(line % (1, 5) + line % (2, 7) + line % (3, 3) + "no JSON\n")
    assert stage.news() == [(3, {"l1": 3.0})]


def test_mlflow_has_the_curves_with_their_gaps_and_the_table(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'metai2i[mlflow]'")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlruns")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    (tmp_path / "run").mkdir()
    assert "of the experiment 'streets'" in str(
        MLflow(experiment="streets").export(toy_run(tmp_path / "run"), tmp_path)
    )
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("streets").experiment_id])
    assert (run.info.run_name, run.info.status, run.data.params) == ("toy", "FINISHED", {"name": "toy", "seed": "0"})
    assert run.data.metrics["row Line/lpips mean"] == pytest.approx(0.4)
    points = client.get_metric_history(run.info.run_id, "pretrain Line _012345_/generator/l1")
    assert [point.step for point in points] == [1, 2, 3]
    assert math.isnan(points[1].value)
