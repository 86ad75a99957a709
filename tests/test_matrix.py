"""Everything under everything: translators, strategies, task sources and retrievers, as the registry has them.

A covering array: any two components (and orders of gradients) of different kinds run together in some row, through the
whole of a run. What is installed is in it; what does not fit is refused with its reason.
"""

from __future__ import annotations

import itertools
import json
import math
import runpy
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from exemplar_trees import ade
from PIL import Image
from training_in_parts import train_in_parts

from metai2i.distributed.launch import started
from metai2i.distributed.processes import ALONE
from metai2i.errors import UserError
from metai2i.field import FAKE, is_exemplars, with_exemplars
from metai2i.files import read_json
from metai2i.pipeline.runner import Runner
from metai2i.pipeline.stage_store import Stage, StageStore
from metai2i.recipe import load_recipe
from metai2i.registry import Registry
from metai2i.registry.options import describe_options, option_problems

REGISTRY = Registry()
SMALL: dict[str, list[dict[str, Any]]] = {
    "pix2pix": [{"width": 2, "downs": 2, "d_layers": 1}],
    "pg2": [
        {"width": 4, "d_width": 4, "d_layers": 1},
        {"variant": "original", "width": 4, "d_width": 4, "d_layers": 1},
    ],
    "spade": [{"width": 2, "ups": 2, "d_layers": 2}],
    "spade_instances": [{"width": 2, "ups": 2, "d_layers": 2}],
    "panoptic": [{"width": 2, "ups": 2, "d_layers": 2}],
    "cocosnet": [{"width": 2, "ups": 2, "d_layers": 2}],
    "stargan2": [{"width": 2, "widest": 4, "style": 3, "latent": 2, "hidden": 4}],
    "stargan2_landmarks": [{"width": 2, "widest": 4, "style": 3, "latent": 2, "hidden": 4, "high_pass": 1.0}],
    "edgegan": [{"width": 2, "latent": 3}],
    "gpunit-prior": [{"width": 2}],
    "gpunit": [{"width": 2, "sampler_epochs": 1}],
    "gpunit_labelled": [{"width": 2, "sampler_epochs": 1}],
    "flow": [{"width": 2, "d_layers": 1, "steps": 2}],
    "flow_reference": [{"width": 2, "d_layers": 1, "steps": 2}],
    "scenes": [{"size": [32, 32], "train": 2, "val": 1, "test": 1, "frames": 4}],
    "street": [{"root": "street", "train": "camvid", "test": "camvid", "size": [32, 64], "clip": 3, "test_tasks": 1}],
    "street_instances": [{"root": "instances", "size": [32, 64], "neighbours": 2, "test_tasks": 1}],
    "coco": [{"root": "coco", "size": [32, 64], "neighbours": 2, "test_tasks": 1}],
    "faces": [{"root": "faces", "size": [32, 32], "test_tasks": 1}],
    "pairs": [
        {"root": "pairs", "size": [32, 32], "test_tasks": 1},
        {"root": "faces", "maps": "images", "size": [32, 32], "test_tasks": 1},
    ],
    "exemplars": [{"root": "exemplars", "size": [32, 32], "neighbours": 2, "test_tasks": 1}],
    "domains": [{"root": "domains", "size": [32, 32]}],
    "domains_landmarks": [{"root": "people", "size": [32, 32]}],
    "emoji": [{"root": "emoji", "size": [32, 32]}],
    "emoji_labelled": [{"root": "emoji", "size": [32, 32]}],
    "emoji_sketches": [{"root": "emoji", "size": [32, 32], "drawn": "edges", "kinds": ["animal-mammal"]}],
    "emoji_twins": [{"root": "emoji", "size": [32, 32]}],
    "twins": [{"root": "twins", "size": [32, 32]}],
    "sketches": [{"root": "objects", "size": [32, 32]}],
    "sketch_scenes": [{"root": "scenes", "size": [32, 32], "neighbours": 2}],
}
"""Options that make components small, or without which they cannot be; all others are tried with their defaults."""
FRAMES = tuple(f"0001TP_{6690 + 30 * i:06d}" for i in range(6)) + tuple(f"Seq05VD_f{30 * i:05d}" for i in range(3))

