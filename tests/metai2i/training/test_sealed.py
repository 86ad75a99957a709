"""A sealed file tells when it is not what was written."""

from __future__ import annotations

import pytest

from metai2i.training.sealed import Broken, read_sealed, write_sealed

VALUE = {"task": "test-0", "queries": [{"lpips": 0.1 + 0.2, "psnr": "inf"}], "aux": [], "own": None}


def test_what_was_written_comes_back(tmp_path):
    write_sealed(tmp_path / "x.json", VALUE)
    assert read_sealed(tmp_path / "x.json") == VALUE
    assert read_sealed(tmp_path / "x.json", task="test-0") == VALUE


def test_that_of_another_is_refused(tmp_path):
    write_sealed(tmp_path / "x.json", VALUE)
    with pytest.raises(Broken, match=r"x\.json is of another task"):
        read_sealed(tmp_path / "x.json", task="test-1")


@pytest.mark.parametrize("text", ["", "[]", "{}", "5", "null", "NaN", '"x"', '{"seal": 5}', "[" * 100_000, "\x00"])
def test_what_was_not_written_so_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(Broken, match=r"^x\.json "):
        read_sealed(tmp_path / "x.json")


def test_any_change_is_seen(tmp_path):
    path = tmp_path / "x.json"
    write_sealed(path, VALUE)
    text = path.read_text()
    for old, new in (("0.30000000000000004", "0.3"), ("test-0", "test-1"), ("inf", "ink"), ("null", "0")):
        path.write_text(text.replace(old, new))
        with pytest.raises(Broken, match="changed after it was written"):
            read_sealed(path)
    for length in range(0, len(text) - 2, 7):
        path.write_text(text[:length])
        with pytest.raises(Broken):
            read_sealed(path)


def test_a_file_that_is_gone_or_a_folder_is_refused(tmp_path):
    for name in ("gone.json", ""):
        with pytest.raises(Broken, match="cannot be read"):
            read_sealed(tmp_path / name)
