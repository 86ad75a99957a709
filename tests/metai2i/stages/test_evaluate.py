"""Evaluation: every scene starts from the same general model, and what is done for one is thrown away after it."""

from __future__ import annotations

import gc
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from metai2i_baselines import Copy, FineTune, NoAdaptation
from metai2i_bil import Bil
from metai2i_pix2pix import Pix2pix
from metai2i_reptile import Reptile
from torch import nn
from toys import LastTasks, Toy, ToySource, ToyTask, toy_row

from metai2i import (
    Adaptation,
    Augment,
    Match,
    MetaStrategy,
    Metric,
    Objective,
    Randomness,
    Step,
    Task,
    TaskSpec,
    Translator,
    UserError,
)
from metai2i.data.images import save_photo
from metai2i.data.sampling import Sampling
from metai2i.meta.instance import detach, instance_of
from metai2i.metrics import METRICS, measure
from metai2i.run_folder.writer import records
from metai2i.stages.adapted_draw import adapt_draw
from metai2i.stages.auxiliary import auxiliary
from metai2i.stages.evaluate import evaluate
from metai2i.stages.row_evaluator import RowEvaluator, batched
from metai2i.stages.scene_scores import read_scores
from metai2i.training.checkpoint import digest
from metai2i.training.driving import translate
from metai2i.training.sealed import read_sealed, write_sealed
from metai2i.training.stage_context import StageContext

SIZE = (32, 32)  # LPIPS takes no smaller images
STRATEGIES = {"bil": Bil, "reptile": Reptile, "finetune": FineTune, "copy": Copy, "none": NoAdaptation}


def fine_tuned(evaluator: RowEvaluator, tasks: Sequence[Task], step: Step) -> tuple[Translator, MetaStrategy]:
    """The general model and its strategy after the auxiliary fine-tuning on some scenes."""
    return auxiliary(evaluator.gp, evaluator.strategy, evaluator.row, evaluator.sampling, tasks, step, evaluator.device)


def toy_model() -> Toy:
    with Randomness((1,)).scope():
        return Toy(spec=TaskSpec(structure_channels=3, size=SIZE))


def judge(
    strategy: MetaStrategy | str = "bil", gp: Translator | None = None, *, aux=False, augment=None, **sections
) -> RowEvaluator:
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
    rng = Randomness((0, "evaluate"))
    return RowEvaluator(gp, strategy, retriever, train, row, Sampling(augment), rng, torch.device("cpu"))


def scenes(count: int = 3, pairs: int = 6) -> list[ToyTask]:
    return [ToyTask(f"test-{n}", pairs, SIZE) for n in range(count)]


def scored(folder: Path, judge: RowEvaluator, tasks=None) -> dict[str, dict]:
    """What `evaluate` finds for each scene, without the seconds."""
    evaluate(StageContext(folder, "evaluate (a row)", torch.device("cpu")), judge, scenes() if tasks is None else tasks)
    scores = json.loads((folder / "results.json").read_text())
    return {task["task"]: {name: value for name, value in task.items() if "seconds" not in name} for task in scores}


