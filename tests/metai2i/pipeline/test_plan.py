"""Which work a recipe asks for, and which of it a change asks for anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from metai2i_baselines import FineTune, NoAdaptation
from metai2i_bil import Bil
from metai2i_reptile import Reptile
from toys import Toy, ToyRegistry, toy_row

import metai2i
from metai2i import UserError
from metai2i.pipeline.assemble import Assembler
from metai2i.pipeline.plan import LIBRARIES, plan
from metai2i.pipeline.sources import COMPUTING_FOLDERS
from metai2i.run_folder.provenance import installed


def registry() -> ToyRegistry:
    return ToyRegistry(bil=Bil, reptile=Reptile, finetune=FineTune, none=NoAdaptation)


def stages(seed=0, known=None, **rows):
    """Every row's stages: name of the row -> name of the stage -> key."""
    planned = plan(rows, Assembler(known or registry(), seed, torch.device("cpu")), seed)
    return {planned_row.name: {stage.name: stage.key for stage in planned_row.stages} for planned_row in planned}


CHANGED = """
tasks: {use: scenes, train: 2, test: 2, val: 0, size: [32, 32]}
translator: {use: pix2pix, width: 4, downs: 3, d_layers: 1, diff_augment: [cutout, translation, colour]}
objective: {l1: 1, adversarial: 1, perceptual: 0}
evaluate: {metrics: [mse]}
rows:
  Plain: {strategy: {use: none}}
"""


def test_options_that_are_sets_give_the_same_stages_in_every_process(tmp_path):
    (tmp_path / "changed.yaml").write_text(CHANGED)
    command = [sys.executable, "-m", "metai2i", "plan", "changed.yaml", "--json"]
    planned = {
        subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "0128"  # under each of which three words have another order
    }
    assert len(planned) == 1


ALL = {"pretrain", "metatrain", "evaluate"}


@pytest.mark.parametrize(
    ("sections", "anew"),
    [
        ({"adapt": {"iterations": 9}}, {"evaluate"}),
        ({"adapt": {"lr": 1e-3}}, {"metatrain", "evaluate"}),
        ({"adapt": {"optimizer": "sgd"}}, {"metatrain", "evaluate"}),
        ({"adapt": {"batch": 2}}, {"metatrain", "evaluate"}),
        ({"evaluate": {"images": 3}}, {"evaluate"}),
        ({"evaluate": {"tasks": 3}}, {"evaluate"}),
        ({"evaluate": {"split": "val"}}, {"evaluate"}),
        ({"evaluate": {"metrics": ["lpips"]}}, {"evaluate"}),
        ({"episodes": {"draws": 3}}, {"evaluate"}),
        ({"retriever": {"use": "last"}}, {"evaluate"}),
        ({"episodes": {"shots": 1}}, {"metatrain", "evaluate"}),
        ({"episodes": {"queries": 1}}, {"metatrain", "evaluate"}),
        ({"episodes": {"as_new": True}}, {"metatrain", "evaluate"}),
        ({"strategy": {"options": {"steps": 3}}}, {"metatrain", "evaluate"}),
        ({"strategy": {"use": "reptile"}}, {"metatrain", "evaluate"}),
        ({"metatrain": {"iterations": 9}}, {"metatrain", "evaluate"}),
        ({"metatrain": {"tasks": 9}}, {"metatrain", "evaluate"}),
        ({"metatrain": {"lr": 1e-5}}, {"metatrain", "evaluate"}),
        ({"metatrain": {"clip": 1.0}}, {"metatrain", "evaluate"}),
        ({"pretrain": {"iterations": 9}}, ALL),
        ({"pretrain": {"lr": 1e-5}}, ALL),
        ({"pretrain": {"batch": 9}}, ALL),
        ({"pretrain": {"clip": 1.0}}, ALL),
        ({"augment": {"flip": False}}, ALL),
        ({"objective": {"l1": 2.0}}, ALL),
        ({"precision": "bf16"}, ALL),
        ({"translator": {"options": {"adversarial": False}}}, ALL),
        ({"tasks": {"options": {"pairs": 9}}}, ALL),
        ({"tasks": {"options": {"tests": "others"}}}, {"evaluate"}),
        ({"metatrain": {"probe": 2}}, set()),
        ({"aux": {"iterations": 9}}, set()),  # of no effect without a retriever
    ],
)
def test_a_change_asks_for_what_it_touches_and_all_that_builds_on_it(sections, anew):
    before, after = stages(row=toy_row())["row"], stages(row=toy_row(**sections))["row"]
    assert {name for name in after if after[name] != before[name]} == anew


