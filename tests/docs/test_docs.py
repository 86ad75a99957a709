"""The documentation against the code: what it says exists, its tables are the schema, its examples run."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import torch
import yaml
from pydantic import BaseModel

from metai2i.cli import COMMANDS, invoke, module_of
from metai2i.data.augment import Augment
from metai2i.data.colour_jitter import ColourJitter
from metai2i.data.reference import Reference
from metai2i.losses.objective import Objective
from metai2i.pipeline.assemble import Assembler
from metai2i.pipeline.plan import plan
from metai2i.recipe import Row, load_recipe
from metai2i.recipe.load import TOP
from metai2i.recipe.overrides import is_override
from metai2i.recipe.schema import Compare, Figure, Header, RetrieverComponent, UnadaptedColumn
from metai2i.recipe.tables import models_in
from metai2i.registry import Registry
from metai2i.registry.loading import KINDS
from metai2i.registry.options import describe_options
from metai2i.run_folder.results import read_results
from metai2i.testing import run_contracts

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
HOOKS = (ROOT / "docs" / "hooks.md").read_text()
SHORTEST = {
    kind: (ROOT / "docs" / f"{page}.md").read_text()
    for kind, page in {
        "translator": "write-a-translator", "strategy": "write-a-strategy", "task source": "write-a-plugin",
        "retriever": "write-a-plugin", "metric": "write-a-plugin", "network": "write-a-plugin",
        "exporter": "write-a-plugin",
    }.items()
}  # fmt: skip
"""The page that has the shortest plugin of a kind."""
PLUGINS = SHORTEST["metric"]
RECIPES = (ROOT / "docs" / "recipes.md").read_text()
INTERFACES = (ROOT / "docs" / "interfaces.md").read_text()
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "recipes").rglob("*.yaml"))
}


class Block(NamedTuple):
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The name in the first line's comment: `# my_plugins/palette.py`."""
        match = re.match(r"# (\S+\.(?:py|yaml|toml))\b", self.text)
        return match[1] if match else None


