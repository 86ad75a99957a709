import numpy as np
import pytest
import torch
from metai2i_spade import divergence, feature_matching

from metai2i import Objective


def features(*values: float) -> list[torch.Tensor]:
    """Features of layers, and logits at the end."""
    return [torch.full((2, 3, 4, 4), value) for value in values]


def test_feature_matching_sums_over_layers_and_is_a_mean_over_scales():
    fakes = [features(1.0, 2.0, 9.0), features(0.5, 0.0, -9.0)]
    real = [features(0.0, 4.0, 1.0), features(0.0, 0.25, 1.0)]
    assert float(feature_matching(fakes, real)) == pytest.approx(((1 + 2) + (0.5 + 0.25)) / 2)


def test_feature_matching_is_the_mean_difference_of_a_layer_of_any_size():
    generator = np.random.default_rng(0)
    fakes, real = generator.normal(size=(2, 2, 5, 3, 4)), generator.normal(size=(2, 2, 5, 3, 4))
    ours, theirs = ([[*map(torch.from_numpy, layers), torch.zeros(1)]] for layers in (fakes, real))
    expected = np.abs(fakes - real).mean(axis=(1, 2, 3, 4)).sum()
    assert float(feature_matching(ours, theirs)) == pytest.approx(expected, abs=1e-6)


def test_feature_matching_moves_the_images_side_alone():
    fakes, real = ([[torch.zeros(1, 2, requires_grad=True), torch.zeros(1)]] for _ in range(2))
    feature_matching([[fakes[0][0] + 1, fakes[0][1]]], real).backward()
    assert fakes[0][0].grad.tolist() == [[0.5, 0.5]]
    assert real[0][0].grad is None


def test_the_divergence_is_that_of_normal_distributions():
    """Against the integral of p log(p / q), by sums over a fine grid."""
    mean, variance = np.array([[0.3, -1.2], [0.0, 2.0]]), np.array([[0.5, 2.0], [1.0, 0.1]])
    x = np.linspace(-20, 20, 400_001)
    log_p = -0.5 * ((x - mean[..., None]) ** 2 / variance[..., None] + np.log(2 * np.pi * variance[..., None]))
    log_q = -0.5 * (x**2 + np.log(2 * np.pi))
    expected = (np.exp(log_p) * (log_p - log_q)).sum(-1) * (x[1] - x[0])
    value = divergence(torch.from_numpy(mean), torch.from_numpy(np.log(variance)))
    assert float(value) == pytest.approx(expected.sum(1).mean(), abs=1e-6)
    assert float(divergence(torch.zeros(3, 4), torch.zeros(3, 4))) == 0


def test_losses_of_half_precision_are_computed_in_single():
    fakes, real = ([[each.bfloat16() for each in features(value, 0.0)]] for value in (1.0, 1.0078125))
    value = feature_matching(fakes, real)
    assert (value.dtype, float(value)) == (torch.float32, 0.0078125)
    assert divergence(torch.zeros(2, 2).bfloat16(), torch.zeros(2, 2).bfloat16()).dtype == torch.float32


def test_the_hinge_loss_of_the_objective_is_the_papers():
    """Mean of relu(1 - a) and relu(1 + b) for the discriminator, of -b for the generator."""
    objective = Objective(l1=0.0, adversarial=1.0, perceptual=0.0, gan="hinge")
    real, fake = torch.tensor([2.0, 0.5, -1.0, 0.0]), torch.tensor([-2.0, 0.5, 1.0, 0.0])
    terms = objective.discriminator(real, fake)
    assert (float(terms["real"]), float(terms["fake"])) == pytest.approx(((0 + 0.5 + 2 + 1) / 4, (0 + 1.5 + 2 + 1) / 4))
    image = torch.zeros(1, 3, 8, 8)
    assert float(objective.generator(image, image, fake)["adversarial"]) == pytest.approx(0.125)
