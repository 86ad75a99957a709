"""Harder systems than Pix2pix in the four interfaces, as toys: what docs/interfaces.md says is tried out here."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import ClassVar

import pytest
import torch
from metai2i_baselines import FineTune
from metai2i_bil import Bil
from metai2i_reptile import Reptile
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus
from torch.nn.utils.parametrizations import spectral_norm

from metai2i import Adaptation, Augment, Batch, Episode, Randomness, Step, Task, Translator
from metai2i.data.sampling import Sampling
from metai2i.meta.inner_loop import adapted, support_batches
from metai2i.meta.outer_step import meta_step, outer_optimizer
from metai2i.recipe.schema import Metatrain, Pretrain
from metai2i.stages.pretrain import phase_ends, pretrain
from metai2i.training.checkpoint import digest
from metai2i.training.device import choose_device
from metai2i.training.driving import descend, drive, gradients, parameter_groups, parameters_of, translate
from metai2i.training.stage_context import StageContext

FIELDS = frozenset({"source", "reference", "domain", "reference_domain"})


class Photographs(Task):
    """Photographs of two domains without pairs: `source` of one, `reference` of the other."""

    def __init__(self, name: str, count: int = 10) -> None:
        self.id, self.count = name, count

    def __len__(self) -> int:
        return self.count

    def load(self, indices: Sequence[int]) -> Batch:
        drawn = [Randomness((self.id, int(i))).generator() for i in indices]
        source, reference = (torch.stack([torch.rand(3, 8, 8, generator=g) * 2 - 1 for g in drawn]) for _ in range(2))
        domain = torch.tensor([int(i) % 2 for i in indices])
        return Batch(source=source, reference=reference, domain=domain, reference_domain=1 - domain)


class Quartet(Translator):
    """StarGAN v2 in small: four networks, four moves, R1, a style from a latent or a reference, averaged copies."""

    needs = FIELDS
    rates: ClassVar = {"mapping": 0.01}

    def __init__(self, domains: int = 2) -> None:
        super().__init__()
        self.generator = nn.Conv2d(3 + 2, 3, 1)
        self.mapping = nn.Linear(4, 2 * domains)
        self.style = nn.Linear(3, 2 * domains)
        self.discriminator = nn.Sequential(
            spectral_norm(nn.Conv2d(3, 4, 3)), nn.LeakyReLU(0.2), nn.Conv2d(4, domains, 3)
        )
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.register_buffer("is_instance", torch.tensor(False))

    def players(self):
        names = ("discriminator", "generator", "mapping", "style")
        return {name: getattr(self, name).parameters() for name in names}

    def training_step(self, batch, step):
        self.is_instance.fill_(step.role != "train")
        x, y = batch["source"], batch["reference_domain"]
        z = torch.randn(len(x), 4, generator=step.rng.at("latent").generator()).to(x)
        moves = {
            "latent": (lambda: pick(self.mapping(z), y), ("generator", "mapping", "style")),
            "reference": (lambda: pick(self.style(batch["reference"].mean((2, 3))), y), ("generator",)),
        }
        for way, (style, _) in moves.items():
            with torch.no_grad():
                fake = self.draw(self.generator, x, style())
            yield "discriminator", {f"{way}_{name}": term for name, term in self.judge(batch, fake).items()}
        for way, (style, players) in moves.items():
            s = style()
            fake = self.draw(self.generator, x, s)
            losses = {
                "adversarial": softplus(-pick_logit(self.discriminator(fake), y)).mean(),
                "style": (pick(self.style(fake.mean((2, 3))), y) - s).abs().mean(),
                "diversity": -(1 - step.index / step.total) * fake.std(0).mean(),
            }
            yield players, {f"{way}_{name}": term for name, term in losses.items()}
        if step.role == "train":
            with torch.no_grad():
                for mean, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                    mean.lerp_(now, 0.1)

    def judge(self, batch, fake):
        real = batch["reference"].detach().requires_grad_()
        logits = pick_logit(self.discriminator(real), batch["reference_domain"])
        (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        fakes = pick_logit(self.discriminator(fake), batch["reference_domain"])
        return {
            "real": softplus(-logits).mean(),
            "fake": softplus(fakes).mean(),
            "r1": 0.5 * slope.square().flatten(1).sum(1).mean(),
        }

    def translate(self, batch):
        s = pick(self.style(batch["reference"].mean((2, 3))), batch["reference_domain"])
        return self.draw(self.generator if self.is_instance else self.average, batch["source"], s)

    @staticmethod
    def draw(generator, x, style):
        return generator(torch.cat([x, style[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)).tanh()


def pick(heads: Tensor, domain: Tensor) -> Tensor:
    """(B, 2 K) -> (B, 2): the head of each sample's domain."""
    return heads.unflatten(1, (-1, 2))[torch.arange(len(heads)), domain]


