"""What a machine is seen to have, on machines that lack something."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from metai2i.console.examination import Examined, examination
from metai2i.losses import backbone_weights
from metai2i.losses.backbone_weights import set_weights_folder, without_downloads

BROKEN = "raise ValueError('boom')\n"


@pytest.fixture(autouse=True)
def weights_as_before():
    yield
    set_weights_folder(None)


@pytest.fixture
def bare(monkeypatch, tmp_path) -> Path:
    """A machine without plugins, weights in torch's cache, or a network."""
    monkeypatch.setattr("metai2i.registry.registry.installed_plugins", lambda: [])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: pytest.fail("this would download"))
    monkeypatch.delenv("METAI2I_WEIGHTS", raising=False)
    monkeypatch.setenv("METAI2I_CACHE", str(tmp_path / "cache"))
    return tmp_path


def by_name(findings) -> dict[str, Examined]:
    return {finding.what: finding for finding in findings}


def test_nothing_is_downloaded_or_written(bare):
    list(examination(bare / "stages"))
    assert list(bare.iterdir()) == []


def test_an_extra_that_is_not_installed_is_told_with_the_command_that_installs_it(bare, monkeypatch):
    monkeypatch.setattr("metai2i.console.examination.find_spec", lambda name: None if name == "ray" else object())
    seen = by_name(examination(bare / "stages"))
    remedy = 'for `metai2i run --on ray`: pip install "ray<3,>=2.46"'
    assert seen["ray"] == Examined("without", "ray", "not installed", remedy)
    assert seen["submitit"] == Examined("ok", "submitit", "installed")


def test_weights_that_are_not_here_are_told_with_where_to_get_them(bare):
    seen = by_name(examination(bare / "stages"))["weights of vgg19"]
    assert seen.state == "without"
    assert "vgg19_features.safetensors or vgg19-dcbb9e9d.pth: downloaded when it is asked for" in seen.remedy


def test_weights_that_are_here_are_told_with_their_file(bare):
    (bare / "weights").mkdir()
    file = bare / "weights" / "squeezenet1_1_features.safetensors"
    shapes = backbone_weights._shapes("squeeze")
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, file)
    seen = by_name(examination(bare / "stages", weights=bare / "weights"))
    assert seen["weights of squeeze"] == Examined("ok", "weights of squeeze", str(file))


def test_a_broken_file_of_weights_is_wrong(bare):
    (bare / "weights").mkdir()
    (bare / "weights" / "squeezenet1_1_features.safetensors").write_bytes(b"no tensors")
    seen = by_name(examination(bare / "stages", weights=bare / "weights"))["weights of squeeze"]
    assert seen.state == "wrong"
    assert "squeezenet1_1_features.safetensors" in seen.seen


def test_a_plugin_that_cannot_be_loaded_is_wrong_with_its_cause(bare):
    (bare / "mine").mkdir()
    (bare / "mine" / "bad.py").write_text(BROKEN)
    seen = by_name(examination(bare / "stages", [bare / "mine"]))["plugin bad"]
    assert seen.state == "wrong"
    assert "boom" in seen.seen


def test_a_store_that_cannot_be_written_is_wrong(bare):
    (bare / "file").write_text("")
    seen = by_name(examination(bare / "file" / "stages"))["stage store"]
    assert (seen.state, seen.remedy) == ("wrong", "--stages or METAI2I_STAGES names another folder")


def test_little_room_on_the_disk_is_told(bare, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**8))
    seen = by_name(examination(bare / "stages"))["stage store"]
    assert seen.state == "without"
    assert "little room" in seen.remedy


def test_downloads_are_left_out_only_within(monkeypatch, tmp_path):
    calls: list[str] = []
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda address, *_, **__: calls.append(address) or {})
    with without_downloads(), pytest.raises(OSError, match="nothing is downloaded now"):
        backbone_weights._download("here", tmp_path)
    backbone_weights._download("here", tmp_path)
    assert calls == ["here"]
