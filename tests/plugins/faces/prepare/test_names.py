"""Ids of people, from their names alone."""

import unicodedata

import pytest
from metai2i_faces.prepare.names import person_id

NAMES = (
    *(
        "ann",
        "Ann",
        "ANN",
        "ann b",
        "Ann B",
        "ann-b",
        "ann_b",
        "ann.b",
        "ann--b",
        "-ann",
        "ann-",
        "ann ",
        "ann.",
        "a/b",
    ),
    *(
        "a-b",
        "李娜",
        "王芳",
        "丁伟",
        "Zoë",
        unicodedata.normalize("NFD", "Zoë"),
        "zoe",
        "Ωμέγα",
        "ωμέγα",
        "नेहा",
        "محمد",
    ),
    *(
        "con",
        "CON",
        "con.txt",
        "nul",
        "com1",
        "splits.json",
        "contact.png",
        "preparation.json",
        "..",
        ".hidden",
        "...",
        " ",
    ),
    *(
        "?",
        "*",
        "x",
        "",
        "a" * 300,
        "a" * 301,
        "李" * 200,
        "caf\udce9",
        "caf\udce8",
        "a\nb",
        "0",
        "00",
        "ß",
        "ss",
        "SS",
    ),
)


def folded(name):
    """What a file system that knows neither case nor the form of accents sees."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def test_no_two_names_have_one_id_on_any_file_system():
    assert len({folded(person_id(name)) for name in NAMES}) == len(NAMES)


def test_the_id_of_a_name_is_nobody_elses_name():
    ids = [person_id(name) for name in NAMES]
    again = [person_id(id) for id in ids if id not in NAMES]
    assert again
    assert not set(again) & set(ids)


@pytest.mark.parametrize("name", NAMES)
def test_every_id_can_be_a_folder(tmp_path, name):
    id = person_id(name)
    (tmp_path / id).mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [id]
    assert not set(id) & set('/\\:*?"<>| \n')
    assert id.strip(".-") == id
    assert "--" not in id  # stands before the number of a clip
    assert id.partition(".")[0] not in ("con", "nul", "com1")
    assert id not in ("splits.json", "contact.png", "preparation.json")
    assert len(id.encode()) <= 100


@pytest.mark.parametrize("name", ["ann", "0", "000", "clip_07", "p-12.a", "4lmixtvwpue_0"])
def test_a_plain_name_is_its_own_id(name):
    assert person_id(name) == name


def test_ids_can_be_read():
    assert person_id("Ann B").startswith("ann-b-")
    assert person_id("李娜").startswith("李娜-")
    assert person_id("O'Neill, Zoë").startswith("o-neill-zoë-")
