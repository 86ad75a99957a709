import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from metai2i.data.remarks import Remark, Remarks, cached_unless_remarked

SPECKS = Remark("specks", 5, 1000, "(1, 2, 3), the nearest being sky (1, 2, 4); they count as other")


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.WARNING, logger="metai2i")
    return caplog


def test_the_first_of_a_kind_is_told_in_the_log(logged):
    remarks = Remarks("street")
    remarks.add(Path("a.png"), [SPECKS])
    remarks.add(Path("b.png"), [SPECKS, Remark("palette")])
    (first, second) = (record.getMessage() for record in logged.records)
    assert first.startswith("street: a.png: 5 pixels (0.5 %) have colours that no class has, most of them (1, 2, 3)")
    assert second.startswith("street: b.png: the palette's colours are not the data's")


def test_all_are_counted_by_kind_and_colour_over_the_data_set():
    remarks = Remarks("street")
    remarks.add(Path("b.png"), [SPECKS])
    remarks.add(Path("a.png"), [SPECKS._replace(pixels=15, which="(9, 9, 9)")])
    remarks.add(Path("d.png"), [SPECKS])
    remarks.add(Path("c.png"), [Remark("smoothed", 30, 100)])
    assert remarks.sentences() == [
        "1 label map, such as a.png: 15 pixels (1.5 %) have colours that no class has, most of them (9, 9, 9)",
        "2 label maps, such as b.png: 10 pixels (0.5 %) have colours that no class has, most of them (1, 2, 3), the "
        "nearest being sky (1, 2, 4); they count as other",
        "1 label map, such as c.png: resized with smoothing or stored as JPEG, it seems: 30 % of the borders between "
        "classes run over an id in between, which is another class; resize label maps by the nearest pixel",
    ]


def test_of_many_unknown_colours_those_of_most_pixels_are_told_one_by_one():
    remarks = Remarks("street")
    for n in range(1, 9):
        remarks.add(Path(f"{n}.png"), [Remark("specks", n, 1000, f"({n}, 0, 0)")])
    sentences = remarks.sentences()
    assert [text.rpartition("of them ")[2] for text in sentences[:5]] == [f"({n}, 0, 0)" for n in (8, 7, 6, 5, 4)]
    assert sentences[5:] == [
        "3 label maps, such as 1.png: 6 pixels (0.2 %) have colours that no class has, most of them one "
        "of 3 other colours"
    ]


def test_counts_are_told_in_the_log_where_they_say_more_than_the_first_file_did(logged):
    remarks = Remarks("label maps")
    remarks.add(Path("a.png"), [SPECKS])
    remarks.add(Path("c.png"), [])
    remarks.tell()
    assert len(logged.records) == 1
    remarks.add(Path("b.png"), [SPECKS])
    remarks.tell()
    assert logged.records[-1].getMessage().startswith("label maps: 2 label maps, such as a.png: 10 pixels (0.5 %)")


def test_a_file_that_is_read_again_counts_once(logged):
    remarks = Remarks("street")
    for _ in range(2):
        remarks.add(Path("a.png"), [SPECKS])
    assert len(logged.records) == 1
    assert remarks.sentences()[0].startswith("1 label map, such as a.png: 5 pixels (0.5 %)")


def test_a_copy_in_another_process_begins_empty():
    remarks = Remarks("street")
    remarks.add(Path("a.png"), [SPECKS])
    copy = pickle.loads(pickle.dumps(remarks))
    assert (copy.title, copy.sentences()) == ("street", [])


def test_an_image_with_nothing_to_say_is_kept_and_one_with_a_remark_read_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("METAI2I_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("metai2i.data.disk_cache.RESERVE", 0.0)  # the test machine's disk may be full
    reads = []

    def decode(about: tuple[Remark, ...]):
        reads.append(about)
        return np.full((2, 2), 7, np.uint8), about

    for name, about, expected in (("silent", (), 1), ("remarked", (SPECKS,), 2)):
        (tmp_path / name).write_text("x")
        reads.clear()
        for _ in range(2):
            remarks = Remarks("street")
            image = cached_unless_remarked(tmp_path / name, "how", lambda about=about: decode(about), remarks)
            assert (image == 7).all()
            assert len(remarks.sentences()) == len(about)
        assert len(reads) == expected
