"""Rows that ask one translator in different ways: they share what is trained, and each is handed its way's fields."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from two_ways import RECIPE, write_two_ways

import metai2i
from metai2i.errors import UserErrors
from metai2i.pipeline.plan import about_evaluation
from metai2i.recipe import load_recipe
from metai2i.recipe.schema import Evaluate
from metai2i.registry import Registry
from metai2i.testing import run_contracts


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ways")
    recipe = write_two_ways(folder)
    return metai2i.run(recipe, out=folder / "run", stages=folder / "stages", device="cpu")


def messages_of(folder, recipe: str) -> list[str]:
    path = write_two_ways(folder, recipe)
    try:
        load_recipe(path, registry=Registry())
    except UserErrors as errors:
        return [str(error).replace(f"{folder}/", "") for error in errors.errors]
    return []


def test_rows_of_different_ways_share_their_training_and_differ_in_their_outputs(run):
    stages = json.loads((run.path / "provenance.json").read_text())["stages"]
    assert [(stage["name"], stage["rows"]) for stage in stages] == [
        ("pretrain", ["exemplar", "latent"]), ("evaluate", ["exemplar"]), ("evaluate", ["latent"]),
    ]  # fmt: skip
    values = {row: [r.value for r in run.records if r.row == row] for row in ("exemplar", "latent")}
    assert len(values["exemplar"]) == len(values["latent"]) == 9
    assert not set(values["exemplar"]) & set(values["latent"])


def test_the_report_shows_exemplars_only_of_rows_that_are_shown_them(run):
    (task,) = run.images.tasks
    assert set(task.reference) == {"exemplar"}
    assert set(task.rows) == {"exemplar", "latent"}


def test_an_evaluation_without_a_way_is_named_as_before(run):
    assert "way" not in about_evaluation(load_recipe(run.path / "recipe.yaml", registry=Registry()).rows["exemplar"])
    assert about_evaluation(load_recipe(run.path / "recipe.yaml", registry=Registry()).rows["latent"])["way"] == (
        "latent"
    )
    assert Evaluate().way is None


@pytest.mark.parametrize(("written", "message"), [
    ("way: latnet", "recipe.yaml:14:28: evaluate.way: translator 'two_ways' has no way 'latnet' "
     "(did you mean 'latent'?)"),
    ("way: 3", "recipe.yaml:14:28: evaluate.way: got 3, expected a string (write \"3\")"),
    ("metrics: [mse, nearness], way: latent", "recipe.yaml:14:38: metric 'nearness' needs reference, which translator "
     "'two_ways' is not shown in the way 'latent' (evaluate: {way: exemplar})"),
])  # fmt: skip
def test_a_way_that_is_not_there_or_hides_what_is_measured_is_refused(tmp_path, written, message):
    assert messages_of(tmp_path, RECIPE.replace("way: latent", written)) == [message]


def test_a_metric_of_the_exemplar_measures_the_way_that_is_shown_it(tmp_path):
    recipe = RECIPE.replace("exemplar: {}", "exemplar: {evaluate: {metrics: [mse, nearness]}}")
    assert messages_of(tmp_path, recipe) == []


def test_a_way_of_a_translator_without_ways_is_refused(tmp_path):
    recipe = "tasks: {use: scenes}\ntranslator: {use: pix2pix}\nstrategy: {use: none}\nevaluate: {way: latent}\n"
    assert messages_of(tmp_path, recipe) == [
        "recipe.yaml:4:17: evaluate.way: translator 'pix2pix' can be asked in one way only, which has no name "
        "(leave the key out)"
    ]


def test_its_contracts_are_tried_in_both_ways(tmp_path):
    write_two_ways(tmp_path)
    registry = Registry([tmp_path / "plugins"])
    source = registry.get("task source", "looks")()
    outcomes = run_contracts("translator", registry.get("translator", "two_ways"), source=source)
    assert [(o.contract.name, o.error) for o in outcomes if o.status == "failed"] == []


LOOKS_TOO_FAR = {
    "a field of another way": ("colour = self.of_domain(batch)\n", "colour = batch['reference'].mean((2, 3))\n",
                               "it reads no field that it does not need"),
    "an image out of range": ("colour.shape).to(colour)) - self.darker).clamp(-1, 1)", "colour.shape).to(colour)) * 9)",
                              "images are finite and in range"),
}  # fmt: skip


@pytest.mark.parametrize("fault", LOOKS_TOO_FAR)
def test_a_fault_in_one_way_alone_is_seen(tmp_path, fault):
    good, bad, contract = LOOKS_TOO_FAR[fault]
    write_two_ways(tmp_path)
    plugin = tmp_path / "plugins" / "two_ways.py"
    text = plugin.read_text()
    assert good in text
    plugin.write_text(text.replace(good, bad))
    registry = Registry([tmp_path / "plugins"])
    source = registry.get("task source", "looks")()
    outcomes = run_contracts("translator", registry.get("translator", "two_ways"), source=source)
    failed = {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"}
    assert contract in failed
    assert "in the way 'latent'" in failed[contract]


@pytest.mark.parametrize(("ways", "message"), [
    ('{"exemplar": {"source", "reference"}, "latent": {"style"}}', "the way 'latent' of class TwoWays reads style, "
     "expected fields of its `needs` without the target (reference, reference_domain, source)"),
    ('{"exemplar": {"target"}}', "the way 'exemplar' of class TwoWays reads target, expected fields of its `needs`"),
    ('["latent"]', "ways of class TwoWays is ['latent'], expected a mapping from names to sets of names of fields"),
    ('{"la tent": {"source"}}', "expected a mapping from names to sets of names of fields"),
])  # fmt: skip
def test_ways_that_cannot_be_asked_for_are_refused_when_the_plugin_is_opened(tmp_path, ways, message):
    write_two_ways(tmp_path)
    plugin = tmp_path / "plugins" / "two_ways.py"
    plugin.write_text(plugin.read_text() + f"\n\nTwoWays.ways = {ways}\n")
    with pytest.raises(metai2i.UserError) as caught:
        Registry([tmp_path / "plugins"]).get("translator", "two_ways")
    assert message in str(caught.value)


def test_a_translate_that_cannot_be_told_the_way_is_refused_when_the_plugin_is_opened(tmp_path):
    write_two_ways(tmp_path)
    plugin = tmp_path / "plugins" / "two_ways.py"
    plugin.write_text(
        plugin.read_text().replace('def translate(self, batch, way="exemplar")', "def translate(self, batch)")
    )
    with pytest.raises(metai2i.UserError) as caught:
        Registry([tmp_path / "plugins"]).get("translator", "two_ways")
    assert "class TwoWays has ways, and its translate does not take `way` (translate(self, batch, way='exemplar'))" in (
        str(caught.value)
    )


GRID = RECIPE.replace("exemplar: {}", "exemplar: {evaluate: {grid: {sources: 2, references: 3}}}")


def test_a_grid_has_every_input_with_every_exemplar_in_the_run_and_its_report(tmp_path):
    run = metai2i.run(write_two_ways(tmp_path, GRID), out=tmp_path / "run", stages=tmp_path / "stages", device="cpu")
    (task,) = run.images.tasks
    assert task.grid == {"exemplar": "grid/exemplar"}
    path = run.path / "images" / task.dir / "grid" / "exemplar.png"
    with Image.open(path) as image:
        sheet = np.asarray(image.convert("RGB")).astype(int)
    # A gap of 4 around, cells of 16, the first row and column 12 further away: inputs down, exemplars across.
    assert sheet.shape == (4 + 16 + 12 + 2 * 20 + 4, 4 + 16 + 12 + 3 * 20 + 4, 3)

    def cell(row, column):
        top, left = (4 + 20 * at + 12 * (at > 0) for at in (row, column))
        return sheet[top : top + 16, left : left + 16]

    mix = 0.5  # and a step of 1e-4 either way
    for row in (1, 2):
        for column in (1, 2, 3):
            source, exemplar = cell(row, 0) / 127.5 - 1, cell(0, column) / 127.5 - 1
            expected = (1 - mix) * source + mix * exemplar.mean((0, 1))
            assert np.abs(cell(row, column) / 127.5 - 1 - expected).max() < 0.05
    assert "test-0: exemplar, every input with every exemplar" in (run.path / "report.html").read_text()


@pytest.mark.parametrize(("written", "message"), [
    ("exemplar: {evaluate: {grid: {sources: 4}}}", "13:41: evaluate.grid.sources: 4 are asked for, and a test scene "
     "has 3 queries (sources: 3, or raise evaluate.queries)"),
    ("exemplar: {evaluate: {grid: {references: 4}}}", "13:44: evaluate.grid.references: 4 are asked for, and a test "
     "scene has 3 shots (references: 3, or raise evaluate.shots)"),
    ("exemplar: {evaluate: {grid: {sources: 0}}}", "13:41: evaluate.grid.sources: got 0, expected at least 1"),
    ("exemplar: {evaluate: {grid: {sourcs: 1}}}", "13:32: evaluate.grid: unknown key 'sourcs' "
     "(did you mean 'sources'?)"),
    ("exemplar: {evaluate: {way: latent, grid: {sources: 2}}}", "13:44: evaluate.grid: translator 'two_ways' is shown "
     "no exemplar in the way 'latent' (way: exemplar)"),
])  # fmt: skip
def test_a_grid_that_cannot_be_made_is_refused(tmp_path, written, message):
    assert messages_of(tmp_path, RECIPE.replace("exemplar: {}", written)) == [f"recipe.yaml:{message}"]


def test_a_grid_of_a_translator_without_exemplars_is_refused(tmp_path):
    recipe = "tasks: {use: scenes}\ntranslator: {use: pix2pix}\nstrategy: {use: none}\nevaluate: {grid: {}}\n"
    assert messages_of(tmp_path, recipe) == [
        "recipe.yaml:4:18: evaluate.grid: translator 'pix2pix' is shown no exemplar (leave the key out)"
    ]


def test_a_row_that_asks_for_several_outputs_and_draws_nothing_is_told_so(tmp_path):
    recipe = RECIPE.replace("metrics: [mse]", "metrics: [mse, diverse], samples: 3").replace("images: 1", "images: 0")
    recipe = recipe.replace("compare:", "  source: {strategy: {use: source}, evaluate: {way: latent}}\ncompare:")
    path = write_two_ways(tmp_path, recipe)
    plugin = tmp_path / "plugins" / "two_ways.py"
    plugin.write_text(plugin.read_text() + DIVERSE)
    run = metai2i.run(path, out=tmp_path / "run", stages=tmp_path / "stages", device="cpu")
    warnings = {stage.rows[0]: stage.warnings for stage in run.provenance.stages if stage.name == "evaluate"}
    assert warnings == {
        "exemplar": ["TwoWays draws nothing in the way 'exemplar': the 3 outputs for each query are all the same "
                     "(evaluate.samples)"],
        "latent": [],
        "source": ["what the strategy 'source' gives draws nothing in the way 'latent': the 3 outputs for each query "
                   "are all the same (evaluate.samples)"],
    }  # fmt: skip


DIVERSE = """

class Diverse(metai2i.Metric):
    label, higher_is_better, needs, several = "diverse ↑", True, frozenset(), True

    def __call__(self, images, query):
        return images.std(1).mean((1, 2, 3))


@metai2i.hookimpl(specname="register_metrics")
def register_more(register):
    register("diverse", Diverse)
"""