class Sharpened(Toy):
    paint_options = frozenset({"sharpness", "table"})

    def __init__(self, *, spec, objective=None, width: int = 3, sharpness: int = 1, table: Path | None = None):
        super().__init__(spec=spec)


def test_options_that_matter_only_for_images_ask_for_new_scores_alone(tmp_path):
    known = registry()
    known.known["translator", "sharpened"] = Sharpened
    table = tmp_path / "table.txt"

    def keys(**options):
        row = toy_row(translator={"use": "sharpened"}, tune={"lr": [1e-3, 1e-2], "metric": "mse"})
        translator = row.translator.model_copy(update={"options": {"width": 3, "sharpness": 1, **options}})
        return stages(known=known, row=row.model_copy(update={"translator": translator}))["row"]

    def anew(**options):
        before, after = keys(), keys(**options)
        return {name for name in after if after[name] != before[name]}

    assert anew(sharpness=2) == {"tune", "evaluate"}
    assert anew(width=4) == {"pretrain", "metatrain", "tune", "evaluate"}
    table.write_text("1")
    with_table = keys(table=table)
    assert with_table["metatrain"] == keys()["metatrain"]
    table.write_text("2")
    assert {name for name, key in keys(table=table).items() if key != with_table[name]} == {"tune", "evaluate"}


@pytest.mark.parametrize(
    ("sections", "into", "anew"),
    [
        ({"retriever": {"use": "last", "k": 2}}, "model", True),
        ({"aux": {"iterations": 9}}, "model", True),
        ({"aux": {"lr": 1.0}}, "model", True),
        ({"aux": {"weights": "rank"}}, "model", True),
        ({"aux": {"into": "batches"}}, "model", True),
        ({"aux": {"rows": 9}}, "model", False),  # of no effect
        ({"aux": {"rows": 9}}, "batches", True),
        ({"aux": {"weights": "rank"}}, "batches", True),
        ({"aux": {"iterations": 9}}, "batches", False),
        ({"aux": {"tasks": 9, "lr": 1.0}}, "batches", False),
    ],
)
def test_what_is_retrieved_and_done_with_it_decides_the_scores_alone(sections, into, anew):
    retrieving = {"retriever": {"use": "last", "k": 5}, "aux": {"into": into}}
    changed = {name: {**retrieving.get(name, {}), **sections.get(name, {})} for name in (*retrieving, *sections)}
    before, after = (stages(row=toy_row(**each))["row"] for each in (retrieving, changed))
    assert {name for name in after if after[name] != before[name]} == ({"evaluate"} if anew else set())


@pytest.mark.parametrize(
    ("component", "anew"),
    [
        ("toy", ALL),
        ("toys", ALL),
        ("bil", {"metatrain", "evaluate"}),
        ("last", {"evaluate"}),
        ("ssim", {"evaluate"}),
        ("finetune", set()),
    ],
)
def test_new_code_of_a_plugin_asks_for_what_it_made(component, anew):
    known = registry()
    known.sources[component] = "v2"
    row = toy_row(retriever={"use": "last"})
    before, after = stages(row=row)["row"], stages(row=row, known=known)["row"]
    assert {name for name in after if after[name] != before[name]} == anew


def test_another_seed_and_other_data_share_nothing(monkeypatch):
    row = toy_row()
    keys = [stages(row=row)["row"], stages(row=row, seed=1)["row"]]
    monkeypatch.setattr("toys.ToySource.fingerprint", lambda self, split: f"other {split} files")
    keys.append(stages(row=row)["row"])
    assert len({key for each in keys for key in each.values()}) == 9


@pytest.mark.parametrize(
    ("split", "anew"), [("train", {*ALL, "tune"}), ("val", {"tune", "evaluate"}), ("test", {"evaluate"})]
)
def test_other_scenes_of_a_split_ask_for_what_they_are_used_in(monkeypatch, split, anew):
    row = toy_row(tune={"lr": [1e-2, 1e-1]})
    prints = {"train": "a", "val": "b", "test": "c"}
    monkeypatch.setattr("toys.ToySource.fingerprint", lambda self, split: prints[split])
    before = stages(row=row)["row"]
    prints[split] = "other files"
    after = stages(row=row)["row"]
    assert {name for name in after if after[name] != before[name]} == anew


