from itertools import chain

import pluggy
import pytest
import torch
from metai2i_spade import Spade, SpadeInstances, edges
from metai2i_spade.sizes import doublings_of

from metai2i import Batch, Objective, Randomness, Step, TaskSpec, UserError
from metai2i.hookspecs import GROUP
from metai2i.meta.instance import detach, instance_of
from metai2i.testing import contract_tests
from metai2i.training.driving import descend, drive, parameter_groups, translate

CHEAP = {"l1": 10.0, "adversarial": 1.0, "perceptual": 0.0, "gan": "hinge"}
ONE_TERM = Objective(l1=1.0, adversarial=0.0, perceptual=0.0)
SMALL = {"width": 4, "d_layers": 3, "latent": 5}


def spec(height: int = 32, width: int = 32) -> TaskSpec:
    return TaskSpec(structure_channels=4, size=(height, width))


def spade(
    objective: dict | None = None, size: tuple[int, int] = (32, 32), kind: type[Spade] = Spade, **options
) -> Spade:
    with Randomness((3,)).scope():
        return kind(spec=spec(*size), objective=Objective(**(objective or CHEAP)), **{**SMALL, **options})


def batch(count: int = 2, side: int = 32) -> Batch:
    generator = torch.Generator().manual_seed(1)
    classes = torch.randint(4, (count, side, side), generator=generator)
    structure = torch.nn.functional.one_hot(classes, 4).permute(0, 3, 1, 2).float()
    target = torch.rand(count, 3, side, side, generator=generator) * 2 - 1
    return Batch(structure=structure, target=target, instances=classes * 7 + 1)


def moves(translator: Spade, samples: Batch, step: Step | None = None) -> list[tuple[object, dict[str, torch.Tensor]]]:
    return [(player, dict(losses)) for player, losses in translator.training_step(samples, step or Step())]


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_it_is_registered_with_and_without_instances():
    import metai2i_spade

    from metai2i import hookspecs

    manager, seen = pluggy.PluginManager(GROUP), {}
    manager.add_hookspecs(hookspecs)
    manager.register(metai2i_spade)
    manager.hook.register_translators(register=seen.__setitem__)
    assert seen == {"spade": Spade, "spade_instances": SpadeInstances}


def test_instances_add_a_channel_and_an_encoder_adds_itself():
    """COCO-Stuff has 182 classes and unknown; the counts of the published networks are in test_networks.py."""
    with torch.device("meta"):
        coco = SpadeInstances(
            spec=TaskSpec(structure_channels=183, size=(64, 64)), objective=Objective(**CHEAP), width=4, d_width=64
        )
    assert count(coco.discriminator) == 5_904_514
    assert coco.generator.first.conv.in_channels == 184


def test_the_generator_moves_first_and_then_the_discriminator():
    names = [(player, set(losses)) for player, losses in moves(spade(), batch())]
    assert names == [("generator", {"l1", "adversarial", "matching"}), ("discriminator", {"real", "fake"})]


def test_an_encoder_moves_with_the_generator_and_has_a_loss_of_its_own():
    translator = spade(start="encoder")
    assert list(translator.players()) == ["generator", "encoder", "discriminator"]
    (players, losses), _ = moves(translator, batch())
    assert players == ("generator", "encoder")
    assert set(losses) == {"l1", "adversarial", "matching", "divergence"}
    mean, log_variance = translator.encoder(batch()["target"])
    by_hand = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
    assert losses["divergence"].item() == pytest.approx(0.05 * by_hand.item(), rel=1e-3)


def test_terms_of_the_discriminator_are_means_over_its_scales():
    translator, samples = spade(d_fake="same").eval(), batch()
    guide, fake = translator.guide(samples), translator.generator(translator.guide(samples)).detach()
    of_fakes, of_real = translator._judge(guide, fake, samples["target"])
    (_, losses), (_, judged) = moves(translator, samples)
    assert losses["adversarial"].item() == pytest.approx(
        -float(sum(scale[-1].mean() for scale in of_fakes)) / 2, abs=1e-6
    )
    hinge = [torch.relu(1 - scale[-1]).mean() for scale in of_real]
    assert float(judged["real"]) == pytest.approx(float(sum(hinge)) / 2, abs=1e-6)
    apart = [
        sum((a - b).abs().mean() for a, b in zip(m[:-1], r[:-1], strict=True))
        for m, r in zip(of_fakes, of_real, strict=True)
    ]
    assert float(losses["matching"]) == pytest.approx(10 * float(sum(apart)) / 2, rel=1e-5)


