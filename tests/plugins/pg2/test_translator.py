import copy

import pluggy
import pytest
import torch
from metai2i_baselines import FineTune
from metai2i_bil import Bil
from metai2i_pg2 import PG2
from torch.nn.functional import one_hot, softplus

from metai2i import Adaptation, Batch, Episode, Objective, Randomness, Step, TaskSpec, UserError, hookspecs
from metai2i.hookspecs import GROUP
from metai2i.recipe import load_recipe
from metai2i.stages.pretrain import phase_ends
from metai2i.training.driving import descend, drive, parameter_groups

CHEAP = {"l1": 10.0, "adversarial": 0.5, "perceptual": 0.0}
CLASSES = ("ground", "house", "tree", "sky")
BOTH = pytest.mark.parametrize("variant", ["bil", "original"])


def pg2(variant: str = "bil", size: tuple[int, int] = (32, 32), objective: dict | None = None, **options) -> PG2:
    spec = TaskSpec(structure_channels=4, size=size, classes=CLASSES)
    with Randomness((3,)).scope():
        return PG2(spec=spec, objective=Objective(**(objective or CHEAP)), variant=variant, **{"width": 4, **options})


def batch(count: int = 2, side: int = 32, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(4, (count, side, side), generator=generator)
    target, reference = torch.rand(2, count, 3, side, side, generator=generator) * 2 - 1
    structure = one_hot(classes, 4).permute(0, 3, 1, 2).float()
    return Batch(structure=structure, target=target, reference=reference)


def moves(translator: PG2, samples: Batch, phase: str = "refine") -> dict[str, dict[str, torch.Tensor]]:
    return dict(translator.training_step(samples, Step(phase=phase)))


def trained(translator: PG2, samples: Batch, steps: int, phase: str = "refine", lr: float = 2e-3) -> list[dict]:
    optimizer = torch.optim.Adam(parameter_groups(translator, lr), lr=lr, betas=(0.5, 0.999))
    update = descend(translator, optimizer)
    return [drive(translator, samples, Step(Randomness((i,)), phase=phase), update) for i in range(steps)]


def state(translator: PG2, network: str) -> dict[str, torch.Tensor]:
    return copy.deepcopy(getattr(translator, network).state_dict())


def same(left: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(left[name], other[name]) for name in left)


def test_it_is_registered_as_pg2():
    import metai2i_pg2

    manager, seen = pluggy.PluginManager(GROUP), {}
    manager.add_hookspecs(hookspecs)
    manager.register(metai2i_pg2)
    manager.hook.register_translators(register=seen.__setitem__)
    assert seen == {"pg2": PG2}


def test_one_stage_has_two_players_who_move_in_turn():
    translator = pg2()
    assert list(translator.players()) == ["discriminator", "generator"]
    losses = moves(translator, batch())
    assert list(losses) == ["discriminator", "generator"]
    assert set(losses["discriminator"]) == {"real", "fake"}
    assert set(losses["generator"]) == {"l1", "adversarial"}


def test_of_two_stages_the_coarse_one_moves_alone_and_then_never_again():
    translator = pg2("original")
    assert list(translator.players()) == ["coarse", "discriminator", "generator"]
    coarse, refine = moves(translator, batch(), "coarse"), moves(translator, batch(), "refine")
    assert {player: set(losses) for player, losses in coarse.items()} == {"coarse": {"l1", "foreground_l1"}}
    assert list(refine) == ["discriminator", "generator"]
    assert set(refine["generator"]) == {"l1", "adversarial", "foreground_l1"}


@BOTH
def test_every_parameter_belongs_to_one_player(variant):
    translator = pg2(variant)
    owned = [parameter for player in translator.players().values() for parameter in player]
    assert sorted(map(id, owned)) == sorted(map(id, translator.parameters()))


@pytest.mark.parametrize(("variant", "phase"), [("bil", "refine"), ("original", "coarse"), ("original", "refine")])
def test_every_loss_reaches_every_parameter_of_its_player(variant, phase):
    translator = pg2(variant)
    for player, losses in translator.training_step(batch(), Step(phase=phase)):
        for term, loss in losses.items():
            parameters = list(translator.players()[player])
            grads = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            assert all(gradient is not None for gradient in grads), (player, term)
            assert any(gradient.any() for gradient in grads), (player, term)


@pytest.mark.parametrize(
    ("variant", "phase", "player", "apart"),
    [
        ("bil", "refine", "discriminator", ["generator"]),
        ("original", "coarse", "coarse", ["discriminator", "generator"]),
        ("original", "refine", "discriminator", ["coarse", "generator"]),
        ("original", "refine", "generator", ["coarse"]),
    ],
)
def test_a_players_losses_do_not_reach_the_networks_that_stand_still(variant, phase, player, apart):
    translator = pg2(variant)
    loss = sum(moves(translator, batch(), phase)[player].values())
    others = [parameter for name in apart for parameter in translator.players()[name]]
    assert set(torch.autograd.grad(loss, others, allow_unused=True)) == {None}


@pytest.mark.parametrize(
    ("variant", "phase", "moving"),
    [
        ("bil", "refine", {"discriminator", "generator"}),
        ("original", "coarse", {"coarse"}),
        ("original", "refine", {"discriminator", "generator"}),
    ],
)
def test_training_changes_the_networks_that_move_and_no_others(variant, phase, moving):
    translator = pg2(variant)
    before = {player: state(translator, player) for player in translator.players()}
    trained(translator, batch(), 2, phase)
    assert {player for player, old in before.items() if not same(old, state(translator, player))} == moving


@BOTH
def test_the_generator_is_judged_by_the_discriminator_that_has_just_moved(variant):
    translator = pg2(variant)
    steps = translator.training_step(batch(), Step(phase="refine"))
    next(steps)
    with torch.no_grad():
        translator.discriminator[-1].bias.fill_(50.0)
    _, losses = next(steps)
    assert losses["adversarial"].item() < 1e-6


@BOTH
def test_without_an_adversarial_term_there_is_no_discriminator(variant):
    translator = pg2(variant, objective={**CHEAP, "adversarial": 0.0})
    assert translator.discriminator is None
    assert list(moves(translator, batch())) == ["generator"]


@BOTH
def test_images_depend_neither_on_the_target_nor_on_the_neighbours(variant):
    translator, samples = pg2(variant).double(), batch(3).map(torch.Tensor.double)
    images = translator.translate(samples)
    blind = Batch(structure=samples["structure"], reference=samples["reference"])
    assert images.shape == (3, 3, 32, 32)
    assert torch.equal(images, translator.translate(blind))
    assert torch.allclose(images[1:2], translator.translate(samples.select([1])), atol=1e-12)


@BOTH
@pytest.mark.parametrize("field", ["structure", "reference"])
def test_images_follow_the_structure_and_the_reference(variant, field):
    translator, samples = pg2(variant), batch()
    other = samples.replace(**{field: batch(seed=2)[field]})
    assert not torch.allclose(translator.translate(samples), translator.translate(other), atol=1e-4)


@torch.no_grad()
def test_the_second_stage_adds_to_the_image_of_the_first():
    translator, samples = pg2("original"), batch()
    translator.generator.head.weight.zero_()
    given = torch.cat([samples["structure"], samples["reference"]], 1)
    assert torch.equal(translator.translate(samples), translator.coarse(given).clamp(-1, 1))
    translator.generator.head.bias.fill_(0.5)
    assert torch.equal(translator.translate(samples), (translator.coarse(given) + 0.5).clamp(-1, 1))
    translator.generator.head.bias.fill_(50.0)
    assert translator.translate(samples).max() == 1


@BOTH
@pytest.mark.parametrize(("condition", "channels"), [("none", 3), ("structure", 7), ("structure+reference", 10)])
def test_the_discriminator_sees_what_its_condition_says(variant, condition, channels):
    translator = pg2(variant, d_condition=condition)
    assert translator.discriminator[0].in_channels == channels
    assert list(moves(translator, batch())) == ["discriminator", "generator"]


def test_one_stage_is_judged_with_its_structure_and_two_without_unless_told_otherwise():
    assert pg2().discriminator[0].in_channels == 7
    assert pg2("original").discriminator[0].in_channels == 3


@BOTH
def test_a_triplet_calls_the_reference_fake_as_well(variant):
    samples = batch()
    pair, triplet = (pg2(variant, d_loss=kind, d_condition="none") for kind in ("pair", "triplet"))
    reference = 0.5 * softplus(pair.discriminator(samples["reference"])).mean()  # halved by d_scale
    alone, both = (moves(translator, samples)["discriminator"] for translator in (pair, triplet))
    assert torch.equal(alone["real"], both["real"])
    assert torch.allclose(both["fake"], (alone["fake"] + reference) / 2)


def test_d_scale_scales_the_discriminators_loss():
    half, whole = (moves(pg2(d_scale=scale), batch())["discriminator"] for scale in (0.5, 1.0))
    assert all(torch.allclose(2 * half[term], whole[term]) for term in whole)


@pytest.mark.parametrize(
    ("foreground", "channels"), [(None, [1, 2, 3]), (("tree", "house"), [1, 2]), ((3,), [3]), ((), [])]
)
@pytest.mark.parametrize(("phase", "player"), [("coarse", "coarse"), ("refine", "generator")])
def test_l1_counts_twice_on_the_foreground(foreground, channels, phase, player):
    translator, samples = pg2("original", foreground=foreground), batch()
    losses = moves(translator, samples, phase)[player]
    given = torch.cat([samples["structure"], samples["reference"]], 1)
    image = translator.coarse(given)
    if phase == "refine":
        image = image + translator.generator(image, samples["reference"])
    away = (image - samples["target"]).abs()
    ids = samples["structure"].argmax(1)
    inside = torch.isin(ids, torch.tensor(channels))[:, None].expand_as(away)
    assert torch.allclose(losses["l1"], 10 * away.mean())
    assert torch.allclose(losses["foreground_l1"], 10 * away[inside].sum() / away.numel())


def test_a_foreground_of_channels_that_overlap_counts_once():
    translator, samples = pg2("original", foreground=(1, 2)), batch()
    overlap = samples.replace(structure=torch.ones_like(samples["structure"]))
    losses = moves(translator, overlap, "coarse")["coarse"]
    assert torch.allclose(losses["foreground_l1"], losses["l1"])


@pytest.mark.parametrize(("variant", "phases"), [("bil", ("refine",)), ("original", ("coarse", "refine"))])
def test_iterations_by_phase_give_each_variant_its_own(variant, phases, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "tasks: {use: scenes}\n"
        f"translator: {{use: pg2, variant: {variant}}}\n"
        "strategy: {use: finetune}\n"
        "pretrain: {iterations: {coarse: 3, refine: 5}}\n"
    )
    (row,) = load_recipe(recipe).rows.values()
    translator = pg2(row.translator.options["variant"])
    lengths = {name: end - begin for name, end, begin in phase_ends(translator, row.pretrain.iterations)}
    assert lengths == {name: {"coarse": 3, "refine": 5}[name] for name in phases}
    assert copy.deepcopy(translator).phases == phases


def test_one_stage_learns_a_single_pair():
    """The brightness follows the class, so a network that reads its structure can be all but exact."""
    samples = batch(1)
    target = (samples["structure"].argmax(1, keepdim=True) / 1.5 - 1).expand(-1, 3, -1, -1)
    log = trained(pg2(), samples.replace(target=target), 60, lr=5e-3)
    assert log[-1]["generator/l1"] < 0.5 * log[0]["generator/l1"]


def test_two_stages_learn_a_single_pair_one_after_the_other():
    samples = batch(1)
    target = (samples["structure"].argmax(1, keepdim=True) / 1.5 - 1).expand(-1, 3, -1, -1)
    samples, translator = samples.replace(target=target), pg2("original", objective={**CHEAP, "adversarial": 0.0})
    coarse = trained(translator, samples, 40, "coarse", lr=5e-3)
    refine = trained(translator, samples, 40, "refine", lr=5e-3)
    assert coarse[-1]["coarse/l1"] < 0.7 * coarse[0]["coarse/l1"]
    assert refine[-1]["generator/l1"] < 0.9 * coarse[-1]["coarse/l1"]


@BOTH
def test_finetuning_adapts_a_copy_and_leaves_the_general_model(variant):
    gp, samples = pg2(variant), batch()
    before = copy.deepcopy(gp.state_dict())
    adapted = FineTune(inner=Adaptation(iterations=2, batch=2, lr=1e-2)).adapt(gp, samples, Step(phase=gp.phases[-1]))
    assert same(before, gp.state_dict())
    assert not same(state(gp, "generator"), state(adapted, "generator"))
    assert not same(state(gp, "discriminator"), state(adapted, "discriminator"))
    if gp.coarse is not None:
        assert same(state(gp, "coarse"), state(adapted, "coarse"))


@BOTH
@pytest.mark.parametrize("order", ["first", "second"])
def test_bil_steps_generator_and_discriminator(variant, order):
    gp, strategy = pg2(variant), Bil(inner=Adaptation(batch=2, lr=1e-3), steps=2, order=order)
    optimizer = torch.optim.Adam(gp.parameters(), 1e-3)
    before = {player: state(gp, player) for player in gp.players()}
    for index in range(2):
        optimizer.zero_grad()
        losses = strategy.meta_gradient(gp, Episode("a", batch(), batch(seed=2)), Step(index=index, phase="refine"))
        assert all(bool(loss.isfinite()) for loss in losses.values())
        assert all(bool(p.grad.isfinite().all()) for p in gp.parameters() if p.grad is not None)
        optimizer.step()
    assert {player for player in before if not same(before[player], state(gp, player))} == {
        "discriminator", "generator",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("size", "downs"),
    [((128, 128), 5), ((128, 256), 5), ((128, 64), 4), ((256, 256), 5), ((64, 64), 4), ((32, 32), 3), ((96, 64), 4)],
)
@BOTH
def test_it_is_as_deep_as_the_size_allows_up_to_5(size, downs, variant):
    with torch.device("meta"):
        translator = pg2(variant, size)
    first = translator.generator if variant == "bil" else translator.coarse
    assert len(first.down) == downs
    if variant == "original":
        assert len(translator.generator.down) == downs - 2
        assert len([layer for layer in translator.discriminator if isinstance(layer, torch.nn.Conv2d)]) == downs


@pytest.mark.parametrize(
    ("size", "options", "parameters"),
    [
        ((128, 64), {"outer_skip": False}, {"coarse": 70_795_075, "generator": 6_058_883, "discriminator": 4_324_737}),
        ((256, 256), {}, {"coarse": 122_103_235, "generator": 12_696_067, "discriminator": 10_896_257}),
    ],
)
def test_the_original_is_built_as_published_for_its_two_sizes(size, options, parameters):
    with torch.device("meta"):
        translator = PG2(
            spec=TaskSpec(structure_channels=18, size=size), objective=Objective(**CHEAP), variant="original", **options
        )
    assert {name: sum(p.numel() for p in owned) for name, owned in translator.players().items()} == parameters


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        ((100, 128), {}, r"100x128 cannot be halved 3 times.*nearest sizes are 96x128 and 104x128; or set downs"),
        ((24, 24), {}, r"24x24 cannot be halved 3 times to 4 pixels.*the nearest size is 32x32; or set downs"),
        ((96, 96), {"downs": 6}, r"96x96 cannot be halved 6 times.*the nearest size is 128x128; or leave downs out"),
        ((32, 64), {"downs": 5}, r"32x64 cannot be halved 5 times to 2 pixels.*64x64"),
        ((32, 32), {"downs": 0}, r"translator.downs: got 0, expected at least 1"),
        ((16, 16), {"downs": 2}, r"16x16 is too small for d_layers: 3.*at least 24 pixels"),
        ((32, 32), {"variant": "original", "d_layers": 5}, r"32x32 is too small for d_layers: 5.*4 at the most"),
        ((32, 32), {"width": 0}, r"translator.width: got 0, expected at least 1"),
        ((32, 32), {"d_layers": 0}, r"translator.d_layers: got 0, expected at least 1"),
        ((32, 32), {"d_scale": 0.0}, r"translator.d_scale: got 0.0, expected more than 0"),
        ((32, 32), {"foreground": (1,)}, r"variant bil has no foreground"),
        ((32, 32), {"outer_skip": True}, r"variant bil has no outer_skip"),
        ((32, 32), {"variant": "original", "widest": 64}, r"variant original has no widest"),
        ((32, 32), {"variant": "original", "foreground": ("tee",)}, r"no class 'tee'.*did you mean 'tree'"),
        (
            (32, 32),
            {"variant": "original", "foreground": (4,)},
            r"got channel 4, the structure has .* 0 to 3",
        ),
        (
            (32, 32),
            {"variant": "original", "objective": {**CHEAP, "l1": 0.0}},
            r"objective.l1: got 0, expected more than 0",
        ),
    ],
)
def test_sizes_and_options_that_do_not_fit_are_told_with_what_would(size, options, message):
    with pytest.raises(UserError, match=message):
        pg2(size=size, **options)


@BOTH
def test_the_fewest_pixels_inside_that_are_let_through_work(variant):
    translator = pg2(variant, (32, 32), downs=4)
    assert list(trained(translator, batch(1), 1)[0])[-1].startswith("generator/")
