"""What rows need of their task source, and what their strategies and retrievers take, is known without any data."""

from __future__ import annotations

import pytest

from metai2i.errors import UserErrors
from metai2i.recipe import load_recipe
from metai2i.registry import Registry

FIELDS = """
from typing import Literal

import metai2i


class Source(metai2i.TaskSource):
    def __init__(self) -> None:
        raise AssertionError("no source is made: its data may be elsewhere")

    def spec(self): ...
    def tasks(self, split): ...


class Pairs(Source): ...


class Photos(Source):
    provides = frozenset({"target"})


class Unpaired(Source):
    provides = frozenset({"source", "domain"})


class Any(metai2i.Translator):
    needs = frozenset({"target"})

    def __init__(self, *, spec, objective) -> None: ...
    def players(self): ...
    def training_step(self, batch, step): ...
    def translate(self, batch): ...


class Free(Any):
    needs = frozenset({"source"})


class Looks(metai2i.Metric):
    label, higher_is_better, needs = "looks", True, frozenset({"source"})

    def __call__(self, images, query): ...


class Sources(Looks):
    needs = frozenset({"structures"})


class Styles(Looks):
    needs = frozenset({"target", "reference"})


class Spread(Looks):
    needs, several = frozenset(), True


class Tones(metai2i.SetMetric):
    label, higher_is_better, least = "tones", True, 6

    def features(self, images): ...
    def score(self, outputs, real): ...


class Domains(Tones):
    against = "source"


class Shown(Any):
    needs = frozenset({"target", "reference"})


class Mapped(Any):
    needs = frozenset({"target", "reference", "reference_structure"})


class Plain(metai2i.MetaStrategy):
    meta = False

    def __init__(self, *, inner, steps: int = 1) -> None:
        if steps < 1:
            raise metai2i.UserError(f"strategy.steps: got {steps}, expected at least 1", hint="steps: 1")

    def adapt(self, gp, support, step): ...


class LooksAtMaps(Plain):
    needs = frozenset({"structure"})


class Second(Plain):
    def __init__(self, *, inner, order: Literal["first", "second"] = "first") -> None:
        self.order = order


class Broken(Plain):
    def __init__(self, *, inner) -> None:
        raise ZeroDivisionError("oh")


class Near(metai2i.Retriever):
    needs = frozenset({"structure"})

    def __init__(self, *, frames: int = 1) -> None:
        if frames < 1:
            raise metai2i.UserError(f"retriever.frames: got {frames}, expected at least 1")

    def index(self, tasks): ...
    def query(self, support, k): ...


@metai2i.hookimpl
def register_task_sources(register):
    register("pairs", Pairs)
    register("photos", Photos)
    register("unpaired", Unpaired)


@metai2i.hookimpl
def register_translators(register):
    register("any", Any)
    register("shown", Shown)
    register("mapped", Mapped)
    register("free", Free)


@metai2i.hookimpl
def register_metrics(register):
    for metric in (Looks, Sources, Styles, Spread, Tones, Domains):
        register(metric.__name__.lower(), metric)


@metai2i.hookimpl
def register_strategies(register):
    register("plain", Plain)
    register("looks", LooksAtMaps)
    register("second", Second)
    register("broken", Broken)


@metai2i.hookimpl
def register_retrievers(register):
    register("near", Near)
"""


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """A folder with one one-file plugin."""
    folder = tmp_path_factory.mktemp("fields")
    (folder / "fields.py").write_text(FIELDS)
    return folder


@pytest.fixture
def messages_of(fields, write, monkeypatch):
    """What a recipe of these components is refused with; nothing for one that is right."""
    monkeypatch.setattr("metai2i.registry.registry.installed_plugins", lambda: [])

    def messages(tasks="pairs", more="", strategy="plain", translator="any") -> list[str]:
        text = f"tasks: {{use: {tasks}}}\ntranslator: {{use: {translator}}}\nstrategy: {{use: {strategy}}}\n{more}\n"
        try:
            load_recipe(write(text), (), Registry([fields]))
        except UserErrors as error:
            return [str(each) for each in error.errors]
        return []

    return messages


