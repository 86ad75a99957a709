"""Who may import whom, read off the sources: the core knows no plugin, and plugins know the core and what they name as
their base."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from metai2i import __version__

DECLARED = ("metai2i", "metai2i.training", "metai2i.meta", "metai2i.data", "metai2i.losses", "metai2i.testing")
"""The modules that plugins may import from; every other module of the core may change on any day."""
ROOT = Path(__file__).parent.parent
PLUGINS = sorted(path for path in (ROOT / "plugins").iterdir() if (path / "pyproject.toml").is_file())


def imports(source: str, package: str = "") -> Iterator[str]:
    """Every module that a source imports, at the top or inside functions, dotted, with the names taken from it.

    Relative imports are told from `package`; the string constants given to `import_module` count too.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value


def imported_by(folder: Path, package: str) -> dict[str, list[str]]:
    """The imports of every file of a package."""
    imported = {}
    for path in sorted((folder / package).rglob("*.py")):
        inside = ".".join(path.relative_to(folder).parent.parts)
        imported[str(path.relative_to(folder))] = list(imports(path.read_text(), inside))
    assert imported, f"{folder / package} has no sources"
    return imported


def own_name(plugin: Path) -> str:
    return plugin.name


def test_the_check_sees_every_way_to_import():
    source = "\n".join(
        [
            "import metai2i_a.b",
            "from metai2i_c import d as e",
            "from . import f",
            "from ..g import h",
            "def later():",
            "    import metai2i_i",
            "    importlib.import_module('metai2i_j')",
        ]
    )
    assert set(imports(source, "p.q")) == {
        "metai2i_a.b", "metai2i_c.d", "p.q.f", "p.g.h", "metai2i_i", "metai2i_j",
    }  # fmt: skip


def test_the_core_imports_no_plugin():
    plugins = tuple(own_name(plugin) for plugin in PLUGINS)
    assert plugins
    wrong = [
        (file, name)
        for file, names in imported_by(ROOT, "metai2i").items()
        for name in names
        if name.startswith("metai2i_") or name.partition(".")[0] in plugins
    ]
    assert wrong == []


def bases(plugin: Path) -> set[str]:
    """The packages of other plugins that a plugin says it is built on."""
    lines = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {line.split("=")[0].split(">")[0].split("<")[0].strip().replace("-", "_") for line in lines}
    return {name for name in names if name.startswith("metai2i_")}


@pytest.mark.parametrize("plugin", PLUGINS, ids=own_name)
def test_a_plugin_imports_another_only_if_it_is_built_on_it_and_what_that_one_declares(plugin):
    declared = {f"{base}.{name}" for base in bases(plugin) for name in getattr(import_module(base), "__all__", ())}
    wrong = [
        (file, name)
        for file, names in imported_by(plugin, own_name(plugin)).items()
        for name in names
        if name.startswith("metai2i_") and name.partition(".")[0] != own_name(plugin) and name not in declared
    ]
    assert wrong == []


@pytest.mark.parametrize("plugin", PLUGINS, ids=own_name)
def test_a_plugin_takes_only_what_the_core_declares(plugin):
    declared = {f"{module}.{name}" for module in DECLARED for name in import_module(module).__all__}
    wrong = [
        (file, name)
        for file, names in imported_by(plugin, own_name(plugin)).items()
        for name in names
        if name.split(".")[0] == "metai2i" and name not in declared
    ]
    assert wrong == []


@pytest.mark.parametrize("module", DECLARED)
def test_whatever_a_module_declares_can_be_imported_from_it(module):
    package = import_module(module)
    assert package.__all__
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nothing'"):
        _ = package.nothing


def test_the_top_of_the_core_is_what_plugins_see_and_folders():
    """A file at the top is an interface, or something that the interfaces speak of; the host's work is in folders."""
    top = {path.stem for path in (ROOT / "metai2i").glob("*.py")} - {"__init__", "__main__", "lazy"}
    assert top == {
        "translator", "tasks", "strategy", "retriever", "metric", "network",
        "adaptation", "api", "batch", "bounds", "errors", "exporter", "extras", "field", "files", "hookspecs", "locks",
        "precision", "randomness", "scene_state",
    }  # fmt: skip


