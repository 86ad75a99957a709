"""EdgeGAN's moves, its ways of being asked, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from metai2i_edgegan import EdgeGan
from metai2i_edgegan.translator import as_images
from torch import nn

from metai2i import Adaptation, Batch, Field, Objective, Step, TaskSpec, UserError
from metai2i.registry import Registry
from metai2i.testing import run_contracts

SPEC = TaskSpec(1, (32, 32), EdgeGan.needs, domains=2, also={"structure": Field("map", 1), "domain": Field("label", 4)})
OBJECTIVE = Objective(l1=0, adversarial=1, perceptual=0)
SMALL = {"width": 2, "latent": 3}
CRITICS = ["joint_critic", "image_critic", "edge_critic"]
GENERATORS = ("edges", "photographs", "classes")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def edgegan(objective=OBJECTIVE, spec=SPEC, **options):
    return EdgeGan(spec=spec, objective=objective, **{**SMALL, **options})


def batch(size=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    structure = (torch.rand(size, 1, 32, 32, generator=rng) > 0.2).float()
    target = torch.rand(size, 3, 32, 32, generator=rng) * 2 - 1
    return Batch(structure=structure, target=target, domain=torch.arange(size) % 2)


def given(translator, samples=None):
    samples = batch() if samples is None else samples
    return samples.replace(**translator.draws(samples, Step()))


def moves(translator, samples=None):
    return list(translator.training_step(given(translator, samples), Step()))


def test_the_moves_are_in_the_released_order():
    assert [who for who, _ in moves(edgegan())] == [*CRITICS, "classifier", GENERATORS, "encoder", GENERATORS]


def test_critics_may_move_several_times_with_latents_of_their_own():
    translator = edgegan(critic_steps=3)
    assert [who for who, _ in moves(translator)] == [*CRITICS * 3, "classifier", GENERATORS, "encoder", GENERATORS]
    first, second, third = given(translator)["latents"].unbind(1)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_all_moves_have_the_same_latents_and_the_classes_of_the_batch(monkeypatch):
    translator, asked = edgegan(), []
    for name in ("edges", "photographs"):
        network = getattr(translator, name)
        network.register_forward_pre_hook(lambda _, arguments: asked.append(arguments))
    samples = given(translator)
    list(translator.training_step(samples, Step()))
    assert len(asked) == 7  # two for critics, generators and generators again, and the edges that the encoder sees
    for latents, domain in asked:
        assert torch.equal(latents, samples["latents"][:, 0])
        assert torch.equal(domain, samples["domain"])


def test_a_critic_minimises_how_much_more_real_it_finds_what_is_made():
    translator = edgegan(penalty=0)
    samples = given(translator)
    fake = translator.photographs(samples["latents"][:, 0], samples["domain"])
    enlarge = nn.Upsample(scale_factor=2, mode="bicubic")
    critic = translator.critics["image"]
    _, terms = moves(translator)[1]
    torch.testing.assert_close(terms["distance"], (critic(enlarge(fake)) - critic(enlarge(samples["target"]))).mean())
    assert set(terms) == {"distance"}


def test_the_joint_critic_sees_edges_at_the_left_of_photographs():
    translator, seen = edgegan(), []
    translator.critics["joint"].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    samples = batch()
    moves(translator, samples)
    real = torch.cat([2 * samples["structure"].expand(-1, 3, -1, -1) - 1, samples["target"]], 3)
    assert any(torch.equal(images, real) for images in seen)


def test_critics_and_classifier_may_see_images_changed_and_edges_with_them_but_for_their_colour():
    translator, seen = edgegan(diff_augment=frozenset({"colour", "translation", "cutout"}), critic_steps=2), []
    for network in (translator.critics["joint"], translator.classifier):
        network.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    translator.penalty = 0
    samples = given(translator)
    list(translator.training_step(samples, Step()))
    augment = translator.diff_augment

    def judged(edges, photographs, changes):
        return torch.cat([augment(edges, changes, colour=False), augment(photographs, changes)], 3)

    def fakes(turn):
        latents = samples["latents"][:, turn]
        return translator.edges(latents, samples["domain"]), translator.photographs(latents, samples["domain"])

    real = as_images(samples["structure"]), samples["target"]
    expected = []
    for turn in range(2):
        changes = samples["changes"][:, turn]
        expected += [judged(*fakes(turn), changes[:, 1]), judged(*real, changes[:, 0])]
    of_fakes = samples["changes"][:, 0, 1]
    expected.append(augment(samples["target"], samples["changes"][:, 0, 0]))
    expected += 2 * [judged(*fakes(0), of_fakes), augment(fakes(0)[1], of_fakes)]
    torch.testing.assert_close(seen, expected)


def test_the_generators_minimise_what_critics_and_classifier_say():
    translator = edgegan(Objective(l1=0, adversarial=3, perceptual=0), class_weight=7).eval()
    samples = given(translator)
    edges, photographs = (
        network(samples["latents"][:, 0], samples["domain"]) for network in (translator.edges, translator.photographs)
    )
    _, terms = moves(translator)[4]
    critics, enlarge = translator.critics, nn.Upsample(scale_factor=2, mode="bicubic")
    torch.testing.assert_close(terms["joint"], -3 * critics["joint"](torch.cat([edges, photographs], 3)).mean())
    torch.testing.assert_close(terms["image"], -3 * critics["image"](enlarge(photographs)).mean())
    torch.testing.assert_close(terms["edge"], -3 * critics["edge"](enlarge(edges)).mean())
    logits, _ = translator.classifier(photographs, samples["domain"])
    torch.testing.assert_close(terms["class"], 7 * nn.functional.cross_entropy(logits, samples["domain"]))
    assert set(terms) == {"joint", "image", "edge", "class"}


def test_the_classifier_learns_of_photographs_and_the_encoder_of_made_edges():
    translator = edgegan(code_weight=5).eval()
    samples = given(translator)
    every = moves(translator)
    logits, _ = translator.classifier(samples["target"], samples["domain"])
    right = torch.softmax(logits, 1)[torch.arange(2), samples["domain"]]
    torch.testing.assert_close(every[3][1]["focal"], -((1 - right) ** 2 * right.log()).mean())
    latents = samples["latents"][:, 0]
    code = translator.encoder(translator.edges(latents, samples["domain"]), samples["noise"])
    torch.testing.assert_close(every[5][1]["code"], 5 * (code - latents).abs().mean())


def test_generators_may_learn_to_make_edges_that_tell_of_their_latents():
    translator = edgegan(latent_regression=3).eval()
    samples = given(translator)
    _, terms = moves(translator)[4]
    latents = samples["latents"][:, 0]
    code = translator.encoder(translator.edges(latents, samples["domain"]))
    torch.testing.assert_close(terms["latent"], 3 * (code - latents).abs().mean())
    terms["latent"].backward()
    assert all(p.grad is not None for p in translator.edges.shared_parameters())
    assert all(p.grad is None for p in translator.photographs.shared_parameters())


def test_what_is_made_of_the_code_of_edges_may_be_compared_with_edges_and_photograph():
    translator = edgegan(Objective(l1=2, adversarial=0, perceptual=0))
    samples = given(translator)
    every = moves(translator)
    assert [who for who, _ in every] == ["classifier", GENERATORS, "encoder", GENERATORS]
    drawn = 2 * samples["structure"].expand(-1, 3, -1, -1) - 1
    code = translator.encoder(drawn)
    photographs = translator.photographs(code, samples["domain"])
    torch.testing.assert_close(every[1][1]["l1"], 2 * (photographs - samples["target"]).abs().mean())
    torch.testing.assert_close(
        every[1][1]["l1_edges"], 2 * (translator.edges(code, samples["domain"]) - drawn).abs().mean()
    )


def test_a_single_class_has_neither_classifier_nor_rows():
    translator = edgegan(spec=replace(SPEC, domains=1))
    samples = batch().replace(domain=torch.zeros(2, dtype=torch.int64))
    assert [who for who, _ in moves(translator, samples)] == [*CRITICS, GENERATORS[:2], "encoder", GENERATORS[:2]]


@pytest.mark.parametrize("way", EdgeGan.ways)
def test_each_way_reads_its_fields_alone(way):
    fields = {name: tensor for name, tensor in batch().items() if name in EdgeGan.ways[way]}
    images = edgegan().translate(Batch(**fields), way)
    assert images.shape == (2, 3, 32, 32)
    assert images.abs().max() <= 1


def test_a_sketch_has_one_photograph_unless_it_is_asked_for_samples():
    translator, samples = edgegan(), batch()
    assert torch.equal(translator.translate(samples), translator.translate(samples, "sketch"))
    for way in ("sampled", "class"):
        assert not torch.equal(translator.translate(samples, way), translator.translate(samples, way))
    again = samples.replace(structure=1 - samples["structure"])
    assert not torch.equal(translator.translate(samples), translator.translate(again))


def test_spread_codes_of_the_drawings_that_train_are_as_large_as_latents():
    translator, parts = edgegan(spread_codes=True, encoder_init="kaiming"), [batch(5, 1), batch(3, 2)]
    before = translator.translate(parts[0])
    translator.end("all", lambda: iter(parts))
    drawings = torch.cat([2 * part["structure"].expand(-1, 3, -1, -1) - 1 for part in parts])
    codes = translator.encoder(drawings)
    spread = codes / codes.square().mean(0).sqrt()
    assert torch.allclose(spread.square().mean(0), torch.ones(3))
    expected = translator.photographs(spread[:5], parts[0]["domain"])
    assert torch.allclose(translator.translate(parts[0]), expected, atol=1e-6)
    assert not torch.allclose(before, expected, atol=1e-3)


def test_codes_are_spread_in_what_is_compared_with_edges_and_photograph_too():
    translator = edgegan(Objective(l1=1, adversarial=1, perceptual=0), spread_codes=True, encoder_init="kaiming")
    samples = given(translator)
    translator.end("all", lambda: iter([samples]))
    (_, terms), *_ = [move for move in translator.training_step(samples, Step()) if move[0] == GENERATORS]
    assert torch.allclose(terms["l1"], (translator.translate(samples) - samples["target"]).abs().mean())


def test_the_size_of_codes_follows_training_alone_and_not_adapting():
    translator = edgegan(spread_codes=True, encoder_init="kaiming")
    samples = given(translator)
    codes = translator.encoder(2 * samples["structure"].expand(-1, 3, -1, -1) - 1)
    for role in ("adapt", "query"):
        list(translator.training_step(samples, Step(role=role)))
        assert torch.equal(translator.code_size, torch.ones(3))
    list(translator.training_step(samples, Step()))
    assert torch.allclose(translator.code_size.square(), 0.99 + 0.01 * codes.square().mean(0))


def test_codes_stay_as_the_encoder_gives_them_unless_they_are_to_be_spread():
    translator, samples = edgegan(), batch()
    translator.end("all", lambda: iter([samples]))
    code = translator.encoder(2 * samples["structure"].expand(-1, 3, -1, -1) - 1)
    assert torch.equal(translator.translate(samples), translator.photographs(code, samples["domain"]))
    assert "code_size" not in translator.state_dict()


def test_a_class_that_training_has_not_seen_is_the_mean_of_all_and_learns_by_itself():
    translator = edgegan()
    unseen = batch().replace(domain=torch.tensor([2, 3]))
    total = sum(sum(terms.values()) for who, terms in moves(translator, unseen) if who == GENERATORS)
    total.backward()
    assert translator.photographs.classes.spare.grad.abs().sum() > 0
    assert translator.edges.classes.spare.grad.abs().sum() > 0


@pytest.mark.parametrize("way", EdgeGan.ways)
def test_a_class_without_a_row_is_refused_and_not_taken_for_another(way):
    translator, unseen = edgegan(spare=False), batch().replace(domain=torch.tensor([0, 2]))
    with pytest.raises(UserError, match="domain 2 is none of the 2 that train"):
        translator.translate(unseen, way)
    with pytest.raises(UserError, match="domain 2 is none of the 2 that train"):
        moves(translator, unseen)


def test_with_all_else_frozen_a_new_class_is_all_that_is_learned():
    translator = edgegan()
    others = tuple(name for name in translator.players() if name != "classes")
    inner = Adaptation(iterations=2, lr=1e-2, batch=2, freeze=others)
    strategy = Registry().get("strategy", "finetune")(inner=inner)
    strategy.prepare(translator)
    unseen = batch().replace(domain=torch.tensor([2, 2]))
    adapted = strategy.adapt(translator, unseen, Step())
    before, after = translator.state_dict(), adapted.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name]) and "_u" not in name}
    learned = {name for name in changed if "parametrizations.weight.0" not in name}
    assert {"edges.classes.spare", "photographs.classes.spare"} <= learned
    assert learned <= {f"{network}.classes.{part}" for network in GENERATORS[:2] for part in ("rows", "spare")}


@pytest.mark.parametrize(
    ("spec", "objective", "why"),
    [
        (replace(SPEC, domains=0), OBJECTIVE, "edgegan needs drawings of objects with their classes"),
        (replace(SPEC, structure_channels=7), OBJECTIVE, "drawings of one channel, or of three, got 7"),
        (replace(SPEC, size=(48, 64)), OBJECTIVE, "sides are multiples of 32, got 48x64"),
        (SPEC, Objective(l1=0, adversarial=0, perceptual=1), "nothing for its generator of edges to minimise"),
    ],
)
def test_data_and_objectives_that_it_cannot_be_trained_with_are_refused(spec, objective, why):
    with pytest.raises(UserError, match=why):
        edgegan(objective, spec)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"critic_steps": 2, "first_norm": "batch"}, {"spread_codes": True}])
def test_it_keeps_the_contracts_of_a_translator(options):
    outcomes = run_contracts("translator", EdgeGan, {**SMALL, **options})
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}
