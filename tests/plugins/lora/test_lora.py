"""LoRA: what it leaves alone, the rank of what it changes, and what of it is kept."""

from __future__ import annotations

import pytest
import torch
from metai2i_lora import Lora, fresh, merged
from metai2i_pix2pix import Pix2pix
from safetensors.torch import load_file, save_file
from strategy_laws import check_ordinary, check_untouched, short_run
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d
from torch.nn.utils.parametrizations import spectral_norm
from toys import Toy, ToyTask

from metai2i import Adaptation, Augment, Batch, Objective, Randomness, Step, TaskSpec, Translator, UserError
from metai2i.meta.inner_loop import support_batches
from metai2i.training.checkpoint import digest
from metai2i.training.driving import drive, gradients, parameters_of, translate

INNER = Adaptation(lr=1e-2, iterations=3, augment=Augment())
SPEC = TaskSpec(structure_channels=3, size=(16, 16))


class Small(Translator):
    """Convolutions both ways, batch statistics, spectral norm, and linear layers that share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 4, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.mix = spectral_norm(nn.Conv2d(8, 8, 1))
        self.gain = nn.Linear(8, 8)
        self.again = nn.Linear(8, 8)
        self.again.weight = self.gain.weight
        self.up = nn.ConvTranspose2d(8, 3, 4, 2, 1)

    def players(self):
        return {"generator": self.parameters()}

    def training_step(self, batch, step):
        yield "generator", {"l2": (self.translate(batch) - batch["target"]).square().mean()}

    def translate(self, batch):
        features = self.mix(self.norm(self.down(batch["structure"])))
        gain = self.again(self.gain(features.mean((2, 3))).relu())
        return self.up((features * gain[:, :, None, None]).relu()).tanh()


@pytest.fixture
def small() -> Small:
    torch.manual_seed(0)
    return Small()


@pytest.fixture
def pix2pix() -> Pix2pix:
    with Randomness((3,)).scope():
        model = Pix2pix(
            spec=SPEC,
            objective=Objective(l1=1, adversarial=1, perceptual=0),
            width=4,
            downs=3,
            d_layers=1,
            norm="batch",
        )
    return model


@pytest.fixture
def model(request, small, pix2pix) -> Translator:
    return {"small": small, "pix2pix": pix2pix}[request.param]


both = pytest.mark.parametrize("model", ["small", "pix2pix"], indirect=True)


@both
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weights_change_by_a_low_rank_and_all_else_stays_bit_for_bit(model, episode, optimizer):
    inner = Adaptation(lr=1e-2, iterations=3, optimizer=optimizer)
    model = model.double()  # so that rounding of the sum is no rank of its own
    adapted = Lora(inner=inner, rank=2).adapt(model, episode.support.map(torch.Tensor.double), Step())
    weights = 0
    for name, parameter in model.named_parameters():
        change = (adapted.get_parameter(name) - parameter).detach()
        if parameter.dim() == 1:
            assert torch.equal(adapted.get_parameter(name), parameter), name
        else:
            sizes = torch.linalg.svdvals(change.flatten(1))
            assert sizes[0] > 1e-8, name
            assert (sizes[2:] < 1e-9 * sizes[0]).all(), name
            weights += 1
    assert weights >= 4


@both
def test_without_steps_it_is_the_general_model_exactly(model, episode):
    adapted = Lora(inner=Adaptation(iterations=0)).adapt(model, episode.support, Step())
    assert torch.equal(translate(adapted, episode.query, Step()), translate(model, episode.query, Step()))
    for ours, theirs in zip(adapted.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@both
def test_a_scenes_adapters_make_its_copy_again_bit_for_bit(model, episode, tmp_path):
    strategy = Lora(inner=INNER, rank=2)
    adapted = strategy.adapt(model, episode.support, Step())
    save_file(strategy.kept(model, adapted), tmp_path / "scene.safetensors")
    again = Lora.restored(model, load_file(tmp_path / "scene.safetensors"))
    assert digest(again) == digest(adapted) != digest(model)
    assert torch.equal(translate(again, episode.query, Step()), translate(adapted, episode.query, Step()))
    check_ordinary(again, model)
    check_ordinary(adapted, model)
    save_file(adapted.state_dict() if model.__class__ is Pix2pix else untied(adapted), tmp_path / "whole.safetensors")


@both
def test_a_copy_whose_adapters_are_not_known_is_kept_whole(model, episode):
    adapted = Lora(inner=INNER).adapt(model, episode.support, Step())
    kept = Lora(inner=INNER).kept(model, adapted)
    assert {name.partition(".")[0] for name in kept} == {"changed"}
    assert digest(Lora.restored(model, kept)) == digest(adapted)


def untied(model: Translator) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def adapters_of(strategy: Lora, model: Translator, episode) -> dict[str, torch.Tensor]:
    return strategy.kept(model, strategy.adapt(model, episode.support, Step()))


def test_a_scenes_adapters_are_small(episode):
    model = Pix2pix(spec=SPEC, objective=Objective(l1=1, adversarial=0, perceptual=0), width=16, downs=3)
    adapters = adapters_of(Lora(inner=INNER, rank=1), model, episode)
    whole = sum(p.numel() for p in model.parameters())
    kept = sum(t.numel() for t in adapters.values())
    assert kept == sum(sum(p.flatten(1).shape) for p in model.parameters() if p.dim() > 1)
    assert kept < whole / 20
    assert {name.partition(".")[0] for name in adapters} == {"A", "B"}


def test_without_steps_a_scene_has_nothing_of_its_own(pix2pix, episode):
    strategy = Lora(inner=Adaptation(iterations=0))
    assert adapters_of(strategy, pix2pix, episode) == {}
    assert digest(Lora.restored(pix2pix, {})) == digest(pix2pix)


def test_buffers_that_adapting_has_moved_are_kept_with_the_adapters(small, episode):
    adapters = adapters_of(Lora(inner=INNER), small, episode)
    moved = {name.removeprefix("changed.") for name in adapters if name.startswith("changed.")}
    assert {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"} <= moved
    assert Lora.restored(small, adapters).norm.num_batches_tracked.item() == 3
    assert small.norm.num_batches_tracked.item() == 0


def test_tied_weights_share_an_adapter_and_stay_tied(small, episode):
    strategy = Lora(inner=INNER)
    adapters = adapters_of(strategy, small, episode)
    assert "A.gain.weight" in adapters
    assert "A.again.weight" not in adapters
    for copy in (strategy.adapt(small, episode.support, Step()), Lora.restored(small, adapters)):
        assert copy.gain.weight is copy.again.weight
        assert not torch.equal(copy.gain.weight, small.gain.weight)


def test_an_adapter_of_a_convolution_is_two_convolutions():
    x = torch.rand(2, 6, 8, 8, dtype=torch.double)
    weight = torch.rand(5, 6, 3, 3, dtype=torch.double)
    a, b = torch.rand(2, 6 * 9, dtype=torch.double), torch.rand(5, 2, dtype=torch.double)
    apart = conv2d(x, weight) + conv2d(conv2d(x, a.view(2, 6, 3, 3)), b.view(5, 2, 1, 1))
    torch.testing.assert_close(conv2d(x, merged(weight, a, b)), apart)


def test_an_adapter_of_a_transposed_convolution_is_two_convolutions():
    x = torch.rand(2, 6, 8, 8, dtype=torch.double)
    weight = torch.rand(6, 5, 4, 4, dtype=torch.double)
    a, b = torch.rand(2, 5 * 16, dtype=torch.double), torch.rand(6, 2, dtype=torch.double)
    narrow = conv2d(x, b.t().reshape(2, 6, 1, 1))
    apart = conv_transpose2d(x, weight, stride=2) + conv_transpose2d(narrow, a.view(2, 5, 4, 4), stride=2)
    torch.testing.assert_close(conv_transpose2d(x, merged(weight, a, b), stride=2), apart)


def test_adapters_start_at_nothing_with_a_rank_that_fits():
    a, b = fresh(torch.rand(3, 8, 2, 2), 5, Randomness())
    assert a.shape == (3, 32)
    assert b.shape == (3, 3)
    assert not b.any()
    assert 0 < a.abs().max() <= 32**-0.5
    assert torch.equal(a, fresh(torch.rand(3, 8, 2, 2), 5, Randomness())[0])


def test_sgd_on_the_adapters_is_what_it_is_by_hand(spec, episode):
    """With B = 0, one step moves B alone: B = -lr * (dL/dW) A^T."""
    toy = Toy(spec=spec, adversarial=False)
    inner = Adaptation(optimizer="sgd", lr=0.5, iterations=1)
    adapted = adapters_of(Lora(inner=inner, rank=2), toy, episode)
    batch = next(support_batches(episode.support, inner.for_training(1), Step().rng))
    loss = (toy.generator(batch["structure"]) - batch["target"]).square().mean()
    gradient = torch.autograd.grad(loss, toy.generator.weight)[0].flatten(1)
    a, b = adapted["A.generator.weight"], adapted["B.generator.weight"]
    assert torch.equal(a, fresh(toy.generator.weight, 2, Step().rng.at("adapter", "generator.weight"))[0])
    torch.testing.assert_close(b, -0.5 * gradient @ a.t())


def test_the_meta_gradient_is_the_query_gradient_at_the_adapted_weights(toy, episode):
    strategy = Lora(inner=INNER, rank=1, steps=3)
    losses = strategy.meta_gradient(toy, episode, Step())
    copy, expected = strategy.adapt(toy, episode.support, Step().at("inner")), {}
    names = {id(p): name for name, p in copy.named_parameters()}

    def collect(players, loss):
        moving = parameters_of(copy, players)
        expected.update(zip([names[id(p)] for p in moving], gradients(loss, moving), strict=True))

    drive(copy, episode.query, Step().at("query"), collect)
    torch.testing.assert_close({name: p.grad for name, p in toy.named_parameters()}, expected)
    assert {"query/generator/l2", "query/discriminator/real"} <= losses.keys()


def test_only_the_layers_that_are_named_have_adapters(pix2pix, episode):
    adapters = adapters_of(Lora(inner=INNER, layers=("generator.up.*",)), pix2pix, episode)
    assert {name.removeprefix("A.") for name in adapters if name.startswith("A.")} == {
        f"generator.up.{level}.weight" for level in range(3)
    }
    with pytest.raises(UserError, match=r"no weight of Pix2pix .* matches strategy\.layers: nothing"):
        Lora(inner=INNER, layers=("nothing",)).adapt(pix2pix, episode.support, Step())


def test_players_that_the_recipe_freezes_have_no_adapters(toy, episode):
    strategy = Lora(inner=Adaptation(lr=1e-2, freeze=("discriminator",)))
    adapters = adapters_of(strategy, toy, episode)
    assert {name for name in adapters if name != "changed.seen"} == {"A.generator.weight", "B.generator.weight"}


def test_it_learns_the_colours_of_a_scene():
    with Randomness((3,)).scope():
        model = Pix2pix(spec=SPEC, objective=Objective(l1=1, adversarial=0, perceptual=0), width=4, downs=3)
    structure = ToyTask("a", 1).load([0])["structure"]
    scene = Batch(structure=structure, target=1.6 * structure - 0.8)
    adapted = Lora(inner=Adaptation(lr=2e-2, iterations=40)).adapt(model, scene, Step())
    before, after = (
        (translate(translator, scene, Step()) - scene["target"]).abs().mean() for translator in (model, adapted)
    )
    assert after < 0.8 * before


def test_the_general_model_is_untouched(toy, episodes):
    check_untouched(Lora(inner=INNER, steps=2), toy, episodes)


def test_a_diverging_adaptation_is_told(toy, episode):
    with pytest.raises(UserError, match=r"not finite|is (nan|inf)"):
        Lora(inner=Adaptation(optimizer="sgd", lr=1e25, iterations=5)).adapt(toy, episode.support, Step())


def test_the_cost_counts_inner_and_query_samples():
    assert Lora(inner=Adaptation(batch=5, augment=Augment()), steps=4).cost(shots=1, queries=3) == 4 * 5 + 3


@pytest.mark.parametrize("options", [{"rank": 0}, {"steps": -1}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UserError, match=r"^strategy\.(rank|steps): got"):
        Lora(inner=INNER, **options)


def test_it_runs_from_a_recipe(tmp_path):
    short_run(tmp_path, {"use": "lora", "rank": 2, "steps": 2})


def test_it_runs_on_a_general_model_that_was_not_meta_trained(tmp_path):
    short_run(tmp_path, {"use": "lora", "rank": 2}, metatrain={"iterations": 0})