@pytest.mark.parametrize("plugin", PLUGINS, ids=own_name)
def test_a_plugin_comes_in_by_the_entry_points_of_its_own_package(plugin):
    points = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]["entry-points"]["metai2i"]
    assert {value.partition(":")[0].partition(".")[0] for value in points.values()} == {own_name(plugin)}


def test_every_bundled_plugin_is_pinned_to_this_minor_version_of_the_core_and_comes_with_all():
    major, minor, _ = __version__.split(".")
    pin = f">={major}.{minor},<{major}.{int(minor) + 1}"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = []
    for plugin in PLUGINS:
        project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
        built_on = {f"{base.replace('_', '-')}{pin}" for base in bases(plugin)}
        needs = {need for need in project["dependencies"] if need.startswith("metai2i")}
        assert needs == {f"metai2i{pin}"} | built_on
        assert project["version"].startswith(f"{major}.{minor}.")
        names.append(project["name"])
    assert sorted(extras["all"]) == sorted([*(f"{name}{pin}" for name in names), "metai2i[weights]"])


@pytest.mark.parametrize("plugin", PLUGINS, ids=own_name)
def test_a_plugin_says_that_it_has_types(plugin):
    assert (plugin / plugin.name / "py.typed").is_file()


@pytest.mark.parametrize("plugin", PLUGINS, ids=own_name)
def test_a_plugin_names_what_it_imports_as_its_dependency_or_gets_it_from_the_core(plugin):
    """A package that is neither needed by the plugin itself nor by the core would be there by luck."""
    known = {"metai2i", own_name(plugin), *sys.stdlib_module_names}
    for file in (plugin / "pyproject.toml", ROOT / "pyproject.toml"):
        for line in tomllib.loads(file.read_text())["project"]["dependencies"]:
            name = line.split("=")[0].split(">")[0].split("<")[0].strip()
            known.add({"pillow": "PIL", "pyyaml": "yaml"}.get(name.lower(), name.replace("-", "_")))
    wrong = [
        (file, name)
        for file, names in imported_by(plugin, own_name(plugin)).items()
        for name in names
        if name.partition(".")[0] not in known
    ]
    assert wrong == []


def public_names(source: str) -> set[str]:
    """The functions, classes and constants that a module defines at its top, but for private ones."""
    names: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def test_a_public_name_stands_for_one_thing():
    """Hooks, commands and loggers have one name in many modules by design."""
    hooks = {"register_exporters", "register_metrics", "register_networks"}
    shared = {"command", "log", *hooks, "T", "CONTRACTS", "READ"}
    homes: dict[str, list[str]] = {}
    for path in sorted((ROOT / "metai2i").rglob("*.py")):
        if path.parent.name == "testing" and path.parent.parent.name == "metai2i":
            continue  # each kind of component has contracts of the same names
        for name in public_names(path.read_text()) - shared:
            homes.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


RETIRED = {
    "Ahead": "Prefetcher", "Looks": "ColourJitter", "Gate": "GradientGate", "Influence": "PlayerDependencies",
    "told_as": "user_errors_from", "Workplace": "StageContext", "Wish": "AdaptRequest",
    "Judge": "RowEvaluator, QueryLoss", "settle": "detach", "kept": "cached", "Further": "ContinuedPretraining",
}  # fmt: skip
"""Names of before, with what they are called now (`docs/glossary.md`)."""
VAGUE = {"told", "found", "own", "made", "one"}
"""Names that do not say what they hold."""
FILE_KEYS = {
    ("metai2i/inference/model_header.py", "made"): "where an adapted model is from, in its file",
    ("metai2i/run_folder/record.py", "pictures"): "the photographs of a support, in a run's images/index.json",
    ("metai2i/run_folder/writer.py", "pictures"): "the same, as it is written",
    ("metai2i/run_folder/files.py", "pictures"): "the same, as it is read",
    ("metai2i/report/supports.py", "pictures"): "the same, as it is read",
}
"""Names that files of earlier versions have in them: they stay."""
NOT_A_VERB = {
    "a", "all", "an", "any", "as", "at", "by", "each", "every", "for", "from", "how", "in", "it", "its", "no",
    "nothing", "of", "on", "one", "several", "some", "that", "the", "their", "these", "this", "those", "two",
    "what", "whatever", "when", "where", "whether", "which", "who", "whose", "why", "with", "within",
}  # fmt: skip
"""How a docstring does not begin that says what a function does."""


