from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from toys import Toy, ToyRegistry, ToyTask, toy_row

from metai2i import MetaStrategy, Step, TaskSpec, UserError
from metai2i.inference.trained_run import TrainedRun, better_row, choose_row, general_model
from metai2i.meta.inner_loop import adapted
from metai2i.pipeline.assemble import Assembler
from metai2i.pipeline.stage_store import entry
from metai2i.run_folder.record import Provenance
from metai2i.run_folder.spec_json import spec_data
from metai2i.training.checkpoint import load, prefixed, save
from metai2i.training.sealed import write_sealed

SPEC = TaskSpec(structure_channels=3, size=(16, 16))


class Tune(MetaStrategy):
    """Plain adapting, with a learned number."""

    def __init__(self, *, inner) -> None:
        self.inner = inner

    def prepare(self, gp):
        self.number = torch.nn.Parameter(torch.zeros(()))

    def meta_parameters(self):
        return {"number": self.number}

    def adapt(self, gp, support, step):
        return adapted(gp, support, self.inner, step)


class Looker(Toy):
    """Notes the references that it is shown while it adapts."""

    needs = frozenset({"structure", "target", "reference"})
    shown: list[tuple[torch.Tensor, torch.Tensor]] = []  # noqa: RUF012 - shared by all copies

    def training_step(self, batch, step):
        Looker.shown.append((batch["target"], batch["reference"]))
        yield from super().training_step(batch, step)


class Wide(Toy):
    """As wide as its option says."""

    def __init__(self, *, spec: TaskSpec, width: int = 1, **more):
        super().__init__(spec=spec, **more)
        self.wide = torch.nn.Linear(width, width)


class Deep(Toy):
    """Reads what pairs do not give."""

    needs = frozenset({"structure", "target", "depth"})


@pytest.fixture
def trained_run(tmp_path):
    """A run of one row whose stages are in a store, and what finds its parts."""

    def build(use: str = "toy", spec: TaskSpec = SPEC) -> tuple[TrainedRun, Assembler]:
        registry = ToyRegistry(tune=Tune)
        others = {"looker": Looker, "deep": Deep, "wide": Wide}
        registry.known |= {("translator", name): other for name, other in others.items()}
        assembler = Assembler(registry, 0, torch.device("cpu"))  # type: ignore[arg-type]
        row = toy_row("tune", translator={"use": use}, reference={"rotate": 0.0, "crop": 1.0})
        gp = registry.get("translator", use)(spec=SPEC)
        for parameter in gp.parameters():
            torch.nn.init.constant_(parameter, 0.25)
        for name in ("pretrain", "metatrain"):
            (tmp_path / "store" / name).mkdir(parents=True)
            tensors = {**prefixed("model", gp.state_dict()), "strategy./number": torch.tensor(7.0)}
            save(tmp_path / "store" / name / "model.safetensors", tensors, {})
            weights = {"model.safetensors": entry(tmp_path / "store" / name / "model.safetensors")}
            write_sealed(tmp_path / "store" / name / "done.json", {"stage": name, "files": weights})
        stages = [{"name": name, "key": name, "rows": ["X"]} for name in ("pretrain", "metatrain", "evaluate")]
        provenance = Provenance.model_validate({"spec": [{"rows": ["X"], **spec_data(spec)}], "stages": stages})
        recipe = SimpleNamespace(rows={"X": row}, seed=0)
        return TrainedRun(tmp_path / "run", recipe, provenance, [tmp_path / "none", tmp_path / "store"]), assembler  # type: ignore[arg-type]

    return build


def test_the_general_model_is_that_of_the_last_training_stage_with_what_its_strategy_learned(trained_run):
    general = general_model(*trained_run(), "X")
    assert all((parameter == 0.25).all() for parameter in general.gp.parameters())
    assert general.strategy.number == 7
    assert general.stage == "metatrain"


@pytest.mark.parametrize(
    ("rows", "retrieving", "chosen"),
    [
        (["plain", "meta", "aux"], False, "meta"),
        (["plain", "meta", "aux"], True, "aux"),
        (["meta", "meta too", "plain"], False, "meta too"),
        (["meta", "plain"], True, "meta"),  # which has none: that is told where scenes are asked for
        (["aux", "plain"], False, "aux"),
        (["plain", "plain too"], False, "plain too"),
    ],
)
def test_the_row_is_the_last_that_meta_trains_and_retrieves_if_that_is_asked_for(rows, retrieving, chosen):
    rows_by_name = {name: SimpleNamespace(retriever="iou" if name == "aux" else None, name=name) for name in rows}
    run = SimpleNamespace(recipe=SimpleNamespace(rows=rows_by_name), folder=Path())
    assembler = SimpleNamespace(strategy=lambda row: SimpleNamespace(meta=not row.name.startswith("plain")))
    assert choose_row(run, assembler, None, retrieving, lambda name: True)[0] == chosen  # type: ignore[arg-type]