def blocks(page: str) -> list[Block]:
    return [Block(*match) for match in re.findall(r"^```(\w*)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]


def files(page: str) -> dict[str, str]:
    return {block.file: block.text for block in blocks(page) if block.file}


def write(folder: Path, named: dict[str, str]) -> None:
    for name, text in named.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


# --- hooks, commands, paths


@pytest.mark.parametrize("kind", KINDS)
def test_every_hook_is_used_on_the_page_of_its_kind(kind):
    assert f"def {KINDS[kind].hook}(register):" in SHORTEST[kind]


def commands(page: str) -> Iterator[tuple[str, list[str]]]:
    """The calls of metai2i in a page, in console blocks, comments and backticks: subcommand and words."""
    call = rf"(?:^\$ |^# |: |`|uv run )metai2i ((?:{'|'.join(COMMANDS)})\b[^`\n]*)"
    for line in re.findall(call, page, re.MULTILINE):
        words = shlex.split(re.split(r"  #|\s+\|", line)[0], comments=False)
        yield words[0], words[1:]


@pytest.mark.parametrize("page", PAGES)
def test_every_option_of_metai2i_that_is_mentioned_exists(page):
    for name, words in commands(PAGES[page]):
        command: click.Command = import_module(module_of(name)).command
        if isinstance(command, click.Group) and words:
            command = command.get_command(click.Context(command), words[0]) or command
        known = {option for parameter in command.params for option in parameter.opts}
        unknown = [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]
        assert unknown == [], f"metai2i {name} {' '.join(words)}"


def test_the_commands_on_the_pages_are_found():
    """The guard above sees the pages' calls."""
    commands_read = list(commands(PLUGINS + RECIPES))
    assert ("run", ["mine.yaml", "--plugins-dir", "my_plugins", "--out", "runs/mine"]) in commands_read
    assert {name for name, _ in commands_read} >= {"run", "validate", "plugins"}


@pytest.mark.parametrize(
    "page", ["CONTRIBUTING.md", "docs/interfaces.md", "docs/recipes.md", "docs/install.md", "docs/write-a-plugin.md"]
)
def test_every_file_that_is_mentioned_is_there(page):
    mentioned = re.findall(r"`((?:metai2i|plugins|tests|recipes|docs)/[\w./-]+\.(?:py|md|yaml))`", PAGES[page])
    missing = [name for name in mentioned if not (ROOT / name).exists()]
    assert missing == []
    assert page != "CONTRIBUTING.md" or len(mentioned) > 5


@pytest.mark.parametrize("page", ["docs/interfaces.md"])
def test_every_test_that_is_mentioned_is_there(page):
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", PAGES[page]):
        assert f"def {name}(" in tests


# --- the shortest plugins


def shortest(kind: str) -> tuple[str, str]:
    """The first plugin on the page that has its hook: the file's name and its text."""
    hook = KINDS[kind].hook
    return next((name, text) for name, text in files(SHORTEST[kind]).items() if f"def {hook}(" in text)


@pytest.fixture
def examples(tmp_path, monkeypatch) -> Path:
    """A folder with the shortest plugins and the other files of docs/write-a-plugin.md, as the current one."""
    write(tmp_path, files(PLUGINS) | dict(map(shortest, KINDS)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_python_example_is_a_whole_file():
    python = [block for block in blocks(PLUGINS) if block.language == "python"]
    assert len(python) == len(KINDS) - 2
    assert all(block.file and block.file.startswith("my_plugins/") for block in python)


def test_each_shortest_plugin_stands_once():
    """Elsewhere the pages link to it."""
    pages = {name: text for name, text in PAGES.items() if name.endswith(".md") and name != "docs/hooks.md"}
    for kind in KINDS:
        name, _ = shortest(kind)
        assert [page for page, text in pages.items() if name in files(text)] == [
            page for page, text in pages.items() if text == SHORTEST[kind]
        ]
    hooks = [hook for text in pages.values() for hook in re.findall(r"^def (register_\w+)\(register\):", text, re.M)]
    more = {"register_translators": 2, "register_strategies": 2}  # the tutorials grow
    assert {hook: hooks.count(hook) for hook in set(hooks)} == {
        kind.hook: more.get(kind.hook, 1) for kind in KINDS.values()
    }
    for kind in KINDS.values():
        assert f"def {kind.hook}(register):" not in HOOKS


@pytest.mark.parametrize("kind", KINDS)
def test_the_shortest_plugin_keeps_its_contracts(kind, tmp_path):
    name, text = shortest(kind)
    write(tmp_path, {name: text})
    registry = Registry([tmp_path / "my_plugins"])
    component = registry.get(kind, Path(name).stem)
    outcomes = run_contracts(kind, component, strategies={"finetune": registry.get("strategy", "finetune")})
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}


def test_the_one_file_examples_run_together(examples):
    assert invoke(["run", "mine.yaml", "--plugins-dir", "my_plugins", "--out", "runs/mine", "--stages", "stages"]) == 0
    results = read_results(examples / "runs" / "mine" / "results.csv")
    rows = yaml.safe_load((examples / "mine.yaml").read_text())["rows"]
    assert {record.row for record in results} == set(rows)
    mean = {row: [r.value for r in results if r.row == row and r.metric == "mse"] for row in rows}
    means = {row: sum(values) / len(values) for row, values in mean.items()}
    assert max(means["Line (2-shot)"], means["MAML (2-shot)"]) < means["Line"]  # adapting to a scene's colours pays


def test_the_one_file_examples_are_documented(examples):
    registry = Registry([examples / "my_plugins"])
    ours = [status for status in registry.all() if status.distribution is None]
    assert {(status.kind, status.status) for status in ours} == {(kind, "ok") for kind in KINDS}
    for status in ours:
        for option in describe_options(status.component):
            assert option.doc, f"{status.name}.{option.name}"


def test_the_packaged_example_is_found_by_its_entry_point(examples, monkeypatch):
    """Installed by hand: the module, and the metadata that a build backend makes from the pyproject."""
    project = tomllib.loads((examples / "metai2i-line" / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["metai2i"]
    site = examples / "site"
    info = f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    lines = "\n".join(f"{name} = {value}" for name, value in points.items())
    write(site, {
        "metai2i_line/__init__.py": shortest("translator")[1],
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
        f"{info}/entry_points.txt": f"[metai2i]\n{lines}\n",
    })  # fmt: skip
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    registry = Registry()
    assert registry.get("translator", "line").__module__ == "metai2i_line"
    assert registry.identity("translator", "line")["distribution"] == "metai2i-line"
    sys.modules.pop("metai2i_line", None)


@pytest.mark.parametrize(("page", "most"), [("README.md", 700), ("CONTRIBUTING.md", 800)])
def test_the_front_pages_stay_short(page, most):
    assert len(PAGES[page].split()) <= most


# --- docs/recipes.md against the schema


def sections(page: str) -> dict[str, str]:
    """The text under each heading, by the heading without its marks."""
    parts = re.split(r"^#{2,3} (.*)$", page, flags=re.MULTILINE)
    return {title.strip("`"): text for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def table(text: str) -> dict[str, str]:
    """Key to default, of the first table of a section."""
    return dict(re.findall(r"^\| `([\w.]+)` \| ([^|]*?) \|", text, re.MULTILINE))


def as_written(default: Any) -> str:
    """A default as the tables have it."""
    if isinstance(default, tuple):
        return f"`[{', '.join(map(str, default))}]`"
    if default is None or isinstance(default, bool):
        return {None: "`null`", True: "`true`", False: "`false`"}[default]
    return f"`{default}`"


def section_model(name: str) -> type[BaseModel]:
    """The model behind a section of a recipe, which may be optional, or stand for each of several parts."""
    return next(models_in(Row.model_fields[name].annotation))


COMPONENTS = [kind.key for kind in KINDS.values() if kind.key in Row.model_fields]
BUILT = {"augment": Augment, "reference": Reference, "colour_jitter": ColourJitter, "objective": Objective}
OWN = ["baseline"]  # what only a row says
VALUES = ["precision"]  # what is no section
PLAIN = [name for name in Row.model_fields if name not in (*COMPONENTS, *BUILT, *OWN, *VALUES)]


@pytest.mark.parametrize("name", PLAIN)
def test_the_tables_of_the_recipe_page_are_the_schema(name):
    fields = section_model(name).model_fields
    defaults = {key: field.get_default(call_default_factory=True) for key, field in fields.items()}
    expected = {
        key: f"`{float(default)!r}`" if fields[key].annotation is float else as_written(default)
        for key, default in defaults.items()
    }
    assert table(sections(RECIPES)[name]) == expected


def test_what_is_no_section_stands_before_them():
    expected = {name: as_written(Row.model_fields[name].default) for name in VALUES}
    assert table(RECIPES.split("\n## Sections\n")[1].partition("\n### ")[0]) == expected


@pytest.mark.parametrize("name", BUILT)
def test_the_hosts_own_classes_are_told_with_their_defaults(name):
    expected = {option.name: f"`{option.default}`" for option in describe_options(BUILT[name])}
    assert table(sections(RECIPES)[name]) == expected


def test_all_that_is_said_once_is_in_the_table():
    expected = {*TOP, *(f"compare.{key}" for key in Compare.model_fields)} - {*Row.model_fields, "compare"}
    lines = table(sections(RECIPES)["Said once"])
    assert set(lines) == expected
    for key in ("seed", "plugins"):
        assert lines[key] == as_written(Header.model_fields[key].default)
    assert lines["compare.metric"] == as_written(Compare.model_fields["metric"].default)


def test_the_keys_that_only_a_row_has_are_in_their_table():
    assert set(Row.model_fields) - set(TOP) == set(OWN)
    assert table(sections(RECIPES)["rows"]) == {key: as_written(Row.model_fields[key].default) for key in OWN}


def test_the_table_of_a_figure_is_the_schema():
    fields = Figure.model_fields
    expected = {key: "required" if field.is_required() else as_written(field.default) for key, field in fields.items()}
    assert table(sections(RECIPES)["figures"]) == expected


def test_the_figure_on_the_page_is_right(recipes):
    (example,) = [block.text for block in blocks(sections(RECIPES)["figures"]) if block.language == "yaml"]
    path = recipes / "figure.yaml"
    path.write_text(f"extends: street-3shot.yaml\n{example}")
    (figure,) = load_recipe(path).figures.values()
    assert figure.columns[:2] == ("structure", UnadaptedColumn(general="BiL-Pix2pix (3-shot)"))


def test_every_key_of_the_retriever_section_is_in_its_table():
    expected = {"use": "required", "k": as_written(RetrieverComponent.model_fields["k"].default)}
    assert table(sections(RECIPES)["retriever"]) == expected


def test_every_bundled_component_is_named():
    lines = sections(RECIPES)["Components"]
    assert set(re.findall(r"^\| `(\w+)` \|", lines, re.MULTILINE)) == set(COMPONENTS)
    for pyproject in (ROOT / "plugins").glob("*/pyproject.toml"):
        for name in tomllib.loads(pyproject.read_text())["project"]["entry-points"]["metai2i"]:
            assert f"`{name}`" in lines


@pytest.fixture
def recipes(tmp_path) -> Path:
    write(tmp_path, files(RECIPES))
    return tmp_path


def test_the_recipes_on_the_page_are_right(recipes):
    assert len(files(RECIPES)) == 3
    for name in files(RECIPES):
        load_recipe(recipes / name)


def test_extends_takes_over_all_but_the_name(recipes):
    wide = load_recipe(recipes / "wide.yaml")
    assert wide.name == "wide"
    assert {row.translator.options["width"] for row in wide.rows.values()} == {32}
    assert list(wide.rows) == list(load_recipe(recipes / "street-3shot.yaml").rows)


def test_the_grid_on_the_page_adds_its_rows_to_those_that_are_written(recipes):
    rows = load_recipe(recipes / "tune.yaml").rows
    spelled = [f"{use} at {lr}" for use in ("finetune", "bil") for lr in (0.0001, 0.001)]
    assert list(rows) == [*load_recipe(recipes / "street-3shot.yaml").rows, *spelled]
    assert {row.adapt.lr for name, row in rows.items() if name not in spelled} == {1e-3}
    assert [rows[name].adapt.lr for name in spelled] == [1e-4, 1e-3, 1e-4, 1e-3]


def test_the_overrides_on_the_page_do_what_it_says(recipes):
    lines = [words for name, words in commands(RECIPES) if name == "run" and words[0] == "street-3shot.yaml"]
    assert len(lines) >= 3
    loaded = [load_recipe(recipes / words[0], [w for w in words[1:] if is_override(w)]) for words in lines]
    longer, reptile = loaded[1], loaded[2]
    assert {row.adapt.iterations for row in longer.rows.values()} == {50}
    assert {row.adapt.betas for row in longer.rows.values()} == {(0.9, 0.999)}
    assert [row.strategy.use for row in reptile.rows.values()] == ["copy", "finetune", "bil"]
    assert reptile.rows["Copy"].evaluate.images == 2
    assert reptile.rows["Pix2pix (3-shot)"].evaluate.images == 8


def stages_of(path: Path, *overrides: str) -> dict[str, dict[str, str]]:
    """Per row, its stages and their keys."""
    recipe = load_recipe(path, overrides)
    assembler = Assembler(Registry(), recipe.seed, torch.device("cpu"))
    return {
        planned_row.name: {s.name: s.key for s in planned_row.stages}
        for planned_row in plan(recipe.rows, assembler, recipe.seed)
    }


@pytest.mark.parametrize(
    ("override", "anew"),
    [
        ("seed=1", {"pretrain", "continued", "metatrain", "evaluate"}),
        ("pretrain.lr=1e-3", {"pretrain", "continued", "metatrain", "evaluate"}),
        ("augment=null", {"pretrain", "continued", "metatrain", "evaluate"}),
        ("metatrain.lr=1e-3", {"metatrain", "evaluate"}),
        ("adapt.lr=2e-3", {"metatrain", "evaluate"}),
        ("episodes.shots=4", {"metatrain", "evaluate"}),
        ("rows.Pix2pix (3-shot).continued.lr=1e-5", {"continued", "evaluate"}),
        ("adapt.iterations=3", {"evaluate"}),
        ("episodes.draws=2", {"evaluate"}),
        ("aux.iterations=1", {"evaluate"}),
        ("evaluate.split=val", {"evaluate"}),
        ("metatrain.probe=7", set()),
        ("description=other", set()),
        ("compare.metric=ssim", set()),
        ("figures={}", set()),
        ("rows.BiL-Pix2pix (3-shot).baseline=Copy", set()),
    ],
)
def test_what_is_trained_anew_is_as_the_page_says(recipes, override, anew):
    before, after = (stages_of(recipes / "street-3shot.yaml", *given) for given in ((), (override,)))
    changed = {stage for row in before for stage in before[row] if before[row][stage] != after[row][stage]}
    assert changed == anew


def test_every_sketch_of_the_interfaces_is_python():
    sketches = [block for block in blocks(INTERFACES) if block.language == "python"]
    assert len(sketches) == 4
    for block in sketches:
        for sketch in ast.parse(block.text).body:
            assert isinstance(sketch, ast.ClassDef)
            methods = {node.name for node in sketch.body if isinstance(node, ast.FunctionDef)}
            assert {"players", "training_step"} <= methods
