"""A component depends on the files that decide what it does, wherever they lie, and on no others."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from metai2i.metrics import builtin as metrics
from metai2i.pipeline.sources import TELLING, core_files, sources_of
from metai2i.registry import Registry

TRANSLATOR = """
    from metai2i import Translator, hookimpl
    {imports}

    class Mine({base}):
        def __init__(self, *, spec, objective):
            super().__init__()
        def players(self): ...
        def training_step(self, batch, step): ...
        def translate(self, batch): ...

    @hookimpl
    def register_translators(register):
        {lazily}
        register("mine", Mine)
"""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    """Modules of one test are not those of the next."""
    known, path = set(sys.modules), list(sys.path)
    monkeypatch.setattr("metai2i.registry.registry.installed_plugins", lambda: [])
    yield
    for name in set(sys.modules) - known:
        del sys.modules[name]
    sys.path[:] = path


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes files below a folder, which is on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))

    return write


def one_file(folder: Path, imports: str = "", base: str = "Translator", lazily: str = "pass") -> dict[str, str]:
    """What a one-file plugin of that folder depends on."""
    (folder / "mine.py").write_text(dedent(TRANSLATOR.format(imports=imports, base=base, lazily=lazily)))
    return dict(Registry([folder]).depends("translator", "mine").files)


def changed_by(folder: Path, name: str, *arguments: str, text: str = "x = 2\n") -> set[str]:
    """The names under which another content of a file shows in what the plugin depends on."""
    before = one_file(folder, *arguments)
    (folder / name).write_text(text)
    after = one_file(folder, *arguments)
    return {file for file in {*before, *after} if before.get(file) != after.get(file)}


def test_a_plugin_in_one_file_is_that_file(tmp_path):
    assert list(one_file(tmp_path)) == ["mine.py"]
    (tmp_path / "other.py").write_text("x = 1\n")
    (tmp_path / "notes.txt").write_text("x")
    assert list(one_file(tmp_path)) == ["mine.py"]


def test_it_depends_on_the_packages_of_its_base_classes(tmp_path, write):
    base = "from metai2i import Translator\nfrom strangers.net import x\nclass Base(Translator): ...\n"
    write({"strangers/__init__.py": "", "strangers/base.py": base})
    write({"strangers/net.py": "x = 1\n", "strangers/unused.py": "x = 1\n"})
    given = ("from strangers.base import Base", "Base")
    assert set(one_file(tmp_path, *given)) == {
        "mine.py", "strangers/__init__.py", "strangers/base.py", "strangers/net.py",
    }  # fmt: skip
    assert changed_by(tmp_path, "strangers/net.py", *given) == {"strangers/net.py"}
    assert changed_by(tmp_path, "strangers/unused.py", *given) == set()


def test_base_classes_count_though_no_import_names_their_module(tmp_path, write):
    write({"factory.py": "from deeper import Base\nmade = Base\n"})
    write({"deeper.py": "from metai2i import Translator\nclass Base(Translator): ...\n"})
    given = ("import factory", "factory.made")
    assert set(one_file(tmp_path, *given)) == {"mine.py", "factory.py", "deeper.py"}


@pytest.mark.parametrize(
    "imports",
    [
        "import _helper",
        "from _helper import x",
        "def later():\n        import _helper",
        "import importlib\n    importlib.import_module('_helper')",
        "from importlib.util import spec_from_file_location\n    S = spec_from_file_location('h', '_helper.py')",
        "text = open(__file__.replace('mine', '_helper')).read(), '_helper.py'",
    ],
)
def test_it_depends_on_helpers_beside_it_however_they_come_in(tmp_path, write, imports):
    write({"_helper.py": "x = 1\n"})
    assert changed_by(tmp_path, "_helper.py", imports) == {"_helper.py"}


def test_it_depends_on_what_helpers_import(tmp_path, write):
    write({"_helper.py": "from _deeper import x\n", "_deeper.py": "x = 1\n"})
    assert changed_by(tmp_path, "_deeper.py", "import _helper") == {"_deeper.py"}


@pytest.mark.parametrize(
    ("file", "imports"),
    [
        ("table.json", "from pathlib import Path\n    T = Path(__file__).with_name('table.json').read_text()"),
        ("table.json", "from pathlib import Path\n    T = list(Path(__file__).parent.glob('*.json'))"),
        ("table.json", "def table(name):\n        return open(__file__.replace('mine.py', f'{name}.json'))"),
        ("data/table.json", "from pathlib import Path\n    T = Path(__file__).parent / 'data' / 'table.json'"),
        ("data/table.json", "T = 'data/table.json'"),
    ],
)
def test_it_depends_on_the_data_that_its_text_names(tmp_path, file, imports):
    (tmp_path / "data").mkdir()
    (tmp_path / file).write_text("{}")
    assert changed_by(tmp_path, file, imports, text="[]") == {Path(file).name}
    (tmp_path / "unnamed.csv").touch()
    assert changed_by(tmp_path, "unnamed.csv", imports, text="1") == set()


def test_what_a_hook_imports_is_another_component(tmp_path, write):
    write({"other.py": "x = 1\n"})
    assert changed_by(tmp_path, "other.py", "", "Translator", "import other") == set()


def test_what_only_type_checkers_import_does_not_count(tmp_path, write):
    write({"other.py": "x = 1\n"})
    imports = "from typing import TYPE_CHECKING\n    if TYPE_CHECKING:\n        import other"
    assert changed_by(tmp_path, "other.py", imports) == set()


def test_a_package_comes_with_its_data(tmp_path, write):
    write({"strangers/__init__.py": "x = 1\n", "strangers/data/table.csv": "1"})
    assert changed_by(tmp_path, "strangers/data/table.csv", "import strangers") == {"strangers/data/table.csv"}


def test_a_package_that_imports_by_computed_names_counts_as_a_whole(tmp_path, write):
    computed = "from importlib import import_module\ndef of(name):\n    return import_module(name)\n"
    write({"strangers/__init__.py": computed, "strangers/nets/a.py": "x = 1\n"})
    assert changed_by(tmp_path, "strangers/nets/a.py", "import strangers") == {"strangers/nets/a.py"}


def test_relative_imports_are_followed(tmp_path, write):
    write(
        {
            "strangers/__init__.py": "from .a import x\n",
            "strangers/a.py": "from . import b\nx = 1\n",
            "strangers/b.py": "from .c.d import x\n",
            "strangers/c/__init__.py": "",
            "strangers/c/d.py": "x = 1\n",
        }
    )
    assert changed_by(tmp_path, "strangers/c/d.py", "import strangers") == {"strangers/c/d.py"}


def test_what_is_installed_counts_by_its_version_and_its_files(tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    info = site / "timmy-1.2.dist-info"
    info.mkdir(parents=True)
    (site / "timmy.py").write_text("x = 1\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: timmy\nVersion: 1.2\n")
    (info / "RECORD").write_text("timmy.py,sha256=aaa,6\ntimmy-1.2.dist-info/INSTALLER,sha256=bbb,3\n")
    monkeypatch.syspath_prepend(str(site))
    (tmp_path / "plugins").mkdir()

    def of() -> dict[str, str]:
        from metai2i.pipeline import source_places

        source_places.distribution.cache_clear()
        return one_file(tmp_path / "plugins", "import timmy")

    first = of()
    assert set(first) == {"mine.py", "package timmy 1.2"}
    (info / "RECORD").write_text("timmy.py,sha256=aaa,6\ntimmy-1.2.dist-info/INSTALLER,sha256=ccc,3\n")
    assert of() == first  # another installer
    (info / "RECORD").write_text("timmy.py,sha256=ddd,6\n")
    assert of() != first


def test_namesakes_are_numbered(tmp_path, write):
    write({"_helper.py": "x = 1\n", "deep/_helper.py": "x = 2\n"})
    files = one_file(tmp_path, "T = '_helper.py', 'deep/_helper.py'")
    assert set(files) == {"mine.py", "_helper.py", "_helper.py 2"}
    assert files["_helper.py"] != files["_helper.py 2"]


def test_sources_that_cannot_be_parsed_count_by_their_bytes(tmp_path, write):
    write({"_helper.py": "x = 1\n"})
    given = ("T = '_helper.py'",)
    assert changed_by(tmp_path, "_helper.py", *given, text="this is no python (\x00") == {"_helper.py"}


def test_a_copy_elsewhere_has_the_same_names_and_digests(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "_helper.py").write_text("x = 1\n")
    assert one_file(tmp_path / "a", "T = '_helper.py'") == one_file(tmp_path / "b", "T = '_helper.py'")


def test_of_the_core_it_is_the_file_of_the_class_and_the_rest_is_known_anyway():
    assert list(sources_of(metrics.Ssim).files) == ["builtin.py"]
    assert {"metai2i/training/driving.py", "metai2i/meta/engines/adjoint.py", "metai2i/training/loop.py"} <= set(
        core_files()
    )
    assert not {f"metai2i/{name}" for name in TELLING} & set(core_files())
    assert not any(name.startswith(("metai2i/report/", "metai2i/inference/")) for name in core_files())


def test_metrics_of_the_core_name_the_feature_network_that_they_look_through():
    assert sources_of(metrics.Lpips).networks == {"alex"}
    assert sources_of(metrics.Ssim).networks == set()


@pytest.mark.parametrize(
    ("imports", "networks"),
    [
        ("from metai2i.losses.lpips import lpips_distance", {"alex"}),
        ("from metai2i.losses.lpips import lpips_distance\n    D = lpips_distance('vgg16')", {"alex", "vgg16"}),
        ("from metai2i.losses.backbone_weights import backbone\n    W = 'squeeze'", {"alex", "squeeze"}),
        ("from metai2i.metrics import lpips", {"alex"}),
        ("W = 'vgg16'", set()),
    ],
)
def test_plugins_use_the_feature_networks_that_they_name(tmp_path, imports, networks, monkeypatch):
    monkeypatch.setattr("metai2i.losses.lpips.lpips_distance", lambda *_: None)
    (tmp_path / "mine.py").write_text(dedent(TRANSLATOR.format(imports=imports, base="Translator", lazily="pass")))
    assert Registry([tmp_path]).depends("translator", "mine").networks == networks
