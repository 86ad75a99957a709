"""What not every system has is asked for in one place, and has an answer everywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from metai2i.guards import system

POSIX = ("fcntl", "grp", "pwd", "resource", "termios")
ELSEWHERE = """
import importlib.abc, os, pathlib, signal, sys

class Refuses(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {names}:
            raise ImportError(f"there is no {{name}} here")

for name in {names}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Refuses())
for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF", "setitimer", "getitimer", "SIGHUP", "SIGALRM"):
    delattr(signal, name)
for name in ("set_blocking", "fork", "getuid", "geteuid", "getloadavg", "sched_getaffinity"):
    delattr(os, name)
real = pathlib.Path.read_text
def read_text(self, *args, **options):
    if str(self).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", str(self))
    return real(self, *args, **options)
pathlib.Path.read_text = read_text

"""
"""Makes a Python that has, as on Windows, none of what only POSIX has; `names` are the modules."""
WALK_AND_RUN = """
import importlib, pkgutil, metai2i
names = [module.name for module in pkgutil.walk_packages(metai2i.__path__, "metai2i.")]
assert len(names) > 100
for name in names:
    if name != "metai2i.__main__":
        importlib.import_module(name)
assert "fcntl" not in sys.modules
from metai2i.cli import main
main(sys.argv[1:])
"""
RECIPE = f"""
name: elsewhere
plugins: {Path(__file__).parents[2] / "downstream" / "one_file"}
tasks: {{use: stripes, scenes: 3, pairs: 6}}
episodes: {{shots: 2, queries: 2}}
augment: null
translator: {{use: line, gain: 1.5}}
objective: {{l1: 1, adversarial: 0, perceptual: 0}}
pretrain: {{iterations: 2, batch: 2}}
metatrain: {{iterations: 1, tasks: 1}}
adapt: {{iterations: 1, lr: 1e-1}}
evaluate: {{images: 0, tasks: 1, metrics: [mse]}}
compare: {{metric: mse}}
rows:
  Line (2-shot): {{strategy: {{use: finetune}}}}
  Reptile (2-shot): {{strategy: {{use: reptile, steps: 1}}}}
"""


def fill(pipe: int) -> None:
    while True:
        os.write(pipe, b"x" * 2**16)


def elsewhere(script: str, *arguments: str, cwd: Path) -> str:
    command = [sys.executable, "-W", "ignore", "-c", ELSEWHERE.format(names=POSIX) + script, *arguments]
    environment = {**os.environ, "USERNAME": "somebody"}  # Windows sets it, and Python asks it before `pwd`
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_module_is_imported_and_a_recipe_runs_where_there_is_nothing_of_posix(tmp_path):
    (tmp_path / "elsewhere.yaml").write_text(RECIPE)
    elsewhere(WALK_AND_RUN, "run", "elsewhere.yaml", "--out", "out", cwd=tmp_path)
    provenance = (tmp_path / "out" / "provenance.json").read_text()
    assert '"peak_memory_mib": null' in provenance
    assert (tmp_path / "out" / "results.csv").read_text().count("\n") > 2


def test_the_peak_is_that_since_it_was_forgotten():
    # In a process of its own: the system may take memory back from a large one meanwhile.
    program = """
    from metai2i.guards.system import forget_peak_of_process, peak_of_process
    before = peak_of_process()
    block = b"x" * (200 * 2**20)
    with_block = peak_of_process()
    del block
    forget_peak_of_process()
    print(with_block - before > 150, peak_of_process() - before < 150)
    """
    done = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


def test_a_system_without_proc_tells_the_peak_since_the_process_began(monkeypatch, tmp_path):
    known = system.peak_of_process()
    monkeypatch.setattr(system, "_STATUS", tmp_path / "none")
    assert system.peak_of_process() >= known - 1
    monkeypatch.setitem(sys.modules, "resource", None)
    assert system.peak_of_process() is None


def test_a_full_pipe_fails_instead_of_waiting_where_the_system_can(monkeypatch):
    reading, writing = os.pipe()
    try:
        assert system.never_block(writing)
        with pytest.raises(BlockingIOError):
            fill(writing)
        monkeypatch.delattr(os, "set_blocking")
        assert not system.never_block(writing)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_timer_that_is_stopped_does_not_run():
    assert signal.ITIMER_REAL in system.TIMERS
    signal.setitimer(signal.ITIMER_VIRTUAL, 100)
    assert system.timer_runs(signal.ITIMER_VIRTUAL)
    system.stop_timer(signal.ITIMER_VIRTUAL)
    assert not system.timer_runs(signal.ITIMER_VIRTUAL)
