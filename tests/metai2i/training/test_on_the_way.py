"""Images on the way: the same inputs at intervals of a training, which does not notice that it is looked at."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from toys import Toy, ToySource

from metai2i import Adaptation, Randomness, Step
from metai2i.data.contact_sheet import GAP
from metai2i.data.images import to_uint8
from metai2i.data.sampling import Sampling
from metai2i.recipe.schema import Average, Episodes, Metatrain, Pretrain
from metai2i.registry import Registry
from metai2i.stages.metatrain import metatrain
from metai2i.stages.pretrain import pretrain
from metai2i.training.checkpoint import digest
from metai2i.training.driving import translate
from metai2i.training.on_the_way import (
    ON_THE_WAY,
    WatchedScenes,
    kept_steps,
    said_of,
    spread,
    strip_files,
)
from metai2i.training.stage_context import StageContext


class Careless(Toy):
    """Draws when it translates, and writes into a buffer and an attribute then."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.calls = 0

    def translate(self, batch):
        self.seen += 100
        self.calls += 1
        return super().translate(batch) + 0.01 * torch.rand(())


def context(folder: Path, spec, every: int | None) -> StageContext:
    source = ToySource()
    watched = None
    if every is not None:
        watched = WatchedScenes.drawn(every, source.tasks("val"), 2, Sampling(), source.spec(), None)
    folder.mkdir(exist_ok=True)
    return StageContext(folder, "pretrain", torch.device("cpu"), watched=watched)


def trained(folder: Path, spec, every: int | None, kind: type[Toy] = Careless, **settings) -> Toy:
    with Randomness((1,)).scope():
        toy = kind(spec=spec)
    place, tasks = context(folder, spec, every), ToySource().tasks("train")
    pretrain(place, toy, tasks, Pretrain(batch=2, lr=1e-2, **settings), Sampling(), Randomness((0, "pretrain")))
    return toy


def pixels(path: Path, count: int = 4) -> list[np.ndarray]:
    """The images of a strip."""
    whole = np.asarray(Image.open(path).convert("RGB"))
    side = (whole.shape[1] - GAP) // count - GAP
    starts = [GAP + n * (side + GAP) for n in range(count)]
    return [whole[GAP : GAP + side, start : start + side] for start in starts]


def test_images_are_those_of_the_steps_that_were_asked_for_and_of_the_last(tmp_path, spec):
    trained(tmp_path, spec, 3, iterations=7)
    assert kept_steps(tmp_path / ON_THE_WAY) == [0, 3, 6, 7]
    names = {path.name for path in (tmp_path / ON_THE_WAY).iterdir()}
    assert names == {"inputs.png", "truth.png", *(f"{step:08d}.png" for step in (0, 3, 6, 7))}


def test_a_training_does_not_notice_that_it_is_looked_at(tmp_path, spec):
    """Weights, buffers, plain attributes, losses and torch's generator are the same bits."""
    before = torch.get_rng_state()
    looked_at, alone = trained(tmp_path / "a", spec, 1, iterations=5), trained(tmp_path / "b", spec, None, iterations=5)
    assert digest(looked_at) == digest(alone)
    assert looked_at.calls == alone.calls
    logs = [(tmp_path / each / "log.jsonl").read_text().splitlines() for each in "ab"]
    losses_of_a, losses_of_b = ([json.loads(line)["losses"] for line in lines] for lines in logs)
    assert losses_of_a == losses_of_b
    assert torch.equal(torch.get_rng_state(), before)
    assert not (tmp_path / "b" / ON_THE_WAY).exists()


