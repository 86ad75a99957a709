import copy
import logging

import learn2learn
import pluggy
import pytest
import torch
from metai2i_pix2pix import Pix2pix

from metai2i import Adaptation, Augment, Batch, Objective, Randomness, Step, TaskSpec, UserError
from metai2i.hookspecs import GROUP
from metai2i.losses.lpips import LpipsDistance, lpips_distance
from metai2i.meta.inner_loop import adapted
from metai2i.training.driving import descend, drive, parameter_groups

CHEAP = {"l1": 10.0, "adversarial": 1.0, "perceptual": 0.0}


def spec(height: int = 32, width: int = 32) -> TaskSpec:
    return TaskSpec(structure_channels=4, size=(height, width))


def pix2pix(objective: dict | None = None, size: tuple[int, int] = (32, 32), **options) -> Pix2pix:
    with Randomness((3,)).scope():
        return Pix2pix(spec=spec(*size), objective=Objective(**(objective or CHEAP)), **{"width": 4, **options})


def batch(count: int = 2, side: int = 32) -> Batch:
    generator = torch.Generator().manual_seed(1)
    classes = torch.randint(4, (count, side, side), generator=generator)
    structure = torch.nn.functional.one_hot(classes, 4).permute(0, 3, 1, 2).float()
    return Batch(structure=structure, target=torch.rand(count, 3, side, side, generator=generator) * 2 - 1)


def run(translator: Pix2pix, samples: Batch, steps: int, lr: float = 2e-3, inner: bool = False) -> list[dict]:
    """A driver in small: whoever moves takes an Adam step on the sum of their losses."""
    optimisers = {name: torch.optim.Adam(list(p), lr, (0.5, 0.999)) for name, p in translator.players().items()}
    log = []
    for index in range(steps):
        log.append({})
        for player, losses in translator.training_step(samples, Step(Randomness((index,)), index, steps, inner=inner)):
            parameters = list(translator.players()[player])
            gradients = torch.autograd.grad(sum(losses.values()), parameters)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimisers[player].step()
            log[-1][player] = {name: loss.item() for name, loss in losses.items()}
    return log


def test_it_is_registered_as_pix2pix():
    import metai2i_pix2pix

    from metai2i import hookspecs

    manager, seen = pluggy.PluginManager(GROUP), {}
    manager.add_hookspecs(hookspecs)
    manager.register(metai2i_pix2pix)
    manager.hook.register_translators(register=seen.__setitem__)
    assert seen == {"pix2pix": Pix2pix}


def test_the_discriminator_moves_first_and_then_the_generator():
    translator = pix2pix()
    log = run(translator, batch(), 1)[0]
    assert list(log) == ["discriminator", "generator"] == list(translator.players())
    assert set(log["discriminator"]) == {"real", "fake"}
    assert set(log["generator"]) == {"l1", "adversarial"}


def test_every_parameter_belongs_to_one_player():
    translator = pix2pix()
    owned = [parameter for player in translator.players().values() for parameter in player]
    assert sorted(map(id, owned)) == sorted(map(id, translator.parameters()))


def test_the_generator_is_judged_by_the_discriminator_that_has_just_moved():
    translator, samples = pix2pix(), batch()
    moves = translator.training_step(samples, Step())
    next(moves)
    with torch.no_grad():
        translator.discriminator[-1].bias.fill_(50.0)
    _, losses = next(moves)
    assert float(losses["adversarial"]) < 1e-6


def test_the_discriminators_move_leaves_the_generator_without_a_gradient():
    translator = pix2pix()
    _, losses = next(iter(translator.training_step(batch(), Step())))
    sum(losses.values()).backward()
    assert all(parameter.grad is None for parameter in translator.generator.parameters())


def test_without_an_adversarial_term_there_is_no_discriminator():
    translator = pix2pix({**CHEAP, "adversarial": 0.0}, size=(8, 8))
    assert list(translator.players()) == ["generator"]
    assert [player for player, _ in translator.training_step(batch(side=8), Step())] == ["generator"]


def test_it_learns_a_single_pair():
    """The brightness follows the class, so a network that reads its structure can be all but exact."""
    structure = batch(1)["structure"]
    target = (structure.argmax(1, keepdim=True) / 1.5 - 1).expand(-1, 3, -1, -1)
    log = run(pix2pix({**CHEAP, "adversarial": 0.0}), Batch(structure=structure, target=target), 100, lr=5e-3)
    assert log[-1]["generator"]["l1"] < 0.3 * log[0]["generator"]["l1"]