def test_rows_whose_source_has_all_that_is_read_are_right(messages_of):
    assert messages_of() == []
    assert messages_of("photos") == []
    assert messages_of("pairs", "retriever: {use: near}", "looks") == []


def test_a_metric_that_holds_images_against_photographs_is_refused_on_a_source_without_them(messages_of):
    more = "evaluate: {metrics: [mse, looks, tones]}\ncompare: {metric: mse}"
    assert messages_of("unpaired", more, translator="free") == [
        "recipe.yaml:4:22: metric 'mse' needs target, but task source 'unpaired' provides only domain, source "
        "(task sources that provide it: pairs, photos)",
        "recipe.yaml:4:34: metric 'tones' needs target, but task source 'unpaired' provides only domain, source "
        "(task sources that provide it: pairs, photos)",
    ]


def test_the_nearest_field_is_named_for_a_metric(messages_of):
    (message,) = messages_of("pairs", "evaluate: {metrics: [lpips, sources]}")
    place = (
        "recipe.yaml:4:29: metric 'sources' needs structures, but task source 'pairs' provides only structure, target"
    )
    assert message == f"{place} (did you mean 'structure'? task sources that provide it: none that is installed)"


def test_a_source_without_photographs_is_scored_by_metrics_that_need_none(messages_of):
    more = "evaluate: {metrics: [looks, domains]}\ncompare: {metric: looks}"
    assert messages_of("unpaired", more, translator="free") == []


def test_a_metric_that_reads_references_needs_a_translator_that_is_shown_some(messages_of):
    more = "evaluate: {metrics: [lpips, styles]}"
    assert messages_of("pairs", more, translator="shown") == []
    (message,) = messages_of("pairs", more)
    assert message.startswith("recipe.yaml:4:29: metric 'styles' reads reference, and translator ")
    assert message.endswith(" is shown none (it goes with translators that are shown exemplars)")


@pytest.mark.parametrize(("more", "place"), [
    ("evaluate: {metrics: [lpips, spread]}", "4:29"),
    ("tune: {lr: [1e-3, 1e-2], metric: spread}", "4:34"),
])  # fmt: skip
def test_a_metric_of_several_outputs_is_refused_where_one_is_made(messages_of, more, place):
    assert messages_of("pairs", more) == [
        f"recipe.yaml:{place}: metric 'spread' compares several outputs for one input, and only 1 is made "
        "(evaluate: {samples: 10} makes ten)"
    ]


def test_several_outputs_are_compared_where_they_are_made(messages_of):
    assert messages_of("pairs", "evaluate: {metrics: [lpips, spread], samples: 2}") == []


def test_rates_are_not_tuned_by_a_set_metric_that_a_scene_is_too_small_for(messages_of):
    assert messages_of("pairs", "tune: {lr: [1e-3, 1e-2], metric: tones}") == [
        "recipe.yaml:4:34: metric 'tones' needs 6 outputs of a scene, and 5 are made "
        "(raise evaluate.queries or evaluate.samples)"
    ]
    assert messages_of("pairs", "tune: {lr: [1e-3, 1e-2], metric: tones}\nevaluate: {samples: 2}") == []


def test_a_strategy_that_reads_label_maps_is_refused_on_a_source_without_them(messages_of):
    assert messages_of("photos", strategy="looks") == [
        "recipe.yaml:3:17: strategy 'looks' needs structure, but task source 'photos' provides only target "
        "(task sources that provide it: pairs)"
    ]


def test_a_retriever_that_reads_label_maps_is_refused_on_a_source_without_them(messages_of):
    assert messages_of("photos", "retriever: {use: near}") == [
        "recipe.yaml:4:18: retriever 'near' needs structure, but task source 'photos' provides only target "
        "(task sources that provide it: pairs)"
    ]


def test_the_map_of_an_exemplar_is_there_on_every_source_with_label_maps(messages_of):
    assert messages_of("pairs", translator="mapped") == []
    (message,) = messages_of("photos", translator="mapped")
    assert "translator 'mapped' needs reference_structure, but task source 'photos' provides only target" in message
    assert "task sources that provide it: pairs" in message


