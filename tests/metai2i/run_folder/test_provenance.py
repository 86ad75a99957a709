"""What a result was made with."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from metai2i_bil import Bil
from toys import ToyRegistry, toy_row

from metai2i.metrics.display import MEASURES, read_measures
from metai2i.run_folder import provenance


def test_everything_that_decides_a_result_is_described():
    rows = [toy_row(), toy_row(retriever={"use": "last"})]
    about = provenance.describe(ToyRegistry(bil=Bil), rows, torch.device("cpu"))
    assert json.loads(json.dumps(about)) == about
    named = [(plugin["kind"], plugin["name"]) for plugin in about["plugins"]]
    assert {name for kind, name in named if kind == "metric"} == set(MEASURES)
    named = [entry for entry in named if entry[0] != "metric"]
    assert named == [("retriever", "last"), ("strategy", "bil"), ("task source", "toys"), ("translator", "toy")]
    assert read_measures(about["metrics"]) == MEASURES
    assert about["versions"]["torch"] == torch.__version__.split("+")[0] or about["torch"] == torch.__version__
    assert about["device"]["type"] == "cpu"


def test_a_distribution_that_is_not_installed_has_no_version():
    assert provenance.installed("no-such-distribution-anywhere") is None


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's checkout, with a copy of `provenance.py` in it that git does not know."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    file = tmp_path / "site-packages" / "metai2i" / "provenance.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(file))
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "--allow-empty", "-m", "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def test_the_commit_of_somebody_elses_checkout_is_not_ours(repository):
    assert provenance.commit() is None


def test_the_commit_of_our_checkout_is_told_with_whether_files_differ(repository):
    git(repository, "add", ".")
    git(repository, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "-m", "second")
    clean = provenance.commit()
    assert clean is not None
    assert not clean.endswith("-dirty")
    Path(provenance.__file__).write_text("changed")
    assert provenance.commit() == f"{clean}-dirty"


def test_there_may_be_no_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() is None
