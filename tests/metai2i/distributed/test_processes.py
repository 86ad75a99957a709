"""Several processes on one run: the same weights and results whatever their number, and one end for all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from watched_runs import WatchedRuns, is_running

from metai2i import UserError
from metai2i.cli import invoke as metai2i
from metai2i.distributed.launch import share_threads
from metai2i.distributed.processes import ALONE, Elsewhere, Processes, failure_of
from metai2i.errors import UserErrors

STRIPES = Path(__file__).parents[2] / "downstream" / "one_file"

RECIPE = f"""
name: together
plugins: {STRIPES}
tasks: {{use: stripes, scenes: 5, pairs: 6}}
episodes: {{shots: 2, queries: 2}}
translator: {{use: line}}
objective: {{l1: 1, adversarial: 0, perceptual: 0}}
pretrain: {{iterations: 4, batch: 4, lr: 1e-2}}
metatrain: {{iterations: 6, tasks: 3, lr: 1e-2}}
adapt: {{iterations: 3, lr: 1e-1}}
aux: {{iterations: 1, tasks: 2}}
evaluate: {{images: 3, metrics: [mse]}}
compare: {{metric: mse}}
rows:
  Line (2-shot): {{strategy: {{use: finetune}}, tune: {{lr: [1e-2, 1e-1]}}}}
  BiL: {{strategy: {{use: watched, steps: 2}}, retriever: {{use: iou, k: 2}}}}
