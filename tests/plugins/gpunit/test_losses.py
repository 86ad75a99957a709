"""GP-UNIT's losses on fixed tensors, and what the sampler of styles learns."""

from __future__ import annotations

import math

import pytest
import torch
from metai2i_gpunit.losses import code_norm, face, identity_distance, mean_distance, perceptual, r1
from metai2i_gpunit.sampler import LATENT, StyleSampler, nearest, with_rare
from torch.nn.functional import l1_loss


def test_the_norm_of_48_codes_is_the_published_one_and_does_not_grow_with_the_batch():
    assert float(code_norm(torch.ones(48, 1, 8, 8))) == pytest.approx(55.4256, abs=1e-4)
    assert float(code_norm(torch.ones(6, 1, 8, 8))) == pytest.approx(55.4256, abs=1e-4)


def test_the_gradient_penalty_is_half_the_squared_norm():
    photographs = torch.randn(5, 2, 1, 1).requires_grad_()
    logits = (photographs[:, :, 0, 0] * torch.tensor([3.0, 4.0])).sum(1)
    assert float(r1(logits, photographs)) == pytest.approx(12.5)


def test_five_layers_count_with_a_weight_of_three_tenths_each():
    def vgg(images, layers):
        return [images * n for n in range(1, len(layers) + 1)]

    outputs, images = torch.zeros(2, 3, 4, 4), torch.stack([torch.ones(3, 4, 4), torch.full((3, 4, 4), 3.0)])
    assert float(perceptual(vgg, outputs, images)) == pytest.approx(0.3 * 15 * 2)
    assert float(perceptual(vgg, outputs, images, torch.tensor([1.0, 0.0]))) == pytest.approx(0.3 * 15)


def test_samples_without_weight_do_not_count_in_a_mean():
    outputs, wanted = torch.zeros(3, 2), torch.tensor([[1.0, 3.0], [5.0, 5.0], [7.0, 7.0]])
    assert float(mean_distance(l1_loss, outputs, wanted, torch.tensor([1.0, 1.0, 0.0]))) == 3.5
    assert float(mean_distance(l1_loss, outputs, wanted, torch.zeros(3))) == 0


def test_a_face_is_cut_out_where_it_lies_in_256_pixels_and_identities_are_compared_by_their_angle():
    images = torch.zeros(1, 3, 256, 256)
    images[..., 35:223, 32:220] = 1
    assert (face(images) == 1).all()
    assert face(torch.nn.functional.interpolate(images, (128, 128))).shape == (1, 3, 112, 112)

    def faces(images):
        return images.mean((2, 3))

    same, other = torch.ones(1, 3, 64, 64), torch.ones(1, 3, 64, 64)
    other[:, 0] = -1  # (-1, 1, 1) and (1, 1, 1)
    assert float(identity_distance(faces, same, 0.5 * same)) == pytest.approx(0, abs=1e-6)
    assert float(identity_distance(faces, same, other)) == pytest.approx(1 - 1 / 3)


def test_the_nearest_of_some_points():
    among = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]])
    assert nearest(torch.tensor([[3.0, 0.5], [0.0, 2.0], [0.1, 0.0]]), among).tolist() == [1, 2, 0]


def test_a_sampler_comes_to_give_the_styles_that_it_is_fitted_to():
    turn = torch.linspace(0, 2 * math.pi, 513)[:-1]
    styles = 10 + 4 * torch.stack([turn.cos(), turn.sin()], 1)
    sampler = StyleSampler(2)
    latents = torch.randn(512, LATENT)
    before, _ = torch.cdist(styles, sampler.eval()(latents)).min(1)
    sampler.fit(styles, epochs=50)
    apart = torch.cdist(styles, sampler(latents))
    assert before.mean() > 10
    assert apart.amin(1).mean() < 1  # near each of the ring there is a mapped latent
    assert apart.amin(0).mean() < 2.5  # and few are far from it, in its middle
    assert not sampler.training
    assert not any(parameter.requires_grad for parameter in sampler.parameters())


def test_a_sampler_can_be_fitted_to_a_single_style():
    sampler = StyleSampler(2)
    sampler.fit(torch.tensor([[1.0, 2.0]]), epochs=1)
    assert sampler(torch.randn(3, LATENT)).isfinite().all()


def test_the_rarest_styles_come_once_more_for_each_thousand():
    styles = torch.zeros(2000, 1)
    styles[:500] = torch.arange(500.0, 1000.0)[:, None]
    more = with_rare(styles)
    assert len(more) == 2000 + 1000 + 500
    assert more[-1] == 999
    assert len(with_rare(styles[:999])) == 999