def test_a_discriminator_without_a_condition_sees_the_image_only():
    assert pix2pix(d_condition="none").discriminator[0].in_channels == 3
    assert pix2pix().discriminator[0].in_channels == 7
    assert [player for player, _ in pix2pix(d_condition="none").training_step(batch(), Step())][-1] == "generator"


@pytest.mark.parametrize("condition", ["structure", "none"])
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_photographs_and_images_are_judged_as_each_would_be_alone(norm, condition):
    translator, samples = pix2pix(norm=norm, d_condition=condition), batch()
    images = samples["target"].flip(-1)
    beside = [samples["structure"]] if condition == "structure" else []
    real, faked = translator._judge(*(torch.cat([*beside, image], 1) for image in (samples["target"], images)))
    alone = [translator.discriminator(torch.cat([*beside, image], 1)) for image in (samples["target"], images)]
    torch.testing.assert_close([real, faked], alone, atol=1e-5, rtol=1e-5)
    weights = list(translator.discriminator.parameters())
    together, expected = (
        torch.autograd.grad(sum(translator.objective.discriminator(*each).values()), weights)
        for each in ((real, faked), alone)
    )
    torch.testing.assert_close(together, expected, atol=1e-5, rtol=1e-4)


def test_the_discriminator_may_see_photographs_and_fakes_changed_with_their_structures():
    translator, samples, seen = pix2pix(diff_augment=frozenset({"colour", "translation", "cutout"})), batch(), []
    translator.discriminator.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    samples = samples.replace(**translator.draws(samples, Step()))
    list(translator.training_step(samples, Step()))
    augment, structure, fake = translator.diff_augment, samples["structure"], translator.generator(samples["structure"])
    real, seen_fakes = (
        torch.cat([augment(structure, changes, colour=False), augment(images, changes)], 1)
        for images, changes in zip((samples["target"], fake), samples["changes"].unbind(1), strict=True)
    )
    torch.testing.assert_close(seen, [torch.cat([real, seen_fakes]), seen_fakes])
    assert not torch.equal(*samples["changes"].unbind(1))


def test_without_changes_pix2pix_draws_nothing():
    assert pix2pix().draws(batch(), Step()) == {}


def adapted_passes(augment: Augment | None) -> tuple[int, torch.Tensor]:
    """How many passes LPIPS makes while a copy takes three steps, and one of its weights afterwards."""
    network, count = lpips_distance("alex").network.net, []
    handle = network.register_forward_hook(lambda *_: count.append(1))
    translator = pix2pix({"l1": 1.0, "adversarial": 0.1, "perceptual": 2.0, "net": "alex"})
    copied = adapted(translator, batch(), Adaptation(iterations=3, augment=augment, lr=1e-3, optimizer="sgd"), Step())
    handle.remove()
    return len(count), copied.generator.up[0].weight.detach()


def test_an_inner_loop_looks_at_its_targets_once_and_at_augmented_ones_each_time(monkeypatch):
    count, weight = adapted_passes(None)
    assert count == 3 + 1
    assert adapted_passes(Augment())[0] == 3 + 3
    monkeypatch.setattr(
        LpipsDistance, "_aims", lambda self, images: [layer.detach() for layer in self.features(images)]
    )
    plain_count, plain_weight = adapted_passes(None)
    assert plain_count == 3 + 3
    assert torch.equal(weight, plain_weight)


def test_training_in_bf16_is_close_to_training_in_float32():
    losses = []
    for precision in ("fp32", "bf16"):
        translator = pix2pix()
        translator.precision = precision
        update = descend(translator, torch.optim.SGD(parameter_groups(translator, 1e-2)))
        losses.append([drive(translator, batch(), Step(), update) for _ in range(3)][-1])
    assert all(value.dtype == torch.float32 for value in losses[1].values())
    assert {name: float(v) for name, v in losses[1].items()} == pytest.approx(
        {name: float(v) for name, v in losses[0].items()}, rel=0.05
    )


def test_d_scale_scales_the_discriminators_loss():
    half, whole = (run(pix2pix(d_scale=scale), batch(), 1)[0]["discriminator"] for scale in (0.5, 1.0))
    assert whole == pytest.approx({name: 2 * value for name, value in half.items()})