def test_it_computes_in_the_precision_of_its_row(trained_run):
    run, assembler = trained_run()
    assert general_model(run, assembler, "X").gp.precision == "fp32"
    run.recipe.rows["X"] = run.recipe.rows["X"].model_copy(update={"precision": "bf16"})
    assert general_model(run, assembler, "X").gp.precision == "bf16"


def test_iterations_and_rate_take_the_place_of_the_rows(trained_run):
    run, assembler = trained_run()
    assert general_model(run, assembler, "X", iterations=9, lr=0.5).strategy.inner.iterations == 9
    assert general_model(run, assembler, "X", lr=0.5).strategy.inner.lr == 0.5
    assert general_model(run, assembler, "X").strategy.inner.iterations == 3


def test_a_translator_with_references_adapts_to_pairs_by_other_photographs_of_them(trained_run):
    general = general_model(*trained_run("looker"), "X", iterations=4)
    support = ToyTask("scene", 5).load(range(5))
    Looker.shown.clear()
    general.strategy.adapt(general.gp, support, Step())
    assert len(Looker.shown) == 4
    for targets, references in Looker.shown:
        for target, reference in zip(targets, references, strict=True):
            known = [torch.equal(reference, photo) for photo in support["target"]]
            assert any(known)
            assert not torch.equal(reference, target)


def test_a_translator_that_reads_more_than_files_give_is_refused(trained_run):
    with pytest.raises(UserError, match="'deep' needs depth, which files of photographs, maps, ids and labels do not"):
        general_model(*trained_run("deep"), "X")


def test_a_run_on_other_data_than_label_maps_is_refused(trained_run):
    spec = TaskSpec(structure_channels=1, size=(16, 16))
    with pytest.raises(UserError, match="structure has 1 channel, expected label maps of two classes or more"):
        general_model(*trained_run(spec=spec), "X")


def test_weights_that_do_not_fit_are_told(trained_run):
    with pytest.raises(UserError, match="the weights do not fit the networks that the plugin builds now"):
        general_model(*trained_run(spec=TaskSpec(structure_channels=5, size=(16, 16))), "X")


def test_a_stage_that_was_not_finished_has_no_weights(trained_run, tmp_path: Path):
    run, assembler = trained_run()
    (tmp_path / "store" / "metatrain" / "done.json").unlink()
    with pytest.raises(UserError, match=r"\(metatrain metatrain\) are not in the stage store, looked in .*none"):
        general_model(run, assembler, "X")


def test_weights_that_are_not_those_that_training_wrote_are_refused(trained_run, tmp_path: Path):
    run, assembler = trained_run()
    weights = tmp_path / "store" / "metatrain" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 0x40
    weights.write_bytes(bytes(content))
    with pytest.raises(
        UserError, match=r"the weights of row 'X' are damaged: model\.safetensors is not what"
    ) as caught:
        general_model(run, assembler, "X")
    assert "makes the run again" in str(caught.value.hint)
    shutil.copyfile(tmp_path / "store" / "pretrain" / "model.safetensors", weights)
    save(weights, load(weights)[0], {"step": 1})  # whole, but not what was written
    with pytest.raises(UserError, match="are damaged"):
        general_model(run, assembler, "X")


def test_whole_weights_in_another_store_are_taken(trained_run, tmp_path: Path):
    run, _ = trained_run()
    shutil.copytree(tmp_path / "store", tmp_path / "none")
    (tmp_path / "none" / "metatrain" / "done.json").write_text("{}")
    assert run.weights("X")[1] == tmp_path / "store" / "metatrain" / "model.safetensors"


