"""The graph as jobs of Slurm: what is queued, in which order, and that the jobs give the bytes of one process."""

from __future__ import annotations

import os
import re
import signal
import sys
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import fake_slurm
import pytest
from small_run import RECIPE

from metai2i.cli import invoke as metai2i
from metai2i.errors import UserError
from metai2i.executors.on_slurm import minutes_of

needs_submitit = pytest.mark.skipif(find_spec("submitit") is None, reason='needs pip install "metai2i[slurm]"')


@pytest.fixture
def recipe(tmp_path) -> Path:
    (tmp_path / "small.yaml").write_text(RECIPE)
    return tmp_path / "small.yaml"


@pytest.fixture
def call(recipe, capsys):
    """Runs the recipe; gives the exit code, stdout and stderr."""

    def call(name: str, *more: str) -> tuple[int, str, str]:
        folder = recipe.parent
        places = ["--out", str(folder / name), "--stages", str(folder / f"{name}-stages")]
        code = metai2i(["run", str(recipe), *places, *more])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_a_dry_run_shows_every_job_behind_those_that_it_needs_and_writes_nothing(call, recipe):
    code, out, _ = call("run", "--on", "slurm", "--dry-run", "--cpus", "2", "--sbatch", "partition=gpu")
    assert code == 0
    jobs = [
        re.fullmatch(
            r"(JOB\d+)  sbatch --cpus-per-task=2 --time=24:00:00 --partition=gpu(?: --dependency=afterok:(\S+))?"
            r"  # (\w+) \((.+)\) ([0-9a-f]{16})",
            line,
        )
        for line in out.splitlines()
    ]
    assert all(jobs)
    after = {job[1]: job[2].split(":") if job[2] else [] for job in jobs if job}
    assert list(after) == [f"JOB{n}" for n in range(1, len(jobs) + 1)]
    assert all(int(need[3:]) < int(job[3:]) for job, needs in after.items() for need in needs)
    names = {job[1]: job[3] for job in jobs if job}
    assert {(names[job], tuple(names[need] for need in needs)) for job, needs in after.items()} == {
        ("pretrain", ()),
        ("metatrain", ("pretrain",)),
        ("evaluate", ("pretrain",)),
        ("evaluate", ("metatrain",)),
    }
    assert [path.name for path in recipe.parent.iterdir()] == ["small.yaml"]


def test_several_seeds_are_queued_together(call):
    single, double = (call("run", "--on", "slurm", "--dry-run", *more)[1] for more in ([], ["--seeds", "0,1"]))
    assert len(double.splitlines()) == 2 * len(single.splitlines())


def test_another_time_limit_takes_the_place_of_the_usual_one(call):
    out = call("run", "--on", "slurm", "--dry-run", "--sbatch", "time=2:00:00")[1]
    assert all("--time=2:00:00" in line and "24:00:00" not in line for line in out.splitlines())


@pytest.mark.parametrize(
    ("words", "minutes"),
    [("90", 90), ("90:00", 90), ("4:00:00", 240), ("1-12", 2160), ("1-12:30", 2190), ("0:00:30", 1), ("1-0:0:1", 1441)],
)
def test_time_limits_are_those_of_slurm(words, minutes):
    assert minutes_of(words) == minutes


@pytest.mark.parametrize("words", ["", "soon", "1:2:3:4", "-5", "1.5"])
def test_what_is_no_time_limit_is_refused(words):
    with pytest.raises(UserError, match="--sbatch time: got"):
        minutes_of(words)


def test_a_machine_without_slurm_is_told(call, recipe, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    code, _, error = call("run", "--on", "slurm")
    assert code == 2
    assert "error: --on slurm: there is no Slurm here: its commands are sbatch, srun, sacct and scancel" in error
    assert not (recipe.parent / "run").exists()


def test_without_submitit_the_command_that_installs_it_is_told(call, recipe, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    code, _, error = call("run", "--on", "slurm:local")
    assert code == 2
    assert 'pip install "submitit' in error
    assert not (recipe.parent / "run").exists()


def outputs(folder: Path, name: str) -> dict[str, bytes]:
    stages = folder / f"{name}-stages"
    files = {str(file.relative_to(stages)): file for file in stages.glob("[0-9a-f]*/*.safetensors")}
    files["results"] = folder / name / "results.csv"
    return {key: file.read_bytes() for key, file in files.items()}


@needs_submitit
@pytest.mark.slow
@pytest.mark.parametrize("place", ["slurm", "slurm:local"])
def test_jobs_give_the_bytes_of_one_process(place, call, recipe, tmp_path, monkeypatch):
    programs = fake_slurm.install(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert call("alone")[0] == 0
    code, _, error = call("run", "--on", place, "--rows", "Line (2-shot)", "--rows", "Reptile (2-shot)")
    assert code == 0, error
    alone, spread = outputs(tmp_path, "alone"), outputs(tmp_path, "run")
    weights = spread.keys() - {"results"}
    assert len(weights) == 2
    assert {name: alone[name] for name in weights} == {name: spread[name] for name in weights}
    lines = spread["results"].splitlines()
    assert set(lines) <= set(alone["results"].splitlines())
    assert len(lines) > 1
    if place == "slurm":
        scripts = [file.read_text() for file in sorted((tmp_path / "slurm").glob("*.sh"))]
        assert sum("--dependency=afterok:" in script for script in scripts) == len(scripts) - 1
        assert all("--kill-on-invalid-dep=yes" in script for script in scripts if "--dependency" in script)


@needs_submitit
@pytest.mark.slow
def test_a_job_that_sees_another_store_refuses_and_what_waits_for_it_is_taken_back(call, tmp_path, monkeypatch):
    programs = fake_slurm.install(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("metai2i.executors.spread.identity_of", lambda store: (store.mkdir(), "of another store")[1])
    code, _, error = call("run", "--on", "slurm", "--rows", "Line (2-shot)")
    assert code == 2
    assert "the stage store is not there" in error
    assert not (tmp_path / "run").exists()


@needs_submitit
@pytest.mark.parametrize("end", [SystemExit(-1), RuntimeError("not requeued")])
def test_a_signal_of_slurm_ends_a_stage_and_is_no_fault_of_a_plugin(end, monkeypatch):
    """What submitit's handler raises comes through the stage as it was raised."""
    from metai2i.executors.on_slurm import StageJob
    from metai2i.guards.faults import user_errors_from

    def handler(number, frame):
        raise end

    def work(order):
        with user_errors_from("pretrain, step 7", None):
            signal.raise_signal(signal.SIGUSR2)

    before = signal.signal(signal.SIGUSR2, handler)
    monkeypatch.setattr("metai2i.executors.on_slurm.work_on", work)
    try:
        with pytest.raises(type(end)) as caught:
            StageJob()(None)
        assert caught.value is end
        assert signal.getsignal(signal.SIGUSR2) is handler
    finally:
        signal.signal(signal.SIGUSR2, before)


@needs_submitit
@pytest.mark.parametrize(("count", "resumes"), [("0", False), ("1", True), (None, False)])
def test_a_job_that_slurm_starts_again_goes_on(count, resumes, monkeypatch):
    from metai2i.executors.executor import StageOrder
    from metai2i.executors.on_slurm import StageJob

    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    if count is not None:
        monkeypatch.setenv("SLURM_RESTART_COUNT", count)
    monkeypatch.setattr("metai2i.executors.on_slurm.work_on", lambda order: order.resume)
    order = StageOrder(**{field.name: None for field in fields(StageOrder)} | {"resume": False})
    assert StageJob()(order) == resumes
