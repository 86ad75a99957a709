"""Pages of `metai2i paint` on a small run, and on a model that can be asked in two ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium
from page_server import Served, served
from PIL import Image
from small_run import PLUGINS, make_run, write_scene
from two_ways import RECIPE, write_two_ways

import metai2i
from metai2i.cli import invoke


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A folder with a finished run, three pairs, and maps."""
    folder = tmp_path_factory.mktemp("small")
    make_run(folder)
    write_scene(folder, pairs=3, maps=2)
    return folder


@pytest.fixture(scope="module")
def shared_page(small, tmp_path_factory) -> Iterator[Served]:
    """A page on the small run that the tests of a module share, for those to whom models on it do not matter."""
    with served([small / "runs" / "small"], tmp_path_factory.mktemp("page"), [PLUGINS]) as here:
        yield here


@pytest.fixture
def page(small, tmp_path) -> Iterator[Served]:
    """A page on the small run."""
    with served([small / "runs" / "small"], tmp_path, [PLUGINS]) as here:
        yield here


@pytest.fixture(scope="session")
def looks(tmp_path_factory) -> Path:
    """A folder with a model of two ways, and the run that it is of."""
    folder = tmp_path_factory.mktemp("looks")
    metai2i.run(
        write_two_ways(folder, RECIPE.replace("images: 1", "images: 0, tasks: 1")), out=folder / "run", device="cpu"
    )
    for field, colours in (("target", ((200, 0, 0), (0, 0, 200))), ("source", ((90, 90, 90),) * 2)):
        (folder / "support" / field).mkdir(parents=True)
        for name, colour in zip("xz", colours, strict=True):
            Image.new("RGB", (16, 16), colour).save(folder / "support" / field / f"{name}.png")
    (folder / "support" / "domain.txt").write_text("x,spring\nz,autumn\n")
    words = ["--support", str(folder / "support"), "--plugins-dir", str(folder / "plugins"), "--iterations", "0"]
    assert invoke(["adapt", str(folder / "run"), "--out", str(folder / "looks.safetensors"), *words]) == 0
    return folder


@pytest.fixture
def looks_page(looks, tmp_path) -> Iterator[Served]:
    """A page on the model of two ways."""
    with served([looks / "looks.safetensors"], tmp_path, [looks / "plugins"]) as here:
        yield here


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as program:
        yield program


@pytest.fixture
def open_tab(browser) -> Iterator[Callable[..., Any]]:
    """Opens a page as a visitor who was never there; what fails in it fails the test."""
    contexts, faults = [], []
    tolerated = ["status of 4"]  # what a server refuses is an error on the console as well

    def open_tab(url: str, script: str = "", tolerate: str = "") -> Any:
        tolerated.extend(filter(None, tolerate.split("|")))
        context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
        contexts.append(context)
        return new_tab(context, url, script)

    def new_tab(context: Any, url: str, script: str = "") -> Any:
        tab = context.new_page()
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        if script:
            tab.add_init_script(script)
        tab.goto(url)
        return tab

    open_tab.again = new_tab  # type: ignore[attr-defined]
    yield open_tab
    for context in contexts:
        context.close()
    assert [fault for fault in faults if not any(part in fault for part in tolerated)] == []


@pytest.fixture
def tab(shared_page, open_tab) -> Any:
    tab = open_tab(shared_page.url)
    tab.wait_for_selector("#cards img:not([hidden])")
    return tab
