"""StarGAN v2's moves, its ways of being asked, and the checkpoints of the official repository."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from metai2i_stargan2 import StarGan2, StarGan2Landmarks
from metai2i_stargan2.styles import mean_styles
from torch import nn

from metai2i import Batch, Objective, Step, TaskSpec, UserError

SPEC = TaskSpec(0, (32, 32), StarGan2.needs, domains=2)
OBJECTIVE = Objective(l1=1, adversarial=1, perceptual=0)
SMALL = {"width": 2, "widest": 4, "style": 3, "latent": 2, "hidden": 4}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def stargan(objective=OBJECTIVE, **options):
    return StarGan2(spec=SPEC, objective=objective, **{**SMALL, **options})


def batch(size=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    source, reference, reference2 = torch.rand(3, size, 3, 32, 32, generator=rng) * 2 - 1
    domain = torch.arange(size) % 2
    return Batch(source=source, reference=reference, reference2=reference2, domain=domain, reference_domain=1 - domain)


def moves(translator, step, samples=None):
    samples = batch() if samples is None else samples
    return list(translator.training_step(samples.replace(**translator.draws(samples, step)), step))


def test_the_moves_are_in_the_published_order():
    players = [who for who, _ in moves(stargan(), Step())]
    together = ("generator", "mapping", "style")
    assert players == ["discriminator", "discriminator", together, "generator"]


def test_the_style_encoder_may_move_by_photographs_too():
    assert moves(stargan(encoder_moves=True), Step())[-1][0] == ("generator", "style")


def test_the_discriminator_may_see_sources_and_fakes_changed():
    translator, samples, seen = stargan(diff_augment=frozenset({"colour", "translation", "cutout"})), batch(), []
    translator.discriminator.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    drawn = translator.draws(samples, Step())
    moves(translator, Step(), samples)
    source, into, augment = samples["source"], samples["reference_domain"], translator.diff_augment
    for way, style in enumerate((translator.mapping(drawn["latents"][:, 0], into), None)):
        fake = translator.generator(source, translator.style(samples["reference"], into) if style is None else style)
        real, of_fakes = drawn["changes"][:, way].unbind(1)
        judged = [augment(source, real), augment(fake, of_fakes)]
        torch.testing.assert_close(seen[2 * way : 2 * way + 2], judged)  # by the discriminator's move
        torch.testing.assert_close(seen[4 + way], judged[1])  # by the generator's


def test_sources_are_judged_as_photographs_of_their_own_domain_and_fakes_of_the_other():
    translator = stargan(penalty=0)
    samples = batch()
    _, terms = moves(translator, Step(), samples)[0]
    logits = translator.discriminator(samples["source"], samples["domain"])
    torch.testing.assert_close(terms["real"], nn.functional.softplus(-logits).mean())
    fake = translator.generator(samples["source"], translator.mapping(latents(Step())[0], samples["reference_domain"]))
    logits = translator.discriminator(fake, samples["reference_domain"])
    torch.testing.assert_close(terms["fake"], nn.functional.softplus(logits).mean())


def latents(step):
    return stargan().draws(batch(), step)["latents"].unbind(1)


def test_generator_and_encoders_minimise_four_terms_of_their_weights():
    translator = stargan(Objective(l1=3, adversarial=5, perceptual=0), style_weight=7, diversity=11)
    samples = batch()
    source, into = samples["source"], samples["reference_domain"]
    first, second = (translator.mapping(latent, into) for latent in latents(Step()))
    fake, other = translator.generator(source, first), translator.generator(source, second)
    back = translator.generator(fake, translator.style(source, samples["domain"]))
    _, terms = moves(translator, Step(), samples)[2]
    torch.testing.assert_close(terms["l1"], 3 * (back - source).abs().mean())
    softplus = nn.functional.softplus
    torch.testing.assert_close(terms["adversarial"], 5 * softplus(-translator.discriminator(fake, into)).mean())
    torch.testing.assert_close(terms["style"], 7 * (translator.style(fake, into) - first).abs().mean())
    torch.testing.assert_close(terms["diversity"], -11 * (fake - other).abs().mean())


@pytest.mark.parametrize(("index", "share"), [(0, 1.0), (25, 0.75), (99, 0.01)])
def test_the_weight_of_diversity_falls_to_nothing_in_the_course_of_training(index, share):
    translator = stargan(diversity=2)
    at_start = moves(translator, Step(index=0, total=100))[3][1]["diversity"]
    later = moves(translator, Step(index=index, total=100))[3][1]["diversity"]
    torch.testing.assert_close(later, share * at_start)


def test_adapting_does_not_ask_for_diversity():
    weighted = [terms["diversity"] for _, terms in moves(stargan(), Step(role="adapt"))[2:]]
    assert [float(term.detach()) for term in weighted] == [0, 0]


def test_images_of_a_photograph_are_the_same_whoever_asks_and_those_of_latents_differ():
    translator, samples = stargan(), batch()
    assert torch.equal(translator.translate(samples, "exemplar"), translator.translate(samples, "exemplar"))
    assert not torch.equal(translator.translate(samples, "latent"), translator.translate(samples, "latent"))


@pytest.mark.parametrize("way", StarGan2.ways)
def test_each_way_reads_its_fields_alone(way):
    fields = {name: tensor for name, tensor in batch().items() if name in StarGan2.ways[way]}
    images = stargan().translate(Batch(**fields), way)
    assert images.shape == (2, 3, 32, 32)
    assert images.abs().max() <= 1


def painted(translator, samples, way="latent", seed=1):
    torch.manual_seed(seed)
    return translator.translate(samples, way)


def test_truncation_takes_styles_to_the_mean_of_their_domain():
    samples, translator = batch(), stargan()
    torch.manual_seed(1)
    by_latents = translator.mapping(torch.randn(2, 2), samples["reference_domain"])
    whole = translator.generator(samples["source"], by_latents).clamp(-1, 1)
    assert torch.equal(painted(translator, samples), whole)
    translator = stargan(truncation=0.0)
    for biases in (head.bias for head in translator.mapping.heads):
        torch.nn.init.normal_(biases)
    assert torch.equal(painted(translator, samples, seed=1), painted(translator, samples, seed=2))
    into = samples["reference_domain"]
    styles = mean_styles(translator.mapping, 2, into)
    drawn = torch.randn(100_000, 2)
    for style, domain in zip(styles, into, strict=True):
        torch.testing.assert_close(style, translator.mapping(drawn, domain.expand(100_000)).mean(0), atol=0.1, rtol=0)
    expected = translator.generator(samples["source"], styles).clamp(-1, 1)
    torch.testing.assert_close(painted(translator, samples), expected)


def test_half_a_truncation_is_half_of_the_way():
    samples, half = batch(), stargan(truncation=0.5)
    torch.manual_seed(1)
    styles = half.mapping(torch.randn(2, 2), samples["reference_domain"])
    between = (styles + mean_styles(half.mapping, 2, samples["reference_domain"])) / 2
    expected = half.generator(samples["source"], between).clamp(-1, 1)
    torch.testing.assert_close(painted(half, samples), expected)


@pytest.mark.parametrize("way", StarGan2.ways)
def test_a_strip_goes_from_an_outputs_style_to_that_of_the_next_one(way):
    translator = stargan(strip=3)
    samples = Batch(**{name: tensor for name, tensor in batch(3).items() if name in StarGan2.ways[way]})
    torch.manual_seed(1)
    strips = translator.shown(samples)["strip"]
    assert strips.shape == (3, 3, 32, 96)
    torch.testing.assert_close(strips[..., :32], painted(translator, samples, way))
    if way == "exemplar":
        styles = translator.style(samples["reference"], samples["reference_domain"])
        following = styles.roll(-1, 0)
        for place, each in enumerate((styles, (styles + following) / 2, following)):
            expected = translator.generator(samples["source"], each).clamp(-1, 1)
            torch.testing.assert_close(strips[..., 32 * place : 32 * place + 32], expected)
    assert stargan().shown(samples) == {}


def test_data_without_domains_is_refused():
    with pytest.raises(UserError, match="stargan2 needs data of several domains"):
        StarGan2(spec=replace(SPEC, domains=0), objective=OBJECTIVE)


class OfficialHalvings(nn.Module):
    """The order of layers, and so the names, of the official discriminator and style encoder at 32 pixels."""

    def __init__(self, widths):
        super().__init__()
        from metai2i_stargan2.blocks import ResidualBlock

        blocks = [ResidualBlock(before, after, down=True) for before, after in widths]
        last = widths[-1][1]
        layers = [nn.Conv2d(3, widths[0][0], 3, 1, 1), *blocks, nn.LeakyReLU(0.2), nn.Conv2d(last, last, 4)]
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(0.2))


@pytest.mark.parametrize("spare", [True, False])
def test_a_style_encoder_of_the_official_repository_is_adopted(spare):
    widths = [(2, 4), (4, 4), (4, 4)]
    theirs = OfficialHalvings(widths)
    unshared = nn.ModuleList(nn.Linear(4, 3) for _ in range(2))
    tensors = {name.replace("layers", "shared", 1): tensor for name, tensor in theirs.state_dict().items()}
    tensors |= {f"unshared.{name}": tensor for name, tensor in unshared.state_dict().items()}
    translator = stargan(spare=spare)
    translator.style.load_state_dict(translator.adopted("style", tensors))
    images, domain = batch()["source"], torch.tensor([1, 0])
    features = theirs.layers(images).flatten(1)
    expected = torch.stack([unshared[k](feature) for k, feature in zip((1, 0), features, strict=True)])
    torch.testing.assert_close(translator.style(images, domain), expected)


@pytest.mark.parametrize("spare", [True, False])
def test_a_discriminator_of_the_official_repository_is_adopted(spare):
    theirs = OfficialHalvings([(2, 4), (4, 4), (4, 4)])
    theirs.layers.append(nn.Conv2d(4, 2, 1))
    tensors = {name.replace("layers", "main", 1): tensor for name, tensor in theirs.state_dict().items()}
    translator = stargan(spare=spare)
    translator.discriminator.load_state_dict(translator.adopted("discriminator", tensors))
    images, domain = batch()["source"], torch.tensor([1, 0])
    expected = theirs.layers(images).flatten(1)[torch.arange(2), domain]
    torch.testing.assert_close(translator.discriminator(images, domain), expected)


@pytest.mark.parametrize("spare", [True, False])
def test_a_mapping_network_of_the_official_repository_is_adopted(spare):
    def layers(first, last):
        widths = [first, 4, 4, 4, last]
        linear = [nn.Linear(before, after) for before, after in itertools.pairwise(widths)]
        return [each for layer in linear for each in (layer, nn.ReLU())]

    shared = nn.Sequential(*layers(2, 4))
    unshared = nn.ModuleList(nn.Sequential(*layers(4, 3)[:-1]) for _ in range(2))
    tensors = {f"shared.{name}": tensor for name, tensor in shared.state_dict().items()}
    tensors |= {f"unshared.{name}": tensor for name, tensor in unshared.state_dict().items()}
    translator = stargan(spare=spare)
    translator.mapping.load_state_dict(translator.adopted("mapping", tensors))
    latent, domain = torch.randn(2, 2), torch.tensor([1, 0])
    expected = torch.stack([unshared[k](shared(z)) for k, z in zip((1, 0), latent, strict=True)])
    torch.testing.assert_close(translator.mapping(latent, domain), expected)


@pytest.mark.parametrize("part", ["generator", "mapping", "style", "discriminator"])
def test_our_own_names_stay(part):
    translator = stargan()
    state = getattr(translator, part).state_dict()
    assert dict(translator.adopted(part, state)) == dict(state)


def test_shortcuts_that_nothing_goes_through_in_the_official_generator_of_faces_are_left_out():
    translator = StarGan2Landmarks(spec=SPEC, objective=OBJECTIVE, high_pass=1, **SMALL)
    ours = translator.generator.state_dict()
    unread = {"decode.3.conv1x1.weight": torch.ones(2, 4, 1, 1), "hpf.filter": torch.ones(3, 3)}
    assert translator.adopted("generator", {**ours, **unread}).keys() == ours.keys()
    assert stargan().adopted("generator", unread).keys() == {"decode.3.conv1x1.weight"}


@pytest.mark.parametrize("way", ["latent", "exemplar"])
def test_a_domain_without_layers_is_refused_and_not_taken_for_another(way):
    samples = batch().replace(reference_domain=torch.tensor([0, 2]))
    with pytest.raises(UserError, match="domain 2 is none of the 2 that train") as caught:
        stargan(spare=False).translate(samples, way)
    assert caught.value.hint == "translator: {spare: true}"
    with pytest.raises(UserError, match="is none of the 2 that train"):
        moves(stargan(spare=False), Step(), samples)
    assert stargan().translate(samples, way).shape == (2, 3, 32, 32)
