"""What is refused before anything is trained."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch
from metai2i_anil import Anil
from metai2i_appearance import Appearance
from metai2i_bil import Bil
from metai2i_iou import IoU
from metai2i_mamlpp import MamlPlusPlus
from metai2i_metasgd import MetaSGD
from toys import ToyRegistry, ToySource, toy_row

from metai2i.errors import UserError
from metai2i.pipeline.assemble import Assembler
from metai2i.pipeline.preflight import check_lengths, check_out, check_precision, check_row, check_same_images
from metai2i.tasks import TaskSource


class Assembled:
    """An assembler's answers, without plugins."""

    seed = 0
    registry = SimpleNamespace(get=lambda *_: ToySource)

    def __init__(self, source, meta=True):
        self.assembled_source, self.meta = source, meta

    def source(self, row):
        return self.assembled_source

    def strategy(self, row):
        return self

    def augment(self, row):
        return None


def refused(call, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_file_in_the_place_of_the_runs_folder(tmp_path):
    (tmp_path / "run").write_text("")
    assert "this is a file, expected a folder" in refused(check_out, tmp_path / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot be written" in refused(check_out, tmp_path / "run")


def test_a_new_folder_is_fine_and_is_not_made_yet(tmp_path):
    check_out(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_one_pair_scenes_without_augmentation_under_a_meta_strategy():
    row = toy_row("bil", episodes={"shots": 1, "queries": 1}, augment=None)
    source = ToySource(pairs=2)
    check_lengths("a", row, Assembled(source))
    source.pairs = 1
    source.tasks = lambda split: ToySource(pairs=1 if split == "train" else 2).tasks(split)
    assert "single pair need `augment`" in refused(check_lengths, "a", row, Assembled(source))
    check_lengths("a", row, Assembled(source, meta=False))


def test_training_scenes_that_are_too_short_for_an_episode():
    row = toy_row("bil", episodes={"shots": 2, "queries": 2})
    source = ToySource()
    source.tasks = lambda split: ToySource(pairs=3 if split == "train" else 4).tasks(split)
    error = refused(check_lengths, "a", row, Assembled(source))
    assert "4 train tasks have fewer pairs than 2 shots + 2 queries, 'train-0' has 3" in error


def test_of_validation_scenes_those_alone_must_be_long_enough_that_tuning_looks_at():
    source = ToySource(pairs=4)
    long_one, short_one = source.tasks("val")[0], ToySource(pairs=3).tasks("val")[1]
    source.tasks = lambda split: [long_one, short_one] if split == "val" else ToySource(pairs=4).tasks(split)
    rows = {
        n: toy_row("bil", episodes={"shots": 2, "queries": 2}, tune={"lr": [1e-3], "tasks": n}) for n in (1, 2, None)
    }
    check_lengths("a", rows[1], Assembled(source))
    for every in (2, None):
        error = refused(check_lengths, "a", rows[every], Assembled(source))
        assert f"1 val task has fewer pairs than 2 shots + 2 queries, {short_one.id!r} has 3" in error
        assert "(lower shots or queries, of episodes or of evaluate; take a source with more of them)" in error


class SetAside(TaskSource):
    """Has options that set scenes aside."""

    def __init__(self, *, val: int = 0, val_share: float = 0.0, val_tasks: int = 1, values: int = 1) -> None: ...


class NothingAside(TaskSource):
    """Has none."""

    def __init__(self, *, size: int = 8) -> None: ...


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        (SetAside, "tasks.val or tasks.val_share set some aside, or leave `tune` out"),
        (NothingAside, "take a source with more of them, or leave `tune` out"),
    ],
)
def test_tuning_without_validation_scenes_is_refused_with_the_options_that_set_some_aside(kind, way):
    source = ToySource(pairs=6)
    source.tasks = lambda split: [] if split == "val" else ToySource(pairs=6).tasks(split)
    row, assembled = toy_row("bil", tune={"lr": [1e-3]}), Assembled(source)
    assembled.registry = SimpleNamespace(get=lambda *_: kind)
    error = refused(check_row, "a", row, assembled)
    assert f"row 'a' is tuned on validation scenes, and the task source {row.tasks.use!r} has none ({way})" in error


def test_two_scenes_of_one_name():
    source = ToySource()
    twice = source.tasks("test")
    source.tasks = lambda split: [*twice, twice[0]]
    assert "gives several scenes with the id 'test-0'" in refused(check_row, "a", toy_row("bil"), Assembled(source))


def test_rows_that_differ_in_shots_are_scored_on_the_same_images():
    rows = {str(shots): toy_row("bil", episodes={"shots": shots, "queries": 2}) for shots in (1, 3)}
    assert len(check_same_images(rows, Assembled(ToySource()))) == 16


def test_rows_that_differ_in_queries_are_refused():
    rows = {str(n): toy_row("bil", episodes={"shots": 1, "queries": n}) for n in (1, 2)}
    error = refused(check_same_images, rows, Assembled(ToySource()))
    assert "rows '1' and '2' are scored on different images" in error


def test_rows_on_the_same_images_read_them_once():
    source = ToySource()
    read = []
    tasks = source.tasks
    source.tasks = lambda split: read.append(split) or tasks(split)
    row = toy_row("bil", episodes={"shots": 1, "queries": 2})
    check_same_images({"a": row, "b": row, "c": row}, Assembled(source))
    assert len(read) == 1


SECOND = {"bil": Bil, "mamlpp": MamlPlusPlus, "metasgd": MetaSGD, "anil": Anil}


@pytest.mark.parametrize("name", SECOND)
def test_bf16_is_refused_in_second_order_and_nowhere_else(name):
    assembler = Assembler(ToyRegistry(**SECOND), 0, torch.device("cpu"))  # type: ignore[arg-type]
    rows = {
        (precision, order): toy_row(name, precision=precision, strategy={"options": {"order": order}})
        for precision in ("fp32", "bf16")
        for order in ("first", "second")
    }
    error = refused(check_precision, rows.pop(("bf16", "second")), assembler)
    assert "precision bf16 does not go with second order" in error
    assert "changes the generator's meta-gradient by about a quarter" in error
    for row in rows.values():
        check_precision(row, assembler)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"adapt": {"freeze": ["discriminatr"]}}, "no player of Toy (did you mean 'discriminator'?)"),
        ({"strategy": {"use": "anil", "options": {"part": ["nope"]}}}, "nope"),
        ({"retriever": {"use": "iou", "options": {"frames": 0}}}, "retriever.frames: got 0, expected at least 1"),
    ],
)
def test_what_only_shows_when_a_row_is_put_together_is_refused_before_anything_is_trained(sections, message):
    registry = ToyRegistry(bil=Bil, anil=Anil)
    registry.known[("retriever", "iou")] = IoU
    assembler = Assembler(registry, 0, torch.device("cpu"))  # type: ignore[arg-type]
    row = toy_row(**{"tasks": {"options": {"size": (32, 32)}}, **sections})
    assert message in refused(check_row, "a", row, assembler)


