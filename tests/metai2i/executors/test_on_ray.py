"""A table on local workers of Ray: the bytes of one process, whoever is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from watched_runs import WatchedRuns, is_running

from metai2i.cli import invoke as metai2i
from metai2i.errors import UserError
from metai2i.executors.on_ray import fitting_nodes
from metai2i.executors.resources import resources_of

with_ray = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.skipif(find_spec("ray") is None, reason='needs Ray: pip install "metai2i[ray]"'),
]
ONE_FILE = Path(__file__).parents[2] / "downstream" / "one_file"

RECIPE = f"""
name: spread
plugins: {ONE_FILE}
tasks: {{use: stripes, scenes: 3, pairs: 6}}
episodes: {{shots: 2, queries: 2}}
translator: {{use: line}}
objective: {{l1: 1, adversarial: 0, perceptual: 0}}
pretrain: {{iterations: 4, batch: 4, lr: 1e-2}}
metatrain: {{iterations: 6, tasks: 1, lr: 1e-2}}
adapt: {{iterations: 3, lr: 1e-1}}
evaluate: {{images: 1, metrics: [mse]}}
compare: {{metric: mse}}
rows:
  Line (2-shot): {{strategy: {{use: finetune}}}}
  BiL: {{strategy: {{use: watched, steps: 2}}}}
"""
PLUGIN = '''
import os
import time
from pathlib import Path

from metai2i import hookimpl
from metai2i_bil import Bil


class Watched(Bil):
    """Bil that leaves the number of its process behind, and dawdles as the environment says."""

    def meta_gradient(self, gp, episode, step):
        if "SEEN" in os.environ:
            Path(os.environ["SEEN"], str(os.getpid())).touch()
        time.sleep(float(os.environ.get("DAWDLE", 0)))
        return super().meta_gradient(gp, episode, step)


@hookimpl
def register_strategies(register):
    register("watched", Watched)
'''
PATIENCE = 900
"""Seconds that a table may take on a busy machine."""
CHECKPOINTS = ("import metai2i.training.loop as loop\nloop.SAVE_EVERY = 0.0\n"
               "from metai2i.cli import main\nmain()")  # fmt: skip


class Table(WatchedRuns):
    """Runs by two workers of Ray."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, RECIPE, PLUGIN)

    def start(self, name: str, *more: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CHECKPOINTS, *self.arguments(name, "--on", "ray", "--at-once", "2", *more)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env=self.environment(RAY_ADDRESS="", RAY_worker_niceness="0", **environment),
        )  # fmt: skip

    def run(self, name: str, *more: str, **environment: str) -> str:
        """A run to its end, which is good: what it said on stderr."""
        process = self.start(name, *more, **environment)
        _, printed = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, printed
        return printed

    def worker(self, process: subprocess.Popen[str]) -> int:
        """The process that meta-trains, when it is in the middle of it."""
        until = time.monotonic() + PATIENCE
        while not list(self.seen.iterdir()):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until
            time.sleep(0.05)
        (seen,) = self.seen.iterdir()
        return int(seen.name)


@pytest.fixture
def table(tmp_path) -> Table:
    return Table(tmp_path)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Table:
    """The run of one process, with which the others are compared."""
    table = Table(tmp_path_factory.mktemp("alone"))
    assert metai2i(table.arguments("run")) == 0
    return table