def test_the_nearest_reference_is_found_by_label_maps(messages_of):
    assert messages_of("photos", translator="shown") == []
    assert messages_of("pairs", "reference: {pick: nearest}", translator="shown") == []
    assert messages_of("photos", "reference: {pick: nearest}") == []  # nobody is shown one
    assert messages_of("photos", "reference: {pick: nearest}", translator="shown") == [
        "recipe.yaml:4:19: reference.pick: nearest needs structure, but task source 'photos' provides none "
        "(reference: {pick: random})"
    ]


@pytest.mark.parametrize(
    ("strategy", "more", "expected"),
    [
        ("plain, steps: 0", "", "3:31: strategy.steps: got 0, expected at least 1 (steps: 1)"),
        ("plain", "retriever: {use: near, frames: 0}", "4:32: retriever.frames: got 0, expected at least 1"),
        ("second, order: second", "precision: bf16", "4:12: precision bf16 does not go with second order: its rounding "
         "changes the generator's meta-gradient by about a quarter, eight times as much as second order does "
         "(precision: fp32, or order: first)"),
    ],
)  # fmt: skip
def test_what_strategies_and_retrievers_refuse_is_told_without_a_run(messages_of, strategy, more, expected):
    assert messages_of("pairs", more, strategy) == [f"recipe.yaml:{expected}"]


def test_a_strategy_that_fails_to_be_made_is_told_as_such(messages_of):
    (error,) = messages_of(strategy="broken")
    assert error.startswith("recipe.yaml:3:11: the strategy 'broken' raised ZeroDivisionError in its constructor: oh")


@pytest.mark.parametrize("size", ["0", "-64", "100000", "1.5", "'64'", "60"])
@pytest.mark.parametrize("source", ["scenes", "faces", "street"])
def test_a_size_that_no_photograph_has_is_told_without_the_data(write, source, size):
    root = "" if source == "scenes" else ", root: nowhere"
    text = (
        f"tasks: {{use: {source}{root}, size: [64, {size}]}}\ntranslator: {{use: pix2pix}}\nstrategy: {{use: none}}\n"
    )
    path = write(text)
    if (source, size) in {("faces", "60"), ("street", "60")}:
        assert load_recipe(path).rows  # any size in pixels will do for photographs
        return
    with pytest.raises(UserErrors) as caught:
        load_recipe(path)
    (error,) = caught.value.errors
    assert str(error).startswith(f"recipe.yaml:1:{text.index(f'{size}]') + 1}: tasks.size.1: got ")


@pytest.mark.parametrize("strategy", ["copy"])
@pytest.mark.parametrize("retriever", ["iou"])
def test_the_bundled_ones_that_read_label_maps_say_so(write, fields, strategy, retriever):
    rows = f"rows: {{A: {{strategy: {{use: {strategy}}}}}, B: {{retriever: {{use: {retriever}}}}}}}\n"
    text = "tasks: {use: photos}\ntranslator: {use: any}\nstrategy: {use: none}\n"
    with pytest.raises(UserErrors) as caught:
        load_recipe(write(text + rows), (), Registry([fields]))
    assert [str(error).partition(", but")[0].partition(": ")[2] for error in caught.value.errors] == [
        f"strategy {strategy!r} needs structure",
        f"retriever {retriever!r} needs structure",
    ]


@pytest.mark.parametrize("shots", [1, 2])
def test_of_one_shot_what_the_model_makes_of_its_own_reference_is_refused(tmp_path, shots):
    sections = f"tasks: {{use: scenes}}\nepisodes: {{shots: {shots}}}\nretriever: {{use: errors}}\n"
    for translator, refused in (("pg2", shots == 1), ("pix2pix", False)):
        text = f"{sections}translator: {{use: {translator}}}\nstrategy: {{use: reptile}}\n"
        (file := tmp_path / "recipe.yaml").write_text(text)
        if not refused:
            assert load_recipe(file).rows
            continue
        with pytest.raises(UserErrors) as raised:
            load_recipe(file)
        (error,) = raised.value.errors
        assert "with one shot translator 'pg2' would be shown the very photograph as its reference" in error.what
        assert (error.where.line, error.where.column) == (3, 18)
