"""The log of losses: means over windows, and what is no line of it."""

from __future__ import annotations

import pytest
from curves import points

from metai2i.training.loss_log import LossLog


@pytest.mark.parametrize(
    "line", ["{x", "5", "[]", '{"a": 1}', '{"step": "7", "losses": {}}', '{"step": 2}', "\udcff", "[" * 100_000]
)
def test_lines_that_are_none_of_a_log_are_left_out_of_it(tmp_path, caplog, line):
    log = LossLog(tmp_path / "log.jsonl", every=1)
    log.add(0, {"g/l1": 0.0})
    with log.path.open("a", errors="surrogateescape") as file:
        file.write(f"{line}\n")
    log.add(1, {"g/l1": 1.0})
    log.rewind(5, {})
    assert points(tmp_path) == [(1, {"g/l1": 0.0}), (2, {"g/l1": 1.0})]
    assert "left out 1 lines" in caplog.text


def test_a_log_has_a_line_every_so_often_with_the_means_since_the_last(tmp_path):
    log = LossLog(tmp_path / "log.jsonl", every=3)
    for i in range(7):
        log.add(i, {"g/l1": float(i), **({"probe": 10.0} if i == 4 else {})})
    assert points(tmp_path) == [(3, {"g/l1": 1.0}), (6, {"g/l1": 4.0, "probe": 10.0})]


def test_a_log_that_was_cut_within_a_line_goes_on(tmp_path):
    """As kill -9 or a full disk may leave it."""
    log = LossLog(tmp_path / "log.jsonl", every=1)
    for i in range(3):
        log.add(i, {"g/l1": float(i)})
    text = log.path.read_text()
    log.path.write_text(text[:-9])
    log.rewind(3, {})
    log.add(3, {"g/l1": 3.0})
    assert [step for step, _ in points(tmp_path)] == [1, 2, 4]
