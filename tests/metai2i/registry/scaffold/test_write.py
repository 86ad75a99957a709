"""New plugins: what is written works as it is, and nothing is overwritten."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tomllib
from pathlib import Path

import pytest

from metai2i.cli import invoke
from metai2i.errors import UserError
from metai2i.registry import Registry
from metai2i.registry.discovery import check_core
from metai2i.registry.loading import KINDS
from metai2i.registry.scaffold.write import write_plugin

ROOT = Path(__file__).parents[4]


@pytest.fixture
def cases(tmp_path, monkeypatch):
    """Writes a package and gives the tests that it brings, as its own pytest would collect them."""

    def cases(kind: str, name: str) -> list[tuple]:
        package = write_plugin(kind, name, tmp_path)
        monkeypatch.syspath_prepend(str(package))
        importlib.invalidate_caches()
        spec = importlib.util.spec_from_file_location(f"test_{name}", package / "tests" / f"test_{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.delitem(sys.modules, f"metai2i_{name}")
        tests = [getattr(module, each) for each in dir(module) if each.startswith("test_")]
        marked = [(test, (mark.args[1] if (mark := next(iter(getattr(test, "pytestmark", [])), None)) else [None]))
                  for test in tests]  # fmt: skip
        return [(test, case) for test, each in marked for case in each]

    return cases


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_passes_its_own_tests(kind, cases):
    passed = cases(kind, f"fresh_{KINDS[kind].key}")
    assert len(passed) > 3
    for test, case in passed:
        try:
            test() if case is None else test(case)
        except pytest.skip.Exception:
            continue


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_file_passes_its_check(kind, tmp_path, capsys):
    folder = tmp_path / "mine"
    assert invoke(["new-plugin", kind.replace(" ", "-"), "my_first", str(folder), "--single-file"]) == 0
    assert capsys.readouterr().out.startswith(f"wrote {folder / 'my_first.py'}\n")
    assert invoke(["check", "my_first", "--plugins-dir", str(folder)]) == 0
    assert "failed" not in capsys.readouterr().out


def test_a_new_component_has_an_option_that_is_documented(tmp_path):
    from metai2i.registry.options import describe_options

    for kind in KINDS:
        if kind not in ("metric", "network"):  # which have none
            file = write_plugin(kind, f"one_{KINDS[kind].key}", tmp_path, single_file=True)
            options = describe_options(Registry([tmp_path]).get(kind, file.stem))
            assert [bool(option.doc) for option in options] == [True]


@pytest.mark.parametrize(("name", "near"), [("test_x", "my_x"), ("conftest", "my_conftest")])
def test_a_name_whose_file_would_be_a_test_is_refused(name, near, tmp_path):
    with pytest.raises(UserError, match=f"'{name}', by which pytest knows tests, .* such as '{near}'"):
        write_plugin("metric", name, tmp_path, single_file=True)
    assert list(tmp_path.iterdir()) == []


def test_a_package_comes_in_by_its_entry_point(tmp_path):
    package = write_plugin("task source", "my_streets", tmp_path)
    assert package == tmp_path / "metai2i-my-streets"
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert files == {"pyproject.toml", "README.md", "metai2i_my_streets/__init__.py", "tests/test_my_streets.py"}
    project = tomllib.loads((package / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["metai2i"] == {"my_streets": "metai2i_my_streets"}


def test_a_package_made_in_a_checkout_takes_the_core_from_there(tmp_path):
    settings = tomllib.loads((write_plugin("metric", "mine", tmp_path) / "pyproject.toml").read_text())["tool"]["uv"]
    assert settings["sources"]["metai2i"]["path"] == str(ROOT)


def test_a_package_says_for_which_core_it_was_made(tmp_path):
    project = tomllib.loads((write_plugin("metric", "mine", tmp_path) / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == ["metai2i>=0.2,<0.3"]
    check_core(project["dependencies"])


def test_nothing_is_overwritten(tmp_path):
    for single in (False, True):
        target = write_plugin("metric", "mine", tmp_path, single_file=single)
        kept = target if single else target / "README.md"
        kept.write_text("mine")
        with pytest.raises(UserError, match="this is there already"):
            write_plugin("retriever", "mine", tmp_path, single_file=single)
        assert kept.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"metai2i-mine", "mine.py"}


@pytest.mark.parametrize(
    ("name", "near"),
    [("My-UNet", "my_unet"), ("2nd", "nd"), ("class", "class_metric"), ("é", "my_plugin"), ("../up", "up")],
)
def test_a_name_that_cannot_be_used_is_refused_with_one_that_can(name, near, tmp_path):
    with pytest.raises(UserError, match=f"for instance {near!r}"):
        write_plugin("metric", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_an_installed_plugin_is_refused(tmp_path, capsys):
    assert invoke(["new-plugin", "translator", "pix2pix", str(tmp_path)]) == 2
    assert "'pix2pix' is in metai2i-pix2pix" in capsys.readouterr().err
    with pytest.raises(UserError, match="'psnr' is in metai2i"):
        write_plugin("metric", "psnr", tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_plugin("metric", "mine", tmp_path / "file" / "deeper")
