"""`metai2i watch`: the page of a run, seen from this machine alone, until Ctrl-C."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import fake_run
import pytest
from answering import answering

from metai2i.cli import invoke as metai2i
from metai2i.report import build_report
from metai2i.report.live import Watch
from metai2i.report.watching import handler_of
from metai2i.run_folder.at_work import WantedStage, end_work, tell_at_work

KEY = "0123456789abcdef"


def asked(port: int, path: str, method: str = "GET", host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace")


@pytest.fixture
def run(tmp_path) -> Path:
    """A run that is at work: its name must not become part of the page's code."""
    stage = WantedStage(key=KEY, name="pretrain", rows=("<b>A</b>",), total=10)
    tell_at_work(tmp_path / "run", "<script>alert(1)</script>", tmp_path / "stages", (stage,))
    return tmp_path / "run"


def test_the_page_shows_a_run_at_work_and_loads_nothing_from_elsewhere(run):
    with answering(handler_of(Watch(run))) as port:
        status, page = asked(port, "/")
        assert status == 200
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "&lt;b&gt;A&lt;/b&gt;" in page
        assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*//", page) == []
        status, state = asked(port, "/state")
        assert status == 200
        assert state.strip() in page
        assert "At work since" in state


def test_the_page_turns_to_the_finished_run_by_itself(tmp_path, run):
    with answering(handler_of(Watch(run))) as port:
        assert "At work since" in asked(port, "/state")[1]
        assert asked(port, "/report.html")[0] == 404
        build_report(fake_run.make_run(run, tasks=6))
        end_work(run)
        assert "Finished" in asked(port, "/state")[1]
        assert asked(port, "/report.html") == (200, (run / "report.html").read_text(encoding="utf-8"))


def test_a_run_that_goes_away_is_told_on_the_page(run):
    with answering(handler_of(Watch(run))) as port:
        end_work(run)
        status, state = asked(port, "/state")
        assert status == 200
        assert "expected the folder of a run that is at work, was stopped or is finished" in state


@pytest.mark.parametrize("path", ["/nothing", "/images", f"/images/{KEY}/stage.json", f"/images/{KEY}/../x.png"])
def test_other_paths_have_nothing(run, path):
    with answering(handler_of(Watch(run))) as port:
        assert asked(port, path) == (404, "there is nothing here\n")


def test_nobody_else_is_answered_and_nothing_can_be_sent(run):
    with answering(handler_of(Watch(run))) as port:
        assert asked(port, "/", host="example.org")[0] == 403
        assert asked(port, "/state", "POST")[0] == 501


def test_a_folder_without_a_run_is_refused_before_anything_is_served(tmp_path, capsys):
    assert metai2i(["watch", str(tmp_path / "nothing")]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {tmp_path / 'nothing'}")
    assert printed.out == ""


def test_a_port_in_use_is_one_message(run, capsys):
    with answering(handler_of(Watch(run))) as port:
        assert metai2i(["watch", str(run), "--port", str(port)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: port {port} is in use (--port names another, --port 0 takes one that is free)"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_ends_when_it_is_asked_to_without_a_traceback(run, how, code):
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\nfrom metai2i.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "watch", str(run), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        lines = [process.stdout.readline() for _ in range(2)]
        port = int(re.search(r"127\.0\.0\.1:(\d+)", lines[1])[1])
        assert asked(port, "/state")[0] == 200
        process.send_signal(how)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == code
    assert errors.strip() == ("" if code == 0 else "stopped by SIGTERM")