Section = dict[str, Any]


def sections(kind: str) -> list[Section]:
    """Each component of a kind with its options, once for each order of gradients that it has."""
    sections_made = []
    for name, component in REGISTRY.components(kind).items():
        options = {option.name for option in describe_options(component)}
        for small in SMALL.get(name, [{}]):
            few = {"steps": 1} if kind == "strategy" and "steps" in options else {}
            orders = [{"order": o} for o in ("first", "second")] if few and "order" in options else [{}]
            sections_made += [{"use": name, **small, **few, **order} for order in orders]
    return sections_made


def title(section: Section | None) -> str:
    if section is None:
        return "-"
    return " ".join([section["use"], *(str(section[key]) for key in ("variant", "maps", "order") if key in section)])


def fits(translator: Section, strategy: Section, tasks: Section, retriever: Section | None) -> bool:
    """Whether a source has the fields that the other components need, and one shot is enough for them."""
    used = {"translator": translator, "strategy": strategy, "retriever": retriever}
    components = [REGISTRY.get(kind, section["use"]) for kind, section in used.items() if section is not None]
    needs = frozenset().union(*(component.needs for component in components))
    if FAKE in needs and any(map(is_exemplars, REGISTRY.get("translator", translator["use"]).needs)):
        return False  # what would be made of the support is made of the very photograph
    return needs - {FAKE} <= with_exemplars(provided(tasks))


def provided(tasks: Section) -> frozenset[str]:
    fields: frozenset[str] = REGISTRY.get("task source", tasks["use"]).provides
    return fields


def scored_by(tasks: Section) -> str:
    """A metric that needs no weights: of images, or of sets, where there is no photograph of what they should be."""
    return "mse" if "target" in provided(tasks) else "swd"


