"""What is told while it works."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from metai2i.training import progress
from metai2i.training.progress import StageProgress, by_player, clock


def printed(title="pretrain (2 rows)", total=10, start=0, note="generator/l1 0.213", terminal=False) -> str:
    file = io.StringIO()
    with StageProgress(title, total, start, Console(file=file, width=200, force_terminal=terminal)) as bar:
        for done in range(start + 1, total + 1):
            bar.advance(done, note)
    return file.getvalue()


def test_a_pipe_gets_the_beginning_and_the_end():
    first, last = printed().splitlines()
    assert first == "pretrain (2 rows): 10 steps"
    assert last.startswith("pretrain (2 rows): 10/10  ")
    assert last.endswith(" 0:00 left  generator/l1 0.213")


def test_a_pipe_gets_a_line_every_few_seconds(monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY", -1.0)
    assert len(printed().splitlines()) == 1 + 10


def test_going_on_is_told():
    assert printed(start=4).splitlines()[0] == "pretrain (2 rows): 10 steps, resumed at 4"


def test_a_stage_without_steps_is_told():
    assert printed(total=0) == "pretrain (2 rows): 0 steps\n"


def test_a_terminal_gets_a_bar():
    assert "10/10" in printed(terminal=True)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("name", ["BiL [ours]", "w/o [/aux]", "[red]"])
def test_brackets_in_names_are_printed_as_they_are(terminal, name):
    output = printed(title=name, note=name, terminal=terminal)
    assert name in output
    assert output.count(name) >= 2


@pytest.mark.parametrize(
    ("losses", "shown"),
    [
        ({"d/real": 0.5, "d/fake": 0.25, "g/l1": 1.0, "g/adv": 0.5, "f+g/style": 0.1}, "d 0.750  g 1.500  f+g 0.100"),
        ({"query/g/l1": 1.0, "query/g/adv": 0.5, "query/d/adv": 0.7, "probe/x": 0.3}, "query/g 1.500  query/d 0.700"),
        ({"query/generator": 2.0, "query/discriminator": 1.0}, "query/generator 2.000  query/discriminator 1.000"),
        ({"distance": 3.0}, "distance 3.000"),
        ({"probe/adapted_lpips": 0.3}, ""),
        ({}, ""),
    ],
)
def test_a_loss_for_each_player_is_shown_and_the_drift_is_left_to_the_log(losses, shown):
    assert by_player(losses) == shown


def test_a_name_keeps_to_its_line():
    assert printed(title="a\nb", note="c\x1b[2K").splitlines()[0] == r"a\nb: 10 steps"
    assert "c\\x1b[2K" in printed(note="c\x1b[2K")


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (125, "2:05"), (3725, "1:02:05")])
def test_durations_are_for_people(seconds, shown):
    assert clock(seconds) == shown