def pick_logit(logits: Tensor, domain: Tensor) -> Tensor:
    return logits.mean((2, 3))[torch.arange(len(logits)), domain]


@pytest.fixture
def quartet() -> Quartet:
    torch.manual_seed(0)
    return Quartet()


@pytest.fixture
def unpaired() -> Episode:
    return Photographs("a").episode(4, 4, Randomness((1,)))


STRATEGIES = {
    "bil, first order": lambda inner: Bil(inner=inner, steps=2),
    "bil, second order": lambda inner: Bil(inner=inner, steps=2, order="second"),
    "reptile": lambda inner: Reptile(inner=inner, steps=2, epsilon=0.5),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_several_players_move_at_once_under_every_strategy(name, quartet, unpaired):
    strategy = STRATEGIES[name](Adaptation(lr=1e-2, batch=4))
    outer = outer_optimizer(quartet, strategy, 1e-2)
    before = {name: value.clone() for name, value in quartet.state_dict().items()}
    losses = meta_step(quartet, strategy, outer, [unpaired], Step())
    assert "query/generator+mapping+style/latent_style" in losses
    assert all(torch.isfinite(value) for value in losses.values())
    for player, parameters in quartet.players().items():
        names = {id(p): name for name, p in quartet.named_parameters()}
        moved = [not torch.equal(p, before[names[id(p)]]) for p in parameters]
        assert any(moved), f"{player} has not moved"


def test_a_joint_move_adapts_as_plain_training_would(quartet, unpaired):
    """Each of the players with its own rate and its own Adam moments, only those of the move."""
    inner = Adaptation(iterations=3, lr=1e-2, batch=4)
    ours, theirs = adapted(quartet, unpaired.support, inner, Step()), copy.deepcopy(quartet)
    adam = torch.optim.Adam(parameter_groups(theirs, 1e-2), betas=(0.5, 0.999))
    assert {group["name"]: group["lr"] for group in adam.param_groups}["mapping"] == pytest.approx(1e-4)
    for i, batch in enumerate(support_batches(unpaired.support, inner.for_training(3), Step().rng)):
        drive(theirs, batch, Step().at(i, inner=True), descend(theirs, adam))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_joint_move_has_the_meta_gradient_of_its_own_loss(quartet, unpaired):
    """First order, by hand: the gradients of each move's query loss at the adapted parameters, added up by player."""
    inner = Adaptation(iterations=2, lr=1e-2, batch=4)
    here = Step()
    Bil(inner=inner, steps=2).meta_gradient(quartet, unpaired, here)
    model = adapted(quartet, unpaired.support, inner, here.at("inner"))
    expected = {player: [torch.zeros_like(p) for p in ps] for player, ps in model.players().items()}

    def collect(players, loss):
        grads = iter(gradients(loss, parameters_of(model, players), retain=True))
        for player in players:
            expected[player] = [total + next(grads) for total in expected[player]]

    drive(model, unpaired.query, here.at("query", role="query"), collect)
    for player, parameters in quartet.players().items():
        for parameter, gradient in zip(parameters, expected[player], strict=True):
            torch.testing.assert_close(parameter.grad, gradient)


def test_ema_stands_still_while_adapting(quartet, unpaired):
    copied = adapted(quartet, unpaired.support, Adaptation(iterations=2, lr=1e-2), Step())
    assert not torch.equal(copied.generator.weight, quartet.generator.weight)
    assert torch.equal(copied.average.weight, quartet.average.weight)


def test_ema_follows_plain_training_behind_the_last_yield(quartet, unpaired):
    start = quartet.average.weight.clone()
    drive(quartet, unpaired.support, Step(), descend(quartet, torch.optim.SGD(parameter_groups(quartet, 0.1))))
    torch.testing.assert_close(quartet.average.weight, start.lerp(quartet.generator.weight, 0.1))


def test_a_copy_can_know_that_it_was_adapted_and_draw_with_what_was(quartet, unpaired):
    copied = adapted(quartet, unpaired.support, Adaptation(iterations=1, lr=0.1), Step())
    before, after = (translate(model, unpaired.query, Step()) for model in (quartet, copied))
    assert (quartet.is_instance, copied.is_instance) == (False, True)
    assert not torch.equal(before, after)


@pytest.mark.parametrize("name", STRATEGIES)
def test_meta_training_leaves_the_average_behind(name, quartet, unpaired):
    """A limit that the table in docs/interfaces.md names: the outer step is not one of the translator's moves."""
    strategy = STRATEGIES[name](Adaptation(lr=1e-2))
    start, weight = quartet.average.weight.clone(), quartet.generator.weight.clone()
    meta_step(quartet, strategy, outer_optimizer(quartet, strategy, 1e-2), [unpaired], Step())
    assert torch.equal(quartet.average.weight, start)
    assert not torch.equal(quartet.generator.weight, weight)


@pytest.mark.parametrize("name", STRATEGIES)
def test_r1_and_spectral_norm_leave_the_general_model_alone(name, quartet, unpaired):
    before, strategy = digest(quartet), STRATEGIES[name](Adaptation(iterations=2, lr=1e-2))
    strategy.meta_gradient(quartet, unpaired, Step())
    copied = strategy.adapt(quartet, unpaired.support, Step())
    assert digest(quartet) == before
    assert all(torch.isfinite(p.grad).all() for p in quartet.parameters() if p.grad is not None)
    vectors = [
        dict(model.named_buffers())["discriminator.0.parametrizations.weight.0._u"] for model in (copied, quartet)
    ]
    assert not torch.equal(*vectors)


def test_unpaired_batches_with_source_and_domain_pass_through(unpaired):
    assert set(unpaired.support) == set(unpaired.query) == FIELDS
    tasks = [Photographs(name) for name in "ab"]
    batch = Sampling(Augment()).mixed(tasks, 6, Randomness((2,)))
    plain = Sampling().mixed(tasks, 6, Randomness((2,)))
    assert set(batch) == FIELDS
    assert torch.equal(batch["domain"], plain["domain"])
    assert batch["domain"].dtype == torch.int64
    assert not torch.equal(batch["source"], plain["source"])
    assert batch["source"].shape == (6, 3, 8, 8)


def test_an_unpaired_translator_trains_adapts_and_translates(quartet, unpaired, tmp_path):
    place = StageContext(tmp_path, "quartet", choose_device("cpu"))
    start = quartet.generator.weight.clone()
    losses = pretrain(
        place, quartet, [Photographs("a")], Pretrain(iterations=3, lr=1e-2), Sampling(Augment()), Randomness()
    )
    assert losses["iterations"] == 3
    assert not torch.equal(quartet.generator.weight, start)
    copied = FineTune(inner=Adaptation(iterations=1, augment=Augment())).adapt(quartet, unpaired.support, Step())
    images = translate(copied, unpaired.query, Step())
    assert images.shape == (4, 3, 8, 8)
    assert images.abs().max() <= 1


def test_latents_drawn_while_translating_are_decided_by_the_address(quartet, unpaired):
    quartet.translate = lambda batch: quartet.draw(quartet.generator, batch["source"], torch.randn(batch.size, 2))
    first, again, other = (translate(quartet, unpaired.query, Step().at(key)) for key in ("a", "a", "b"))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


class TwoPhases(Translator):
    """GP-UNIT in small: an encoder is distilled, then stands still while a decoder is trained on top of it."""

    phases = ("distil", "translate")
    rates: ClassVar = {"encoder": 2.0}

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.decoder = nn.Conv2d(4, 3, 1)
        self.seen: list[tuple[str, int, int]] = []

    def players(self):
        return {"encoder": self.encoder.parameters(), "decoder": self.decoder.parameters()}

    def training_step(self, batch, step):
        self.seen.append((step.phase, step.index, step.total))
        if step.phase == "distil":
            code = self.encoder(batch["structure"])
            yield "encoder", {"code": (code[:, :3] - batch["target"]).square().mean()}
            return
        self.encoder.eval()  # frozen: its statistics too
        yield "decoder", {"l2": (self.translate(batch) - batch["target"]).square().mean()}

    def translate(self, batch):
        return self.decoder(self.encoder(batch["structure"])).tanh()


@pytest.fixture
def two_phases() -> TwoPhases:
    torch.manual_seed(0)
    return TwoPhases()


def test_phases_run_in_order_each_with_a_schedule_of_its_own(two_phases, episode, tmp_path):
    place = StageContext(tmp_path, "two phases", choose_device("cpu"))
    settings = Pretrain(iterations={"distil": 3, "translate": 2}, lr=1e-2)
    pretrain(place, two_phases, [Alone(episode.support)], settings, Sampling(), Randomness())
    assert two_phases.seen == [("distil", i, 3) for i in range(3)] + [("translate", i, 2) for i in range(2)]


def test_a_continuation_stays_in_the_last_phase(two_phases):
    assert phase_ends(two_phases, {"translate": 7}) == [("distil", 0, 0), ("translate", 7, 0)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_who_moved_in_an_earlier_phase_stands_still_afterwards(name, two_phases, episode):
    strategy, step = STRATEGIES[name](Adaptation(iterations=2, lr=1e-2)), Step(phase="translate")
    start = digest(two_phases.encoder)
    outer = outer_optimizer(two_phases, strategy, Metatrain().lr)
    weight = two_phases.decoder.weight.clone()
    meta_step(two_phases, strategy, outer, [episode], step)
    assert digest(two_phases.encoder) == start
    assert not torch.equal(two_phases.decoder.weight, weight)
    copied = strategy.adapt(two_phases, episode.support, step)
    assert digest(copied.encoder) == start
    assert not torch.equal(copied.decoder.weight, two_phases.decoder.weight)


class Alone(Task):
    """A scene with just the pairs given."""

    id = "alone"

    def __init__(self, pairs: Batch) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return self.pairs.size

    def load(self, indices: Sequence[int]) -> Batch:
        return self.pairs.select(indices)


class Exemplars(Task):
    """Every sample comes with a reference photograph and its label map; a query's are those of a support pair."""

    id = "exemplars"

    def __len__(self) -> int:
        return 8

    def load(self, indices: Sequence[int]) -> Batch:
        drawn = [Randomness((self.id, int(i))).generator() for i in indices]
        ids = torch.stack([torch.randint(3, (8, 8), generator=g) for g in drawn])
        photo = torch.stack([torch.rand(3, 8, 8, generator=g) * 2 - 1 for g in drawn])
        structure = one_hot(ids, 3).permute(0, 3, 1, 2).float()
        return Batch(structure=structure, target=photo, reference=photo, reference_map=ids)

    def episode(self, shots: int, queries: int, rng: Randomness, augment: Augment | None = None) -> Episode:
        drawn = super().episode(shots, queries, rng, augment)
        chosen = drawn.support.select(torch.randint(shots, (queries,), generator=rng.at("reference").generator()))
        query = drawn.query.replace(reference=chosen["target"], reference_map=chosen["structure"].argmax(1))
        return Episode(drawn.task, drawn.support, query)


def test_a_querys_exemplar_can_be_a_support_photograph():
    drawn = Exemplars().episode(2, 4, Randomness((3,)))
    support = {tuple(photo.flatten().tolist()) for photo in drawn.support["target"]}
    assert {tuple(photo.flatten().tolist()) for photo in drawn.query["reference"]} <= support
    assert not support & {tuple(photo.flatten().tolist()) for photo in drawn.query["target"]}


def test_an_exemplars_map_of_whole_numbers_moves_with_its_photograph():
    """As class ids it is never mixed; a one-hot field of another name than `structure` would be."""
    batch = Exemplars().load(range(8))
    moved = Augment(rotate=30)(batch, Randomness((4,)))
    assert set(moved["reference_map"].unique().tolist()) <= {0, 1, 2}
    assert torch.equal(moved["structure"].argmax(1), moved["reference_map"])  # one warp for all fields of a sample
    as_one_hot = batch.replace(reference_map=one_hot(batch["reference_map"], 3).permute(0, 3, 1, 2).float())
    mixed = Augment(rotate=30)(as_one_hot, Randomness((4,)))["reference_map"]
    assert ((mixed > 0.01) & (mixed < 0.99)).any()


class SevenMoves(Translator):
    """EdgeGAN in small: two generators on one latent, three critics with gradient penalty, a classifier, an encoder."""

    needs = frozenset({"structure", "target", "domain"})

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.classes = classes
        self.to_edge, self.to_image = nn.Linear(4 + classes, 64), nn.Linear(4 + classes, 3 * 64)
        self.joint, self.image, self.edge = (
            nn.Sequential(nn.Conv2d(n, 4, 3), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3)) for n in (4, 3, 1)
        )
        self.classifier, self.encoder = nn.Linear(3 * 64, classes), nn.Linear(64, 4)

    def players(self):
        names = ("joint", "image", "edge", "classifier", "to_edge", "to_image", "encoder")
        return {name: getattr(self, name).parameters() for name in names}

    def draw(self, batch, step, *key):
        z = torch.randn(batch.size, 4, generator=step.rng.at("latent", *key).generator()).to(batch["target"])
        vector = torch.cat([z, one_hot(batch["domain"], self.classes).float()], 1)
        return z, self.to_edge(vector).tanh().view(-1, 1, 8, 8), self.to_image(vector).tanh().view(-1, 3, 8, 8)

    def training_step(self, batch, step):
        photo, edges = batch["target"], batch["structure"]
        _, edge, image = self.draw(batch, step, "critics")
        sides = {"joint": ((edges, photo), (edge, image)), "image": ((photo,), (image,)), "edge": ((edges,), (edge,))}
        for name, (real, fake) in sides.items():
            yield name, self.critic(getattr(self, name), torch.cat(real, 1), torch.cat(fake, 1).detach())
        yield "classifier", {"class": nn.functional.cross_entropy(self.classifier(photo.flatten(1)), batch["domain"])}
        yield ("to_edge", "to_image"), self.fool(batch, step, "first")
        z, edge, _ = self.draw(batch, step, "encoder")
        yield "encoder", {"code": 10 * (z - self.encoder(edge.detach().flatten(1))).abs().mean()}
        yield ("to_edge", "to_image"), self.fool(batch, step, "second")

    def fool(self, batch, step, key):
        _, edge, image = self.draw(batch, step, key)
        judged = {"joint": self.joint(torch.cat([edge, image], 1)), "edge": self.edge(edge), "image": self.image(image)}
        guess = nn.functional.cross_entropy(self.classifier(image.flatten(1)), batch["domain"])
        return {f"{key}_{name}": -b.mean() for name, b in judged.items()} | {f"{key}_class": 0.5 * guess}

    def critic(self, network, real, fake):
        between = fake.lerp(real, torch.rand(len(real), 1, 1, 1)).requires_grad_()
        (slope,) = torch.autograd.grad(network(between).sum(), between, create_graph=True)
        penalty = 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        return {"fake": network(fake).mean(), "real": -network(real).mean(), "penalty": penalty}

    def translate(self, batch):
        vector = torch.cat([self.encoder(batch["structure"].flatten(1)), one_hot(batch["domain"], self.classes)], 1)
        return self.to_image(vector.float()).tanh().view(-1, 3, 8, 8)


class Sketches(Exemplars):
    """Edge maps, photographs and their class."""

    def load(self, indices: Sequence[int]) -> Batch:
        batch = super().load(indices)
        return Batch(
            structure=batch["structure"][:, :1], target=batch["target"], domain=torch.tensor([i % 2 for i in indices])
        )

    episode = Task.episode


@pytest.mark.parametrize("name", ["bil, first order", "reptile"])
def test_seven_moves_are_seven_yields(name):
    torch.manual_seed(0)
    edgegan, drawn = SevenMoves(), Sketches().episode(4, 4, Randomness())
    moves = []
    drive(edgegan, drawn.support, Step(), lambda players, loss: moves.append("+".join(players)))
    generators = "to_edge+to_image"
    assert moves == ["joint", "image", "edge", "classifier", generators, "encoder", generators]
    before, strategy = digest(edgegan), STRATEGIES[name](Adaptation(iterations=2, lr=1e-3))
    losses = strategy.meta_gradient(edgegan, drawn, Step())
    assert digest(edgegan) == before
    # one name per pass, or the second pass would hide the first in the log
    assert {f"query/{generators}/first_joint", f"query/{generators}/second_joint"} <= set(losses)
    images = translate(strategy.adapt(edgegan, drawn.support, Step()), drawn.query, Step())
    assert images.shape == drawn.query["target"].shape