@pytest.mark.parametrize("aux", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_general_model_is_bit_for_bit_the_same_afterwards(tmp_path, strategy, aux):
    evaluator = judge(strategy, aux=aux, augment=Augment())
    before = digest(evaluator.gp)
    scores = scored(tmp_path, evaluator)
    assert digest(evaluator.gp) == before
    assert list(scores) == ["test-0", "test-1", "test-2"]
    assert all(len(task["queries"]) == 3 and len(task["aux"]) == (3 if aux else 0) for task in scores.values())


@pytest.mark.parametrize("aux", [False, True])
def test_scores_are_those_of_the_adapted_models_images(tmp_path, aux):
    evaluator = judge(aux=aux)
    task = scenes()[1]
    scores = scored(tmp_path, evaluator)[task.id]
    rng = evaluator.rng.at(task.id, 0)
    episode = task.episode(2, 3, rng)
    model = evaluator.gp
    if aux:
        model, _ = fine_tuned(evaluator, evaluator.retriever.known[::-1][:3], Step(rng).at("aux"))
        assert digest(model) != digest(evaluator.gp)
    model = evaluator.strategy.adapt(model, episode.support, Step(rng).at("adapt"))
    expected = measure(model.translate(episode.query).detach(), episode.query["target"])
    assert [query["psnr"] for query in scores["queries"]] == expected["psnr"]
    assert [query["lpips"] for query in scores["queries"]] == expected["lpips"]


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

    def meta_gradient(self, gp, episode, step):
        self.gain.grad = torch.ones(())
        return super().meta_gradient(gp, episode, step)

    def adapt(self, gp, support, step):
        copied = detach(instance_of(gp))
        with torch.no_grad():
            copied.generator.weight *= self.gain
        return copied


def test_what_a_strategy_learns_for_one_scene_is_forgotten_before_the_next(tmp_path):
    def growing() -> RowEvaluator:
        return judge(Growing(inner=Adaptation(), steps=1), aux=True, metatrain={"lr": 0.1})

    forwards = scored(tmp_path / "forwards", growing())
    backwards = scored(tmp_path / "backwards", growing(), scenes()[::-1])
    assert forwards == backwards
    evaluator = growing()
    scored(tmp_path / "again", evaluator)
    assert evaluator.strategy.gain == 1


class Leaking(NoAdaptation):
    """Forgets to copy, on the second scene."""

    def adapt(self, gp, support, step):
        with torch.no_grad():
            gp.seen += step.rng.key[2] == "test-1"
        return gp


def test_a_strategy_that_changes_the_general_model_is_caught_and_its_results_are_void(tmp_path):
    evaluator = judge(Leaking(inner=Adaptation()))
    for _ in range(2):  # a resumed run finds nothing that it could take for good
        with pytest.raises(
            UserError, match=r"evaluate \(a row\): adapting .* has changed the general model.* Leaking of"
        ):
            scored(tmp_path, evaluator)
        assert not (tmp_path / "results.json").exists()
        assert not (tmp_path / "tasks").exists()


def test_a_strategy_that_changes_the_general_model_on_the_first_scene_is_caught_behind_that(tmp_path):
    class Early(NoAdaptation):
        def adapt(self, gp, support, step):
            with torch.no_grad():
                gp.seen += 1
            return gp

    with pytest.raises(UserError, match=r"task 'test-0': adapting .* has changed the general model"):
        scored(tmp_path, judge(Early(inner=Adaptation())))


class Listing(Toy):
    """Remembers in a list what it was trained on, and paints by it."""

    def __init__(self, **given) -> None:
        super().__init__(**given)
        self.past = []

    def training_step(self, batch, step):
        self.past.append(batch["target"].mean())
        yield from super().training_step(batch, step)

    def translate(self, batch):
        return (super().translate(batch) * (1 - 0.1 * len(self.past))).clamp(-1, 1)


def test_a_translator_whose_images_depend_on_a_list_is_refused_by_its_name(tmp_path):
    gp = Listing(spec=TaskSpec(structure_channels=3, size=SIZE))
    with pytest.raises(UserError, match=r"task 'test-0': the translator Listing .* plain attribute 'past'.*buffer"):
        scored(tmp_path, judge("finetune", gp))
    assert gp.past == []


class Counted(Listing):
    """Remembers without painting by it."""

    def translate(self, batch):
        return Toy.translate(self, batch)


def test_a_list_on_which_no_image_depends_harms_nobody(tmp_path):
    with Randomness((1,)).scope():
        gp = Counted(spec=TaskSpec(structure_channels=3, size=SIZE))
    assert scored(tmp_path / "a", judge("finetune", gp)) == scored(tmp_path / "b", judge("finetune"))


SEEN = []


class Global(FineTune):
    """Takes more steps the more scenes it has seen."""

    def adapt(self, gp, support, step):
        SEEN.append(1)
        inner = replace(self.inner, iterations=len(SEEN))
        return FineTune(inner=inner).adapt(gp, support, step)


class Own(FineTune):
    """The same, of its own."""

    def adapt(self, gp, support, step):
        self.seen = getattr(self, "seen", 0) + 1
        return FineTune(inner=replace(self.inner, iterations=self.seen)).adapt(gp, support, step)


@pytest.mark.parametrize(("strategy", "name"), [(Global, "test_evaluate.SEEN"), (Own, "Own.seen")])
def test_a_strategy_that_remembers_scenes_is_refused_by_what_it_keeps(tmp_path, strategy, name):
    SEEN.clear()
    with pytest.raises(UserError, match=rf"scene 'test-0', scored once more .* other numbers: .*{name}"):
        scored(tmp_path, judge(strategy(inner=Adaptation(lr=0.1))))
    assert not (tmp_path / "results.json").exists()


class Caching(FineTune):
    """Keeps what it has computed, which changes nothing."""

    def adapt(self, gp, support, step):
        self.cache = {**getattr(self, "cache", {}), step.rng.key: 1}
        return super().adapt(gp, support, step)


def test_a_cache_is_no_fault(tmp_path):
    ours, theirs = (judge(make(inner=Adaptation(lr=0.1))) for make in (Caching, FineTune))
    assert scored(tmp_path / "a", ours) == scored(tmp_path / "b", theirs)


class Running(Metric):
    """The mean over all images that it has seen."""

    label, higher_is_better = "running", False

    def __init__(self, *, spec=None) -> None:
        self.all = []

    def __call__(self, images, query):
        self.all += images.mean((1, 2, 3)).tolist()
        return torch.full((len(images),), sum(self.all) / len(self.all))


def test_a_metric_that_remembers_images_is_refused(tmp_path):
    evaluator = replace(judge(), metrics={"running": Running()})
    with pytest.raises(UserError, match=r"other numbers: .*Running\.all"):
        scored(tmp_path, evaluator)


class Scribbler(Metric):
    """Writes into what it is given."""

    label, higher_is_better = "scribbler", False

    def __call__(self, images, query):
        images.zero_()
        query["target"].zero_()
        return images.mean((1, 2, 3))


def test_a_metric_that_writes_into_its_images_changes_no_other_ones_numbers(tmp_path):
    both = {"scribbler": Scribbler(), "mse": METRICS["mse"]()}
    scores = scored(tmp_path / "a", replace(judge(), metrics=both))
    alone = scored(tmp_path / "b", replace(judge(), metrics={"mse": METRICS["mse"]()}))
    assert [q["mse"] for q in scores["test-0"]["queries"]] == [q["mse"] for q in alone["test-0"]["queries"]]


def test_an_adaptation_that_kills_the_network_is_told_with_its_rate(tmp_path):
    class Tanh(Toy):
        def translate(self, batch):
            return self.generator(batch["structure"]).tanh()

    with Randomness((1,)).scope():
        gp = Tanh(spec=TaskSpec(structure_channels=3, size=SIZE), adversarial=False)
    place = StageContext(tmp_path, "evaluate (a row)", torch.device("cpu"))
    done = evaluate(place, judge("finetune", gp, adapt={"lr": 1e6, "iterations": 1}), scenes(2))
    assert done["warnings"] == [
        "adapted to 2 of 2 scenes, the translator is lifeless: in the first, its images are saturated: 100 % of their "
        "values are at -1 or 1; lower adapt.lr (1e+06)"
    ]


@pytest.mark.parametrize(("most", "warned"), [(1.0, False), (1.003, False), (1.25, True)])
def test_images_that_are_not_what_files_show_of_them_are_told(tmp_path, most, warned):
    class Wide(Toy):
        def translate(self, batch):
            images = self.generator(batch["structure"]).tanh().clamp(-0.5, 0.5)
            images[:, 0, 0, 0] = most
            return images

    with Randomness((1,)).scope():
        gp = Wide(spec=TaskSpec(structure_channels=3, size=SIZE), adversarial=False)
    place = StageContext(tmp_path, "evaluate (a row)", torch.device("cpu"))
    done = evaluate(place, judge("finetune", gp, adapt={"lr": 1e-3, "iterations": 1}), scenes(2))
    warnings = [warning for warning in done.get("warnings", []) if "expected -1 to 1" in warning]
    assert len(warnings) == warned
    assert all(warning.startswith("in 2 of 2 scenes images reach from -0.") for warning in warnings)
    assert all("to 1.25, expected" in warning for warning in warnings)


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


def spoil(folder: Path, how: str) -> None:
    """Damages what an interrupted evaluation has left of its first scene."""
    file, images = folder / "tasks" / "00000.json", folder / "images" / "test-0"
    if how == "cut short":
        file.write_text(file.read_text()[:20])
    elif how == "another scene":
        file.write_text((folder / "tasks" / "00001.json").read_text())
    elif how == "an empty object":
        file.write_text("{}")
    elif how == "another number":
        file.write_text(file.read_text().replace('"lpips": 0.', '"lpips": 1.'))
    elif how == "a folder":
        file.unlink()
        file.mkdir()
    elif how == "an image is gone":
        (images / "0.png").unlink()
    elif how == "another image":
        (images / "0.png").write_bytes((images / "1.png").read_bytes())
    elif how == "a file for the images":
        shutil.rmtree(images)
        images.write_text("x")
    elif how == "another stage":
        record = read_sealed(file)
        write_sealed(file, {**record, "stage": "another"})


@pytest.mark.parametrize(
    "how",
    [
        "cut short",
        "another scene",
        "an empty object",
        "another number",
        "a folder",
        "an image is gone",
        "another image",
        "a file for the images",
        "another stage",
        "whole",
    ],
)
def test_a_scene_whose_file_or_images_are_damaged_is_scored_anew(tmp_path, caplog, how):
    sections = {"evaluate": {"images": 1}}
    whole = scored(tmp_path / "whole", judge(**sections))
    with pytest.raises(KeyboardInterrupt):
        scored(tmp_path / "parts", judge(**sections), [*scenes()[:2], Broken("test-2", 6, SIZE)])
    spoil(tmp_path / "parts", how)
    assert scored(tmp_path / "parts", judge(**sections)) == whole
    assert ("'test-0' is scored anew" in caplog.text) == (how != "whole")
    images = [sorted((tmp_path / name / "images").rglob("*.png")) for name in ("whole", "parts")]
    assert [path.read_bytes() for path in images[0]] == [path.read_bytes() for path in images[1]]
    assert len(images[0]) == 6  # three queries, adapted and not


def live_tensors() -> tuple[int, int]:
    """How many tensors there are, and how many values they hold."""
    gc.collect()
    tensors = [each for each in gc.get_objects() if isinstance(each, torch.Tensor)]
    return len(tensors), sum(tensor.numel() for tensor in tensors)


class Counting:
    """A strategy that counts live tensors before it adapts to some of the scenes."""

    def __init__(self, inside: MetaStrategy, at: tuple[int, ...]) -> None:
        self.inside, self.at, self.calls, self.counts = inside, at, 0, []
        self.meta, self.prepare, self.meta_parameters = inside.meta, inside.prepare, inside.meta_parameters
        self.meta_gradient, self.outer, self.with_retrieved = inside.meta_gradient, inside.outer, inside.with_retrieved
        self.kept = inside.kept

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


# What a scene costs


def adapting(tmp_path, judge: RowEvaluator) -> dict:
    place = StageContext(tmp_path, "evaluate (a row)", torch.device("cpu"))
    return evaluate(place, judge, scenes())["adapting"]


def test_what_a_scene_has_of_its_own_is_counted(tmp_path):
    parameters = 3 * 3 + 3 + 3 + 1
    tuned = adapting(tmp_path / "tuned", judge("finetune"))
    assert (tuned["numbers"], tuned["bytes"]) == (parameters + 1, 4 * (parameters + 1))  # and the buffer `seen`
    frozen = adapting(tmp_path / "frozen", judge("finetune", adapt={"freeze": ["discriminator"]}))
    assert frozen["numbers"] == 3 * 3 + 3 + 1
    assert adapting(tmp_path / "none", judge("none"))["numbers"] == 0
    assert adapting(tmp_path / "copy", judge("copy"))["numbers"] is None


class Coded(FineTune):
    """Keeps one number of a scene, whatever it changes."""

    def kept(self, gp, adapted):
        return {"code": torch.zeros(1, dtype=torch.float64)}


@pytest.mark.parametrize(("aux", "numbers", "size"), [(False, 1, 8), (True, 17, 68)])
def test_what_a_strategy_keeps_counts_unless_another_model_than_the_general_one_was_adapted(
    tmp_path, aux, numbers, size
):
    costs = adapting(tmp_path, judge(Coded(inner=Adaptation(iterations=1)), aux=aux))
    assert (costs["numbers"], costs["bytes"]) == (numbers, size)


class Slow(NoAdaptation):
    """Moves a clock on where it works."""

    clock = 0.0

    def adapt(self, gp, support, step):
        Slow.clock += 1
        return super().adapt(gp, support, step)

    def with_retrieved(self, tasks, step):
        Slow.clock += 10
        return self


def test_adapting_is_timed_apart_from_what_is_done_before_it_and_from_scoring(tmp_path, monkeypatch):
    monkeypatch.setattr("metai2i.stages.adapted_draw.now", lambda device: Slow.clock)
    slow = judge(Slow(inner=Adaptation()), aux=True, episodes={"draws": 2})
    monkeypatch.setattr("metai2i.stages.score.adapt_draw", lambda *words: [adapt_draw(*words), scoring()][0])

    def scoring() -> None:
        Slow.clock += 100

    costs = adapting(tmp_path, slow)
    assert (costs["seconds"], costs["aux_seconds"], costs["scene_seconds"]) == (1, 10, [11, 11, 11])


class OneByOne(LastTasks):
    """Finds another scene at every call."""

    def query(self, support, k):
        self.calls = getattr(self, "calls", 0) + 1
        return [Match(self.known[self.calls - 1], 1.0)]

    def index(self, tasks):
        self.known = list(tasks)


def test_the_retrieved_scenes_that_are_told_are_those_of_the_draw_that_is_shown(tmp_path):
    finding = OneByOne()
    finding.index(ToySource(size=SIZE).tasks("train"))
    evaluator = replace(judge("finetune", aux=True, episodes={"draws": 2}), retriever=finding)
    scores = scored(tmp_path, evaluator, scenes(1))
    assert [task for task, _ in scores["test-0"]["aux"]] == ["train-0"]


class Class(Metric):
    """How many pixels of class 1 there are; nothing on queries that start with class 0."""

    label, higher_is_better = "pixels ↑", True

    def __call__(self, images, query):
        counted = query["structure"][:, 1].sum((1, 2))
        return torch.where(query["structure"][:, 0, 0, 0] == 1, math.nan, counted)


def test_a_rows_metrics_are_measured_and_what_they_cannot_measure_is_left_out(tmp_path):
    evaluator = replace(judge("none", episodes={"queries": 4}), metrics={"pixels": Class(), "mse": METRICS["mse"]()})
    scores = scored(tmp_path, evaluator)
    lacking = 0
    for task in scenes():
        query = task.episode(2, 4, evaluator.rng.at(task.id, 0)).query
        for q, numbers in enumerate(scores[task.id]["queries"]):
            expected = Class()(None, query)[q].item()
            assert numbers.get("pixels", math.nan) == pytest.approx(expected, nan_ok=True)
            assert set(numbers) - {"pixels"} == {"mse", "map_iou"}
            lacking += "pixels" not in numbers
    assert 0 < lacking < 12


@pytest.mark.parametrize("strategy", ["none", "bil"])
def test_every_query_is_told_with_how_like_its_map_the_nearest_of_the_support_is(tmp_path, strategy):
    evaluator = judge(strategy)
    scores = scored(tmp_path, evaluator)
    for task in scenes():
        episode = task.episode(2, 3, evaluator.rng.at(task.id, 0))
        ids = [batch["structure"].argmax(1).flatten(1) for batch in (episode.support, episode.query)]
        for mine, numbers in zip(ids[1], scores[task.id]["queries"], strict=True):
            alike = [
                sum(((a == c) & (mine == c)).sum() / ((a == c) | (mine == c)).sum() for c in range(3)) / 3
                for a in ids[0]
            ]
            assert numbers["map_iou"] == pytest.approx(float(max(alike)))


def test_what_is_no_label_map_has_no_such_number(tmp_path):
    class Soft(ToyTask):
        def load(self, indices):
            return super().load(indices).map(lambda tensor: tensor * 0.5)

    scores = scored(tmp_path, judge("none"), [Soft("soft", 6, SIZE)])
    assert all("map_iou" not in numbers and "lpips" in numbers for numbers in scores["soft"]["queries"])


def test_a_perfect_image_has_an_infinite_psnr_that_survives_the_file(tmp_path):
    scores = scored(tmp_path, judge("copy", episodes={"shots": 1, "queries": 2}), [ToyTask("lone", 1, SIZE)])
    assert [query["psnr"] for query in scores["lone"]["queries"]] == ["inf", "inf"]
    assert scores["lone"]["queries"][0]["mse"] == 0
    values = [record.value for record in records({"Copy": list(scores.values())}) if record.metric == "psnr"]
    assert values == [math.inf, math.inf]


def test_every_draw_has_pairs_of_its_own(tmp_path):
    scores = scored(tmp_path, judge("none", episodes={"draws": 2}), [ToyTask("a", 40, SIZE)])
    queries = scores["a"]["queries"]
    assert len(queries) == 2 * 3
    assert queries[:3] != queries[3:]


def test_rows_are_scored_on_the_same_pairs(tmp_path):
    """A model that no row changes scores the same under all of them."""
    scores = [scored(tmp_path / name, judge(Fixed(STRATEGIES[name](inner=Adaptation())))) for name in ("none", "bil")]
    assert [task["queries"] for task in scores[0].values()] == [task["queries"] for task in scores[1].values()]


class Fixed(Counting):
    def __init__(self, inside):
        super().__init__(inside, ())

    def adapt(self, gp, support, step):
        return gp


def test_images_of_the_first_scenes_are_kept(tmp_path):
    scored(tmp_path, judge("none", evaluate={"images": 2}))
    kept = sorted(path.relative_to(tmp_path / "images").as_posix() for path in (tmp_path / "images").rglob("*.png"))
    assert kept == [f"test-{n}/{kind}{q}.png" for n in (0, 1) for kind in ("", "general/") for q in range(3)]


@pytest.mark.parametrize("strategy", ["none", "bil", "finetune"])
def test_the_general_models_own_images_are_kept_beside_the_adapted_ones(tmp_path, strategy):
    evaluator = judge(strategy, evaluate={"images": 1}, adapt={"lr": 0.1})
    scored(tmp_path, evaluator)
    query = scenes()[0].episode(2, 3, evaluator.rng.at("test-0", 0)).query
    for q, photo in enumerate(evaluator.gp.translate(query)):
        save_photo(tmp_path / "expected.png", photo)
        unadapted, adapted = (tmp_path / "images" / "test-0" / kind / f"{q}.png" for kind in ("general", ""))
        assert unadapted.read_bytes() == (tmp_path / "expected.png").read_bytes()
        assert (adapted.read_bytes() == unadapted.read_bytes()) == (strategy == "none")


def test_references_that_were_shown_are_kept(tmp_path):
    class Shown(ToyTask):
        def load(self, indices):
            batch = super().load(indices)
            return batch.replace(reference=torch.full_like(batch["target"], -1) + 0.1 * batch.size)

    scored(tmp_path, judge("none", evaluate={"images": 1}), [Shown("test-0", 6, SIZE)])
    kept = sorted((tmp_path / "images" / "test-0" / "reference").iterdir())
    assert [path.name for path in kept] == ["0.png", "1.png", "2.png"]
    assert len({path.read_bytes() for path in kept}) == 1


def test_scenes_whose_names_look_alike_keep_images_of_their_own(tmp_path):
    tasks = [ToyTask(name, 6, SIZE) for name in ("a b", "a-b", "a/b")]
    scored(tmp_path, judge("none", evaluate={"images": 3}), tasks)
    assert len(list((tmp_path / "images").iterdir())) == 3


def test_a_diverging_adaptation_names_the_row_and_the_scene(tmp_path):
    evaluator = judge("finetune", adapt={"iterations": 60, "lr": 1e9, "optimizer": "sgd"})
    with pytest.raises(UserError, match=r"evaluate \(a row\): task 'test-0': .*(not finite|is (nan|inf))"):
        scored(tmp_path, evaluator)


@pytest.mark.parametrize(("lr", "diverged"), [(1e9, True), (1e-3, False)])
def test_a_trial_that_diverges_is_told_scene_by_scene_and_goes_on_when_resumed(tmp_path, lr, diverged):
    evaluator = judge("finetune", adapt={"iterations": 60, "lr": lr, "optimizer": "sgd"})
    for _ in range(2):
        evaluate(StageContext(tmp_path, "tune", torch.device("cpu")), evaluator, scenes(), trial=True)
        scores = read_scores(tmp_path)
        assert [bool(scene.get("diverged")) for scene in scores] == [diverged] * 3
        assert [bool(scene["queries"]) for scene in scores] == [not diverged] * 3


def test_auxiliary_training_of_strategies_without_a_meta_gradient_is_plain_training(tmp_path):
    evaluator = judge("finetune", aux=True)
    model, _ = fine_tuned(evaluator, evaluator.train_tasks[:2], Step())
    assert model.seen.item() == evaluator.row.aux.iterations
    assert evaluator.gp.seen.item() == 0


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
    cpu = judge("finetune")
    cuda = replace(cpu, gp=toy_model().to("cuda"), device=torch.device("cuda"))
    ours, theirs = scored(tmp_path / "cpu", cpu), scored(tmp_path / "cuda", cuda)
    for name, task in ours.items():
        for a, b in zip(task["queries"], theirs[name]["queries"], strict=True):
            assert a == pytest.approx(b, rel=1e-2)
