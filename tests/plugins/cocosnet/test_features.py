import pytest
import torch
import torchvision
from metai2i_cocosnet.features import vgg_features
from metai2i_cocosnet.losses import contextual_of_layers, feature_distance
from metai2i_cocosnet.translator import Cocosnet
from safetensors.torch import save_file

from metai2i import Batch, Objective, Step, TaskSpec, UserError

TAPS = {"vgg16": (3, 8, 13, 20, 27), "vgg19": (3, 8, 13, 22, 31)}
"""Where torchvision has relu1_2, 2_2, 3_2, 4_2 and 5_2."""


def torchvision_features(name: str) -> torch.nn.Sequential:
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


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    features = torchvision_features("vgg16")
    file = tmp_path_factory.mktemp("weights") / "vgg16.safetensors"
    save_file({f"features.{name}": tensor for name, tensor in features.state_dict().items()}, file)
    return features, file


def test_torchvisions_weights_give_torchvisions_features_of_imagenets_colours(vgg16, images):
    features, file = vgg16
    mean, spread = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = tapped(features, "vgg16", ((images + 1) / 2 - mean) / spread)
    for ours, theirs in zip(vgg_features(file, "cpu")(images), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_the_published_file_is_shown_blue_first_in_255_levels_less_the_mean(tmp_path, images):
    features = torchvision_features("vgg19")
    convs = [module for module in features if isinstance(module, torch.nn.Conv2d)]
    names = [f"conv{block}_{n}" for block, count in enumerate((2, 2, 4, 4, 4), 1) for n in range(1, count + 1)]
    state = {f"{name}.{kind}": getattr(conv, kind).detach() for name, conv in zip(names, convs, strict=True)
             for kind in ("weight", "bias")}  # fmt: skip
    torch.save(state, tmp_path / "vgg19_conv.pth")
    shown = ((images + 1) / 2 * 255).flip(1) - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    expected = tapped(features, "vgg19", shown)
    for ours, theirs in zip(vgg_features(tmp_path / "vgg19_conv.pth", "cpu")(images), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-2, rtol=1e-4)


def test_losses_on_features_have_their_weights(vgg16):
    file, draw = vgg16[1], torch.Generator().manual_seed(2)
    maps = torch.nn.functional.one_hot(torch.randint(3, (2, 2, 32, 32), generator=draw), 3).permute(0, 1, 4, 2, 3)
    photographs = torch.rand(2, 2, 3, 32, 32, generator=draw) * 2 - 1
    batch = Batch(structure=maps[0].float(), reference_structure=maps[1].float(), target=photographs[0],
                  reference=photographs[1])  # fmt: skip
    translator = Cocosnet(
        spec=TaskSpec(structure_channels=3, size=(32, 32)), objective=Objective(l1=1.0, adversarial=0, perceptual=0),
        width=2, vgg=file, perceptual=2.0, contextual=3.0, self_features=5.0, self_exemplars=True, centre="channel",
    ).eval()  # fmt: skip
    _, terms = next(iter(translator.training_step(batch, Step())))
    with torch.no_grad():
        fake = translator.translate(batch)
        outputs, target, exemplar = (vgg_features(file, "cpu")(each) for each in (fake, *photographs))
    expected = {
        "perceptual": 2 * (outputs[3] - target[3]).square().mean(),
        "contextual": 3 * contextual_of_layers(outputs, exemplar, "channel"),
        "self_features": 5 * feature_distance(outputs, target, torch.ones(2)),
    }
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-3)
        assert value.item() > 0
    assert len(list(translator.parameters())) == sum(len(list(p)) for p in translator.players().values())


def test_a_file_that_is_not_there_or_holds_something_else_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no such file of VGG weights"):
        vgg_features(tmp_path / "vgg19_conv.pth", "cpu")
    (tmp_path / "text.pth").write_text("nothing")
    (tmp_path / "text.safetensors").write_text("nothing")
    for name in ("text.pth", "text.safetensors"):
        with pytest.raises(UserError, match="cannot be read as weights"):
            vgg_features(tmp_path / name, "cpu")
    for state, message in (
        (
            {"features.0.weight": torch.zeros(64, 3, 11, 11)},
            r"conv1_1.weight should be \(64, 3, 3, 3\), got \(64, 3, 11",
        ),
        ({"features.1.weight": torch.zeros(64)}, r"conv1_1.weight should be \(64, 3, 3, 3\), got nothing"),
    ):
        save_file(state, tmp_path / "other.safetensors")
        vgg_features.cache_clear()
        with pytest.raises(UserError, match=message):
            vgg_features(tmp_path / "other.safetensors", "cpu")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="expected tensors by name, got list"):
        vgg_features(tmp_path / "list.pth", "cpu")


def test_images_that_are_too_small_are_refused(vgg16):
    with pytest.raises(UserError, match="at least 16 pixels a side, got 8x24"):
        vgg_features(vgg16[1], "cpu")(torch.zeros(1, 3, 8, 24))
