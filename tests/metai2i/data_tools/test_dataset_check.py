from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from PIL import Image
from toys import ToySource, ToyTask

from metai2i import Batch, TaskSource, TaskSpec, UserError
from metai2i.data_tools.dataset_check import check_source
from metai2i.data_tools.findings import DataReport, Demand, Need

RELAXED = Demand([Need("test", 1)], pairs=1)

LOWER = "shots and queries together (lower them in `episodes` or `evaluate`)"


class Scene(ToyTask):
    """Pairs as `change` makes them."""

    def __init__(self, name: str, pairs: int = 3, change: Callable[[int, Batch], Batch] = lambda i, b: b) -> None:
        super().__init__(name, pairs)
        self.change = change

    def load(self, indices):
        return Batch.cat([self.change(i, super(Scene, self).load([i])) for i in indices])


class Source(TaskSource):
    """Scenes of a test's own; one scene in every other split."""

    def __init__(self, **splits: list[Scene]) -> None:
        self.splits = {name: [Scene(name)] for name in ("train", "val", "test")} | splits

    def spec(self) -> TaskSpec:
        return TaskSpec(structure_channels=3, size=(16, 16), classes=("sky", "sea", "sand"))

    def tasks(self, split):
        return self.splits[split]


def checked(source: TaskSource, demand: Demand = RELAXED) -> DataReport:
    return check_source(source, demand, lambda split, total: nullcontext(lambda done: None))


def messages(report: DataReport, level: str = "error") -> list[str]:
    return [finding.text for finding in report.findings if finding.level == level]


def test_good_data_has_no_findings():
    report = checked(ToySource())
    assert report.findings == []
    assert {name: (len(s.lengths), sum(s.lengths.values())) for name, s in report.splits.items()} == {
        "train": (4, 24), "val": (4, 24), "test": (4, 24),
    }  # fmt: skip
    assert report.splits["train"].sizes == {(16, 16): 24}


def test_what_a_source_remarks_while_it_is_read_is_a_warning():
    class Remarking(Source):
        def remarks(self):
            return ["2 label maps, such as a.png: a remark"]

    assert messages(checked(Remarking()), "warning") == ["2 label maps, such as a.png: a remark"]


def test_every_sample_is_read_once():
    seen: list[tuple[str, int]] = []

    def note(i: int, batch: Batch) -> Batch:
        seen.append(("a", i))
        return batch

    checked(Source(val=[Scene("a", 5, note)]))
    assert seen == [("a", i) for i in range(5)]


def test_shares_are_those_of_the_pixels():
    def quarters(i: int, batch: Batch) -> Batch:
        structure = torch.zeros(1, 3, 16, 16)
        structure[:, 0, :8] = 1
        structure[:, 2, 8:12] = 1  # the last quarter has no class
        return batch.replace(structure=structure)

    report = checked(Source(test=[Scene("a", 2, quarters)]))
    assert report.splits["test"].shares == [0.5, 0, 0.25, 0.25]


def test_every_pair_that_cannot_be_read_is_told_and_the_others_are_read():
    def broken(i: int, batch: Batch) -> Batch:
        if i in (0, 2):
            raise UserError("cut short", where=f"{i}.png")
        if i == 3:
            raise ZeroDivisionError("oh no")
        return batch

    report = checked(Source(train=[Scene("a", 5, broken)]))
    assert messages(report) == [
        "train scene 'a', pair 0: 0.png: cut short",
        "train scene 'a', pair 2: 2.png: cut short",
        "train scene 'a', pair 3: ZeroDivisionError: oh no",
    ]
    assert report.splits["train"].sizes[16, 16] == 2


def test_files_that_only_a_draw_shows_are_told_once_for_all_scenes():
    class Drawn(Scene):
        def unread(self):
            return [UserError("cut short", where="9.png")]

    report = checked(Source(train=[Drawn("a"), Drawn("b")]))
    assert messages(report) == ["train: 9.png: cut short"]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda b: b.replace(target=2 * torch.ones(1, 3, 16, 16)), "'target' has values from 2 to 2, expected [-1, 1]"),
        (lambda b: b.replace(structure=b["structure"] - 1), "'structure' has values from -1 to 0, expected [0, 1]"),
        (lambda b: b.replace(target=b["target"] * float("nan")), "'target' has values that are not finite"),
        (lambda b: b.replace(target=b["target"] - float("inf")), "'target' has values that are not finite"),
        (lambda b: b.replace(target=b["target"][..., :8]), "'target' has shape (1, 3, 16, 8), expected (1, 3, 16, 16)"),
        (lambda b: Batch(target=b["target"]), "it has no 'structure'"),
    ],
)
def test_what_a_translator_could_not_take_is_told(change, wrong):
    report = checked(Source(val=[Scene("a", 1, lambda i, batch: change(batch))]))
    assert messages(report) == [f"val scene 'a', pair 0: {wrong}"]