def covering(factors: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """Rows in which any two values of two factors that fit come together, found greedily."""
    every = itertools.product(*(range(len(values)) for values in factors))
    rows = [row for row in every if fits(*(values[n] for values, n in zip(factors, row, strict=True)))]
    places = list(itertools.combinations(range(len(factors)), 2))
    wanted = {(i, row[i], j, row[j]) for row in rows for i, j in places}
    while wanted:
        best = max(rows, key=lambda row: sum((i, row[i], j, row[j]) in wanted for i, j in places))
        wanted -= {(i, best[i], j, best[j]) for i, j in places}
        yield tuple(values[n] for values, n in zip(factors, best, strict=True))


FACTORS = {
    "translator": sections("translator"),
    "strategy": sections("strategy"),
    "tasks": sections("task source"),
    "retriever": [None, *({**section, "k": 1} for section in sections("retriever"))],
}
ROWS = [dict(zip(FACTORS, row, strict=True)) for row in covering(list(FACTORS.values()))]
FITTING = [dict(zip(FACTORS, row, strict=True)) for row in itertools.product(*FACTORS.values()) if fits(*row)]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with small street and face data in the layouts of their sources, and stages that rows share."""
    folder = tmp_path_factory.mktemp("matrix")
    trees = runpy.run_path(str(Path(__file__).parent / "plugins" / "street" / "conftest.py"))["Trees"]
    trees.compact_camvid(folder / "street", FRAMES)
    trees.compact_cityscapes(folder / "singles")
    trees.cityscapes_instances(folder / "instances")
    trees.coco_stuff(folder / "coco")
    ade(folder / "exemplars")
    domains = runpy.run_path(str(Path(__file__).parent / "plugins" / "domains" / "conftest.py"))
    domains["write_afhq"](folder / "domains")
    domains["write_people"](folder / "people")
    write_package = runpy.run_path(str(Path(__file__).parent / "plugins" / "emoji" / "conftest.py"))["write_package"]
    for hand in ("twemoji", "noto", "fluent"):
        write_package(folder / "emoji", hand)
    draw = np.random.default_rng(0)
    for split, name, n in itertools.product(("train", "test"), ("cat", "car"), range(3)):
        home = folder / "objects" / split / name
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(home / f"{n}.png")
    for folder_of, split, name, n in itertools.product(("twins", "twins_mask"), ("train", "test"), "ab", range(3)):
        home = folder / folder_of / split / name
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(home / f"{n}.jpg")
    for split, n in itertools.product(("train", "test"), range(2)):
        (folder / "scenes" / split).mkdir(parents=True, exist_ok=True)
        scene = Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        scene.save(folder / "scenes" / split / f"{n}.jpg")
        entry = {"image": f"{n}.jpg", "box": [2, 2, 9, 9]}
        (folder / "scenes" / split / f"{n}.json").write_text(json.dumps({"objects": [entry]}))
    for split, person, pair in itertools.product(("train", "test"), range(2), range(3)):
        home = folder / "faces" / split / f"{split}-{person}"
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(home / f"{pair}.jpg")
        Image.fromarray(draw.integers(0, 7, (8, 8), dtype=np.uint8)).resize((32, 32), 0).save(home / f"{pair}.png")
    shutil.copytree(folder / "faces", folder / "pairs")
    (folder / "pairs" / "classes.txt").write_text("".join(f"part {n}\n" for n in range(7)))
    return folder


@pytest.fixture
def write(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a recipe of one row; its data are named relative to the current directory."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(**changed: Any) -> Path:
        recipe = {
            "episodes": {"shots": 1, "queries": 1},
            "augment": None,
            "objective": {"l1": 1, "adversarial": 0.1, "perceptual": 0},
            "pretrain": {"iterations": 1, "batch": 2},
            "metatrain": {"iterations": 1, "tasks": 1},
            "adapt": {"iterations": 1, "batch": 1},
            "aux": {"iterations": 1, "tasks": 1},
            "evaluate": {"images": 0, "tasks": 1, "metrics": ["mse"]},
            "compare": {"metric": "mse"},
            "translator": {"use": "pix2pix", **SMALL["pix2pix"][0]},
            "strategy": {"use": "finetune"},
            "tasks": SMALL["scenes"][0] | {"use": "scenes"},
            **changed,
        }
        file = tmp_path / "row.yaml"
        file.write_text(yaml.safe_dump(recipe))
        return file

    return write


def run(file: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs a recipe, all but its report, and gives what its evaluation says."""
    scored: list[Stage] = []
    store = StageStore(place / "stages")
    monkeypatch.setattr(
        "metai2i.pipeline.runner.write_run", lambda out, recipe, planned, *rest: scored.append(planned[0].stages[-1])
    )
    registry = Registry()
    Runner(load_recipe(file, registry=registry), registry, file.parent / "run", store, torch.device("cpu")).run()
    (stage,) = scored
    assert stage.name == "evaluate"
    (record,) = read_json(store.folder(stage) / "results.json")
    return record


@pytest.mark.parametrize("row", ROWS, ids=lambda row: ", ".join(map(title, row.values())))
def test_any_two_components_run_together(row, write, place, monkeypatch):
    metric = scored_by(row["tasks"])
    queries = 1 if metric == "mse" else 2  # a set has two images or more
    evaluate = {"images": 0, "tasks": 1, "metrics": [metric]}
    file = write(**row, evaluate=evaluate, compare={"metric": metric}, episodes={"shots": 1, "queries": queries})
    record = run(file, place, monkeypatch)
    values = [query["mse"] for query in record["queries"]] if metric == "mse" else [record["sets"][metric]]
    assert all(map(math.isfinite, values))
    assert len(record["aux"]) == (row["retriever"] is not None)


def test_every_pair_of_every_two_kinds_that_fit_is_in_the_matrix():
    for left, other in itertools.combinations(FACTORS, 2):
        met, fit = ({(title(row[left]), title(row[other])) for row in rows} for rows in (ROWS, FITTING))
        assert met == fit


def test_every_installed_component_is_in_the_matrix():
    for key, kind in (("translator", "translator"), ("strategy", "strategy"), ("tasks", "task source")):
        assert {row[key]["use"] for row in ROWS} == set(REGISTRY.components(kind))
    assert {row["retriever"]["use"] for row in ROWS if row["retriever"]} == set(REGISTRY.components("retriever"))


# --- what does not fit


NEEDS = {"structure", "target", "depth"}
NEEDY = """
import metai2i
from torch import nn


class Needy(metai2i.Translator):
    needs = frozenset({"structure", "target", "depth"})

    def __init__(self, *, spec, objective) -> None: ...
    def players(self): ...
    def training_step(self, batch, step): ...
    def translate(self, batch): ...


class Deep(metai2i.TaskSource):
    provides = frozenset({"target"})

    def spec(self): ...
    def tasks(self, split): ...


@metai2i.hookimpl
def register_translators(register):
    register("needy", Needy)


@metai2i.hookimpl
def register_task_sources(register):
    register("deep", Deep)
"""


def refusal(file: Path, *folders: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_recipe(file, registry=Registry(folders))
    return str(caught.value)


@pytest.fixture
def strange(tmp_path) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "needy.py").write_text(NEEDY)
    return tmp_path / "mine"


@pytest.mark.parametrize("source", FACTORS["tasks"], ids=title)
def test_a_translator_is_refused_by_every_source_that_lacks_a_field(source, write, strange):
    metric = scored_by(source)
    scored = {"evaluate": {"metrics": [metric]}, "compare": {"metric": metric}}
    error = refusal(write(translator={"use": "needy"}, tasks=source, **scored), strange)
    provides, lacking = (", ".join(sorted(each)) for each in (provided(source), NEEDS - provided(source)))
    assert f"translator 'needy' needs {lacking}, but task source {source['use']!r} provides only {provides}" in error
    assert "task sources that provide it: none that is installed" in error


@pytest.mark.parametrize("translator", FACTORS["translator"], ids=title)
def test_a_source_is_refused_by_every_translator_whose_fields_it_lacks(translator, write, strange):
    needs = REGISTRY.get("translator", translator["use"]).needs
    assert not needs <= with_exemplars({"target"})
    error = refusal(write(translator=translator, tasks={"use": "deep"}), strange)
    lacking = ", ".join(sorted(needs - with_exemplars({"target"})))
    assert f"translator {translator['use']!r} needs {lacking}, but task source 'deep' provides only target" in error
    suited = {each["use"] for each in FACTORS["tasks"] if fits(translator, {"use": "none"}, each, None)}
    assert error.partition("task sources that provide it: ")[2].rstrip(")").split(", ") == sorted(suited)


@pytest.mark.parametrize("strategy", REGISTRY.components("strategy"))
def test_second_order_is_refused_by_strategies_that_have_no_order(strategy, write):
    component = REGISTRY.get("strategy", strategy)
    has = any(option.name == "order" for option in describe_options(component))
    file = write(strategy={"use": strategy, "order": "second"})
    if has:
        assert load_recipe(file).rows
    else:
        assert "strategy: unknown option 'order'" in refusal(file)
    assert bool(option_problems(component, {"order": "second"})) == (not has)


def test_iterations_by_phase_are_those_of_the_translators_phases(write):
    coarse = {"iterations": {"coarse": 1, "refine": 1}, "batch": 1}
    original = next(section for section in FACTORS["translator"] if section.get("variant") == "original")
    assert load_recipe(write(translator=original, pretrain=coarse)).rows
    error = refusal(write(pretrain=coarse))
    assert "'pix2pix' has no phase 'coarse'" in error
    assert "phase 'train' of 'pix2pix' is missing" in error
    assert "phase 'coarse' of 'pg2' is missing" in refusal(
        write(translator=original, pretrain={"iterations": {"refine": 1}})
    )


REFUSED = {
    "a first stage that minimises nothing": (
        {"translator": SMALL["pg2"][1] | {"use": "pg2"}, "objective": {"l1": 0, "adversarial": 1, "perceptual": 0}},
        "objective.l1: got 0, expected more than 0: the coarse stage of pg2 minimises L1 alone",
    ),
    "a size that cannot be halved so often": (
        {"translator": {"use": "pg2", "downs": 4}, "tasks": SMALL["scenes"][0] | {"use": "scenes", "size": [40, 40]}},
        "pg2: size 40x40 cannot be halved 4 times",
    ),
    "an option of the other variant": (
        {"translator": {"use": "pg2", "outer_skip": True}},
        "pg2: variant bil has no outer_skip",
    ),
    "a player that is not there": (
        {"strategy": {"use": "bil", "steps": 1}, "adapt": {"iterations": 1, "freeze": ["discriminater"]}},
        "adapt.freeze names 'discriminater', which is no player of",
    ),
    "a part that is not there": (
        {"strategy": {"use": "anil", "steps": 1, "part": ["generator.nothing.*"]}},
        "strategy.part: 'generator.nothing.*' is no player of",
    ),
    "a metric of other classes": (
        {"evaluate": {"images": 0, "tasks": 1, "metrics": ["mse", "face_parts_l1"]}},
        "face_parts_l1",
    ),
    "scenes that are too short": (
        {"episodes": {"shots": 3, "queries": 2}},
        "1 test task has fewer pairs than 3 shots + 2 queries",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_with_its_reason(what, write, place, monkeypatch):
    changed, reason = REFUSED[what]
    with pytest.raises(UserError) as caught:
        run(write(**changed), place, monkeypatch)
    assert reason in str(caught.value)


@pytest.mark.parametrize("strategy", REGISTRY.components("strategy"))
def test_training_scenes_of_one_pair_need_augmentation_under_every_strategy_that_meta_trains(
    strategy, write, place, monkeypatch
):
    if not REGISTRY.get("strategy", strategy).meta:
        pytest.skip("it does not meta-train")
    singles = {"use": "street", "root": "singles", "train": "cityscapes", "test": "cityscapes", "size": [32, 64]}
    with pytest.raises(UserError, match="training scenes of a single pair need `augment`"):
        run(write(tasks=singles, strategy={"use": strategy}), place, monkeypatch)


# --- batches in parts


def translator_rows() -> list[Section]:
    """Each translator with a source that fits it."""
    rows: dict[str, Section] = {}
    for row in FITTING:
        rows.setdefault(title(row["translator"]), row)
    return list(rows.values())


def recipes_in_parts(write, place: Path, rows: Sequence[Section]) -> list[Path]:
    files = []
    for n, row in enumerate(rows):
        tasks = dict(row["tasks"])
        if "root" in tasks:  # other processes have another current folder
            tasks["root"] = str(place / tasks["root"])
        metric = scored_by(tasks)
        scored = {"evaluate": {"images": 0, "tasks": 1, "metrics": [metric]}, "compare": {"metric": metric}}
        training = {"pretrain": {"iterations": 2, "batch": 5, "parts": 3}, "augment": {}}
        file = write(translator=row["translator"], tasks=tasks, **scored, **training)
        files.append(file.rename(file.with_name(f"row{n}.yaml")))
    return files


@pytest.mark.parametrize("row", translator_rows(), ids=lambda row: title(row["translator"]))
def test_every_translator_trains_with_batches_in_parts(row, write, place):
    train_in_parts(recipes_in_parts(write, place, [row]), ALONE)


@pytest.mark.slow
def test_every_translator_trains_to_the_same_bytes_with_one_two_and_three_processes(
    write, place, tmp_path, monkeypatch
):
    """Five samples in three parts: neither the parts nor their shares are all alike."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    files = recipes_in_parts(write, place, translator_rows())
    try:
        train_in_parts(files, ALONE)
        for count in (2, 3):
            with started(count, torch.device("cpu"), train_in_parts, files) as processes:
                train_in_parts(files, processes)
    finally:
        torch.set_num_threads(threads)
    alone, two, three = (json.loads((tmp_path / f"{count}.json").read_text()) for count in (1, 2, 3))
    assert len(alone) >= 12
    assert alone == two == three