def test_a_strip_has_inputs_outputs_and_truth_of_the_same_queries(tmp_path, spec):
    toy = trained(tmp_path, spec, 100, Toy, iterations=4)
    watched = context(tmp_path, spec, 100).watched
    queries = [episode.query for episode in watched.episodes]
    outputs = [to_uint8(image) for query in queries for image in translate(toy, query, Step())]
    truths = [to_uint8(image) for query in queries for image in query["target"]]
    for name, wanted in (("00000004.png", outputs), ("truth.png", truths)):
        for got, image in zip(pixels(tmp_path / ON_THE_WAY / name), wanted, strict=True):
            assert np.array_equal(got, image.permute(1, 2, 0).numpy())
    ids = [structure.argmax(0) for query in queries for structure in query["structure"]]
    for got, classes in zip(pixels(tmp_path / ON_THE_WAY / "inputs.png"), ids, strict=True):
        assert np.array_equal(got[..., 0], np.array([0, 127, 255])[classes.numpy()])


def test_averages_are_looked_at_where_they_are_what_counts(tmp_path, spec):
    toy = trained(tmp_path, spec, 100, Toy, iterations=6, average=Average(decay=0.9, players=("generator",)))
    (query, _) = (episode.query for episode in context(tmp_path, spec, 100).watched.episodes)
    wanted = to_uint8(translate(toy, query, Step())[0]).permute(1, 2, 0).numpy()  # a finished stage has its averages
    assert np.array_equal(pixels(tmp_path / ON_THE_WAY / "00000006.png")[0], wanted)


def test_meta_training_is_looked_at_before_and_after_adapting_and_does_not_notice(tmp_path, spec):
    def meta_trained(folder: Path, every: int | None) -> Toy:
        with Randomness((1,)).scope():
            toy = Careless(spec=spec)
        strategy = Registry().get("strategy", "metasgd")(inner=Adaptation(iterations=2, lr=1e-1), steps=2)
        strategy.prepare(toy)
        tasks, settings = ToySource().tasks("train"), Metatrain(iterations=4, tasks=2, lr=1e-2)
        metatrain(context(folder, spec, every), toy, strategy, tasks, [], settings, Episodes(shots=2, queries=2),
                  Sampling(), Randomness((0, "metatrain")), {})  # fmt: skip
        return toy

    assert digest(meta_trained(tmp_path / "a", 2)) == digest(meta_trained(tmp_path / "b", None))
    folder = tmp_path / "a" / ON_THE_WAY
    assert kept_steps(folder) == [0, 2, 4]
    before, after = (pixels(folder / f"00000004{ending}.png") for ending in ("", "-adapted"))
    assert not all(np.array_equal(first, second) for first, second in zip(before, after, strict=True))


def test_a_fault_in_the_images_costs_the_images_alone(tmp_path, spec, caplog):
    class Broken(Toy):
        def translate(self, batch):
            raise ZeroDivisionError("no light")

    with caplog.at_level(logging.WARNING, "metai2i"):
        toy = trained(tmp_path, spec, 2, Broken, iterations=0)
    assert "images of step 0 are left out" in caplog.text
    assert "no light" in caplog.text
    assert not (tmp_path / ON_THE_WAY).exists()
    assert isinstance(toy, Toy)


def test_scenes_that_are_too_small_are_not_looked_at(spec):
    source = ToySource(pairs=3)
    assert WatchedScenes.drawn(1, source.tasks("val"), 2, Sampling(), source.spec(), None).episodes == []


def test_what_is_shown_is_spread_over_the_training(tmp_path):
    assert spread([0, 5, 9], 12) == [0, 5, 9]
    assert spread(range(101), 5) == [0, 25, 50, 75, 100]
    for name in ("inputs", "truth", "00000000", "00000010", "00000020", "00000020-adapted", "notes", "00x"):
        (tmp_path / f"{name}.png").touch()
    assert strip_files(tmp_path, 2) == [
        "inputs.png",
        "00000000.png",
        "00000020.png",
        "00000020-adapted.png",
        "truth.png",
    ]
    assert [said_of(name) for name in ("inputs.png", "00001200.png", "00001200-adapted.png", "truth.png")] == [
        "input", "step 1,200", "step 1,200, adapted", "truth",
    ]  # fmt: skip
    assert strip_files(tmp_path / "nothing", 2) == []
