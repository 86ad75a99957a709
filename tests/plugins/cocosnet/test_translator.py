import logging
from statistics import median

import pluggy
import pytest
import torch
from metai2i_cocosnet.correspondence import pooled
from metai2i_cocosnet.losses import mask_loss, weighted_distance
from metai2i_cocosnet.translator import Cocosnet
from metai2i_spade import Guide

from metai2i import Batch, Objective, Randomness, Step, TaskSource, TaskSpec, UserError
from metai2i.hookspecs import GROUP
from metai2i.meta.instance import detach, instance_of
from metai2i.testing import run_contracts
from metai2i.testing.scenes import ToyScene, ToyScenes
from metai2i.training.driving import descend, drive, parameter_groups, shown_images, translate

CHEAP = {"l1": 10.0, "adversarial": 1.0, "perceptual": 0.0, "gan": "hinge"}
SMALL = {"width": 4, "d_layers": 3}


def cocosnet(objective: dict | None = None, side: int = 32, channels: int = 4, **options) -> Cocosnet:
    spec = TaskSpec(structure_channels=channels, size=(side, side))
    with Randomness((3,)).scope():
        return Cocosnet(spec=spec, objective=Objective(**(objective or CHEAP)), **{**SMALL, **options})


def batch(count: int = 2, side: int = 32) -> Batch:
    draw = torch.Generator().manual_seed(1)
    cells = torch.randint(4, (2, count, side // 4, side // 4), generator=draw)
    maps = torch.nn.functional.one_hot(cells.repeat_interleave(4, 2).repeat_interleave(4, 3), 4).float()
    structure, reference_structure = maps.permute(0, 1, 4, 2, 3)
    target, reference = torch.rand(2, count, 3, side, side, generator=draw) * 2 - 1
    return Batch(structure=structure, target=target, reference=reference, reference_structure=reference_structure)


def moves(translator: Cocosnet, samples: Batch) -> list[tuple[object, dict[str, torch.Tensor]]]:
    return [(player, dict(losses)) for player, losses in translator.training_step(samples, Step())]


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_it_is_registered():
    import metai2i_cocosnet

    from metai2i import hookspecs

    manager, seen = pluggy.PluginManager(GROUP), {}
    manager.add_hookspecs(hookspecs)
    manager.register(metai2i_cocosnet)
    manager.hook.register_translators(register=seen.__setitem__)
    assert seen == {"cocosnet": Cocosnet}


def test_it_reads_an_exemplar_and_its_map():
    assert {"structure", "target", "reference", "reference_structure"} == Cocosnet.needs


def test_generator_and_correspondence_move_together_and_then_the_discriminator():
    names = [(player, set(losses)) for player, losses in moves(cocosnet(), batch())]
    assert names == [
        (("generator", "correspondence"), {"l1", "adversarial", "matching", "alignment", "mask"}),
        ("discriminator", {"real", "fake"}),
    ]
    assert list(cocosnet().players()) == ["generator", "correspondence", "discriminator"]


def test_the_discriminator_is_shown_the_images_of_before_the_generators_move():
    """A generator that has become grey between the moves is not seen."""
    translator, samples, shown = cocosnet(), batch(), []
    translator.discriminator.register_forward_pre_hook(lambda _, given: shown.append(given[0].detach().clone()))
    steps = translator.training_step(samples, Step())
    next(steps)
    with torch.no_grad():
        translator.generator.last.weight.zero_()
    _, losses = next(steps)
    assert torch.equal(*shown)
    assert bool(shown[1][:2, -3:].any())
    sum(losses.values()).backward()
    assert all(parameter.grad is None for parameter in translator.generator.parameters())
    assert torch.equal(shown[0][:2, :4], samples["structure"])
    assert shown[0].shape[1] == 4 + 3  # the discriminator does not see the warp


def test_the_generator_is_guided_by_the_warp_before_the_map():
    translator, samples, guides = cocosnet().eval(), batch(), []
    translator.generator.register_forward_pre_hook(lambda _, given: guides.append(given[0]))
    translator.translate(samples)
    warp = translator.warp(samples)
    torch.testing.assert_close(guides[0].structure, torch.cat([warp.image, samples["structure"]], 1))
    assert translator.generator.first.conv.in_channels == 7


def test_a_warp_is_of_the_exemplars_colours_and_its_map_of_shares():
    translator, samples = cocosnet(enlarge="nearest").eval(), batch()
    warp = translator.warp(samples)
    assert warp.image.shape == samples["target"].shape
    assert warp.labels.shape == (2, 4, 8, 8)
    torch.testing.assert_close(warp.labels.sum(1), torch.ones(2, 8, 8))
    small = pooled(samples["reference"], 4)
    assert bool((warp.image.amax((2, 3)) <= small.amax((2, 3)) + 1e-5).all())
    assert torch.equal(warp.image[..., ::4, ::4], warp.image[..., 3::4, 3::4])
    even = samples.replace(reference=torch.full_like(samples["reference"], 0.3))
    torch.testing.assert_close(translator.warp(even).image, even["reference"])


def test_patches_carry_over_pixels_and_bilinear_warps_are_smooth():
    samples = batch()
    fine = cocosnet(warp="patches").eval().warp(samples).image
    coarse = cocosnet().eval().warp(samples).image
    assert fine.shape == coarse.shape == samples["target"].shape

    def roughness(image: torch.Tensor) -> float:
        return float((image[..., 1:] - image[..., :-1]).abs().mean())

    assert roughness(fine) > 2 * roughness(coarse)


def test_the_report_has_the_warped_exemplar_and_its_map_in_the_colours_of_its_classes():
    """Where the correlation is even, all of the exemplar's positions have a share alike."""
    spec = TaskSpec(structure_channels=4, size=(32, 32), palette=((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)))
    translator = Cocosnet(spec=spec, objective=Objective(**CHEAP), **SMALL, temperature=1e6, warp="patches").eval()
    samples = batch()
    shown = shown_images(translator, samples, Step())
    assert set(shown) == {"warped", "warped_map"}
    assert torch.equal(shown["warped"], translator.warp(samples).image.clamp(-1, 1))
    shares = samples["reference_structure"].mean((2, 3))[:, 1:, None, None]  # of red, green and blue
    torch.testing.assert_close(shown["warped_map"], (2 * shares - 1).expand(-1, -1, 32, 32), atol=1e-4, rtol=0)
    assert cocosnet().colours == tuple((level,) * 3 for level in (0, 85, 170, 255))
    assert shown_images(cocosnet(exemplar=False), samples, Step()) == {}


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_less_stride_compares_more_positions(stride):
    assert cocosnet(stride=stride, side=16, d_layers=2).warp(batch(side=16)).labels.shape[-2:] == (
        16 // stride,
        16 // stride,
    )


def test_pieces_make_the_same_images_and_gradients():
    samples, losses = batch().map(torch.Tensor.double), []
    whole, pieces = cocosnet(chunk=0, cycle=1.0).double(), cocosnet(chunk=9, cycle=1.0).double()
    assert whole.replayable
    assert not pieces.replayable
    torch.testing.assert_close(whole.eval().translate(samples), pieces.eval().translate(samples))
    for translator in (whole, pieces):
        _, terms = next(iter(translator.training_step(samples, Step())))
        sum(terms.values()).backward()
        losses.append({name: term.item() for name, term in terms.items()})
    assert losses[0] == pytest.approx(losses[1])
    for (name, ours), (_, theirs) in zip(whole.named_parameters(), pieces.named_parameters(), strict=True):
        if ours.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


def test_memory_and_what_is_left_out_are_logged(caplog):
    caplog.set_level(logging.INFO, "metai2i_cocosnet.translator")
    cocosnet(chunk=16)
    assert [record.message for record in caplog.records] == [
        "cocosnet: 64 positions are compared with as many, 16 at a time: 0.0 MiB a sample",
        "cocosnet: no VGG features, so the losses on them are left out (translator.vgg)",
    ]


def test_terms_of_the_warp_have_their_weights():
    weights = {"alignment": 3.0, "mask": 5.0, "cycle": 7.0, "self_warp": 11.0, "self_exemplars": True}
    translator, samples = cocosnet(**weights).eval(), batch()
    _, terms = next(iter(translator.training_step(samples, Step())))
    warp = translator.warp(samples)
    of_target = translator.correspondence.of_image(samples["target"])
    maps = [Guide(samples[name]).at((8, 8)) for name in ("structure", "reference_structure")]
    expected = {
        "alignment": 3 * (warp.map_features - of_target).abs().mean(),
        "mask": 5 * mask_loss(warp.labels, *maps),
        "cycle": 7 * (warp.returned - pooled(samples["reference"], 4)).abs().mean(),
        "self_warp": 11 * weighted_distance(warp.image, samples["target"], torch.ones(2)),
    }
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-3)
        assert terms[name].item() > 0
    assert "self_warp" not in moves(cocosnet(self_warp=11.0), samples)[0][1]
    assert not {"alignment", "mask", "cycle"} & set(moves(cocosnet(alignment=0.0, mask=0.0), samples)[0][1])


def test_only_samples_that_are_their_own_exemplars_count_in_what_compares_with_the_photograph():
    samples = batch(3)
    translator = cocosnet(self_warp=11.0).eval()
    marked = samples.replace(self_exemplar=torch.tensor([0, 1, 0]))
    _, terms = next(iter(translator.training_step(marked, Step())))
    apart = (translator.warp(samples).image - samples["target"]).abs().mean((1, 2, 3))
    assert terms["self_warp"].item() == pytest.approx(11 * apart[1].item() / 3, rel=1e-4)
    _, every = next(iter(cocosnet(self_warp=11.0, self_exemplars=True).eval().training_step(marked, Step())))
    assert every["self_warp"].item() == pytest.approx(11 * apart.mean().item() / 3, rel=1e-4)
    none = samples.replace(self_exemplar=torch.zeros(3, dtype=torch.int64))
    assert next(iter(translator.training_step(none, Step())))[1]["self_warp"].item() == 0


def test_without_an_exemplar_the_same_generator_is_guided_by_the_map_alone():
    translator, samples = cocosnet(exemplar=False).eval(), batch()
    assert list(translator.players()) == ["generator", "discriminator"]
    assert [player for player, _ in moves(translator, samples)] == ["generator", "discriminator"]
    other = samples.replace(reference=-samples["reference"], reference_structure=samples["structure"])
    assert torch.equal(translator.translate(samples), translator.translate(other))


def test_it_has_the_published_networks_by_default_and_nearly_as_large_a_generator_without_exemplars():
    with torch.device("meta"):
        faces, without = (
            cocosnet(exemplar=shown, side=256, channels=19, kernel=4, width=64, d_layers=4) for shown in (True, False)
        )
    assert count(faces.correspondence) == 53_574_564
    assert count(faces.generator) == 92_710_596
    assert count(faces.discriminator) == 5_730_436
    assert count(without.generator) == pytest.approx(count(faces.generator), rel=1e-3)


def test_images_follow_the_exemplar():
    translator, samples = cocosnet().eval(), batch()
    with torch.no_grad():
        images = [
            translator.translate(samples.replace(reference=torch.full_like(samples["reference"], shade)))
            for shade in (-0.8, 0.8)
        ]
    assert float((images[0] - images[1]).abs().mean()) > 1e-4


def test_without_an_adversarial_term_there_is_no_discriminator():
    translator = cocosnet({**CHEAP, "adversarial": 0.0})
    assert list(translator.players()) == ["generator", "correspondence"]
    assert dict(translator.rates) == {}
    assert len(moves(translator, batch())) == 1


def test_the_discriminator_learns_four_times_as_fast_unless_told_otherwise():
    groups = {group["name"]: group["lr"] for group in parameter_groups(cocosnet(), 1e-4)}
    assert groups == pytest.approx({"generator": 1e-4, "correspondence": 1e-4, "discriminator": 4e-4})


@pytest.mark.parametrize(
    ("options", "side", "message", "hint"),
    [
        ({"ups": 1}, 18, "size 18x18 does not have positions of 4 pixels a side", "lower stride"),
        ({"width": 1}, 32, "expected at least 2: positions", None),
        ({"c_width": 1}, 32, "expected at least 2: positions", None),
        ({"d_layers": 4}, 32, "4 layers of the discriminator leave too little", "d_layers: 3"),
    ],
)
def test_what_does_not_fit_is_refused(options, side, message, hint):
    with pytest.raises(UserError) as caught:
        cocosnet(side=side, **options)
    assert message in caught.value.what
    assert hint is None or caught.value.hint == hint


def test_it_learns_a_single_pair_and_the_loss_of_the_mask_falls():
    samples = batch(1)
    samples = samples.replace(
        target=(samples["structure"].argmax(1, keepdim=True) / 1.5 - 1).expand(-1, 3, -1, -1),
        reference=(samples["reference_structure"].argmax(1, keepdim=True) / 1.5 - 1).expand(-1, 3, -1, -1),
    )
    translator = cocosnet({**CHEAP, "adversarial": 0.0}, mask=10.0)
    update = descend(translator, torch.optim.Adam(parameter_groups(translator, 3e-3), betas=(0.0, 0.9)))
    losses = [drive(translator, samples, Step(index=n), update) for n in range(60)]
    for term in ("l1", "mask"):
        first, *others = (float(loss[f"generator+correspondence/{term}"]) for loss in losses)
        assert median(others[-10:]) < 0.6 * first  # a single step may leap back to where the loss began
    with torch.no_grad():
        apart = float((translator.eval().warp(samples).image - samples["target"]).abs().mean())
    assert apart < float((samples["reference"] - samples["target"]).abs().mean())


def test_training_in_bf16_is_close_to_training_in_float32():
    losses = []
    for precision in ("fp32", "bf16"):
        translator = cocosnet(chunk=16, cycle=1.0)
        translator.precision = precision
        update = descend(translator, torch.optim.SGD(parameter_groups(translator, 1e-5)))
        losses.append([drive(translator, batch(), Step(), update) for _ in range(2)][-1])
    assert all(value.dtype == torch.float32 for value in losses[1].values())
    for term in ("l1", "adversarial", "matching", "alignment"):
        name = f"generator+correspondence/{term}"
        assert float(losses[1][name]) == pytest.approx(float(losses[0][name]), rel=0.1, abs=0.05)


def test_a_copy_trains_apart_from_its_model():
    translator = cocosnet(chunk=16)
    before = {name: tensor.clone() for name, tensor in translator.state_dict().items()}
    copied = detach(instance_of(translator))
    drive(copied, batch(), Step(), descend(copied, torch.optim.Adam(parameter_groups(copied, 1e-3))))
    assert all(torch.equal(before[name], tensor) for name, tensor in translator.state_dict().items())
    images = translate(copied, batch(), Step())
    assert images.shape == (2, 3, 32, 32)


class ToyExemplars(ToyScenes):
    """Toy scenes whose every sample has the next one of its scene as its exemplar."""

    provides = Cocosnet.needs

    def __init__(self) -> None:
        super().__init__()
        self.provides = Cocosnet.needs

    def tasks(self, split):
        return [ToyExemplarScene(f"toy-{split}-{n}", self.spec(), ToyScenes().provides) for n in range(3)]


class ToyExemplarScene(ToyScene):
    def load(self, indices):
        samples, exemplars = super().load(indices), super().load([(int(i) + 1) % len(self) for i in indices])
        return samples.replace(reference=exemplars["target"], reference_structure=exemplars["structure"])


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"chunk": 16, "warp": "patches", "cycle": 0.1}, {"exemplar": False}])
def test_it_keeps_the_contracts_of_translators(options):
    source: TaskSource = ToyExemplars()
    outcomes = run_contracts("translator", Cocosnet, {"width": 2, "d_layers": 2, **options}, source=source)
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}
    assert sum(o.status == "ok" for o in outcomes) > 15
