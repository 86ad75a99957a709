"""EdgeGAN's networks and losses: the published numbers of parameters, TensorFlow's conventions, and closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from metai2i_edgegan.classifier import Classifier, MaskedResidual
from metai2i_edgegan.critic import Critic
from metai2i_edgegan.encoder import Encoder
from metai2i_edgegan.generator import ClassRows, Generator
from metai2i_edgegan.layers import InstanceNorm, ResizedDoubling, TransposedDoubling
from metai2i_edgegan.losses import focal, gradient_penalty
from torch import nn

SIZE, WIDTH, LATENT, CLASSES = (64, 64), 64, 100, 14
"""The published ones."""


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize(("classes", "published"), [(CLASSES, 5_248_131), (0, 5_133_443)])
@pytest.mark.parametrize(("norm", "affine"), [("instance", 0), ("batch", 1_024)])
def test_a_generator_has_the_published_number_of_parameters(classes, published, norm, affine):
    with torch.device("meta"):
        generator = Generator(SIZE, LATENT, WIDTH, classes, spare=False, first_norm=norm)
        assert parameters(generator) == published + affine


def test_a_generator_that_resizes_has_as_many_parameters_as_the_published_one():
    with torch.device("meta"):
        assert parameters(Generator(SIZE, LATENT, WIDTH, CLASSES, spare=False, upsampling="resize")) == 5_248_131


def test_resizing_leaves_one_colour_one_colour_where_a_transposed_convolution_makes_a_chequered_pattern():
    features = torch.ones(1, 4, 8, 8)
    inside = {doubling: doubling(4, 3)(features)[..., 4:-4, 4:-4] for doubling in (ResizedDoubling, TransposedDoubling)}
    assert {images.shape for images in inside.values()} == {(1, 3, 8, 8)}
    varied = {doubling: images.std((2, 3)).max().item() for doubling, images in inside.items()}
    assert varied[ResizedDoubling] < 1e-6
    assert varied[TransposedDoubling] > 0.01
    # the four kinds of places that a stride of 2 makes
    pattern = inside[TransposedDoubling][..., :2, :2].tile(4, 4)
    torch.testing.assert_close(inside[TransposedDoubling], pattern)


def test_resizing_is_a_convolution_of_repeated_places():
    doubling, features = ResizedDoubling(2, 3).double(), drawn(1, 2, 3, 4).double()
    repeated = features.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(doubling(features), doubling.convolution(repeated))
    doubling.convolution.weight.data.zero_()
    doubling.convolution.weight.data[1, 0, 2, 2] = 1
    torch.testing.assert_close(doubling(features)[:, 1], repeated[:, 0])


@pytest.mark.parametrize(("size", "published"), [((64, 128), 2_771_969), ((128, 128), 2_788_353)])
def test_a_critic_has_the_published_number_of_parameters(size, published):
    with torch.device("meta"):
        assert parameters(Critic(size, WIDTH)) == published


def test_encoder_and_classifier_have_the_published_numbers_of_parameters():
    unread_head = 12 * WIDTH + 1
    with torch.device("meta"):
        assert parameters(Encoder(LATENT, WIDTH)) == 9_907_592
        assert parameters(Classifier(WIDTH, CLASSES, spare=False)) == 17_151_293 - unread_head == 17_150_524


@pytest.mark.parametrize("init", ["normal", "kaiming"])
def test_an_encoders_weights_are_drawn_as_asked(init):
    encoder = Encoder(latent=256, width=32, init=init)
    for layer in (encoder.blocks[2].second, encoder.blocks[3].shortcut, encoder.mean):
        inputs = layer.weight[0].numel()
        # a normal distribution that is cut off at two standard deviations keeps 0.88 of its own
        published = 0.02 if isinstance(layer, nn.Linear) else 0.02 * 0.8796
        expected = (2 / inputs) ** 0.5 if init == "kaiming" else published
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.02)
        assert layer.bias is not None
        assert not layer.bias.any()


def test_epsilon_is_added_to_the_standard_deviation():
    features = torch.tensor([[[[0.0, 2e-5]]], [[[3.0, 5.0]]]])
    expected = torch.tensor([[[[-1e-5, 1e-5]]], [[[-1.0, 1.0]]]]) / torch.tensor([2e-5, 1 + 1e-5])[:, None, None, None]
    torch.testing.assert_close(InstanceNorm()(features), expected, rtol=6e-3, atol=0)
    assert not torch.allclose(nn.InstanceNorm2d(1)(features), expected, rtol=0.1)


def test_a_map_of_one_colour_is_normalised_to_nothing_and_has_gradients():
    features = torch.full((1, 2, 3, 3), 0.5, requires_grad=True)
    normed = InstanceNorm()(features)
    assert normed.abs().max() == 0
    (gradient,) = torch.autograd.grad(normed.square().sum(), features, create_graph=True)
    assert torch.isfinite(gradient).all()
    assert torch.isfinite(torch.autograd.grad(gradient.sum(), features)[0]).all()


def test_doubling_is_the_gradient_of_a_convolution_with_one_row_of_padding_before_and_two_behind():
    doubling = TransposedDoubling(2, 3)
    nn.init.normal_(doubling.weight)
    small, large = drawn(1, 2, 4, 4), drawn(1, 3, 8, 8, seed=1)
    padded = nn.functional.pad(large, (1, 2, 1, 2))
    halved = nn.functional.conv2d(padded, doubling.weight, stride=2)
    assert halved.shape == small.shape
    assert float((doubling(small) * large).sum().detach()) == pytest.approx(
        float((small * halved).sum().detach()), rel=1e-5
    )


def test_each_class_has_a_row_and_an_unknown_one_the_mean_of_all():
    rows = ClassRows(5, 3)
    chosen = rows(torch.tensor([2, 0, 3, 7]))
    torch.testing.assert_close(chosen[:2], rows.rows[[2, 0]])
    torch.testing.assert_close(chosen[2:], rows.rows.mean(0).expand(2, 5))


def test_a_row_of_a_class_is_what_a_one_hot_class_adds_in_a_linear_layer():
    generator = Generator((32, 32), 4, 2, 3)
    latent, domain = drawn(2, 4), torch.tensor([2, 1])
    weight = torch.cat([generator.linear.weight, generator.classes.rows.T], 1)
    given = torch.cat([latent, nn.functional.one_hot(domain, 3).float()], 1)
    expected = nn.functional.linear(given, weight, generator.linear.bias)
    torch.testing.assert_close(generator.linear(latent) + generator.classes(domain), expected)


def test_the_gradient_penalty_of_a_linear_critic_is_160_at_the_published_weight():
    weights = torch.tensor([3.0, 4.0])
    real, fake = drawn(5, 2, 1, 1), drawn(5, 2, 1, 1, seed=1)
    penalty = gradient_penalty(lambda images: (images[:, :, 0, 0] * weights).sum(1), real, fake, torch.rand(5))
    assert 10 * float(penalty) == pytest.approx(160, rel=1e-6)


def test_the_gradient_penalty_looks_between_real_and_made_images():
    seen = []

    def critic(images):
        seen.append(images.detach())
        return images.sum((1, 2, 3))

    real, fake = drawn(3, 1, 2, 2), drawn(3, 1, 2, 2, seed=1)
    gradient_penalty(critic, real, fake, torch.tensor([0.0, 0.25, 1.0]))
    torch.testing.assert_close(seen[0], torch.stack([fake[0], 0.75 * fake[1] + 0.25 * real[1], real[2]]))


def test_the_focal_loss_hardly_counts_what_is_sure():
    logits, wrong = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([1])
    assert float(focal(logits, wrong)) == pytest.approx(1.702570, abs=1e-6)
    assert float(nn.functional.cross_entropy(logits, wrong)) == pytest.approx(2.169846, abs=1e-6)
    sure = torch.softmax(logits, 1)[0, 0]
    assert float(focal(logits, torch.tensor([0]))) == pytest.approx(float(-((1 - sure) ** 2) * sure.log()), abs=1e-6)


def without_norms(module):
    """The same unit with weights as they are, not divided by their largest singular value."""
    for each in module.modules():
        if hasattr(each, "parametrizations"):
            nn.utils.parametrize.remove_parametrizations(each, "weight", leave_parametrized=False)
    return module


def constant(convolution, value, bias):
    nn.init.zeros_(convolution.weight)
    convolution.weight.data[..., convolution.kernel_size[0] // 2, convolution.kernel_size[1] // 2] = value
    nn.init.constant_(convolution.bias, bias)


def test_a_masked_residual_unit_lets_the_image_in_by_its_gate():
    unit = without_norms(MaskedResidual(1, 1))
    constant(unit.gate, 0.0, 0.5)
    unit.gate.weight.data[0, 1, 1, 1] = 1.0  # of the first channel of the image
    constant(unit.image, 1.0, 0.0)  # the sum of its channels
    constant(unit.first, 2.0, 1.0)
    constant(unit.second, 3.0, 0.0)
    images = torch.zeros(1, 3, 2, 2)
    images[0, 0] = torch.tensor([[0.0, 1.0], [2.0, 4.0]])
    features = torch.full((1, 1, 2, 2), 0.25)
    gate = images[:, :1] / 4  # from its least to its largest
    merged = features + gate * images[:, :1]  # nothing is below 0, so that no slope counts
    changed = 3 * (2 * merged + 1)
    torch.testing.assert_close(unit(features, images), (features + changed).mean((2, 3), keepdim=True))


def test_a_gate_of_one_value_lets_nothing_in():
    unit = without_norms(MaskedResidual(1, 1))
    constant(unit.gate, 0.0, 0.5)
    features = drawn(1, 1, 2, 2)
    with_image, without = unit(features, drawn(1, 3, 2, 2)), unit(features, torch.zeros(1, 3, 2, 2))
    torch.testing.assert_close(with_image, without)


def test_spectral_vectors_follow_the_weights():
    classifier = Classifier(8, 3)
    images, domain = drawn(2, 3, 32, 32), torch.tensor([0, 1])
    vectors = classifier.linear.parametrizations.weight[0]._u
    nn.init.normal_(classifier.linear.parametrizations.weight.original)
    for _ in range(40):
        classifier(images, domain)
    assert not vectors.requires_grad
    largest = torch.linalg.matrix_norm(classifier.linear.parametrizations.weight.original, 2)
    scaled = classifier.eval().linear.weight * largest
    torch.testing.assert_close(scaled, classifier.linear.parametrizations.weight.original, rtol=1e-3, atol=1e-4)


def test_images_of_known_classes_cannot_be_of_the_spare_one_and_all_others_can():
    classifier = Classifier(8, 3).eval()
    logits, places = classifier(drawn(1, 3, 32, 32).expand(3, -1, -1, -1), torch.tensor([1, 3, 8]))
    assert places.tolist() == [1, 3, 3]
    assert torch.softmax(logits[0], 0)[3] == 0
    torch.testing.assert_close(logits[1, 3], logits[1, :3].mean())
    torch.testing.assert_close(logits[2], logits[1])


def test_noise_of_the_encoder_is_a_number_for_each_of_a_latent():
    encoder = Encoder(4, 2)
    nn.init.constant_(encoder.log_deviation.bias, math.log(2))
    nn.init.zeros_(encoder.log_deviation.weight)
    edges, noise = drawn(2, 3, 32, 32), drawn(2, 4, seed=1)
    torch.testing.assert_close(encoder(edges, noise) - encoder(edges), 2 * noise)


def test_a_generator_with_batch_norm_makes_each_image_by_itself_once_it_is_trained():
    generator = Generator((32, 32), 4, 2, 3, first_norm="batch")
    latents, domain = drawn(3, 4), torch.tensor([0, 1, 2])
    generator(latents, domain)
    generator.eval()
    torch.testing.assert_close(generator(latents, domain)[:1], generator(latents[:1], domain[:1]))
