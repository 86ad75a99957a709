"""Evaluation: every scene starts from the same general model, and what is done for one is thrown away after it."""

from __future__ import annotations

import gc
import json
import math
from pathlib import Path

import pytest
import torch
from metai2i_baselines import Copy, FineTune, NoAdaptation
from metai2i_bil import Bil
from metai2i_pix2pix import Pix2pix
from metai2i_reptile import Reptile
from torch import nn
from toys import LastTasks, Toy, ToySource, ToyTask, toy_row

from metai2i import Adaptation, Augment, MetaStrategy, Objective, Randomness, Step, TaskSpec, Translator, UserError
from metai2i.checkpoint import digest
from metai2i.drive import translate
from metai2i.inner import instance_of, settle
from metai2i.metrics import measure
from metai2i.run_writer import records
from metai2i.stages.evaluate import Judge, auxiliary, batched, evaluate
from metai2i.stages.loop import Workplace

SIZE = (32, 32)  # LPIPS takes no smaller pictures
STRATEGIES = {"bil": Bil, "reptile": Reptile, "finetune": FineTune, "copy": Copy, "none": NoAdaptation}


def toy_model() -> Toy:
    with Randomness((1,)).scope():
        return Toy(spec=TaskSpec(structure_channels=3, size=SIZE))


def judge(
    strategy: MetaStrategy | str = "bil", gp: Translator | None = None, *, aux=False, augment=None, **sections
) -> Judge:
    row = toy_row(**({"retriever": {"use": "last", "k": 3}} if aux else {}), **sections)
    if isinstance(strategy, str):
        steps = {"steps": 2} if STRATEGIES[strategy].meta else {}
        strategy = STRATEGIES[strategy](inner=Adaptation(**row.adapt.model_dump(), augment=augment), **steps)
    train = ToySource(size=SIZE).tasks("train")
    retriever = LastTasks() if aux else None
    if retriever:
        retriever.index(train)
    gp = gp or toy_model()
    strategy.prepare(gp)
    return Judge(gp, strategy, retriever, train, row, augment, Randomness((0, "evaluate")), torch.device("cpu"))


def scenes(count: int = 3, pairs: int = 6) -> list[ToyTask]:
    return [ToyTask(f"test-{n}", pairs, SIZE) for n in range(count)]


def scored(folder: Path, judge: Judge, tasks=None) -> dict[str, dict]:
    """What `evaluate` finds for each scene, without the seconds."""
    evaluate(Workplace(folder, "evaluate (a row)", torch.device("cpu")), judge, scenes() if tasks is None else tasks)
    told = json.loads((folder / "results.json").read_text())
    return {task["task"]: {name: value for name, value in task.items() if name != "seconds"} for task in told}


