"""GP-UNIT's moves, its ways of being asked, what rests, and the checkpoints of the official repository."""

from __future__ import annotations

import logging

import pytest
import torch
from metai2i_gpunit import GPUnit
from metai2i_gpunit.adoption import SPECTRAL
from metai2i_gpunit.content import ContentEncoder
from metai2i_gpunit.sampler import StyleSampler
from metai2i_gpunit.sizes import Widths
from metai2i_gpunit.translator import as_exemplars
from torch import nn
from torch.nn.functional import softplus

from metai2i import Batch, Objective, Step, TaskSpec
from metai2i.testing import run_contracts

SIDE = 64
OBJECTIVE = Objective(l1=1, adversarial=1, perceptual=0)


def gpunit(objective=OBJECTIVE, domains=2, **options):
    spec = TaskSpec(0, (SIDE, SIDE), GPUnit.needs, domains=domains)
    return GPUnit(spec=spec, objective=objective, **{"width": 2, "sampler_epochs": 1, **options})


def batch(size=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    source, reference = torch.rand(2, size, 3, SIDE, SIDE, generator=rng) * 2 - 1
    return Batch(source=source, reference=reference, reference_domain=torch.arange(size) % 2)


STEP = Step()


def moves(translator, samples=None, step=STEP):
    samples = batch() if samples is None else samples
    translator.eval()  # so that spectral norms rest, and what is made twice is the same
    return list(translator.training_step(samples.replace(**translator.draws(samples, step)), step))


def seen(translator, samples):
    """What a step sees: contents of inputs and exemplars, exemplars perhaps in a mirror, and intensities."""
    draws = translator.draws(samples, Step())
    photographs = samples["reference"]
    mirrored = torch.where(draws["flips"][:, None, None, None], photographs.flip(-1), photographs)
    return translator.encoder(samples["source"]), translator.encoder(photographs), mirrored, draws["intensity"]


def test_the_generator_moves_with_the_style_encoder_and_then_the_discriminator():
    assert [who for who, _ in moves(gpunit())] == [("generator", "style"), "discriminator"]
    assert [who for who, _ in moves(gpunit(Objective(l1=1, adversarial=0, perceptual=0)))] == [("generator", "style")]


def test_the_discriminator_may_see_photographs_and_fakes_changed_and_compares_styles_of_like_ones():
    translator, samples = gpunit(diff_augment=frozenset({"colour", "translation", "cutout"})), batch()
    shown = []
    translator.discriminator.register_forward_pre_hook(lambda _, arguments: shown.append(arguments[0]))
    moves(translator, samples)
    content, _, mirrored, level = seen(translator, samples)
    fake, _ = translator.generator(content, translator.style(mirrored), level)
    real, of_fakes = translator.draws(samples, STEP)["changes"].unbind(1)
    augment, photographs = translator.diff_augment, samples["reference"]
    judged = augment(fake, of_fakes)
    torch.testing.assert_close(shown, [judged, augment(photographs, of_fakes), augment(photographs, real), judged])


@pytest.mark.parametrize("graded", [False, True])
def test_the_generator_minimises_its_terms_by_their_weights(graded):
    weights = {"content": 3.0, "style": 5.0, "sparsity": 7.0}
    translator, samples = gpunit(Objective(l1=2, adversarial=11, perceptual=0), graded=graded, **weights), batch(3)
    terms = moves(translator, samples)[0][1]
    content, theirs, mirrored, level = seen(translator, samples)
    style = translator.style(mirrored)
    fake, masks = translator.generator(content, style, level)
    again, _ = translator.generator(theirs, style, skip=False)
    logits, theirs_seen = translator.discriminator(fake)
    wanted = translator.discriminator(samples["reference"])[1]
    kept, spared = (0.5 + level / 2, 1 - level) if graded else (torch.ones(3), torch.ones(3))
    apart = (translator.encoder(fake).code - content.code).abs().mean((1, 2, 3))
    expected = {
        "l1": 2 * (again - samples["reference"]).abs().mean(),
        "adversarial": 11 * softplus(-logits).mean(),
        "content": 3 * (kept * apart).mean(),
        "style": 5 * (theirs_seen - wanted).abs().mean(),
        "sparsity": 7 * sum((spared * mask.mean((1, 2, 3))).mean() for mask in masks.values()),
    }
    torch.testing.assert_close(terms, expected)
    assert graded is not bool((level == 1).all())


def test_the_style_that_is_wanted_and_the_discriminator_get_no_gradient_where_the_generator_moves():
    translator, samples = gpunit(), batch()
    samples = samples.replace(reference=samples["reference"].requires_grad_())
    _, terms = moves(translator, samples)[0]
    (gradient,) = torch.autograd.grad(terms["style"], samples["reference"], retain_graph=True)
    content, _, mirrored, level = seen(translator, samples)
    fake, _ = translator.generator(content, translator.style(mirrored), level)
    wanted = translator.discriminator(samples["reference"])[1].detach()
    by_style = (translator.discriminator(fake)[1] - wanted).abs().mean() * 50
    (expected,) = torch.autograd.grad(by_style, samples["reference"])
    torch.testing.assert_close(gradient, expected)


def test_the_discriminator_judges_the_exemplar_unmirrored_against_an_image_made_anew():
    translator, samples = gpunit(penalty=0), batch()
    content, _, mirrored, level = seen(translator.eval(), samples)
    step = translator.training_step(samples.replace(**translator.draws(samples, Step())), Step())
    next(step)
    with torch.no_grad():
        for parameter in translator.generator.parameters():
            parameter.mul_(1.5)  # the generator moves
    _, terms = next(step)
    fake, _ = translator.generator(content, translator.style(mirrored), level)
    torch.testing.assert_close(terms["real"], softplus(-translator.discriminator(samples["reference"])[0]).mean())
    torch.testing.assert_close(terms["fake"], softplus(translator.discriminator(fake)[0]).mean())


def test_reconstructions_have_skips_where_asked_for():
    translator, samples = gpunit(reconstruction_skips=True), batch()
    _, theirs, mirrored, _ = seen(translator.eval(), samples)
    again, _ = translator.generator(theirs, translator.style(mirrored))
    torch.testing.assert_close(moves(translator, samples)[0][1]["l1"], (again - samples["reference"]).abs().mean())


def test_the_encoder_is_nobodys_and_its_spectral_norms_rest():
    translator = gpunit()
    before = {name: tensor.clone() for name, tensor in translator.encoder.state_dict().items()}
    translator.train()
    samples = batch()
    for _, terms in translator.training_step(samples.replace(**translator.draws(samples, Step())), Step()):
        sum(terms.values()).backward()
    assert {name: torch.equal(tensor, before[name]) for name, tensor in translator.encoder.state_dict().items()} == (
        dict.fromkeys(before, True)
    )
    players = {id(each) for some in translator.players().values() for each in some}
    assert not players & {id(each) for each in translator.encoder.parameters()}
    assert not any(each.requires_grad for each in (*translator.encoder.parameters(), *translator.samplers.parameters()))


def test_images_with_an_intensity_of_0_have_no_skips_and_training_is_the_same_with_any():
    samples = batch()
    torch.manual_seed(0)
    whole = gpunit(graded=True).eval()
    torch.manual_seed(0)
    none = gpunit(graded=True, intensity=0.0).eval()
    content = whole.encoder(samples["source"])
    plain, _ = whole.generator(content, whole.style(samples["reference"]), skip=False)
    torch.testing.assert_close(none.translate(samples), plain)
    assert not torch.allclose(whole.translate(samples), plain)
    first, second = (moves(each, samples)[0][1] for each in (whole, none))
    assert {name: float(term.detach()) for name, term in first.items()} == {
        name: float(term.detach()) for name, term in second.items()
    }


def test_each_way_reads_its_fields_alone_and_only_latents_draw():
    translator = gpunit().eval()
    for way, fields in GPUnit.ways.items():
        asked = Batch(**{name: tensor for name, tensor in batch().items() if name in fields})
        first, second = translator.translate(asked, way), translator.translate(asked, way)
        assert first.shape == (2, 3, SIDE, SIDE)
        assert torch.equal(first, second) is (way == "exemplar")


def test_samplers_are_fitted_to_the_styles_of_their_domains():
    translator, samples = gpunit(domains=3, sampler_epochs=3).eval(), batch(6)
    with torch.no_grad():
        styles = translator.style(samples["reference"])
    fitted = {}

    def remember(self, styles, epochs):
        fitted[id(self)] = styles, epochs

    fit, StyleSampler.fit = StyleSampler.fit, remember
    try:
        translator.end("train", lambda: iter([samples.select([0, 1, 2]), samples.select([3, 4, 5])]))
    finally:
        StyleSampler.fit = fit
    assert translator.sampled.tolist() == [True, True, False]
    for number in range(2):
        of_domain, epochs = fitted[id(translator.samplers[number])]
        torch.testing.assert_close(of_domain, styles[number::2])
        assert epochs == 3
    assert len(fitted) == 2


def test_a_latent_becomes_a_style_of_the_domain_asked_for():
    translator = gpunit().eval()
    for number, sampler in enumerate(translator.samplers):
        sampler.forward = lambda latents, number=number: torch.full((len(latents), 8), float(number))
    asked = batch(3).replace(reference_domain=torch.tensor([1, 0, 1]))
    content = translator.encoder(asked["source"])
    styles = torch.tensor([1.0, 0.0, 1.0])[:, None].expand(3, 8)
    torch.testing.assert_close(translator.translate(asked, "latent"), translator.generator(content, styles)[0])


def test_a_domain_of_which_training_has_seen_nothing_has_the_mean_styles_of_the_others_and_it_is_told(caplog):
    translator = gpunit(domains=3).eval()
    for number, sampler in enumerate(translator.samplers):
        sampler.forward = lambda latents, number=number: torch.full((len(latents), 8), float(number))
    translator.sampled.copy_(torch.tensor([True, False, True]))
    asked = batch(3).replace(reference_domain=torch.tensor([2, 1, 7]))
    styles = torch.tensor([2.0, 1.0, 1.0])[:, None].expand(3, 8)  # its own, and twice the mean of 0 and 2
    content = translator.encoder(asked["source"])
    with caplog.at_level(logging.WARNING):
        images = translator.translate(asked, "latent")
    torch.testing.assert_close(images, translator.generator(content, styles)[0])
    assert "no photograph of the domain 1" in caplog.text
    assert "no photograph of the domain 7" in caplog.text
    assert "no photograph of the domain 2" not in caplog.text


def test_where_the_host_chooses_exemplars_samplers_are_fitted_to_the_photographs_that_it_chooses_among():
    photographs, domains = torch.rand(3, 3, 32, 32), torch.tensor([0, 1, 1])
    twins = as_exemplars(Batch(source=torch.rand(3, 3, 32, 32), target=photographs, domain=domains))
    assert twins["reference"] is photographs
    assert twins["reference_domain"].tolist() == [0, 1, 1]
    named = Batch(reference=photographs, reference_domain=domains)
    assert as_exemplars(named) is named


def test_data_without_domains_has_one_sampler_for_all():
    translator = gpunit(domains=0)
    translator.end("train", lambda: iter([batch()]))
    assert translator.sampled.tolist() == [True]
    assert translator.translate(batch(), "latent").shape == (2, 3, SIDE, SIDE)


def test_the_masks_of_skips_are_shown_as_means_over_channels():
    translator, samples = gpunit().eval(), batch()
    _, masks = translator.generator(translator.encoder(samples["source"]), translator.style(samples["reference"]))
    shown = translator.shown(samples)
    assert set(shown) == {"code", "skip16", "skip32"}
    torch.testing.assert_close(shown["skip32"][:, 0, ::2, ::2], 2 * masks[32].mean(1) - 1)
    latent = Batch(source=samples["source"], reference_domain=samples["reference_domain"])
    assert set(translator.shown(latent)) == set(shown)


def test_an_encoder_may_see_larger_images_than_there_are():
    translator = gpunit(encoder_side=256)
    assert len(translator.encoder.levels) == 5
    assert translator.translate(batch()).shape == (2, 3, SIDE, SIDE)


class OfficialConv(nn.Module):
    """A convolution under torch's older spectral norm, which names its tensors as the official checkpoints do."""

    def __init__(self, before, after, stride=1):
        super().__init__()
        conv = nn.Conv2d(before, after, 3, stride, 1, padding_mode="reflect")
        self.conv = torch.nn.utils.spectral_norm(conv)

    def forward(self, features):
        normed = nn.functional.instance_norm(self.conv(features))
        return nn.functional.leaky_relu(normed, 0.2)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*|.*spectral_norm.*")
def test_the_official_content_encoder_is_adopted():
    widths = Widths(SIDE, 2)
    theirs = nn.Module()
    before = 3
    for level, side in enumerate((64, 32, 16), 1):
        here, after = widths.at(side), widths.at(side // 2)
        theirs.add_module(f"layer{level}", nn.Sequential(OfficialConv(before, here), OfficialConv(here, after, 2)))
        before = after
    theirs.layer4 = nn.Sequential(OfficialConv(before, before), OfficialConv(before, 1))
    theirs.eval()
    tensors = theirs.state_dict()
    assert {name.rpartition(".")[2] for name in tensors} == set(SPECTRAL)
    ours = ContentEncoder(widths).eval()
    ours.load_state_dict(GPUnit.adopted("encoder", tensors))
    images = batch()["source"]
    features = images
    for layer in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4):
        features = layer(features)
    torch.testing.assert_close(ours(images).code, features)


def official_names(translator):
    """A published task's `g_ema`, of our tensors: its names, and layers for smaller images that we do not have."""
    theirs = {}
    block = {"conv1": "conv_0", "conv2": "conv_1", "shortcut": "conv_s"}
    block |= {"norm1.fc": "norm_0.style", "norm2.fc": "norm_1.style", "shortcut_norm.fc": "norm_s.style"}
    skip = {"state": "trans", "reset": "reset", "mask": "mask", "update": "update"}
    generator = translator.generator
    for level, ours in enumerate([generator.first, *generator.blocks[1:]]):
        for name, tensor in ours.state_dict().items():
            layer, _, kind = name.rpartition(".")
            theirs[f"model.{level}.reslayer.{block[layer]}.{kind}"] = tensor
        theirs[f"model.{level}.rgblayer.weight"] = torch.zeros(3, 1, 7, 7)
        theirs[f"model.{level}.rgblayer.bias"] = torch.zeros(3)
    for name, tensor in generator.blocks[0].state_dict().items():
        layer, _, kind = name.rpartition(".")
        theirs[f"model.0.postlayer.{block[layer]}.{kind}"] = tensor
    for level, ours in enumerate(generator.skips.values(), 1):
        for name, tensor in ours.state_dict().items():
            layer, _, kind = name.rpartition(".")
            theirs[f"model.{level}.skiplayer.{skip[layer]}.{kind}"] = tensor
    last = len(generator.blocks) - 1
    theirs |= {f"model.{last}.rgblayer.{kind}": tensor for kind, tensor in generator.to_rgb.state_dict().items()}
    style = {name.replace("convs.", "model."): tensor for name, tensor in translator.style.state_dict().items()}
    return theirs | {f"style_encoder.{name}": tensor for name, tensor in style.items()}


@pytest.mark.parametrize("part", ["generator", "style"])
def test_the_official_generator_is_adopted_without_its_layers_for_smaller_images(part):
    theirs, other = gpunit(), gpunit()
    tensors = GPUnit.adopted(part, official_names(theirs))
    module = getattr(other, part)
    module.load_state_dict(tensors)
    assert {
        name: torch.equal(tensor, getattr(theirs, part).state_dict()[name]) for name, tensor in tensors.items()
    } == (dict.fromkeys(module.state_dict(), True))


def test_the_official_sampler_is_adopted():
    theirs = nn.ModuleDict(
        {
            "lin1": nn.Linear(128, 128, bias=False), "bn1": nn.BatchNorm1d(128),
            "lin2": nn.Linear(128, 128, bias=False), "bn2": nn.BatchNorm1d(128),
            "lin_out": nn.Linear(128, 8, bias=False),
        }
    ).eval()  # fmt: skip
    ours = StyleSampler(8).eval()
    ours.load_state_dict(GPUnit.adopted("samplers.0", theirs.state_dict()))
    latents = torch.randn(3, 128)
    features = theirs["bn1"](theirs["lin1"](latents)).relu()
    expected = theirs["lin_out"](theirs["bn2"](theirs["lin2"](features)).relu())
    torch.testing.assert_close(ours(latents), expected)


@pytest.mark.parametrize("part", ["encoder", "generator", "style", "samplers.0", "discriminator"])
def test_our_own_names_stay(part):
    tensors = gpunit().get_submodule(part).state_dict()
    assert GPUnit.adopted(part, tensors) is tensors


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"graded": True, "skips": 1}])
def test_it_keeps_the_contracts_of_a_translator(options):
    outcomes = run_contracts("translator", GPUnit, {"width": 2, "sampler_epochs": 2, **options})
    assert {each.contract.name: str(each.error) for each in outcomes if each.status == "failed"} == {}
