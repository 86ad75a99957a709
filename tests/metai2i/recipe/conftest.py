"""A registry of four small one-file plugins, and recipes written for them."""

from pathlib import Path
from textwrap import dedent

import pytest

from metai2i.errors import UserErrors
from metai2i.recipe import load_recipe
from metai2i.registry import Registry

TOYS = '''
from pathlib import Path
from typing import Literal

import torch

import metai2i
from metai2i.retriever import Retriever
from metai2i.strategy import MetaStrategy
from metai2i.tasks import TaskSource
from metai2i.translator import Translator


class Line(Translator):
    """Paints."""

    phases = ("first", "second")

    def __init__(self, *, spec, objective, width: int = 8, norm: Literal["instance", "batch"] = "instance") -> None:
        super().__init__()

    def players(self):
        return {}

    def training_step(self, batch, step):
        yield from ()

    def translate(self, batch):
        return batch["target"]


class Edges(Line):
    needs = frozenset({"structure", "target", "instances"})

    def __init__(self, *, spec, objective, rate: float = 1.0) -> None:
        super().__init__(spec=spec, objective=objective)


class Folder(TaskSource):
    def __init__(self, *, root: Path, size: tuple[int, int] = (32, 32)) -> None: ...

    def spec(self): ...

    def tasks(self, split): ...


class Detailed(Folder):
    provides = frozenset({"structure", "target", "instances"})


class Meta(MetaStrategy):
    def __init__(self, *, inner, order: int = 1) -> None: ...

    def adapt(self, gp, support, step): ...

    def meta_gradient(self, gp, episode, step): ...


class Plain(Meta):
    meta = False

    def __init__(self, *, inner) -> None: ...


class Near(Retriever):
    def __init__(self, *, pool: str = "mean") -> None: ...

    def index(self, tasks): ...

    def query(self, support, k): ...


@metai2i.hookimpl
def register_translators(register):
    register("line", Line)
    register("edges", Edges)


@metai2i.hookimpl
def register_task_sources(register):
    register("folder", Folder)
    register("detailed", Detailed)


@metai2i.hookimpl
def register_strategies(register):
    register("meta", Meta)
    register("plain", Plain)


@metai2i.hookimpl
def register_retrievers(register):
    register("near", Near)
'''


@pytest.fixture(scope="session")
def toys(tmp_path_factory):
    """A folder with one one-file plugin."""
    folder = tmp_path_factory.mktemp("toys")
    (folder / "toys.py").write_text(TOYS)
    return folder


@pytest.fixture
def registry(toys, monkeypatch):
    """Knows the toys and nothing that is installed."""
    monkeypatch.setattr("metai2i.registry.registry.installed_plugins", lambda: [])
    return Registry([toys])


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes recipes into the working directory, so that messages give their bare names."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "recipe.yaml") -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))
        return path

    return write


@pytest.fixture
def load(write, registry):
    """Loads a recipe from its text."""
    return lambda text, *overrides: load_recipe(write(text), overrides, registry)


@pytest.fixture
def errors_of(load):
    """The messages that a recipe is refused with, one a line."""

    def errors_of(text: str, *overrides: str) -> list[str]:
        with pytest.raises(UserErrors) as caught:
            load(text, *overrides)
        return [str(error) for error in caught.value.errors]

    return errors_of
