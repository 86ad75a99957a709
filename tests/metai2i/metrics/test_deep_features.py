"""Meaning, colour and texture by features: against torchvision's own network, and as laws."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cosine_similarity

from metai2i import Batch, TaskSpec, UserError
from metai2i.losses.backbone_weights import backbone
from metai2i.metric import check_size
from metai2i.metrics.deep_features import FEATURE_METRICS, semantic_consistency, style_relevance, vgg16_layers
from metai2i.testing import run_contracts


def photos(count=2, size=(32, 48), seed=0):
    """Images on the 256 levels of a saved one."""
    levels = torch.randint(256, (count, 3, *size), generator=torch.Generator().manual_seed(seed))
    return levels / 127.5 - 1


def by_torchvision(images, layer):
    """Features after the convolution at `layer` and its ReLU, as torchvision builds and normalises them."""
    from torchvision.models import vgg16

    network = vgg16().eval()
    network.load_state_dict(backbone("vgg16"), strict=False)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        return network.features[: layer + 1](((images + 1) / 2 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))


@pytest.mark.parametrize(("index", "layer"), [(0, 3), (1, 8), (2, 15), (3, 22), (4, 29)])
def test_the_layers_are_those_of_torchvision(index, layer):
    images = photos()
    torch.testing.assert_close(vgg16_layers(images)[index], by_torchvision(images, layer), rtol=1e-3, atol=1e-3)


def test_meaning_is_compared_place_by_place():
    fake, real = photos(seed=1), photos(seed=2)
    cosines = [
        cosine_similarity(by_torchvision(fake, layer), by_torchvision(real, layer), dim=1).mean(dim=(1, 2))
        for layer in (15, 22, 29)
    ]
    torch.testing.assert_close(semantic_consistency(fake, real), torch.stack(cosines).mean(0), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("index", "layer"), [(0, 3), (1, 8)])
def test_colour_and_texture_are_compared_by_mean_and_deviation_of_each_channel(index, layer):
    fake, exemplar = photos(seed=1), photos(seed=2)
    sums = [
        torch.cat([features.mean(dim=(2, 3)), features.std(dim=(2, 3))], 1)
        for features in (by_torchvision(fake, layer), by_torchvision(exemplar, layer))
    ]
    torch.testing.assert_close(style_relevance(fake, exemplar, index), cosine_similarity(*sums), rtol=1e-3, atol=1e-4)


def test_an_image_means_and_looks_like_itself():
    images = photos(3)
    query = Batch(target=images, reference=images)
    for metric in FEATURE_METRICS.values():
        torch.testing.assert_close(metric()(images, query), torch.ones(3), rtol=0, atol=1e-5)


def test_the_look_is_wherever_it_is_and_the_meaning_is_not():
    image = torch.cat([photos(1, (32, 32)), torch.full((1, 3, 32, 32), -0.5)], 3)
    turned = image.flip(3)
    assert float(style_relevance(image, turned, 0)) > 0.99
    assert float(semantic_consistency(image, turned)) < 0.9


def test_a_photograph_of_other_colours_is_less_of_the_exemplars_look():
    exemplar = photos(1) * 0.5 + 0.4
    near, far = (exemplar - 0.05).clamp(-1, 1), exemplar * torch.tensor([1.0, -1.0, -1.0]).view(3, 1, 1)
    colour = FEATURE_METRICS["colour_relevance"]()
    values = [float(colour(images, Batch(reference=exemplar))) for images in (near, far)]
    assert values[0] > values[1]


@pytest.mark.parametrize("name", FEATURE_METRICS)
def test_images_too_small_for_the_network_are_refused(name):
    with pytest.raises(UserError, match=f"the metric '{name}' needs photographs of at least 16 pixels a side"):
        check_size(FEATURE_METRICS[name], name, TaskSpec(structure_channels=3, size=(8, 32)))


@pytest.mark.parametrize("name", FEATURE_METRICS)
def test_every_metric_of_features_passes_the_contracts(name):
    assert {outcome.status for outcome in run_contracts("metric", FEATURE_METRICS[name])} <= {"ok", "skipped"}
