"""The Inception network of FID: its form, its input, and what is said where its weights are not there."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from metai2i import UserError
from metai2i.losses import backbone_weights, network
from metai2i.losses.backbone_weights import set_weights_folder
from metai2i.losses.inception import FidInception, stretched


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No weights in torch's cache, and no network."""
    monkeypatch.delenv("METAI2I_WEIGHTS", raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def download(address, folder):
        raise OSError("no network")

    monkeypatch.setattr(backbone_weights, "_download", download)
    folder = tmp_path / "weights"
    folder.mkdir()
    set_weights_folder(folder)
    yield folder
    set_weights_folder(None)


@pytest.fixture(scope="module")
def state():
    """Weights of torchvision's network, which has the same shapes, drawn small."""
    import torchvision

    with torch.device("meta"):
        network = torchvision.models.Inception3(aux_logits=False, init_weights=False)
    generator = torch.Generator().manual_seed(0)
    drawn = {}
    for name, tensor in network.state_dict().items():
        if name.endswith("conv.weight"):
            drawn[name] = torch.randn(tensor.shape, generator=generator) * (2 / tensor[0].numel()) ** 0.5
        elif ".bn." in name:
            drawn[name] = torch.rand(tensor.shape, generator=generator) + 0.5 if tensor.dim() else torch.zeros(())
    return drawn


def test_images_are_stretched_from_their_corner_as_tensorflow_did():
    ramp = torch.arange(4.0)[None, None, None].repeat(1, 1, 2, 1)
    row = stretched(ramp, 8)[0, 0, 0]
    assert row.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]  # by half pixels it would be 0, 0.25, 0.75, ...


def test_it_has_two_thousand_and_forty_eight_features_of_each_image_by_itself(state):
    network = FidInception(state)
    images = torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1
    both = network(images)
    assert both.shape == (2, 2048)
    torch.testing.assert_close(both[1:], network(images[1:]), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(both[0], both[1], rtol=1e-2)


def test_a_norm_without_a_weight_scales_by_one(state):
    images = torch.zeros(1, 3, 8, 8)
    ones = {name: torch.ones_like(t) if name.endswith("bn.weight") else t for name, t in state.items()}
    without = {name: tensor for name, tensor in state.items() if not name.endswith("bn.weight")}
    assert torch.equal(FidInception(ones)(images), FidInception(without)(images))


def test_weights_that_are_nowhere_are_told_once_with_all_places_and_what_to_do(nowhere):
    with pytest.raises(UserError) as caught:
        network("inception-fid").on("cpu")
    message = str(caught.value)
    assert "no weights for the network 'inception-fid' (TensorFlow's Inception of 2015-12-05" in message
    assert "inception_v3_fid_2015-12-05_fp16.safetensors" in message
    assert str(nowhere) in message
    assert "name the folder with --weights or METAI2I_WEIGHTS" in message


def test_weights_of_another_network_are_refused_by_their_file(nowhere):
    file = nowhere / "inception_v3_fid_2015-12-05.safetensors"
    save_file({"features.0.weight": torch.zeros(2)}, file)
    with pytest.raises(
        UserError, match=r"2015-12-05.safetensors: not the weights of the network 'inception-fid'.*Conv2d_1a_3x3"
    ):
        network("inception-fid").on("cpu")


def test_weights_that_lack_a_layer_are_refused(nowhere, state):
    kept = {name: tensor for name, tensor in state.items() if not name.startswith("Mixed_7c.branch_pool")}
    save_file(kept, nowhere / "inception_v3_fid_2015-12-05.safetensors")
    with pytest.raises(UserError, match=r"not the weights of the network 'inception-fid'.*Mixed_7c__branch_pool"):
        network("inception-fid").on("cpu")


@pytest.mark.shared
def test_its_features_are_those_of_the_reference_implementation(shared):
    """Computed with torch-fidelity 0.4 from the same weights, for an image of sines."""
    levels = torch.arange(3)[:, None, None] * 40 + 60 * torch.sin(torch.arange(64)[:, None] / 7) + torch.arange(128)
    image = levels.clamp(0, 255).to(torch.uint8)
    set_weights_folder(shared / "weights")
    try:
        features = network("inception-fid")(image[None].float() / 127.5 - 1)[0]
    finally:
        set_weights_folder(None)
    assert features[:6].tolist() == pytest.approx(REFERENCE, abs=1e-4)


REFERENCE = [0.14969, 0.0294, 0.01221, 0.06636, 0.00362, 0.00268]