class TestWithRay:
    pytestmark = with_ray

    def test_a_killed_worker_is_replaced_and_the_bytes_are_those_of_one_process(self, alone, table):
        process = table.start("run", DAWDLE="0.5")
        killed = table.worker(process)
        os.kill(killed, signal.SIGKILL)
        _, printed = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, printed
        assert "its worker has died" in printed
        assert "it is tried again (1 of 2)" in printed
        assert len({int(file.name) for file in table.seen.iterdir()} - {killed}) == 1
        assert table.outputs("run") == alone.outputs("run")

    def test_a_killed_driver_leaves_nothing_running_and_a_resumed_one_gives_the_same_bytes(self, alone, table):
        process = table.start("run", DAWDLE="0.5")
        worker = table.worker(process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        until = time.monotonic() + 60
        while is_running(worker) and time.monotonic() < until:
            time.sleep(0.2)
        assert not is_running(worker)
        assert not (table.home / "run").exists()
        table.run("run", "--resume")
        assert table.outputs("run") == alone.outputs("run")

    def test_two_seeds_side_by_side_give_the_bytes_of_each_alone(self, alone, table):
        table.run("run", "--seeds", "0,1")
        spread, single = table.outputs("run", "spread-seed0"), alone.outputs("run")
        assert {name: spread[name] for name in single} == single
        other = (table.home / "run" / "spread-seed1" / "results.csv").read_bytes()
        assert other != single["results"]
        assert json.loads((table.home / "run" / "spread-seed1" / "provenance.json").read_text())["stages"]


def test_without_ray_the_command_that_installs_it_is_told(table, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert metai2i(table.arguments("run", "--on", "ray")) == 2
    printed = capsys.readouterr().err
    assert "error: --on ray: Ray is not installed" in printed
    assert 'pip install "ray' in printed
    assert not (table.home / "run").exists()


def node(name: str, alive: bool = True, **resources: float) -> dict[str, object]:
    return {"NodeID": name, "NodeManagerHostname": name, "Alive": alive, "Resources": resources}


def test_only_machines_with_room_for_a_stage_are_looked_at():
    nodes = [node("head", CPU=2), node("gpus", CPU=16, GPU=4), node("gone", alive=False, CPU=16, GPU=4)]
    assert fitting_nodes(nodes, resources_of("4", None, on_gpu=True)) == [nodes[1]]
    assert fitting_nodes(nodes, resources_of("1,metatrain=8", None, on_gpu=False)) == nodes[:2]


def test_a_stage_that_has_room_on_no_machine_is_told_with_what_there_is():
    with pytest.raises(UserError) as refusal:
        fitting_nodes([node("head", CPU=2), node("other", CPU=8)], resources_of("4", "1", on_gpu=True))
    assert str(refusal.value).startswith(
        "--on ray: a stage gets 4 CPUs and 1 GPUs, and no machine of the cluster has as many: "
        "head (2 CPUs, 0 GPUs), other (8 CPUs, 0 GPUs) ("
    )


def test_a_cluster_that_does_not_answer_is_told(table, capsys, monkeypatch):
    def init(address: str, **options: object) -> None:
        raise ConnectionError("nobody listens at far:10001\nmore of it")

    ray = SimpleNamespace(init=init, is_initialized=lambda: False, shutdown=lambda: None, __version__="2.60.0")
    monkeypatch.setitem(sys.modules, "ray", ray)
    assert metai2i(table.arguments("run", "--on", "ray://far:10001")) == 2
    printed = capsys.readouterr().err
    assert "error: --on ray: ray://far:10001 does not answer, or has another version of Ray or Python: " in printed
    assert "ConnectionError: nobody listens at far:10001" in printed
    assert not (table.home / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--on", "ry"], "--on: got 'ry', expected local, ray, ray://HOST:PORT, slurm or slurm:local"),
        (["--on", "ray:far"], "--on: got 'ray:far', expected"),
        (["--on", "ray", "--processes", "2"], "--on ray: each stage is worked on by one process"),
        (["--on", "ray", "--sbatch", "a=b"], "--sbatch and --dry-run are for --on slurm"),
        (["--on", "slurm", "--sbatch", "gpu"], "--sbatch: got 'gpu', expected NAME=VALUE"),
        (["--cpus", "2"], "--cpus is for stages that others work on"),
        (["--seeds", "0,x"], "--seeds: got '0,x', expected whole numbers of 0 or more"),
        (["--seeds", "1,1"], "two of these runs are called 'spread-seed1' (--seeds takes each once)"),
        (["adapt.iterations"], "'adapt.iterations' is no recipe, and no override of the form a.b=c"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_written(table, capsys, options, words):
    assert metai2i(table.arguments("run", *options)) == 2
    assert words in capsys.readouterr().err
    assert sorted(path.name for path in table.home.iterdir()) == ["plugin", "recipe.yaml", "seen"]
