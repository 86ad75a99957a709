"""Where there is no home folder there is no cache, and nothing else is the matter."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from metai2i import UserError
from metai2i.data.places import cache_folder, expanded, home_folder


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user id that has no name, and no HOME: as in a container."""

    def nobody(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("HOME", "XDG_CACHE_HOME", "METAI2I_CACHE"):
        monkeypatch.delenv(name, raising=False)


def test_the_variable_comes_before_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("METAI2I_CACHE", "")
    assert cache_folder() is None
    monkeypatch.delenv("METAI2I_CACHE")
    assert cache_folder() == tmp_path / "home" / ".cache" / "metai2i"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "metai2i"
    monkeypatch.setenv("METAI2I_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "home" / "mine"


def test_a_relative_xdg_cache_home_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.delenv("METAI2I_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert cache_folder() == tmp_path / ".cache" / "metai2i"


def test_without_a_home_there_is_no_cache_folder(homeless, monkeypatch):
    assert home_folder() is None
    assert cache_folder() is None
    monkeypatch.setenv("METAI2I_CACHE", "~/mine")
    assert cache_folder() is None
    monkeypatch.setenv("METAI2I_CACHE", "/tmp/mine")
    assert cache_folder() == Path("/tmp/mine")


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_home_that_is_no_absolute_path_is_none(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("METAI2I_CACHE")
    assert cache_folder() is None


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a/~b") == tmp_path / "a" / "~b"
    assert expanded(Path("a")) == Path("a")


def test_a_tilde_that_stands_for_nothing_is_told(homeless):
    with pytest.raises(UserError, match=r"~/a: this user has no home folder, so ~ stands for nothing"):
        expanded("~/a")
    with pytest.raises(UserError, match=r"~nobody-at-all/a: there is no user 'nobody-at-all'"):
        expanded("~nobody-at-all/a")


def test_one_place_says_what_a_tilde_is():
    root = Path(__file__).parents[3]
    files = [*(root / "metai2i").rglob("*.py"), *(root / "plugins").rglob("*.py")]
    assert [path.name for path in files if "expanduser" in path.read_text()] == ["places.py"]