def test_images_and_photographs_are_judged_as_each_would_be_alone():
    translator, samples = spade().eval(), batch()
    images = samples["target"].flip(-1)
    together = translator._judge(translator.guide(samples), images, samples["target"])
    for judged, shown in zip(together, (images, samples["target"]), strict=True):
        alone = translator.discriminator(torch.cat([samples["structure"], shown], 1))
        for ours, theirs in zip(chain(*judged), chain(*alone), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("fakes", "fooled"), [("fresh", False), ("same", True)])
def test_the_discriminator_is_shown_images_of_the_generator_that_has_just_moved_or_those_of_before(fakes, fooled):
    """A generator that has become grey between the moves is seen where fresh images are shown alone."""
    translator, samples, shown = spade(d_fake=fakes), batch(), []
    translator.discriminator.register_forward_pre_hook(lambda _, given: shown.append(given[0][:2, -3:].clone()))
    steps = translator.training_step(samples, Step())
    next(steps)
    with torch.no_grad():
        translator.generator.last.weight.zero_()
    next(steps)
    assert torch.equal(shown[0], shown[1]) == fooled
    assert bool(shown[1].any()) == fooled


def test_the_discriminators_move_leaves_the_generator_without_a_gradient():
    for fakes in ("fresh", "same"):
        translator = spade(d_fake=fakes)
        _, (_, losses) = moves(translator, batch())
        sum(losses.values()).backward()
        assert all(parameter.grad is None for parameter in translator.generator.parameters())


def test_without_an_adversarial_term_there_is_no_discriminator_and_nothing_to_match():
    translator = spade({**CHEAP, "adversarial": 0.0})
    assert list(translator.players()) == ["generator"]
    assert dict(translator.rates) == {}
    assert [(player, set(losses)) for player, losses in moves(translator, batch())] == [("generator", {"l1"})]


def test_an_objective_with_an_adversarial_term_alone_will_do():
    translator = spade({**CHEAP, "l1": 0.0})
    assert set(moves(translator, batch())[0][1]) == {"adversarial", "matching"}
    assert set(moves(spade({**CHEAP, "l1": 0.0}, matching=0.0), batch())[0][1]) == {"adversarial"}


def test_images_are_compared_once_and_by_the_objectives_weights():
    weights = {"l1": 3.0, "perceptual": 2.0, "net": "alex"}
    translator, samples = spade({**weights, "adversarial": 0.5, "gan": "lsgan"}).eval(), batch()
    fake, losses = translator.translate(samples), moves(translator, samples)[0][1]
    compared = Objective(**weights, adversarial=0.0).generator(fake, samples["target"])
    assert set(losses) == {*compared, "adversarial", "matching"}
    for name, value in compared.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-4)


def test_the_discriminator_learns_four_times_as_fast_unless_told_otherwise():
    groups = {group["name"]: group["lr"] for group in parameter_groups(spade(), 1e-4)}
    assert groups == pytest.approx({"generator": 1e-4, "discriminator": 4e-4})
    assert parameter_groups(spade(d_rate=1.0), 1e-4)[1]["lr"] == pytest.approx(1e-4)