@pytest.mark.parametrize("spec", [None, [], [{"rows": ["Y"]}], [{"rows": ["X"]}], "text"])
def test_a_run_that_does_not_record_its_data_is_told_how_to_be_made_again(trained_run, spec):
    run, assembler = trained_run()
    run = replace(run, provenance=run.provenance.model_copy(update={"spec": spec}))
    with pytest.raises(UserError, match=r"does not say for which data row 'X' was trained: .*makes the run again"):
        general_model(run, assembler, "X")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("size", [100_000, 100_000], "size.0: got 100000, expected at most 8,192"),
        ("size", [16, 10**30], "size.1: "),
        ("size", [16, 0], "size.1: got 0, expected at least 1"),
        ("size", ["16", "16"], "size.0: got the string '16', expected a whole number"),
        ("size", 16, "size: "),
        ("structure_channels", 10**9, "structure_channels: got 1000000000, expected at most 65,536"),
        ("domains", -1, "domains: "),
        ("classes", ["a"], "got 1 class, expected one for each of the 3 channels, or none"),
        ("palette", [[0, 0, 256]] * 3, "palette.0.2: "),
        ("fields", None, "fields: "),
    ],
)
def test_a_run_whose_record_of_its_data_is_beyond_what_a_source_may_say_is_refused_at_once(
    trained_run, field, value, words
):
    run, assembler = trained_run()
    spec = [{**run.provenance.spec[0], field: value}]
    run = replace(run, provenance=run.provenance.model_copy(update={"spec": spec}))
    place = "spec.0: " if words.startswith("got") else "spec.0."
    with pytest.raises(UserError, match=re.escape(f"for which data row 'X' was trained: {place}{words}")):
        general_model(run, assembler, "X")


def test_a_run_whose_recipe_asks_for_a_far_larger_network_than_its_weights_are_of_is_refused_before_it_is_built(
    trained_run,
):
    run, assembler = trained_run("wide")
    row = run.recipe.rows["X"]
    assert general_model(run, assembler, "X").gp.wide.weight.shape == (1, 1)
    wide = row.model_copy(update={"translator": row.translator.model_copy(update={"options": {"width": 5_000}})})
    run.recipe.rows["X"] = wide
    began = time.process_time()
    with pytest.raises(UserError, match=r"model\.safetensors: the options of row 'X' ask for a network that is far"):
        general_model(run, assembler, "X")
    assert time.process_time() - began < 1.0


def scored(folder: Path, metric: str, higher: bool, **means: float) -> TrainedRun:
    """A run's folder with rows of these means."""
    measures = {metric: {"title": metric.upper(), "higher_is_better": higher, "digits": 2}}
    rows = {name: {metric: {"mean": mean}} for name, mean in means.items()}
    summary = {"metric": metric, "measures": measures, "rows": rows}
    (folder / "summary.json").write_text(json.dumps(summary))
    return cast(TrainedRun, SimpleNamespace(folder=folder, recipe=SimpleNamespace(rows=dict.fromkeys(means))))


def test_a_row_that_was_scored_better_is_named(tmp_path):
    run = scored(tmp_path, "lpips", False, Copy=0.1, Fine=0.3, Boot=0.2, Last=0.4)
    message = better_row(run, "Last", lambda name: name != "Copy")
    assert message == "'Boot' was better in this run: LPIPS 0.20 against 0.40; --row takes it"
    assert better_row(run, "Boot", lambda name: name != "Copy") is None
    run = scored(tmp_path, "ssim", True, A=0.1, B=0.3)
    assert (
        better_row(run, "A", lambda name: True) == "'B' was better in this run: SSIM 0.30 against 0.10; --row takes it"
    )
    assert better_row(run, "B", lambda name: True) is None


def test_sets_of_other_sizes_are_not_held_against_each_other(tmp_path):
    run = scored(tmp_path, "kid", False, Last=0.4, Many=0.1, Same=0.3)
    summary = json.loads((tmp_path / "summary.json").read_text())
    sizes = {"Last": [3, 3, 9, 9], "Many": [6, 6, 9, 9], "Same": [3, 3, 9, 9]}
    summary["sets"] = {"rows": {name: {"kid": {"by_scene": size}} for name, size in sizes.items()}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    assert better_row(run, "Last", lambda name: True).startswith("'Same' was better in this run")


@pytest.mark.parametrize("text", [None, "{", "[]", '{"metric": "lpips", "rows": {}}'])
def test_a_folder_that_does_not_say_how_good_rows_were_names_none(tmp_path, text):
    run = scored(tmp_path, "lpips", False, A=0.1, B=0.3)
    (tmp_path / "summary.json").unlink()
    if text is not None:
        (tmp_path / "summary.json").write_text(text)
    assert better_row(run, "B", lambda name: True) is None
