"""`docs/write-a-strategy.md`: its walk, from the first command to the report, and what it says of its strategy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from page_walk import walk_of

from metai2i import Step
from metai2i.cli import invoke
from metai2i.run_folder.results import read_results
from metai2i.testing import contracts_of
from metai2i.testing.bench import Bench
from metai2i.testing.scenes import ToyScenes
from metai2i.testing.strategy import doubled, quadratic
from metai2i.testing.toy_translators import Colours

PAGE, FILES, COMMANDS = walk_of("write-a-strategy.md")
SOURCE = FILES["my_plugins/proximal.py"]
SMALL = [
    "tasks.train=2", "tasks.val=1", "tasks.test=2", "tasks.frames=8", "tasks.size=[32, 32]", "pretrain.iterations=2",
    "metatrain.iterations=1", "adapt.iterations=1", "translator.width=4", "translator.d_layers=2", "evaluate.images=1",
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_walk_goes_from_a_new_plugin_to_a_row_in_a_table(here, capsys):
    assert [words[0] for words in COMMANDS] == ["new-plugin", "check", "validate", "run", "report"]
    new, check, validate, run, report = COMMANDS
    assert invoke(new) == 0
    (here / "my_plugins" / "proximal.py").write_text(SOURCE)
    assert invoke(check) == 0
    assert "failed" not in capsys.readouterr().out
    (here / "strategies.yaml").write_text(FILES["strategies.yaml"])
    assert invoke(validate) == 0
    assert invoke([*run, *SMALL, "--stages", "stages"]) == 0
    rows = {record.row for record in read_results(here / "runs" / "strategies" / "results.csv")}
    assert rows == {"Pix2pix (3-shot)", "BiL (3-shot)", "Proximal (3-shot)"}
    assert len(list((here / "stages").glob("*/log.jsonl"))) >= 3
    (here / "runs" / "strategies" / "report.html").unlink()
    assert invoke(report) == 0
    assert "Proximal (3-shot)" in (here / "runs" / "strategies" / "report.html").read_text()


def test_the_failure_on_the_page_is_what_check_says(here, capsys):
    (here / "my_plugins").mkdir()
    broken = SOURCE.replace(" if player not in still]", "]")
    assert broken != SOURCE
    (here / "my_plugins" / "proximal.py").write_text(broken)
    assert invoke(next(words for words in COMMANDS if words[0] == "check")) == 1
    (told,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert " ".join(told.split()) in " ".join(capsys.readouterr().out.split())


def test_the_test_on_the_page_has_a_case_for_each_contract(here, monkeypatch):
    (here / "proximal.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(here))
    names: dict = {}
    exec(FILES["test_proximal.py"], names)
    (mark,) = names["test_proximal"].pytestmark
    assert tuple(mark.args[1]) == contracts_of("strategy")


def test_the_gradient_is_that_of_the_minimum_as_the_page_says():
    """Of a parabola of curvature h around y: pull * h / (h + pull) * (theta - y)."""
    names: dict = {}
    exec(SOURCE, names)
    bench = Bench(names["Proximal"], {"pull": 0.3, "steps": 400}, ToyScenes())
    strategy = bench.make(inner=bench.adaptation(optimizer="sgd", lr=1.0))
    gp, episode = Colours(spec=bench.spec), doubled(bench.episode())
    strategy.meta_gradient(gp, episode, Step())
    curve, mean = quadratic(episode.support)
    wanted = 0.3 * curve / (curve + 0.3) * (gp.colours.detach() - mean)
    assert torch.allclose(gp.colours.grad, wanted, rtol=1e-6, atol=1e-9)


def test_the_strategy_takes_at_most_seventy_lines():
    assert len(SOURCE.splitlines()) <= 70