"""

PLUGIN = '''
import os
import time
from pathlib import Path

import torch.distributed as dist
from metai2i import Translator, UserError, hookimpl
from metai2i_bil import Bil
from torch import nn


class Watched(Bil):
    """Bil that leaves the number of its process behind, dawdles and fails as the environment says."""

    def meta_gradient(self, gp, episode, step):
        Path(os.environ["SEEN"], str(os.getpid())).touch()
        time.sleep(float(os.environ.get("DAWDLE", 0)))
        rank = dist.get_rank() if dist.is_initialized() else 0
        if os.environ.get("FAILS") == str(rank) and step.index == 2:
            raise UserError("it rains", hint="come in")
        return super().meta_gradient(gp, episode, step)


class Plain(Translator):
    """A small translator that is judged, and does the same in plain training."""

    def __init__(self, *, spec, objective):
        super().__init__()
        self.generator = nn.Sequential(nn.Conv2d(spec.structure_channels, 4, 3, padding=1), nn.BatchNorm2d(4),
                                       nn.Dropout(0.2), nn.Conv2d(4, 3, 1))
        self.critic = nn.Conv2d(3, 1, 3)

    def players(self):
        return {"generator": self.generator.parameters(), "critic": self.critic.parameters()}

    def training_step(self, batch, step):
        if step.role == "train" and step.total > 1:  # and not the trial before training, which each process makes
            Path(os.environ["SEEN"], str(os.getpid())).touch()
            time.sleep(float(os.environ.get("DAWDLE", 0)))
            rank = dist.get_rank() if dist.is_initialized() else 0
            if os.environ.get("FAILS") == str(rank) and step.index == 2:
                raise UserError("it rains", hint="come in")
        images = self.generator(batch["structure"])
        yield "critic", {"real": (self.critic(batch["target"]) - 1).square().mean(),
                         "fake": self.critic(images.detach()).square().mean()}
        yield "generator", {"l1": (images - batch["target"]).abs().mean(),
                            "judged": (self.critic(images) - 1).square().mean()}

    def translate(self, batch):
        return self.generator(batch["structure"]).clamp(-1, 1)


@hookimpl
def register_strategies(register):
    register("watched", Watched)


@hookimpl
def register_translators(register):
    register("plain", Plain)
'''

IN_PARTS = (
    "--rows", "Line*", "translator.use=plain", "continued={iterations: 4}", "pretrain.average={players: [generator]}",
    "pretrain.iterations=8", "pretrain.batch=5", "pretrain.parts=3", "pretrain.clip=1.0",
)  # fmt: skip
"""Plain training alone, each batch in parts of two, two and one."""


class Folder(WatchedRuns):
    """Runs by one process and by several."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, RECIPE, PLUGIN)

    def start(self, name: str, *more: str, before: tuple[str, ...] = ("-m", "metai2i"), **environment: str):
        """A run in a session of its own, such that a signal may go to all its processes."""
        command = [sys.executable, *before, *self.arguments(name, *more)]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env=self.environment(**environment),
        )  # fmt: skip

    def run(self, name: str, *more: str, **options) -> tuple[int, str]:
        """A run to its end: the exit code and what it told."""
        process = self.start(name, *more, **options)
        printed = process.communicate()[1]
        return process.returncode, printed

    def pids(self) -> set[int]:
        return {int(file.name) for file in self.seen.iterdir()}


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Folder:
    """The run of one process, with which the others are compared."""
    folder = Folder(tmp_path_factory.mktemp("alone"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEN", str(folder.seen))
        assert metai2i(folder.arguments("run")) == 0
    return folder


def all_gone(pids: set[int], within: float = 120.0) -> bool:
    until = time.monotonic() + within
    while any(map(is_running, pids)) and time.monotonic() < until:
        time.sleep(0.1)
    return not any(map(is_running, pids))


@pytest.fixture(scope="module")
def in_parts(tmp_path_factory) -> Folder:
    """The plain training of one process, with which those of several are compared."""
    folder = Folder(tmp_path_factory.mktemp("parts"))
    code, printed = folder.run("run", *IN_PARTS)
    assert code == 0, printed
    return folder


@contextmanager
def training_together(
    folder: Folder, *arguments: str, **environment: str
) -> Iterator[tuple[subprocess.Popen, set[int]]]:
    """Two processes that train together and have left a checkpoint, with their numbers."""
    often = ("-c", "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # shells may ignore it
             "import metai2i.training.loop as l; l.SAVE_EVERY = 0.0\nfrom metai2i.cli import main; main()")  # fmt: skip
    process = folder.start("run", "--processes", "2", *arguments, before=often, DAWDLE="0.3", **environment)
    try:
        while len(folder.pids()) < 2 or not list((folder.home / "run-stages").glob("*/progress.safetensors")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        yield process, folder.pids()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("items", [0, 1, 5, 6])
def test_shares_are_all_that_there_is_and_differ_by_one_item_at_most(count, items):
    shares = [Processes(rank, count).share(range(items)) for rank in range(count)]
    assert sorted(item for share in shares for item in share) == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_process_alone_needs_no_torch_distributed():
    flat = torch.ones(3)
    ALONE.add(flat)
    assert ALONE.gather("mine") == ["mine"]
    assert ALONE.on_first(lambda: 5) == 5
    assert flat.tolist() == [1, 1, 1]
    assert not dist.is_initialized()


def test_processes_on_one_machine_share_its_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(5)
        assert share_threads(2) == (5, 2)
        assert torch.get_num_threads() == 2
        processes = Processes(threads=(5, 2))
        assert processes.on_first(torch.get_num_threads) == 5  # the others wait meanwhile
        assert torch.get_num_threads() == 2
        assert share_threads(9) == (2, 1)
        monkeypatch.setenv("OMP_NUM_THREADS", "4")
        assert share_threads(2) is None
    finally:
        torch.set_num_threads(before)


def test_a_users_error_elsewhere_is_one_here_and_a_fault_keeps_its_traceback():
    two = UserErrors([UserError("no rain", where="sky"), UserError("no sun")])
    error = Elsewhere(2, *failure_of(two)).error()
    assert isinstance(error, UserErrors)
    assert [str(each) for each in error.errors] == ["sky: no rain", "no sun"]
    try:
        raise ZeroDivisionError("oh no")
    except ZeroDivisionError as fault:
        error = Elsewhere(2, *failure_of(fault)).error()
    assert not isinstance(error, UserError)
    assert "process 2 failed" in str(error)
    assert "ZeroDivisionError: oh no" in str(error)
    assert Path(__file__).name in str(error)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", ""])
def test_a_number_of_processes_that_is_none_is_told(folder, capsys, value):
    assert metai2i(folder.arguments("run", "--processes", value)) == 2
    expected = f"--processes: got '{value}', expected a whole number of 1 or more, or auto"
    assert expected in capsys.readouterr().err
    assert not (folder.home / "run-stages").exists()


def test_auto_takes_no_more_processes_than_there_are_threads_or_episodes(folder, monkeypatch):
    from metai2i.cli.run import how_many
    from metai2i.pipeline.request import RunRequest

    def auto(threads: int) -> int:
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        plugins = (folder.home / "plugin",)
        request = RunRequest((), folder.home / "recipe.yaml", (), (), False, None, None, "cpu", plugins, None)
        return how_many("auto", [request])

    assert [auto(threads) for threads in (1, 2, 64)] == [1, 2, 3]


def test_torchruns_processes_start_no_others(folder, monkeypatch, capsys):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a run")
    assert metai2i(folder.arguments("run", "--processes", "2")) == 2
    assert "torchrun has started the processes already" in capsys.readouterr().err


def test_two_processes_make_the_weights_results_and_images_of_one(alone, folder):
    """Bit for bit, each with as many threads as the one; of 3 episodes and 5 scenes the first has one more."""
    code, printed = folder.run("run", "--processes", "2")
    assert code == 0, printed
    assert len(folder.pids()) == 2
    ours, theirs = folder.outputs("run"), alone.outputs("run")
    assert ours.keys() == theirs.keys()
    assert len([name for name in ours if name.endswith("model.safetensors")]) == 2
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert printed.count("metatrain (BiL): 6/6") == 1
    assert printed.count("evaluate (BiL): 5/5") == 1


def test_one_episode_in_a_meta_step_is_the_first_processs_own(folder):
    alone = ["metatrain.tasks=1", "rows.BiL.retriever=null"]
    for name, more in {"run": ["--processes", "2"], "one": []}.items():
        code, printed = folder.run(name, *alone, *more)
        assert code == 0, printed
    assert len(folder.pids()) == 2  # one of each run
    assert folder.outputs("run") == folder.outputs("one")


def test_an_error_in_one_process_ends_all_with_one_message(folder):
    code, printed = folder.run("run", "--processes", "2", FAILS="1")
    assert code == 2
    errors = [line for line in printed.splitlines() if "it rains" in line]
    assert errors == ["error: metatrain (BiL), step 2: it rains (come in)"]
    assert "Traceback" not in printed
    assert all_gone(folder.pids())
    assert not (folder.home / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3, 4])
def test_plain_training_in_parts_is_shared_and_makes_the_same_bytes(in_parts, folder, count):
    """Two players, dropout, batch normalisation, an average, and the continuation; a fourth process only waits."""
    code, printed = folder.run("run", *IN_PARTS, "--processes", str(count))
    assert code == 0, printed
    assert len(folder.pids()) == min(count, 3)
    assert folder.outputs("run") == in_parts.outputs("run")
    assert len([name for name in folder.outputs("run") if name.endswith("model.safetensors")]) == 2
    assert printed.count("4 processes, 3 parts of a batch (pretrain.parts): while pre-training, some only wait") == (
        count == 4
    )


@pytest.mark.slow
@pytest.mark.parametrize("fails", [None, "0", "1"])
def test_torchrun_shares_plain_training_and_ends_with_one_message(in_parts, folder, fails):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "metai2i")
    code, printed = folder.run("run", *IN_PARTS, before=torchrun, **({"FAILS": fails} if fails else {}))
    if fails is None:
        assert code == 0, printed
        assert folder.outputs("run") == in_parts.outputs("run")
    else:
        assert code != 0
        assert printed.count("it rains") == 1
    assert all_gone(folder.pids())


@pytest.mark.slow
@pytest.mark.parametrize("number", ["1", "3"])
def test_plain_training_of_two_goes_on_with_another_number_of_processes(in_parts, folder, number):
    with training_together(folder, *IN_PARTS) as (process, pids):
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=300)
        assert all_gone(pids)
    code, printed = folder.run("run", *IN_PARTS, "--resume", "--processes", number)
    assert code == 0, printed
    assert "pretrain (Line (2-shot)): 8 steps, resumed at" in printed
    assert folder.outputs("run") == in_parts.outputs("run")