ALONE = {"objective": {"perceptual": 0}, "evaluate": {"images": 0, "metrics": ["mse"]}}


@pytest.fixture
def weightless(monkeypatch):
    """An assembler of toys on a machine without any feature network, and which ones were asked for."""
    asked = []
    monkeypatch.setattr("metai2i.pipeline.assemble.network_digest", lambda registry, net: asked.append(net))
    registry = ToyRegistry(bil=Bil)
    registry.known[("retriever", "appearance")] = Appearance
    return Assembler(registry, 0, torch.device("cpu")), asked  # type: ignore[arg-type]


def sized(side, **sections):
    return toy_row("bil", **{**ALONE, "tasks": {"options": {"size": (side, side)}}, **sections})


def test_a_row_that_does_without_lpips_needs_neither_its_networks_nor_its_size(weightless):
    assembler, asked = weightless
    check_row("a", sized(8), assembler)
    assert asked == []


@pytest.mark.parametrize(
    ("sections", "nets"),
    [
        ({"evaluate": {"metrics": ["lpips", "mse"]}}, {"alex"}),
        ({"tune": {"lr": [1e-3]}}, {"alex"}),
        ({"tune": {"match": "b"}}, set()),
        ({"tune": {"lr": [1e-3], "metric": "mse"}}, set()),
        ({"objective": {"perceptual": 1}}, {"vgg16"}),
        ({"retriever": {"use": "appearance", "k": 1}}, {"vgg16"}),
        ({"objective": {"perceptual": 1, "net": "squeeze"}, "evaluate": {"metrics": ["lpips"]}}, {"squeeze", "alex"}),
    ],
)
def test_the_networks_that_a_row_uses_are_asked_for_and_no_others(weightless, sections, nets):
    assembler, asked = weightless
    check_row("a", sized(32, **sections), assembler)
    assert set(asked) == nets


@pytest.mark.parametrize(
    ("side", "sections", "message"),
    [
        (30, {"evaluate": {"metrics": ["lpips"]}}, "the metric 'lpips' needs photographs of at least 31 pixels a side, "
         "the task source gives 30x30 (leave lpips out of evaluate.metrics, or raise tasks.size)"),
        (30, {"tune": {"lr": [1e-3]}}, "the metric 'lpips' needs photographs of at least 31"),
        (10, {"evaluate": {"metrics": ["ssim"]}}, "the metric 'ssim' needs photographs of at least 11"),
        (15, {"objective": {"perceptual": 1}}, "row 'a': objective.perceptual by 'vgg16' needs photographs of at least "
         "16 pixels a side, 'toys' gives 15x15 (objective: {perceptual: 0} does without)"),
    ],
)  # fmt: skip
def test_what_is_too_small_for_what_a_row_uses_is_refused_before_anything_is_trained(
    weightless, side, sections, message
):
    assert message in refused(check_row, "a", sized(side, **sections), weightless[0])
    check_row("a", sized(32, **sections), weightless[0])


def test_a_row_in_bf16_and_second_order_is_refused_before_anything_is_trained():
    assembler = Assembler(ToyRegistry(bil=Bil), 0, torch.device("cpu"))
    row = toy_row(
        "bil", precision="bf16", strategy={"options": {"order": "second"}}, tasks={"options": {"size": (32, 32)}}
    )
    assert "does not go with second order" in refused(check_row, "a", row, assembler)


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("pretrain", {"players": {"generater": {"lr": 1e-3}}}),
        ("pretrain", {"average": {"players": ["generater"]}}),
        ("metatrain", {"average": {"players": ["generater"]}}),
    ],
)
def test_a_player_that_is_not_there_is_told_before_anything_is_trained(section, settings):
    row = toy_row("bil", **{section: settings})
    error = refused(check_row, "a", row, Assembler(ToyRegistry(bil=Bil), 0, torch.device("cpu")))
    assert f"{section}." in error
    assert "names 'generater', which is no player of Toy (did you mean 'generator'?)" in error
