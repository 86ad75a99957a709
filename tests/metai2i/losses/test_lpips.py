import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from metai2i import UserError
from metai2i.losses.backbone_weights import set_weights_folder
from metai2i.losses.lpips import SMALLEST, _build, _unit, lpips_at_pixels, lpips_distance

SHARED = Path(__file__).parents[4] / "shared"


@pytest.fixture
def waves() -> tuple[torch.Tensor, torch.Tensor]:
    """Two pairs of smooth colour images, 64x64, made by formula."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
    phases = torch.arange(3).view(3, 1, 1)
    a = torch.stack([torch.sin(12 * x + phases), torch.sin(20 * x * y + phases)])
    b = torch.stack([torch.sin(12 * y + phases), torch.sin(20 * x * y + phases + 0.3)])
    return a, b


def distance(net, device="cpu"):
    try:
        return lpips_distance(net, device)
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("net", "values"), [("alex", [0.48135, 0.01103]), ("vgg16", [0.76329, 0.03643])])
def test_values_of_made_images_are_as_ever(waves, net, values):
    assert distance(net)(*waves).tolist() == pytest.approx(values, abs=1e-4)


@pytest.mark.parametrize("net", ["alex", "vgg16"])
def test_it_equals_the_lpips_packages_own_forward(waves, net):
    measure = distance(net)
    assert torch.allclose(measure(*waves), measure.network(*waves).flatten(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("net", ["alex", "vgg16"])
def test_at_each_pixel_it_equals_the_lpips_packages_own_spatial_map(waves, net, monkeypatch):
    measure = distance(net)
    monkeypatch.setattr(measure.network, "spatial", True)
    assert torch.allclose(lpips_at_pixels(*waves, net=net), measure.network(*waves), atol=1e-6, rtol=0)


def test_its_gradient_is_the_lpips_packages_own(waves):
    measure = distance("alex")
    a, b = waves
    ours, theirs = a.clone().requires_grad_(), a.clone().requires_grad_()
    measure(ours, b).sum().backward()
    measure.network(theirs, b).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


def test_equal_images_are_at_distance_0_and_order_does_not_matter(waves):
    measure = distance("alex")
    a, b = waves
    assert measure(a, a).tolist() == [0, 0]
    assert torch.allclose(measure(a, b), measure(b, a))


def plain(measure, a, b):
    """The lpips package's own distances, in the layout and with the passes that it has them in."""
    network = copy.deepcopy(measure.network).to(memory_format=torch.contiguous_format)
    return network(a, b).flatten()


@pytest.mark.parametrize("net", ["alex", "vgg16", "squeeze"])
def test_values_and_gradients_are_those_of_the_plain_layout(waves, net):
    measure, (a, b) = distance(net), waves
    ours, theirs = a.clone().requires_grad_(), a.clone().requires_grad_()
    values, expected = measure(ours, b), plain(measure, theirs, b)
    torch.testing.assert_close(values, expected, atol=1e-6, rtol=1e-5)
    (got,), (wanted,) = (torch.autograd.grad(v.sum(), x) for v, x in ((values, ours), (expected, theirs)))
    assert (got - wanted).norm() < 1e-4 * wanted.norm()


@pytest.fixture
def passes():
    """AlexNet's distance, and how many passes its feature network has made."""
    measure, count = distance("alex"), []
    handle = measure.network.net.register_forward_hook(lambda *_: count.append(1))
    yield measure, count
    handle.remove()


def test_the_features_of_a_target_that_stays_are_computed_once(waves, passes):
    (a, b), (measure, count) = waves, passes
    values = [measure(a * scale, b) for scale in (1.0, 0.9, 0.8)]
    assert len(count) == 3 + 1
    assert all(torch.equal(v, measure(a * s, b.clone())) for v, s in zip(values, (1.0, 0.9, 0.8), strict=True))


def test_another_target_has_features_of_its_own(waves, passes):
    (a, b), (measure, count) = waves, passes
    first, second = measure(a, b), measure(a, b.flip(-1))
    assert len(count) == 4
    assert not torch.allclose(first, second)


def test_a_target_that_was_written_into_is_looked_at_anew(waves, passes):
    (a, b), (measure, _) = waves, passes
    measure(a, b)
    b.copy_(a)
    assert measure(a, b).tolist() == [0, 0]


def test_features_go_when_their_target_does(waves):
    (a, b), measure = waves, distance("alex")
    target = b.clone()
    measure(a, target)
    assert measure._last is not None
    del target
    assert measure._last is None


def test_features_in_bf16_are_not_taken_for_those_in_float32(waves):
    (a, b), measure = waves, distance("alex")
    exact = measure(a, b)
    with torch.autocast("cpu", torch.bfloat16):
        rough = measure(a, b)
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=1e-3)
    assert torch.equal(measure(a, b), exact)


def test_only_the_first_images_get_a_gradient(waves):
    measure = distance("alex")
    a, b = (image.clone().requires_grad_() for image in waves)
    measure(a, b).sum().backward()
    assert a.grad.abs().sum() > 0
    assert b.grad is None
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in measure.parameters())


def test_the_gradient_is_finite_where_all_features_are_0():
    """As behind a ReLU that nothing passes; the package's own square root has no gradient there."""
    features = torch.zeros(1, 4, 2, 2, requires_grad=True)
    _unit(features.relu()).square().sum().backward()
    assert bool(features.grad.isfinite().all())


def test_it_is_made_once_and_never_copied():
    measure = distance("alex")
    assert lpips_distance("alex") is measure
    holder = nn.ModuleDict({"distance": measure})
    assert copy.deepcopy(holder)["distance"] is measure
    assert not holder.train()["distance"].network.training


def test_building_it_draws_nothing_from_the_global_generator():
    distance("alex")
    before = torch.get_rng_state()
    _build.__wrapped__("alex", "cpu", None)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("net", ["alex", "vgg16"])
def test_the_smallest_images_pass_and_smaller_ones_are_told(net):
    side = SMALLEST[net]
    assert distance(net)(torch.zeros(1, 3, side, 64), torch.ones(1, 3, side, 64)).isfinite().all()
    with pytest.raises(UserError, match=f"at least {side} pixels a side, got 64x{side - 1}"):
        distance(net)(torch.zeros(1, 3, 64, side - 1), torch.ones(1, 3, 64, side - 1))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("net", "first", "second"), [("alex", 0.722, 0.138), ("vgg16", 0.5686, 0.4217), ("squeeze", 0.7110, 0.1479)]
)
def test_the_known_values_of_the_lpips_repositorys_example(net, first, second):
    folder = SHARED / "data" / "lpips_examples"
    if not folder.is_dir():
        pytest.skip("the example images are not here")
    if net == "squeeze":
        set_weights_folder(SHARED / "weights")
    try:
        images = {
            name: torch.from_numpy(np.array(Image.open(folder / f"{name}.png").convert("RGB"))).permute(2, 0, 1)[None]
            for name in ("ex_ref", "ex_p0", "ex_p1")
        }
        reference, *pair = [image / 127.5 - 1 for image in images.values()]
        values = lpips_distance(net)(torch.cat(pair), torch.cat([reference] * 2))
    finally:
        set_weights_folder(None)
    digits = 5e-4 if net == "alex" else 5e-5
    assert values.tolist() == pytest.approx([first, second], abs=digits + 1e-6)