def test_instances_are_shown_as_edges_behind_the_map():
    translator, samples = spade(kind=SpadeInstances), batch()
    structure = translator.guide(samples).structure
    assert torch.equal(structure[:, :4], samples["structure"])
    assert torch.equal(structure[:, 4:], edges(samples["instances"]))
    assert translator.generator.first.conv.in_channels == 5
    assert translator.discriminator.scales[0].first.in_channels == 8
    alike = batch().replace(instances=samples["instances"] * 3)
    others = batch().replace(instances=torch.zeros_like(samples["instances"]))
    first, second, third = (translator.eval().translate(each) for each in (samples, alike, others))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_a_photographs_code_starts_its_image_and_a_random_one_starts_others():
    translator, samples = spade(start="encoder"), batch()
    first, again, other = (translate(translator, samples, Step(Randomness((n,)))) for n in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    with torch.no_grad():
        translator.encoder.log_variance.bias.fill_(-40.0)  # no noise: the code is the photograph's alone
        translator.encoder.log_variance.weight.zero_()
    fakes = [translator._draw(translator.guide(samples), samples["target"], Randomness((n,)))[0] for n in (0, 1)]
    torch.testing.assert_close(*fakes, atol=1e-3, rtol=1e-3)


def test_only_steps_that_draw_nothing_are_replayable():
    assert [spade(start=start).replayable for start in ("map", "noise", "encoder")] == [True, False, False]


def test_with_labels_at_the_input_alone_no_later_layer_sees_them():
    translator, samples = spade(labels="input").eval(), batch()
    guide, other = translator.guide(samples), translator.guide(samples.replace(structure=samples["structure"].flip(1)))
    features = torch.randn(2, 16, 4, 4)
    for module in translator.generator.body:
        assert torch.equal(module(features, guide), module(features, other))
        features = module(features, guide).detach()
    assert not torch.equal(translator.translate(samples), translator.generator(other))


def test_labels_at_the_input_alone_take_about_as_many_parameters_at_a_quarter_more_width():
    ours, theirs = (
        count(Spade(spec=TaskSpec(structure_channels=20, size=(64, 128)), objective=ONE_TERM, **each).generator)
        for each in ({"width": 8}, {"width": 10, "labels": "input"})
    )
    assert theirs == pytest.approx(ours, rel=0.06)


def test_labels_at_the_input_alone_exclude_a_start_from_a_code():
    with pytest.raises(UserError, match="labels: input begins with the map, not with start: noise"):
        spade(labels="input", start="noise")
    with pytest.raises(UserError, match="labels: input has no hidden"):
        spade(labels="input", hidden=8)


def test_batch_norm_is_told_to_mix_images(caplog):
    spade(norm="batch")
    assert [record.message for record in caplog.records] == [
        "spade: with batch norm, images depend on which others are in their batch"
    ]


@pytest.mark.parametrize(
    ("size", "doublings"),
    [
        ((256, 256), 5),
        ((256, 512), 5),
        ((64, 128), 4),
        ((64, 64), 4),
        ((32, 32), 3),
        ((40, 40), 3),
        ((8, 8), 1),
        ((12, 8), 1),
    ],
)
def test_it_doubles_as_often_as_four_pixels_a_side_are_left(size, doublings):
    assert doublings_of(size, None) == doublings


@pytest.mark.parametrize(
    ("size", "wanted", "message", "hint"),
    [
        ((33, 32), None, "cannot be halved once to 4 pixels", "nearest sizes are 32x32 and 34x32; or set ups"),
        ((64, 64), 6, "cannot be halved 6 times to 2 pixels", "nearest size is 128x128; or leave out ups"),
        ((48, 64), 5, "cannot be halved 5 times to 2 pixels", "nearest size is 64x64; or leave out ups"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_the_nearest_that_do(size, wanted, message, hint):
    with pytest.raises(UserError) as caught:
        spade(size=size, ups=wanted)
    assert caught.value.what.startswith(f"spade: size {size[0]}x{size[1]} {message}")
    assert hint in caught.value.hint


def test_it_learns_a_single_pair():
    """The brightness follows the class, so a network that reads its structure can be all but exact."""
    structure = batch(1)["structure"]
    target = (structure.argmax(1, keepdim=True) / 1.5 - 1).expand(-1, 3, -1, -1)
    translator = spade({**CHEAP, "adversarial": 0.0})
    update = descend(translator, torch.optim.Adam(parameter_groups(translator, 1e-2), betas=(0.0, 0.9)))
    losses = [
        drive(translator, Batch(structure=structure, target=target), Step(index=n), update)["generator/l1"]
        for n in range(40)
    ]
    assert losses[-1] < 0.5 * losses[0]


def test_training_a_copy_moves_no_singular_vector_of_its_model():
    translator = spade()
    before = {name: buffer.clone() for name, buffer in translator.named_buffers()}
    assert len(before) >= 2 * 10
    copied = detach(instance_of(translator))
    drive(copied, batch(), Step(), lambda players, loss: None)
    assert all(torch.equal(before[name], buffer) for name, buffer in translator.named_buffers())
    assert not all(torch.equal(before[name], buffer) for name, buffer in copied.named_buffers())


@pytest.mark.parametrize("start", ["map", "encoder"])
def test_training_in_bf16_is_close_to_training_in_float32(start):
    losses = []
    for precision in ("fp32", "bf16"):
        translator = spade(start=start)
        translator.precision = precision
        update = descend(translator, torch.optim.SGD(parameter_groups(translator, 1e-5)))
        losses.append([drive(translator, batch(), Step(), update) for _ in range(2)][-1])
    assert all(value.dtype == torch.float32 for value in losses[1].values())
    assert {name: float(v) for name, v in losses[1].items()} == pytest.approx(
        {name: float(v) for name, v in losses[0].items()}, rel=0.05, abs=0.02
    )


test_spade = pytest.mark.slow(contract_tests("translator", Spade, {"width": 4, "d_layers": 3}))
test_spade_with_instances_and_an_encoder = pytest.mark.slow(
    contract_tests("translator", SpadeInstances, {"width": 4, "d_layers": 3, "start": "encoder", "latent": 5})
)
test_spade_with_labels_at_the_input_and_batch_norm = pytest.mark.slow(
    contract_tests("translator", Spade, {"width": 4, "d_layers": 3, "labels": "input", "norm": "batch"})
)
