"""`metai2i paint` from the command line: what it refuses, what it tells, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from small_run import PLUGINS, make_run, write_scene

from metai2i.cli import invoke


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    """A folder with a run, and a model that is adapted of it."""
    folder = tmp_path_factory.mktemp("paint")
    run = make_run(folder)
    write_scene(folder, pairs=2, maps=1)
    words = [str(run), "--support", str(folder / "pairs"), "--out", str(folder / "mine.safetensors")]
    assert invoke(["adapt", *words, "--plugins-dir", str(PLUGINS)]) == 0
    return folder


@pytest.fixture
def refused(capsys):
    """Gives the message that a call ends with, which is one line."""

    def refused(*words: object) -> str:
        assert invoke(["paint", *map(str, words), "--plugins-dir", str(PLUGINS)]) == 2
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        assert printed.out == ""
        return printed.err

    return refused


def test_a_port_in_use_is_told_in_one_message(here, refused):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        message = f"error: port {port} is in use (--port names another, --port 0 takes one that is free)\n"
        assert refused(here / "mine.safetensors", "--port", port) == message


def test_what_is_no_model_is_refused(here, refused, tmp_path):
    assert "there is no such file (`metai2i adapt` makes adapted models)" in refused(tmp_path / "none.safetensors")
    assert "expected the file of an adapted model" in refused(tmp_path)
    (tmp_path / "text.safetensors").write_text("no model")
    assert "text.safetensors: this is no adapted model" in refused(tmp_path / "text.safetensors")
    assert "--out names the folder" in refused(here / "mine.safetensors", "--out", tmp_path / "none")
    assert "text.safetensors: this is a file, expected a folder" in refused(
        here / "mine.safetensors", "--out", tmp_path / "text.safetensors"
    )


def test_a_model_of_another_version_is_refused(here, refused, tmp_path):
    from safetensors import safe_open

    with safe_open(here / "mine.safetensors", "pt") as file:
        state = file.metadata()["state"].replace("metai2i adapted model 1", "metai2i adapted model 9")
    save_file(load_file(here / "mine.safetensors"), tmp_path / "new.safetensors", {"state": state})
    message = refused(tmp_path / "new.safetensors")
    assert "metai2i adapted model 9" in message
    assert message.count("\n") == 1


def test_a_run_whose_weights_are_gone_is_refused(here, refused, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "small").symlink_to(here / "runs" / "small")
    message = refused(tmp_path / "runs" / "small", "--stages", tmp_path / "empty")
    assert message.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_tells_its_address_serves_and_ends_by_a_signal(here, number, code):
    command = [sys.executable, "-m", "metai2i", "paint", str(here / "runs" / "small"), "--plugins-dir", str(PLUGINS)]
    begun = subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=here,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        assert begun.stdout is not None
        line = begun.stdout.readline()
        assert line.startswith("painting with 1 model on http://127.0.0.1:")
        address = next(word for word in line.split() if word.startswith("http"))
        assert b"<title>metai2i paint</title>" in urllib.request.urlopen(address, timeout=30).read()
        begun.send_signal(number)
        out, err = begun.communicate(timeout=60)
    finally:
        begun.kill()
    assert begun.returncode == code
    assert out == "ended\n"
    assert "Traceback" not in err