def test_rows_share_what_they_have_in_common():
    keys_by_row = stages(
        none=toy_row("none"), tuned=toy_row("finetune"), bil=toy_row(), aux=toy_row(retriever={"use": "last"})
    )
    assert len({row["pretrain"] for row in keys_by_row.values()}) == 1
    assert keys_by_row["bil"]["metatrain"] == keys_by_row["aux"]["metatrain"]
    assert len({row["evaluate"] for row in keys_by_row.values()}) == 4


def test_rows_that_differ_in_steps_share_the_tuning_if_its_steps_are_said():
    def keys(tune):
        rows = {f"{n}": toy_row(adapt={"iterations": n}, tune=tune) for n in (0, 5, 20)}
        keys_by_row = stages(**rows).values()
        return len({row["tune"] for row in keys_by_row}), len({row["evaluate"] for row in keys_by_row})

    assert keys({"lr": [1e-2, 1e-1]}) == (3, 3)
    assert keys({"lr": [1e-2, 1e-1], "at": 5}) == (1, 3)


@pytest.mark.parametrize("turn", [1, -1])
def test_a_row_that_adapts_as_another_shares_its_tuning_and_is_scored_on_its_own(turn):
    rows = {
        "tried": toy_row(tune={"lr": [1e-2, 1e-1]}),
        "as tried": toy_row(tune={"match": "tried"}, retriever={"use": "last"}),
        "own": toy_row(tune={"lr": [1e-2, 1e-1]}, retriever={"use": "last"}),
    }
    keys_by_row = stages(**dict(list(rows.items())[::turn]))
    assert keys_by_row["as tried"]["tune"] == keys_by_row["tried"]["tune"] != keys_by_row["own"]["tune"]
    assert len({row["evaluate"] for row in keys_by_row.values()}) == 3


@pytest.mark.parametrize("evaluate", [{"shots": 1}, {"queries": 1}])
def test_rates_are_chosen_anew_for_other_shots_or_queries_at_test(evaluate):
    tuned = {"tune": {"lr": [1e-2, 1e-1]}}
    before, after = stages(row=toy_row(**tuned))["row"], stages(row=toy_row(evaluate=evaluate, **tuned))["row"]
    assert {name for name in after if after[name] != before[name]} == {"tune", "evaluate"}


def test_another_version_of_what_computes_trains_anew(monkeypatch):
    before = stages(row=toy_row())["row"]
    monkeypatch.setattr("metai2i.pipeline.plan.installed", lambda name: "0.0" if name == "torchmetrics" else "1.0")
    assert not set(before.values()) & set(stages(row=toy_row())["row"].values())


@pytest.mark.parametrize("name", [*LIBRARIES, "torch"])
def test_so_does_another_version_of_each_package_that_numbers_come_from(monkeypatch, name):
    before = stages(row=toy_row())["row"]
    known = installed
    monkeypatch.setattr("metai2i.pipeline.plan.installed", lambda each: "0.0" if each == name else known(each))
    if name == "torch":
        monkeypatch.setattr(torch, "__version__", "somebody's own")
    assert not set(before.values()) & set(stages(row=toy_row())["row"].values())


@pytest.mark.parametrize(
    ("net", "sections", "anew"),
    [
        ("alex", {"evaluate": {"metrics": ["lpips"]}}, {"evaluate"}),
        ("alex", {"evaluate": {"metrics": ["ssim"]}}, set()),
        ("alex", {"evaluate": {"metrics": ["ssim"]}, "tune": {"lr": [1e-2], "metric": "lpips"}}, {"tune", "evaluate"}),
        ("vgg16", {}, set()),
        ("vgg16", {"objective": {"perceptual": 1.0}}, ALL),
        ("alex", {"objective": {"perceptual": 1.0, "net": "alex"}}, ALL),
    ],
)
def test_other_feature_weights_ask_for_what_looks_through_them(monkeypatch, net, sections, anew):
    digests = {"alex": "a", "vgg16": "a", "squeeze": "a"}
    monkeypatch.setattr("metai2i.pipeline.assemble.network_digest", lambda registry, name: digests[name])
    row = toy_row(**{"objective": {"perceptual": 0.0}, **sections})
    before = stages(row=row)["row"]
    digests[net] = "b"
    after = stages(row=row)["row"]
    assert {name for name in after if after[name] != before[name]} == anew