@pytest.mark.slow
def test_plain_training_of_whole_batches_stays_with_the_first_process(folder):
    whole = [*IN_PARTS, "pretrain.parts=1"]
    for name, more in {"run": ["--processes", "2"], "one": []}.items():
        code, printed = folder.run(name, *whole, *more)
        assert code == 0, printed
    assert len(folder.pids()) == 2  # one of each run
    assert folder.outputs("run") == folder.outputs("one")


@pytest.mark.slow
def test_four_processes_for_three_episodes_are_told_once_and_make_the_same(alone, folder):
    code, printed = folder.run("run", "--processes", "4")
    assert code == 0, printed
    assert printed.count("4 processes, 3 episodes in a meta-step") == 1
    assert folder.outputs("run") == alone.outputs("run")


@pytest.mark.slow
@pytest.mark.parametrize("fails", [None, "0", "1"])
def test_torchrun_makes_the_same_and_ends_with_one_message(alone, folder, fails):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "metai2i")
    code, printed = folder.run("run", before=torchrun, **({"FAILS": fails} if fails else {}))
    if fails is None:
        assert code == 0, printed
        assert folder.outputs("run") == alone.outputs("run")
    else:
        assert code != 0
        assert printed.count("it rains") == 1
        assert "error: metatrain (BiL), step 2: it rains (come in)" in printed
    assert all_gone(folder.pids())


@pytest.mark.slow
@pytest.mark.parametrize("which", ["first", "other"])
def test_a_process_that_is_killed_takes_the_others_with_it_and_resuming_loses_nothing(alone, folder, which):
    with training_together(folder) as (process, pids):
        os.kill(process.pid if which == "first" else next(iter(pids - {process.pid})), signal.SIGKILL)
        printed = process.communicate(timeout=300)[1]
        assert all_gone(pids)
    if which == "other":
        assert process.returncode == 2
        assert printed.count("error: ") == 1
        assert "error: process 2 of 2 was ended by SIGKILL" in printed
    number = "2" if which == "first" else "1"
    code, printed = folder.run("run", "--resume", "--processes", number)
    assert code == 0, printed
    assert "metatrain (BiL): 6 steps, resumed at" in printed
    assert folder.outputs("run") == alone.outputs("run")


@pytest.mark.slow
def test_an_interruption_ends_all_processes_with_one_line(folder):
    with training_together(folder) as (process, pids):
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        printed = process.communicate(timeout=300)[1]
        assert process.returncode == 130
        assert all_gone(pids)
    assert printed.splitlines()[-1] == "interrupted (the same command goes on)"
    assert printed.count("interrupted") == 1
    assert "Traceback" not in printed