@pytest.mark.parametrize("aux", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_general_model_is_bit_for_bit_the_same_afterwards(tmp_path, strategy, aux):
    one = judge(strategy, aux=aux, augment=Augment())
    before = digest(one.gp)
    found = scored(tmp_path, one)
    assert digest(one.gp) == before
    assert list(found) == ["test-0", "test-1", "test-2"]
    assert all(len(task["queries"]) == 3 and len(task["aux"]) == (3 if aux else 0) for task in found.values())


@pytest.mark.parametrize("aux", [False, True])
def test_scores_are_those_of_the_adapted_models_pictures(tmp_path, aux):
    one = judge(aux=aux)
    task = scenes()[1]
    found = scored(tmp_path, one)[task.id]
    rng = one.rng.at(task.id, 0)
    episode = task.episode(2, 3, rng)
    model = one.gp
    if aux:
        model, _ = auxiliary(one, one.retriever.known[::-1][:3], Step(rng).at("aux"))
        assert digest(model) != digest(one.gp)
    model = one.strategy.adapt(model, episode.support, Step(rng).at("adapt"))
    expected = measure(model.translate(episode.query).detach(), episode.query["target"])
    assert [query["psnr"] for query in found["queries"]] == expected["psnr"]
    assert [query["lpips"] for query in found["queries"]] == expected["lpips"]


@pytest.mark.parametrize("strategy", ["bil", "finetune"])
def test_the_order_of_scenes_does_not_matter(tmp_path, strategy):
    forwards = scored(tmp_path / "forwards", judge(strategy, aux=True))
    backwards = scored(tmp_path / "backwards", judge(strategy, aux=True), scenes()[::-1])
    assert forwards == backwards


class Growing(Bil):
    """Learns a number that its adapted models show."""

    def prepare(self, gp):
        self.gain = nn.Parameter(torch.ones(()))

    def meta_parameters(self):
        return {"generator.gain": self.gain}

    def meta_gradient(self, gp, episodes, step):
        self.gain.grad = torch.ones(())
        return super().meta_gradient(gp, episodes, step)

    def adapt(self, gp, support, step):
        copied = settle(instance_of(gp))
        with torch.no_grad():
            copied.generator.weight *= self.gain
        return copied


def test_what_a_strategy_learns_for_one_scene_is_forgotten_before_the_next(tmp_path):
    def growing() -> Judge:
        return judge(Growing(inner=Adaptation(), steps=1), aux=True, metatrain={"lr": 0.1})

    forwards = scored(tmp_path / "forwards", growing())
    backwards = scored(tmp_path / "backwards", growing(), scenes()[::-1])
    assert forwards == backwards
    one = growing()
    scored(tmp_path / "again", one)
    assert one.strategy.gain == 1


class Leaking(NoAdaptation):
    """Forgets to copy, on the second scene."""

    def adapt(self, gp, support, step):
        with torch.no_grad():
            gp.seen += step.rng.key[2] == "test-1"
        return gp


def test_a_strategy_that_changes_the_general_model_is_caught_and_its_results_are_void(tmp_path):
    one = judge(Leaking(inner=Adaptation()))
    for _ in range(2):  # a resumed run finds nothing that it could take for good
        with pytest.raises(RuntimeError, match=r"evaluate \(a row\): the general model changed"):
            scored(tmp_path, one)
        assert not (tmp_path / "results.json").exists()


class Broken(ToyTask):
    def load(self, indices):
        raise KeyboardInterrupt


@pytest.mark.parametrize("stops", [[0], [2], [1, 2]])
def test_an_interrupted_evaluation_resumed_gives_the_same_results(tmp_path, stops):
    whole = scored(tmp_path / "whole", judge(aux=True, augment=Augment()))
    for stop in stops:
        tasks = [*scenes()[:stop], Broken(f"test-{stop}", 6, SIZE), *scenes()[stop + 1 :]]
        with pytest.raises(KeyboardInterrupt):
            scored(tmp_path / "parts", judge(aux=True, augment=Augment()), tasks)
    rest = [*(Broken(task.id, 6, SIZE) for task in scenes()[: stops[-1]]), *scenes()[stops[-1] :]]  # scored already
    assert scored(tmp_path / "parts", judge(aux=True, augment=Augment()), rest) == whole


def live_tensors() -> tuple[int, int]:
    """How many tensors there are, and how many values they hold."""
    gc.collect()
    found = [each for each in gc.get_objects() if isinstance(each, torch.Tensor)]
    return len(found), sum(tensor.numel() for tensor in found)


class Counting:
    """A strategy that counts live tensors before it adapts to some of the scenes."""

    def __init__(self, inside: MetaStrategy, at: tuple[int, ...]) -> None:
        self.inside, self.at, self.calls, self.counts = inside, at, 0, []
        self.meta, self.prepare, self.meta_parameters = inside.meta, inside.prepare, inside.meta_parameters
        self.meta_gradient, self.outer = inside.meta_gradient, inside.outer

    def __deepcopy__(self, memo):
        return self

    def adapt(self, gp, support, step):
        if self.calls in self.at:
            self.counts.append(live_tensors())
        self.calls += 1
        return self.inside.adapt(gp, support, step)


def pix2pix() -> Pix2pix:
    spec = TaskSpec(structure_channels=3, size=SIZE)
    return Pix2pix(spec=spec, objective=Objective(perceptual=0), width=2, d_layers=2)


@pytest.mark.parametrize(("make", "count"), [(toy_model, 50), (pix2pix, 50)])
def test_memory_is_flat_over_fifty_scenes(tmp_path, make, count):
    strategy = Counting(Bil(inner=Adaptation(iterations=2), steps=1), at=(5, count - 1))
    scored(tmp_path, judge(strategy, make(), aux=make is toy_model, adapt={"iterations": 2}), scenes(count))
    after_five, after_all = strategy.counts
    assert after_all == after_five


def test_a_perfect_picture_has_an_infinite_psnr_that_survives_the_file(tmp_path):
    found = scored(tmp_path, judge("copy", episodes={"shots": 1, "queries": 2}), [ToyTask("lone", 1, SIZE)])
    assert [query["psnr"] for query in found["lone"]["queries"]] == ["inf", "inf"]
    assert found["lone"]["queries"][0]["mse"] == 0
    values = [record.value for record in records({"Copy": list(found.values())}) if record.metric == "psnr"]
    assert values == [math.inf, math.inf]


def test_every_draw_has_pairs_of_its_own(tmp_path):
    found = scored(tmp_path, judge("none", episodes={"draws": 2}), [ToyTask("a", 40, SIZE)])
    queries = found["a"]["queries"]
    assert len(queries) == 2 * 3
    assert queries[:3] != queries[3:]


def test_rows_are_scored_on_the_same_pairs(tmp_path):
    """A model that no row changes scores the same under all of them."""
    found = [scored(tmp_path / name, judge(Fixed(STRATEGIES[name](inner=Adaptation())))) for name in ("none", "bil")]
    assert [task["queries"] for task in found[0].values()] == [task["queries"] for task in found[1].values()]


class Fixed(Counting):
    def __init__(self, inside):
        super().__init__(inside, ())

    def adapt(self, gp, support, step):
        return gp


def test_pictures_of_the_first_scenes_are_kept(tmp_path):
    scored(tmp_path, judge("none", evaluate={"images": 2}))
    kept = sorted(path.relative_to(tmp_path / "images").as_posix() for path in (tmp_path / "images").rglob("*.png"))
    assert kept == [f"test-{n}/{q}.png" for n in (0, 1) for q in range(3)]


def test_scenes_whose_names_look_alike_keep_pictures_of_their_own(tmp_path):
    tasks = [ToyTask(name, 6, SIZE) for name in ("a b", "a-b", "a/b")]
    scored(tmp_path, judge("none", evaluate={"images": 3}), tasks)
    assert len(list((tmp_path / "images").iterdir())) == 3


def test_a_diverging_adaptation_names_the_row_and_the_scene(tmp_path):
    one = judge("finetune", adapt={"iterations": 60, "lr": 1e30})
    with pytest.raises(UserError, match=r"evaluate \(a row\): task 'test-0': .*(not finite|is (nan|inf))"):
        scored(tmp_path, one)


def test_auxiliary_training_of_strategies_without_a_meta_gradient_is_plain_training(tmp_path):
    one = judge("finetune", aux=True)
    model, _ = auxiliary(one, one.train_tasks[:2], Step())
    assert model.seen.item() == one.row.aux.iterations
    assert one.gp.seen.item() == 0


def test_a_large_batch_is_translated_in_parts_that_fit(toy):
    sizes = []

    class Told(Toy):
        def translate(self, batch):
            sizes.append(batch.size)
            return super().translate(batch)

    toy.__class__ = Told
    batch = ToyTask("a", 7).load(range(7))
    whole = translate(toy, batch, Step())
    sizes.clear()
    parts = batched(toy, batch, 3, Step())
    assert sizes == [3, 3, 1]
    torch.testing.assert_close(parts, whole)


def test_no_scenes_give_no_results(tmp_path):
    assert scored(tmp_path, judge("none"), []) == {}


@pytest.mark.gpu
def test_the_numbers_of_a_gpu_are_those_of_a_cpu(tmp_path):
    from dataclasses import replace

    cpu = judge("finetune")
    cuda = replace(cpu, gp=toy_model().to("cuda"), device=torch.device("cuda"))
    ours, theirs = scored(tmp_path / "cpu", cpu), scored(tmp_path / "cuda", cuda)
    for name, task in ours.items():
        for a, b in zip(task["queries"], theirs[name]["queries"], strict=True):
            assert a == pytest.approx(b, rel=1e-2)
