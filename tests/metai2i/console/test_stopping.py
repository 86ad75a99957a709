"""SIGTERM and SIGHUP end the program with a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import click
import pytest

from metai2i import cli
from metai2i.cli import tell_stop
from metai2i.console import stopping
from metai2i.console.stopping import Stopped, cause_of, once, stoppable

CHILD = """
import os, signal, sys, time
import click
import metai2i.cli, metai2i.console.stopping
metai2i.console.stopping._PATIENCE = {patience}
@click.command()
def command():
    print("working", flush=True)
    {work}
module = type(sys)("metai2i.cli.run")
module.command = command
sys.modules["metai2i.cli.run"] = module
metai2i.cli.main(["run"])
"""


def ended(work: str, number: signal.Signals, before: str = "", patience: float = 300) -> tuple[int, str]:
    """Exit code and stderr of a run that gets a signal while it works."""
    command = [sys.executable, "-c", before + CHILD.format(work=work, patience=patience)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(number)
    _, printed = process.communicate(timeout=300)
    return process.returncode, printed.strip()


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_run_says_by_what_it_was_stopped_and_how_it_goes_on(name, code):
    assert ended("time.sleep(60)", signal.Signals[name]) == (
        code, f"stopped by {name} (the same command goes on)",
    )  # fmt: skip


def test_a_run_that_does_not_come_to_hear_of_it_ends_with_the_same_word():
    deaf = "\n".join(["while True:", "        try: time.sleep(60)", "        except BaseException: pass"])
    assert ended(deaf, signal.SIGTERM, patience=0.2) == (143, "stopped by SIGTERM (the same command goes on)")


def test_it_is_told_once_where_the_program_and_its_watch_come_to_it():
    words: list[Stopped | None] = []
    tell = once(words.append)
    threads = [threading.Thread(target=tell, args=(None,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert words == [None]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["run", "x.yaml"], "interrupted (the same command goes on)"),
        (["run", "x.yaml", "--afresh"], "interrupted (the same command goes on, without --afresh)"),
        (["report", "x"], "interrupted"),
    ],
)
def test_how_it_goes_on_is_told_by_what_was_asked(asked, words, capsys):
    tell_stop(asked, None)
    assert capsys.readouterr().err.strip() == words


def test_what_was_ignored_stays_ignored():
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    assert ended("time.sleep(1)", signal.SIGHUP, ignoring) == (0, "")


def test_what_is_cleaned_up_at_an_interruption_is_cleaned_up_here_too():
    seen: list[object] = []

    def work() -> None:
        with stoppable(seen.append):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                seen.append("cleaned up")

    with pytest.raises(Stopped):
        work()
    assert seen == ["cleaned up"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert not any(thread.name.endswith("(_watch)") for thread in threading.enumerate())


def test_other_commands_speak_of_no_resume(monkeypatch, capsys):
    @click.command()
    def command() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(sys.modules["metai2i.cli"], "import_module", lambda name: type("M", (), {"command": command}))
    assert cli.invoke(["validate"]) == 143
    assert capsys.readouterr().err.strip() == "stopped by SIGTERM"


def test_ctrl_c_is_no_signal_of_ours():
    assert cause_of(KeyboardInterrupt()) is None
    aborted = click.Abort()
    aborted.__cause__ = Stopped(signal.SIGTERM)
    assert cause_of(aborted).exit_code == 143


def test_a_thread_beside_the_main_one_leaves_signals_alone():
    handlers = []

    def look() -> None:
        with stopping.stoppable(print):
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.SIG_DFL]
