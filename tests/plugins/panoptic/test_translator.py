from __future__ import annotations

import itertools

import pytest
import torch
from metai2i_panoptic.guided import PanopticGuide
from metai2i_panoptic.translator import Panoptic

from metai2i import Batch, Objective, Randomness, Step, TaskSpec, UserError

CHEAP = {"l1": 1.0, "adversarial": 1.0, "perceptual": 0.0, "gan": "hinge"}
SIDE = 32


def panoptic(size: tuple[int, int] = (SIDE, SIDE), objective: dict | None = None, **options) -> Panoptic:
    with Randomness((3,)).scope():
        spec = TaskSpec(structure_channels=4, size=size)
        return Panoptic(
            spec=spec, objective=Objective(**(objective or CHEAP)), **{"width": 2, "d_layers": 2, **options}
        )


def batch(count: int = 2, side: int = SIDE) -> Batch:
    """Blocks of four classes; those of class 0 are of three instances."""
    draw = torch.Generator().manual_seed(1)
    blocks = torch.randint(4, (count, side // 4, side // 4), generator=draw)
    ids = torch.where(blocks == 0, torch.randint(1000, 1003, blocks.shape, generator=draw), blocks)
    classes, ids = (each.repeat_interleave(4, 1).repeat_interleave(4, 2) for each in (blocks, ids))
    structure = torch.nn.functional.one_hot(classes, 4).permute(0, 3, 1, 2).float()
    target = torch.rand(count, 3, side, side, generator=draw) * 2 - 1
    return Batch(structure=structure, target=target, instances=ids)


def count(network: torch.nn.Module, kind: type[torch.nn.Module] = torch.nn.Conv2d) -> int:
    return sum(p.numel() for m in network.modules() if isinstance(m, kind) for p in m.parameters())


@pytest.mark.parametrize(("channels", "core", "holes"), [(20, 66_914_883, 532_864), (34, 67_043_907, 903_808),
                                                         (183, 68_417_091, 4_851_712)])  # fmt: skip
def test_the_published_shape_has_its_number_of_weights(channels, core, holes):
    spec = TaskSpec(structure_channels=channels, size=(256, 256))
    with torch.device("meta"):
        generators = [
            Panoptic(spec=spec, objective=Objective(**CHEAP), ups=5, upsample=how).generator
            for how in ("nearest", "panoptic")
        ]
    assert count(generators[0]) == core
    assert count(generators[1]) == core + holes


OPTIONS = [
    {},
    {"conv": "plain", "upsample": "nearest"},
    {"conv": "partial", "hole_fill": "nearest"},
    {"neighbours": "nine", "labels": "norm"},
    {"ids": "classes", "norm": "batch"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_parameter_is_reached_and_images_are_in_range(options):
    translator, samples = panoptic(**options), batch()
    moves = []
    for player, losses in translator.training_step(samples, Step()):
        moves.append(player)
        parameters = list(translator.players()[player])
        gradients = torch.autograd.grad(sum(losses.values()), parameters, allow_unused=True)
        assert all(gradient is not None for gradient in gradients)
    assert moves == ["generator", "discriminator"]
    images = translator.translate(samples)
    assert images.shape == (2, 3, SIDE, SIDE)
    assert images.abs().max() <= 1


def test_the_options_are_all_different_networks():
    images = [panoptic(**options).translate(batch()) for options in OPTIONS]
    for first, second in itertools.combinations(images, 2):
        assert not torch.allclose(first, second)


def test_with_ids_collapsed_instances_change_nothing_and_otherwise_they_do():
    samples = batch()
    others = samples.replace(instances=torch.where(samples["instances"] == 1001, 1000, samples["instances"]))
    for ids, changes in (("instances", True), ("classes", False)):
        translator = panoptic(ids=ids).eval()
        same = torch.equal(translator.translate(samples), translator.translate(others))
        assert same != changes


def test_plain_layers_are_not_shown_instances_and_the_discriminator_is():
    samples = batch()
    others = samples.replace(instances=samples["structure"].argmax(1))
    translator = panoptic(conv="plain", upsample="nearest").eval()
    assert torch.equal(translator.translate(samples), translator.translate(others))
    guides = [translator.guide(each).structure for each in (samples, others)]
    assert torch.equal(guides[0][:, :4], guides[1][:, :4])
    assert (guides[0][:, 4] > guides[1][:, 4]).any()


def test_other_numbers_for_the_same_instances_change_nothing():
    samples = batch()
    renamed = samples.replace(instances=samples["instances"] * -(2**33) + 7)
    translator = panoptic().eval()
    assert torch.equal(translator.translate(samples), translator.translate(renamed))


def test_ids_and_label_map_are_made_small_alike():
    """Else a feature could be of another class than its id says."""
    samples = batch()
    classes = samples["structure"].argmax(1)
    guide = PanopticGuide(samples["structure"], torch.zeros(2, 1, SIDE, SIDE), classes)
    for side in (2, 4, 8, 16, 32):
        assert torch.equal(guide.at((side, side)).argmax(1), guide.ids_at((side, side)))


def test_wide_images_are_made_too():
    samples = batch()
    wide = Batch(**{name: torch.cat([field, field.flip(-1)], -1) for name, field in samples.items()})
    assert panoptic((SIDE, 2 * SIDE)).translate(wide).shape == (2, 3, SIDE, 2 * SIDE)


def test_a_size_that_cannot_be_halved_often_enough_is_refused():
    with pytest.raises(UserError, match="size 36x36 cannot be halved 4 times"):
        panoptic((36, 36), ups=4)


def test_without_an_adversarial_term_there_is_no_discriminator():
    translator = panoptic(objective={**CHEAP, "adversarial": 0.0})
    assert list(translator.players()) == ["generator"]


def test_a_step_draws_nothing_so_that_it_may_be_replayed():
    translator, samples = panoptic().eval(), batch()
    assert translator.replayable
    before = torch.get_rng_state()

    def losses(step: Step) -> dict[str, float]:
        moves = translator.training_step(samples, step)
        return {name: loss.item() for _, terms in moves for name, loss in terms.items()}

    assert losses(Step(Randomness((1,)), 0, 9)) == losses(Step(Randomness((2,)), 8, 9))
    assert torch.equal(before, torch.get_rng_state())


def test_it_is_registered():
    import metai2i_panoptic

    seen: dict[str, type] = {}
    metai2i_panoptic.register_translators(seen.__setitem__)
    assert seen == {"panoptic": Panoptic}
