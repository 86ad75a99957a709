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
SHORTEST, PROXIMAL = FILES["my_plugins/maml.py"], FILES["my_plugins/proximal.py"]
SMALL = [
    "tasks.train=2", "tasks.val=1", "tasks.test=2", "tasks.frames=8", "tasks.size=[32, 32]", "pretrain.iterations=2",
    "metatrain.iterations=1", "translator.width=4", "translator.d_layers=2", "evaluate.images=1",
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_walk_goes_from_an_empty_folder_to_a_row_in_a_table(here, capsys):
    assert [words[0] for words in COMMANDS] == ["check", "validate", "run", "report"]
    check, validate, run, report = COMMANDS
    (here / "my_plugins").mkdir()
    (here / "my_plugins" / "maml.py").write_text(SHORTEST)
    assert invoke(check) == 0
    assert "failed" not in capsys.readouterr().out
    (here / "strategies.yaml").write_text(FILES["strategies.yaml"])
    assert invoke(validate) == 0
    assert invoke([*run, *SMALL, "--stages", "stages"]) == 0
    results = read_results(here / "runs" / "strategies" / "results.csv")
    assert {record.row for record in results} == {"Pix2pix (3-shot)", "BiL (3-shot)", "MAML (3-shot)"}
    values = {row: [r.value for r in results if r.row == row] for row in ("BiL (3-shot)", "MAML (3-shot)")}
    assert values["MAML (3-shot)"] == values["BiL (3-shot)"]  # the same gradient, as the page says
    assert len(list((here / "stages").glob("*/log.jsonl"))) >= 3
    (here / "runs" / "strategies" / "report.html").unlink()
    assert invoke(report) == 0
    assert "MAML (3-shot)" in (here / "runs" / "strategies" / "report.html").read_text()


def test_the_failure_on_the_page_is_what_check_says(here, capsys):
    (here / "my_plugins").mkdir()
    broken = re.sub(r"    def cost\(.*?\n\n", "", SHORTEST, flags=re.DOTALL)
    assert broken != SHORTEST
    (here / "my_plugins" / "maml.py").write_text(broken)
    assert invoke(next(words for words in COMMANDS if words[0] == "check")) == 1
    (expected,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert " ".join(expected.split()) in " ".join(capsys.readouterr().out.split())


def test_the_test_on_the_page_has_a_case_for_each_contract(here, monkeypatch):
    (here / "maml.py").write_text(SHORTEST)
    monkeypatch.syspath_prepend(str(here))
    names: dict = {}
    exec(FILES["my_plugins/test_maml.py"], names)
    (mark,) = names["test_maml"].pytestmark
    assert tuple(mark.args[1]) == contracts_of("strategy")


def test_the_strategy_with_a_leash_keeps_its_contracts(here, capsys):
    (here / "my_plugins").mkdir()
    (here / "my_plugins" / "proximal.py").write_text(PROXIMAL)
    assert invoke(["check", "proximal", "steps=2", "--plugins-dir", "my_plugins"]) == 0
    assert "ok       a frozen player is not adapted" in capsys.readouterr().out


def test_the_gradient_is_that_of_the_minimum_as_the_page_says():
    """Of a parabola of curvature h around y: pull * h / (h + pull) * (theta - y)."""
    names: dict = {}
    exec(PROXIMAL, names)
    bench = Bench(names["Proximal"], {"pull": 0.3, "steps": 400}, ToyScenes())
    strategy = bench.make(inner=bench.adaptation(optimizer="sgd", lr=1.0))
    gp, episode = Colours(spec=bench.spec), doubled(bench.episode())
    strategy.meta_gradient(gp, episode, Step())
    curve, mean = quadratic(episode.support)
    wanted = 0.3 * curve / (curve + 0.3) * (gp.colours.detach() - mean)
    assert torch.allclose(gp.colours.grad, wanted, rtol=1e-6, atol=1e-9)


def test_the_shortest_strategy_takes_as_many_lines_as_the_page_says_and_the_other_at_most_seventy():
    assert f"the shortest strategy, {len(SHORTEST.splitlines())} lines" in PAGE
    assert len(SHORTEST.splitlines()) <= 30
    assert len(PROXIMAL.splitlines()) <= 70