def test_a_photograph_in_two_splits_is_an_error():
    train, test = Scene("a"), Scene("b", 3, lambda i, batch: train.load([2]) if i == 1 else batch)
    (leak,) = messages(checked(Source(train=[train], test=[test])))
    assert leak == "the same photograph is in several splits: train scene 'a', pair 2; test scene 'b', pair 1"


def test_a_training_photograph_may_be_shown_in_a_scene_that_tests_but_not_be_judged():
    class Shown(Scene):
        support_only = frozenset({0, 1})

    trained = [Scene("a", 3)]
    assert messages(checked(Source(train=trained, test=[Shown("b", 3, lambda i, b: trained[0].load([i]))]))) == [
        "the same photograph is in several splits: train scene 'a', pair 2; test scene 'b', pair 2"
    ]


def test_photographs_that_differ_by_less_than_half_a_level_are_the_same():
    def level(i: int, batch: Batch, off: float = 0.0) -> Batch:
        return batch.replace(target=((batch["target"] * 120).round() + 0.5 + off) / 127.5)

    scenes = {"train": [Scene("a", 3, level)], "test": [Scene("a", 3, lambda i, batch: level(i, batch, 0.4))]}
    leaks = [text for text in messages(checked(Source(**scenes))) if text.startswith("the same photograph")]
    assert len(leaks) == 3


def test_copies_within_a_split_are_warnings():
    def first_twice(i: int, batch: Batch) -> Batch:
        return Scene("a").load([0]) if i == 1 else batch

    inside = checked(Source(train=[Scene("a", 3, first_twice)]))
    assert messages(inside, "warning") == [
        "1 photograph is there again in one scene, where a query may be among the support: "
        "train scene 'a', pair 0; train scene 'a', pair 1"
    ]
    across = checked(Source(train=[Scene("a", 1), Scene("b", 1, lambda i, batch: Scene("a").load([0]))]))
    assert messages(across, "warning")[0].startswith("1 photograph is there again in several scenes of a split: ")
    assert inside.errors == across.errors == 0


def test_a_scene_in_two_splits_is_an_error():
    other = Scene("a", 3, lambda i, batch: Scene("c").load([i]))
    assert messages(checked(Source(train=[Scene("a")], val=[other]))) == ["scene 'a' is in train and in val"]


def test_scenes_too_short_are_errors_where_a_run_would_stop():
    source = Source(train=[Scene("a", 1), Scene("b", 4)], val=[Scene("c", 5)], test=[Scene("d", 3), Scene("e", 4)])
    report = checked(source, Demand([Need("test", 4)], pairs=5))
    assert messages(report) == [f"test: 1 scene has fewer pairs than 4, {LOWER}: 'd' has 3"]
    assert messages(report, "warning") == [
        f"train: 1 scene has fewer pairs than 5, {LOWER}: 'b' has 4",
        f"test: 1 scene has fewer pairs than 5, {LOWER}: 'e' has 4",
    ]


def test_a_scene_that_is_not_scored_is_only_told_to_be_short():
    source = Source(test=[Scene("d", 4), Scene("e", 3)])
    assert messages(checked(source, Demand([Need("test", 4, first=1)], pairs=4))) == []
    assert "'e' has 3" in messages(checked(source, Demand([Need("test", 4, first=2)], pairs=4)))[0]


@pytest.mark.parametrize(("single", "errors"), [(True, 1), (False, 0)])
def test_a_scene_of_a_single_pair_is_too_short_unless_it_is_its_own_query(single, errors):
    report = checked(Source(train=[Scene("d", 1)]), Demand([Need("train", 2, single=single)], pairs=2))
    assert report.errors == errors
    assert messages(report, "warning") == []


def test_a_split_that_is_needed_and_empty_is_an_error():
    report = checked(Source(train=[], val=[], test=[Scene("a", 0)]))
    assert messages(report) == ["train: there are no scenes", "test: scene 'a' has no pairs"]


def test_classes_that_training_never_sees_are_warnings():
    def only(*kept: int) -> Callable[[int, Batch], Batch]:
        ids = torch.tensor(kept)[torch.arange(256).reshape(1, 16, 16) % len(kept)]
        one_hot = torch.nn.functional.one_hot(ids, 3).permute(0, 3, 1, 2).float()
        return lambda i, batch: batch.replace(structure=one_hot)

    splits = {"train": [Scene("a", 3, only(0))], "val": [Scene("b", 3, only(0))], "test": [Scene("c", 3, only(0, 1))]}
    warnings = [text for text in messages(checked(Source(**splits)), "warning") if text.startswith("classes")]
    assert warnings == ["classes that no label map has: sand", "classes that no training map has: sea"]