def test_other_images_to_be_predicted_ask_for_new_scores():
    keys = []
    for images in ("a", "b"):
        (row,) = plan({"row": toy_row()}, Assembler(registry(), 0, torch.device("cpu")), 0, images)
        keys.append({stage.name: stage.key for stage in row.stages})
    assert {name for name in keys[0] if keys[0][name] != keys[1][name]} == {"evaluate"}


class AsLongAsAtTest(Bil):
    """Meta-trains with the steps of the test."""

    def cost(self, shots, queries):
        return self.inner.iterations * shots + queries


def test_a_strategy_that_trains_with_the_steps_of_the_test_is_trained_anew_when_they_change():
    known = registry()
    known.known["strategy", "as-long"] = AsLongAsAtTest
    keys = [
        stages(row=toy_row(strategy={"use": "as-long"}, adapt={"iterations": n}), known=known)["row"] for n in (3, 4, 3)
    ]
    assert keys[0] == keys[2]
    assert {stage for stage in keys[0] if keys[0][stage] != keys[1][stage]} == {"metatrain", "evaluate"}


class Given(Toy):
    def __init__(self, *, spec, objective, file: Path | None = None) -> None:
        super().__init__(spec=spec)


def test_what_is_in_a_file_that_an_option_names_counts(tmp_path):
    known = registry()
    known.known["translator", "given"] = Given
    (tmp_path / "encoder").write_text("a")
    row = toy_row(translator={"use": "given"})
    row.translator.options["file"] = tmp_path / "encoder"
    before = stages(row=row, known=known)["row"]
    (tmp_path / "encoder").write_text("b")
    after = stages(row=row, known=known)["row"]
    assert not set(before.values()) & set(after.values())


def test_what_is_in_a_file_that_matters_for_the_test_alone_asks_for_new_scores_alone(tmp_path):
    row = toy_row()
    row.tasks.options["tests"] = tmp_path / "list.csv"
    (tmp_path / "list.csv").write_text("a")
    before = stages(row=row)["row"]
    (tmp_path / "list.csv").write_text("b")
    after = stages(row=row)["row"]
    assert {name for name in after if after[name] != before[name]} == {"evaluate"}


def test_strategies_without_a_meta_gradient_are_not_meta_trained():
    assert list(stages(row=toy_row("finetune"))["row"]) == ["pretrain", "evaluate"]
    assert list(stages(row=toy_row("finetune", continued={"iterations": 3}))["row"]) == [
        "pretrain",
        "continued",
        "evaluate",
    ]


def test_a_matched_continuation_is_as_long_as_it_takes_to_see_as_many_samples():
    rows = {
        "bil": toy_row(strategy={"options": {"steps": 4}}, metatrain={"iterations": 7, "tasks": 3}, augment={}),
        "tuned": toy_row("finetune", continued={"match": "bil"}, pretrain={"batch": 8}),
    }
    planned = plan(rows, Assembler(registry(), 0, torch.device("cpu")), 0)
    samples = 7 * 3 * (4 * 5 + 3)  # iterations x scenes x (inner steps x batch + queries)
    assert planned[1].stages[1].determines["iterations"] == -(-samples // 8) == 61


def test_a_continuation_cannot_match_what_is_not_meta_trained():
    rows = {"none": toy_row("none"), "tuned": toy_row("finetune", continued={"match": "none"})}
    with pytest.raises(UserError, match=r"continued\.match names 'none', which has no meta-training"):
        stages(**rows)


def test_no_module_that_computes_depends_on_one_that_only_tells():
    """The stage's name has the files of the folders that compute alone: what they import must be among these."""
    home = Path(metai2i.__file__).parent
    telling = {folder.name for folder in home.iterdir() if folder.is_dir()} - {*COMPUTING_FOLDERS}
    numeric = {*COMPUTING_FOLDERS} - {"", "pipeline", "registry"}
    wrong = {
        (path.relative_to(home).as_posix(), imported)
        for folder in numeric
        for path in (home / folder).glob("*.py")
        for imported in re.findall(r"^from metai2i\.(\w+)", path.read_text(), re.MULTILINE)
        if imported in telling
    }
    assert {imported for _, imported in wrong} <= {"console", "guards", "recipe"}