def test_no_module_defines_a_retired_name():
    defined = {
        (path.relative_to(ROOT).as_posix(), name)
        for folder in ("metai2i", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        for name in public_names(path.read_text())
    }
    assert {(file, name) for file, name in defined if name in RETIRED} == set()


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if ".venv" not in path.parts)


def bound_names(source: str) -> Iterator[tuple[int, str]]:
    """Every name that a source gives: of variables, parameters, attributes, functions, classes and fields."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) or (
            isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name
        ):
            yield node.lineno, node.name


def is_retired(name: str) -> bool:
    return name in VAGUE or "picture" in name.lower()


def test_the_check_sees_every_way_to_give_a_name():
    source = """
def told(found, *, own=1):
    for made in found:
        with made as one, open(own) as self.told:
            pass
    return [found for found, _ in own if (one := found)], lambda made: made
try:
    class pictures: own: int
except ValueError as found:
    pass
"""
    assert sorted(name for _, name in bound_names(source) if is_retired(name)) == sorted(
        ["told", "found", "own", "made", "one", "told", "found", "one", "made", "pictures", "own", "found"]
    )


@pytest.mark.parametrize("folder", ["metai2i", "plugins", "benchmarks", "tests"])
def test_every_name_says_what_it_holds(folder):
    wrong = [
        f"{file}:{line}: {name}"
        for path in python_files(folder)
        for file in [path.relative_to(ROOT).as_posix()]
        for line, name in bound_names(path.read_text(encoding="utf-8"))
        if is_retired(name) and (file, name) not in FILE_KEYS
    ]
    assert wrong == [], "name what it holds (docs/glossary.md)"


def test_texts_speak_of_images():
    """Prose of code, recipes and pages; what a release or a dated study said stays as it was."""
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    pages.remove(ROOT / "docs" / "glossary.md")
    prose = {path: path.read_text(encoding="utf-8") for path in [*pages, *(ROOT / "recipes").rglob("*.yaml")]}
    for path in python_files("metai2i", "plugins", "benchmarks"):
        constants = [
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != "pictures"
        ]
        prose[path] = "\n".join(constants)
    wrong = {path.relative_to(ROOT).as_posix() for path, text in prose.items() if "picture" in text.lower()}
    assert wrong == set()


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def is_contract(function: ast.FunctionDef) -> bool:
    """Its docstring says what must hold, in the report of `metai2i check`."""
    return any(ast.unparse(decorator).startswith("promise(") for decorator in function.decorator_list)


@pytest.mark.parametrize(
    ("docstring", "right"),
    [("Return the mean.", True), ("The mean.", False), ("Whether it is.", False), ("Refuses it.", False)],
)
def test_the_check_tells_docstrings_that_begin_with_a_verb(docstring, right):
    assert begins_with_a_verb(docstring) == right


def begins_with_a_verb(docstring: str) -> bool:
    """A word that can be no verb, or a verb in the third person, is told; other words pass."""
    first = docstring.split(maxsplit=1)[0].strip("`,.;:").lower()
    third_person = first.endswith("s") and not first.endswith("ss")
    return first.replace("-", "").isalpha() and first not in NOT_A_VERB and not third_person


@pytest.mark.parametrize("folder", ["metai2i", "plugins"])
def test_docstrings_of_functions_begin_with_a_verb(folder):
    wrong = [
        f"{path.relative_to(ROOT).as_posix()}:{function.lineno}: {docstring.split()[0]}"
        for path in python_files(folder)
        for function in functions(ast.parse(path.read_text(encoding="utf-8")))
        if (docstring := ast.get_docstring(function)) and not is_contract(function)
        if not begins_with_a_verb(docstring)
    ]
    assert wrong == [], 'begin with a verb: "Return …", "Refuse …"'
