"""`results.csv`: what is written reads back, and what is wrong is named with its line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metai2i.errors import UserError
from metai2i.run_folder.results import Record, read_results, write_results

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
keys = st.tuples(names, names, names, names)


def write(path: Path, *lines: str) -> Path:
    path.write_text("row,task,query,metric,value\n" + "".join(f"{line}\n" for line in lines))
    return path


def test_the_file_looks_as_documented(tmp_path):
    path = tmp_path / "results.csv"
    write_results(
        path, [Record("Pix2pix (1-shot)", "a/b", "0", "lpips", 0.1), Record("a, b", "c", "1", "psnr", math.inf)]
    )
    expected = b'row,task,query,metric,value\nPix2pix (1-shot),a/b,0,lpips,0.1\n"a, b",c,1,psnr,inf\n'
    assert path.read_bytes() == expected


values_that_may_stand = st.floats(-1e100, 1e100) | st.sampled_from([math.inf, -math.inf])


@given(st.dictionaries(keys, values_that_may_stand, max_size=8))
def test_every_record_reads_back_exactly(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("run") / "results.csv"
    records = [Record(*key, value) for key, value in values.items()]
    write_results(path, records)
    assert read_results(path) == records


@pytest.mark.parametrize("value", [math.nan, 1e101, -1e308])
def test_a_number_that_no_metric_gives_is_refused_with_its_line(tmp_path, value):
    write_results(tmp_path / "r.csv", [Record("a", "t", "0", "lpips", value)])
    with pytest.raises(UserError, match=r"r\.csv:2: the value is"):
        read_results(tmp_path / "r.csv")


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write(tmp_path / "results.csv", "a,t,0,lpips,0.5")

    def stopped():
        yield Record("b", "t", "0", "lpips", 0.1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_results(path, stopped())
    assert read_results(path) == [Record("a", "t", "0", "lpips", 0.5)]
    assert [file.name for file in tmp_path.iterdir()] == ["results.csv"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a,t,0,lpips", "4 fields, expected 5"),
        ("a,t,0,lpips,0.1,x", "6 fields, expected 5"),
        ("a,t,0,lpips,good", "'good', expected a number"),
        ("a,,0,lpips,0.1", "'task' is empty"),
        ("b,t,0,lpips,0.2", "stands twice \(the first is in line 2\)"),
        ('"a"b,t,0,lpips,0.2', "not CSV"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, words):
    path = write(tmp_path / "results.csv", "b,t,0,lpips,0.1", line)
    with pytest.raises(UserError, match=words) as caught:
        read_results(path)
    assert f"{path}:3: " in str(caught.value)


def test_another_header_is_refused(tmp_path):
    (tmp_path / "results.csv").write_text("row,task,metric,value\n")
    with pytest.raises(UserError, match=r"results.csv:1: the header is 'row,task,metric,value', expected"):
        read_results(tmp_path / "results.csv")


def test_an_empty_file_and_a_missing_one_and_a_binary_one_are_told(tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for name, words in (
        ("empty", "header is nothing"),
        ("binary", "not text in UTF-8"),
        ("missing", "no such file"),
    ):
        with pytest.raises(UserError, match=words):
            read_results(tmp_path / f"{name}.csv")
