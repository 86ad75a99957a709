"""Which videos are found in which layout, and where they go."""

import json

import pytest
from metai2i_faces.prepare.sources import Fractions, find_sources, pictures_in

from metai2i import UserError

FRACTIONS = Fractions(val=0.1, test=0.2)


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def found(root):
    return {
        source.id: (source.path.relative_to(root).as_posix(), source.split) for source in find_sources(root, FRACTIONS)
    }


def test_faceforensics_gives_its_originals_in_its_own_splits(tmp_path):
    touch(tmp_path, "train/original/0.avi", "train/original/1.avi", "train/altered/0.avi", "train/mask/0.avi")
    touch(tmp_path, "val/original/2.avi", "test/original/3.avi")
    assert found(tmp_path) == {
        "0": ("train/original/0.avi", "train"),
        "1": ("train/original/1.avi", "train"),
        "2": ("val/original/2.avi", "val"),
        "3": ("test/original/3.avi", "test"),
    }


def test_faceforensics_plus_plus_gives_each_video_once_in_the_published_splits(tmp_path):
    for compression in ("c23", "c40"):
        touch(tmp_path, *(f"original_sequences/youtube/{compression}/videos/{n:03d}.mp4" for n in range(4)))
    touch(tmp_path, "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4")
    for split, pairs in {"train": [["000", "003"]], "val": [["001"]], "test": [["002"]]}.items():
        (tmp_path / f"{split}.json").write_text(json.dumps(pairs))
    assert {id: split for id, (_, split) in found(tmp_path).items()} == {
        "000": "train", "003": "train", "001": "val", "002": "test",
    }  # fmt: skip
    assert all(path.startswith("original_sequences/youtube/c23/") for path, _ in found(tmp_path).values())


def test_any_folder_gives_its_videos_and_folders_of_pictures(tmp_path):
    touch(tmp_path, "one.mp4", "deeper/two.MOV", "three/1.jpg", "three/2.jpg", "notes.txt", ".hidden/four.mp4")
    sources = {source.id: source.kind for source in find_sources(tmp_path, FRACTIONS)}
    assert sources == {"one": "video", "two": "video", "three": "pictures"}


def test_people_that_were_prepared_already_are_nobodys_source(tmp_path):
    touch(tmp_path, "one.mp4", "out/preparation.json", "out/one/1.jpg", "out/one/2.jpg")
    assert set(found(tmp_path)) == {"one"}


def test_folders_named_as_splits_decide(tmp_path):
    touch(tmp_path, "train/a.mp4", "train/b/1.png", "test/c.mp4")
    assert {id: split for id, (_, split) in found(tmp_path).items()} == {"a": "train", "b": "train", "c": "test"}


def test_names_that_are_there_twice_are_told_apart_by_their_place(tmp_path):
    touch(tmp_path, "x/clip.mp4", "y/clip.mp4", "z.mp4", "Z é.mp4")
    assert set(found(tmp_path)) == {"x-clip.mp4", "y-clip.mp4", "z"} | {id for id in found(tmp_path) if id[:2] == "z-"}
    assert len(found(tmp_path)) == 4


def test_the_same_name_in_two_splits_makes_two_people(tmp_path):
    touch(tmp_path, "train/0.avi", "test/0.avi")
    assert found(tmp_path) == {"0": ("train/0.avi", "train"), "test-0": ("test/0.avi", "test")}


def test_a_name_stays_in_its_split_when_others_come(tmp_path):
    touch(tmp_path, *(f"{n}.mp4" for n in range(0, 300, 2)))
    before = found(tmp_path)
    touch(tmp_path, *(f"{n}.mp4" for n in range(1, 300, 2)))
    after = found(tmp_path)
    assert all(after[id] == place for id, place in before.items())
    shares = [sum(split == name for _, split in after.values()) / 300 for name in ("train", "val", "test")]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.07)


def test_pictures_are_in_the_order_of_their_numbers(tmp_path):
    touch(tmp_path, "10.jpg", "9.jpg", "100.PNG", "b.txt")
    assert [path.name for path in pictures_in(tmp_path)] == ["9.jpg", "10.jpg", "100.PNG"]


def test_an_empty_folder_is_told_with_what_was_looked_for(tmp_path):
    with pytest.raises(UserError, match="no video") as error:
        find_sources(tmp_path, FRACTIONS)
    assert "original_sequences/youtube" in str(error.value)
    with pytest.raises(UserError, match="no such folder"):
        find_sources(tmp_path / "nowhere", FRACTIONS)


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (-0.1, 0.2), (0.0, 1.0)])
def test_fractions_must_leave_something_to_train_on(val, test):
    with pytest.raises(UserError, match="less than 1 together"):
        Fractions(val, test)