def test_images_do_not_depend_on_the_target_or_on_the_neighbours():
    translator, samples = pix2pix(), batch(3)
    images = translator.translate(samples)
    assert images.shape == (3, 3, 32, 32)
    assert torch.equal(images, translator.translate(Batch(structure=samples["structure"])))
    assert torch.allclose(images[1:2], translator.translate(samples.select([1])), atol=1e-6)


def test_batch_norm_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        pix2pix(norm="batch")
    assert "depend on which others are in their batch" in caplog.text


@pytest.mark.parametrize(
    ("dropout", "in_training", "in_adapting", "in_images"),
    [
        ("never", False, False, False),
        ("inner", False, True, False),
        ("train", True, True, False),
        ("always", True, True, True),
    ],
)
def test_dropout_acts_where_its_option_says(dropout, in_training, in_adapting, in_images):
    translator, samples = pix2pix(size=(64, 64), dropout=dropout), batch(1, 64)

    def loss(key: int, inner: bool) -> float:
        *_, (_, losses) = translator.training_step(samples, Step(Randomness((key,)), inner=inner))
        return float(losses["l1"])

    assert (loss(1, False) != loss(2, False)) == in_training
    assert (loss(1, True) != loss(2, True)) == in_adapting
    assert loss(1, True) == loss(1, True)
    assert torch.equal(translator.translate(samples), translator.translate(samples)) == (not in_images)


def test_images_are_drawn_with_dropout_in_them_alone():
    assert [pix2pix(size=(64, 64), dropout=each).samples for each in ("never", "inner", "train", "always")] == [
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("dropout", ["inner", "train", "always"])
def test_dropout_is_refused_where_the_u_net_has_no_layers_for_it(dropout):
    with pytest.raises(UserError, match="a U-Net that halves its input 5 times drops nothing") as caught:
        pix2pix(size=(32, 32), dropout=dropout)
    assert "64x64" in str(caught.value.hint)


def test_dropout_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    list(pix2pix(size=(64, 64), dropout="train").training_step(batch(1, 64), Step()))
    assert torch.equal(before, torch.get_rng_state())


def test_a_copy_trains_apart_from_its_original():
    translator = pix2pix()
    before = copy.deepcopy(translator.state_dict())
    clone = copy.deepcopy(translator)
    run(clone, batch(), 1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in translator.state_dict().items())
    assert not torch.equal(clone.generator.down[0].weight, translator.generator.down[0].weight)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_a_functional_clone_carries_gradients_back_through_an_update(norm):
    translator, samples = pix2pix(norm=norm), batch()
    clone = learn2learn.clone_module(translator)
    for player, losses in clone.training_step(samples, Step(inner=True)):
        parameters = list(clone.players()[player])
        gradients = torch.autograd.grad(sum(losses.values()), parameters, create_graph=True)
        network = getattr(clone, player)
        learn2learn.update_module(network, updates=[-0.01 * gradient for gradient in gradients])
    assert not torch.equal(clone.generator.down[0].weight, translator.generator.down[0].weight)
    *_, (_, losses) = clone.training_step(samples, Step())
    sum(losses.values()).backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in translator.parameters())
    assert translator.generator.down[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("size", "downs"), [((128, 128), 7), ((128, 256), 7), ((256, 256), 7), ((96, 64), 5)])
def test_the_u_net_is_as_deep_as_the_size_allows_up_to_7(size, downs):
    with torch.device("meta"):
        assert len(pix2pix(size=size).generator.down) == downs


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        ((100, 128), {}, r"100x128 can be halved only 2 times.*96x128 and 104x128"),
        ((96, 96), {"downs": 6}, r"96x96 is not divisible by 64, as downs: 6 needs.*64x64 and 128x128"),
        ((32, 32), {"downs": 6}, r"32x32 is not divisible by 64.*the nearest sizes are 64x64;"),
        ((32, 32), {"downs": 0}, r"translator.downs: got 0, expected at least 1"),
        ((16, 16), {}, r"16x16 is too small for d_layers: 3.*at least 24 pixels"),
        ((32, 32), {"width": 0}, r"translator.width: got 0, expected at least 1"),
        ((32, 32), {"d_scale": 0.0}, r"translator.d_scale: got 0.0, expected more than 0"),
    ],
)
def test_sizes_and_options_that_do_not_fit_are_told_with_what_would(size, options, message):
    with pytest.raises(UserError, match=message):
        pix2pix(size=size, **options)


def test_the_smallest_size_for_a_discriminator_works():
    assert [player for player, _ in pix2pix(size=(24, 24)).training_step(batch(2, 24), Step())][-1] == "generator"
