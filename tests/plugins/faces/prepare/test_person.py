"""One person in every scene: whole preparations of drawn frames in which two people are."""

import json

import numpy as np
import pytest
from metai2i_faces.prepare.landmarks import Face
from metai2i_faces.prepare.portraits import NO_FACE, OTHERS, Settings
from metai2i_faces.prepare.run import prepare
from PIL import Image

ANN, BEN = (220, 40, 40), (40, 40, 220)
SETTINGS = Settings(size=32, frames=12, clips=1, min_frames=4, test_fraction=0.0)


def draw(*people, ground=90):
    """A frame with people as (x, colour)."""
    frame = np.full((96, 240, 3), ground, np.uint8)
    for x, colour in people:
        frame[10:90, x - 40 : x + 40] = colour
    return frame


@pytest.fixture
def find(face):
    """Finds everybody that is drawn; Ann scores better."""

    def finder(frame):
        faces = []
        for colour, score in ((ANN, 2.0), (BEN, 1.0)):
            columns = np.flatnonzero((np.abs(frame[50].astype(int) - colour) < 30).all(-1))
            if len(columns) > 40:
                faces.append(Face(face(columns.mean() + 0.5, 45, 20), score))
        return faces

    return finder


def photographs(folder):
    """Whose face is in the photographs of a person: A or B each."""
    middles = [np.asarray(Image.open(path))[16, 16] for path in sorted(folder.glob("*.jpg"))]
    return "".join("A" if pixel[0] > 150 else "B" for pixel in middles)


def save(folder, frames):
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:02d}.png")


def test_a_lost_face_is_a_gap_that_is_told(find, tmp_path):
    both, other = draw((60, ANN), (180, BEN)), draw((180, BEN))
    save(tmp_path / "in" / "ann", [both] * 4 + [draw()] + [other] * 3 + [both] * 4)
    summary = prepare(tmp_path / "in", tmp_path / "out", SETTINGS, find)
    assert photographs(tmp_path / "out" / "ann") == "A" * 8
    assert summary.rejected == {OTHERS: 3, NO_FACE: 1}
    assert (summary.gaps, summary.others) == (1, 11)
    words = "\n".join(summary.lines(tmp_path / "out"))
    assert "a person was lost and seen again 1 times, 11 faces of others were passed over" in words
    assert f"{OTHERS}: 3" in words


def test_the_person_is_one_in_all_clips_of_a_shot(find, encode, tmp_path):
    both, other = draw((60, ANN), (180, BEN)), draw((180, BEN))
    encode(tmp_path / "in" / "train" / "ann.avi", [both] * 8 + [other] * 4 + [both] * 4)
    prepare(tmp_path / "in", tmp_path / "out", Settings(size=32, frames=8, clips=2, min_frames=4), find)
    assert json.loads((tmp_path / "out" / "splits.json").read_text()) == {"train": ["ann--0", "ann--1"]}
    assert photographs(tmp_path / "out" / "ann--0") == "A" * 8
    assert photographs(tmp_path / "out" / "ann--1") == "A" * 4


def test_a_scene_never_spans_two_shots(find, encode, tmp_path):
    first = [draw((60, BEN), ground=30)] * 6
    second = [draw((70, ANN), ground=230)] * 9
    encode(tmp_path / "in" / "a.avi", first + second)
    summary = prepare(tmp_path / "in", tmp_path / "out", SETTINGS, find)
    assert photographs(tmp_path / "out" / "a") == "A" * 9
    assert (summary.shots, summary.elsewhere) == ({tmp_path / "in" / "a.avi": 2}, 6)
    words = "\n".join(summary.lines(tmp_path / "out"))
    assert "1 videos have several shots: one of each was taken, without 6 frames" in words
    assert f"{tmp_path / 'in' / 'a.avi'}: 2 shots" in words


def test_of_several_shots_the_longest_with_a_face_is_taken(find, encode, tmp_path):
    encode(
        tmp_path / "in" / "a.avi",
        [draw(ground=30)] * 10 + [draw((70, ANN), ground=160)] * 7 + [draw((70, BEN), ground=240)] * 5,
    )
    prepare(tmp_path / "in", tmp_path / "out", SETTINGS, find)
    assert photographs(tmp_path / "out" / "a") == "A" * 7


def test_training_clips_are_cut_from_one_shot(find, encode, tmp_path):
    shots = [draw((60, BEN), ground=30)] * 7 + [draw((70, ANN), ground=230)] * 12
    encode(tmp_path / "in" / "train" / "a.avi", shots)
    prepare(tmp_path / "in", tmp_path / "out", Settings(size=32, frames=4, clips=7, min_frames=4), find)
    names = json.loads((tmp_path / "out" / "splits.json").read_text())["train"]
    assert names == ["a--0", "a--1", "a--2"]
    assert {photographs(tmp_path / "out" / name) for name in names} == {"AAAA"}
    assert [path.stem for path in sorted((tmp_path / "out" / "a--0").glob("*.jpg"))] == ["07", "08", "09", "10"]


def test_one_bad_image_does_not_lose_the_person(find, tmp_path):
    save(tmp_path / "in" / "ann", [draw((60, ANN))] * 6)
    (tmp_path / "in" / "ann" / "03.png").write_bytes(b"\x89PNG")
    save(tmp_path / "in" / "ben", [draw((60, BEN))] * 4)
    for path in (tmp_path / "in" / "ben").iterdir():
        path.write_bytes(b"")
    summary = prepare(tmp_path / "in", tmp_path / "out", SETTINGS, find)
    assert photographs(tmp_path / "out" / "ann") == "AAAAA"
    assert not (tmp_path / "out" / "ben").exists()
    words = "\n".join(summary.lines(tmp_path / "out"))
    assert "images and frames that cannot be read and were left out:" in words
    assert str(tmp_path / "in" / "ann" / "03.png") in words
    assert f"{tmp_path / 'in' / 'ben'}: none of the 4 images can be read" in words


def test_two_images_of_one_name_are_refused_and_the_others_go_on(find, tmp_path):
    save(tmp_path / "in" / "ann", [draw((60, ANN))] * 5)
    save(tmp_path / "in" / "ben", [draw((60, BEN))] * 5)
    Image.fromarray(draw((60, BEN))).save(tmp_path / "in" / "ben" / "01.jpg")
    summary = prepare(tmp_path / "in", tmp_path / "out", SETTINGS, find)
    assert json.loads((tmp_path / "out" / "splits.json").read_text()) == {"train": ["ann"]}
    (error,) = summary.bad
    assert "01.jpg and 01.png have one name" in str(error)
