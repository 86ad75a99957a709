"""Losses on the features of a frozen network."""

import pytest
import torch
from metai2i_cocosnet.losses import contextual_of_layers, feature_distance
from metai2i_cocosnet.translator import LAYERS, Cocosnet

from metai2i import Batch, Objective, Step, TaskSpec
from metai2i.losses import network
from metai2i.losses.vgg import DEPTHS, IMAGENET, VggFeatures, shapes_of


@pytest.fixture
def vgg16(monkeypatch):
    """The shared network, with weights that are drawn."""
    draw = torch.Generator().manual_seed(0)
    tensors = {name: torch.randn(shape, generator=draw) * (2 / torch.Size(shape[1:]).numel()) ** 0.5
               for name, shape in shapes_of(DEPTHS["vgg16"]).items()}  # fmt: skip
    features = VggFeatures(tensors, DEPTHS["vgg16"], IMAGENET).eval()
    monkeypatch.setattr(type(network("vgg16")), "on", lambda self, device: features)
    return network("vgg16")


def test_losses_on_features_have_their_weights(vgg16):
    draw = torch.Generator().manual_seed(2)
    maps = torch.nn.functional.one_hot(torch.randint(3, (2, 2, 32, 32), generator=draw), 3).permute(0, 1, 4, 2, 3)
    photographs = torch.rand(2, 2, 3, 32, 32, generator=draw) * 2 - 1
    batch = Batch(structure=maps[0].float(), reference_structure=maps[1].float(), target=photographs[0],
                  reference=photographs[1])  # fmt: skip
    translator = Cocosnet(
        spec=TaskSpec(structure_channels=3, size=(32, 32)), objective=Objective(l1=1.0, adversarial=0, perceptual=0),
        width=2, vgg="vgg16", perceptual=2.0, contextual=3.0, self_features=5.0, self_exemplars=True, centre="channel",
    ).eval()  # fmt: skip
    _, terms = next(iter(translator.training_step(batch, Step())))
    with torch.no_grad():
        fake = translator.translate(batch)
        outputs, target, exemplar = (vgg16(each, LAYERS) for each in (fake, *photographs))
    expected = {
        "perceptual": 2 * (outputs[3] - target[3]).square().mean(),
        "contextual": 3 * contextual_of_layers(outputs, exemplar, "channel"),
        "self_features": 5 * feature_distance(outputs, target, torch.ones(2)),
    }
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-3)
        assert value.item() > 0
    assert len(list(translator.parameters())) == sum(len(list(p)) for p in translator.players().values())


def test_the_network_is_no_part_of_the_translator(vgg16):
    translator = Cocosnet(
        spec=TaskSpec(structure_channels=3, size=(32, 32)),
        objective=Objective(adversarial=0, perceptual=0),
        width=2,
        vgg="vgg16",
    )
    assert not any("vgg" in name for name in translator.state_dict())