def test_of_many_classes_without_a_map_some_are_named_and_the_others_counted():
    class Many(Source):
        def spec(self) -> TaskSpec:
            return TaskSpec(structure_channels=33, size=(16, 16))

    def first_three(i: int, batch: Batch) -> Batch:
        return batch.replace(structure=torch.cat([batch["structure"], torch.zeros(1, 30, 16, 16)], 1))

    splits = {name: [Scene(name, 3, first_three)] for name in ("train", "val", "test")}
    (warning,) = messages(checked(Many(**splits)), "warning")
    assert warning == f"classes that no label map has: {', '.join(map(str, range(3, 23)))} and 10 more"


def test_many_alike_findings_are_counted_and_a_few_are_named():
    scenes = [Scene(f"s{n}", 2) for n in range(8)]
    (text,) = messages(checked(Source(val=scenes), Demand([], pairs=3)), "warning")
    assert text.startswith("val: 8 scenes have fewer pairs than 3")
    assert text.endswith("'s4' has 2 and 3 more")


def test_images_for_a_contact_sheet_come_from_all_over_a_split():
    report = checked(Source(train=[Scene(f"s{n}", 30) for n in range(4)]))
    assert len(report.splits["train"].cells) == 40
    assert report.splits["train"].cells[0].shape == (3, 32, 16)


def test_names_that_differ_in_capitals_or_accents_only_are_warnings():
    source = Source(
        train=[Scene("Ada"), Scene("jos\u00e9")], val=[Scene("ada")], test=[Scene("bo"), Scene("jose\u0301")]
    )
    (text,) = [text for text in messages(checked(source), "warning") if "names" in text]
    assert "'Ada' in train and 'ada' in val" in text
    assert "'jos\u00e9' in train and 'jose\u0301' in test" in text
    assert "'bo'" not in text


def test_photographs_of_one_colour_and_maps_of_one_class_are_warnings():
    def empty(i: int, batch: Batch) -> Batch:
        sky = torch.zeros(1, 3, 16, 16)
        sky[:, 0] = 1
        return batch.replace(target=torch.full((1, 3, 16, 16), -1.0), structure=sky) if i == 1 else batch

    report = checked(Source(val=[Scene("v", 3, empty)]))
    assert messages(report, "warning") == [
        "val: 1 photograph of one colour: val scene 'v', pair 1",
        "val: 1 label map of one class: val scene 'v', pair 1",
    ]


@pytest.mark.parametrize(("field", "height"), [("source", 32), ("reference", 32), (None, 16)])
def test_samples_without_a_target_are_shown_by_what_else_they_have(field, height):
    def other(i: int, batch: Batch) -> Batch:
        rest = {name: value for name, value in batch.items() if name != "target"}
        return Batch(**rest, **({field: batch["target"]} if field else {}))

    class Unpaired(Source):
        provides = frozenset({"structure"})

    report = checked(Unpaired(train=[Scene("a", 3, other)], val=[], test=[Scene("b", 3, other)]))
    assert [cell.shape for cell in report.splits["train"].cells] == [(3, height, 16)] * 3
    assert report.findings == []


class Filed(Scene):
    """A scene whose photographs lie in files."""

    paths: tuple[Path, ...]

    @property
    def files(self):
        return tuple(path for photo in self.paths for path in (photo, photo.with_suffix(".txt")))


@pytest.fixture
def filed(tmp_path):
    def make(*sizes: tuple[int, int]) -> Filed:
        scene = Filed("f", len(sizes))
        scene.paths = tuple(tmp_path / f"{n}.png" for n in range(len(sizes)))
        for path, (height, width) in zip(scene.paths, sizes, strict=True):
            Image.new("L", (width, height)).save(path)
        return scene

    return make


def test_sizes_are_those_of_the_files(filed):
    report = checked(Source(train=[filed((20, 24), (20, 24), (30, 32))]))
    assert report.splits["train"].sizes == {(20, 24): 2, (30, 32): 1}
    assert messages(report, "warning") == []


def test_photographs_that_are_enlarged_cut_or_held_otherwise_are_warnings(filed, tmp_path):
    report = checked(Source(train=[filed((8, 8), (20, 40), *[(24, 20)] * 5)]))
    assert messages(report, "warning") == [
        f"train: 1 photograph is smaller than 16x16, and enlarged: {tmp_path / '0.png'}",
        f"train: 1 photograph is cut to 16x16 so that more than 40 % is lost: {tmp_path / '1.png'}",
        f"train: 1 photograph is held otherwise than the others, which are higher than wide, as if turned "
        f"by a quarter: {tmp_path / '1.png'}",
    ]


def test_photographs_that_are_very_large_are_warnings(filed, tmp_path, monkeypatch):
    monkeypatch.setattr("metai2i.data_tools.file_survey.LARGE_PIXELS", 1000)
    (text,) = messages(checked(Source(train=[filed((40, 40), (20, 20))])), "warning")
    assert text.startswith("train: 1 photograph is larger than")
    assert text.endswith(str(tmp_path / "0.png"))
