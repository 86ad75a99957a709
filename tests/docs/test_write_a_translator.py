"""`docs/write-a-translator.md`: its walk, from the first command to the report, and its tables of contracts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from page_walk import walk_of

from metai2i.cli import invoke
from metai2i.registry.loading import KINDS
from metai2i.run_folder.results import read_results
from metai2i.testing import contracts_of

PAGE, FILES, COMMANDS = walk_of("write-a-translator.md")
SMALL = [
    "tasks.train=3", "tasks.val=1", "tasks.test=2", "tasks.frames=8", "tasks.size=[32, 32]", "pretrain.iterations=2",
    "metatrain.iterations=2", "adapt.iterations=2", "translator.width=4", "translator.d_layers=2", "evaluate.images=1",
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_walk_goes_from_a_new_plugin_to_a_report(here, capsys):
    assert [words[0] for words in COMMANDS] == ["run", "new-plugin", "check", "validate", "run", "report"]
    _, new, check, validate, run, report = COMMANDS
    assert invoke(new) == 0
    (here / "my_plugins" / "my_unet.py").write_text(FILES["my_plugins/my_unet.py"])
    assert invoke(check) == 0
    assert "failed" not in capsys.readouterr().out
    (here / "beside.yaml").write_text(FILES["beside.yaml"])
    assert invoke(validate) == 0
    assert invoke([*run, *SMALL, "--stages", "stages"]) == 0
    assert {record.row for record in read_results(here / "runs" / "beside" / "results.csv")} == {
        "Pix2pix (3-shot)", "My U-Net (3-shot)", "BiL-My U-Net (3-shot)",
    }  # fmt: skip
    (here / "runs" / "beside" / "report.html").unlink()
    assert invoke(report) == 0
    assert "My U-Net (3-shot)" in (here / "runs" / "beside" / "report.html").read_text()


def test_the_network_of_ones_own_takes_at_most_sixty_lines():
    assert len(FILES["my_plugins/my_unet.py"].splitlines()) <= 60


def test_the_failure_on_the_page_is_what_check_says(here, capsys):
    (here / "my_plugins").mkdir()
    broken = FILES["my_plugins/my_unet.py"].replace('(batch["structure"]).tanh()', '(batch["structure"])')
    assert broken != FILES["my_plugins/my_unet.py"]
    (here / "my_plugins" / "my_unet.py").write_text(broken)
    assert invoke(next(words for words in COMMANDS if words[0] == "check")) == 1
    (text,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    squeezed = " ".join(capsys.readouterr().out.split())
    assert " ".join(text.split()) in squeezed


def test_the_test_on_the_page_has_a_case_for_each_contract(here, monkeypatch):
    (here / "my_unet.py").write_text(FILES["my_plugins/my_unet.py"])
    monkeypatch.syspath_prepend(str(here))
    names: dict = {}
    exec(FILES["my_plugins/test_my_unet.py"], names)
    (mark,) = names["test_my_unet"].pytestmark
    assert tuple(mark.args[1]) == contracts_of("translator")


@pytest.mark.parametrize("kind", KINDS)
def test_the_tables_are_the_contracts(kind):
    heading = {"strategy": "Strategies"}.get(kind, f"{kind.capitalize()}s")
    section = re.split(rf"^### {heading}$", PAGE, flags=re.MULTILINE)[1].partition("\n### ")[0]
    lines = re.findall(r"^\| (.*?) \| (.*?) \|$", section, re.MULTILINE)[1:]
    assert lines == [(contract.name, contract.says) for contract in contracts_of(kind)]
    anchors = {contract.read.partition("#")[2] for contract in contracts_of(kind)}
    assert anchors == {heading.lower().replace(" ", "-")}
