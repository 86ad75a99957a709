"""Which videos are found in which layout, and where they go."""

import json
import os
import unicodedata

import pytest
from metai2i_faces.prepare.names import person_id
from metai2i_faces.prepare.sources import Fractions, check_images, find_sources, images_in, look_into, search

from metai2i import UserError

FRACTIONS = Fractions(val=0.1, test=0.2)


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def sources_in(root):
    return {
        source.id: (source.path.relative_to(root).as_posix(), source.split) for source in find_sources(root, FRACTIONS)
    }


def test_faceforensics_gives_its_originals_in_its_own_splits(tmp_path):
    touch(tmp_path, "train/original/0.avi", "train/original/1.avi", "train/altered/0.avi", "train/mask/0.avi")
    touch(tmp_path, "val/original/2.avi", "test/original/3.avi")
    assert sources_in(tmp_path) == {
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
    assert {id: split for id, (_, split) in sources_in(tmp_path).items()} == {
        "000": "train", "003": "train", "001": "val", "002": "test",
    }  # fmt: skip
    assert all(path.startswith("original_sequences/youtube/c23/") for path, _ in sources_in(tmp_path).values())


def test_any_folder_gives_its_videos_and_folders_of_images(tmp_path):
    touch(tmp_path, "one.mp4", "deeper/two.MOV", "three/1.jpg", "three/2.jpg", "notes.txt", ".hidden/four.mp4")
    sources = {source.id: source.kind for source in find_sources(tmp_path, FRACTIONS)}
    assert sources == {"one": "video", person_id("deeper/two"): "video", "three": "images"}


def test_people_that_were_prepared_already_are_nobodys_source(tmp_path):
    touch(tmp_path, "one.mp4", "out/preparation.json", "out/one/1.jpg", "out/one/2.jpg")
    assert set(sources_in(tmp_path)) == {"one"}


def test_folders_named_as_splits_decide(tmp_path):
    touch(tmp_path, "train/a.mp4", "train/b/1.png", "test/c.mp4")
    assert {id: split for id, (_, split) in sources_in(tmp_path).items()} == {"a": "train", "b": "train", "c": "test"}


def test_names_are_told_apart_by_their_place(tmp_path):
    touch(tmp_path, "x/clip.mp4", "y/clip.mp4", "clip.mp4", "Clip.mp4")
    places = {place: id for id, (place, _) in sources_in(tmp_path).items()}
    assert places == {
        "x/clip.mp4": "x-clip-642faf63",
        "y/clip.mp4": "y-clip-2b0b576b",
        "clip.mp4": "clip",
        "Clip.mp4": person_id("Clip"),
    }


def test_an_id_does_not_depend_on_who_else_is_there(tmp_path):
    touch(tmp_path, "x/clip.mp4", "李娜/1.jpg", "Ann B.mp4", "mia.mp4")
    before = sources_in(tmp_path)
    touch(tmp_path, "y/clip.mp4", "a/clip.mp4", "丁伟/1.jpg", "ann-b.mp4", "ANN b.mp4", "Mia.mp4")
    after = sources_in(tmp_path)
    assert len(after) == 10
    assert {id: after.get(id) for id in before} == before


@pytest.mark.parametrize(
    "names", [("ann.mp4", "ann.mov"), ("ann.mp4", "ann/1.jpg"), ("train/ann.mp4", "train/ann/1.jpg")]
)
def test_two_sources_of_one_name_are_refused(tmp_path, names):
    touch(tmp_path, *names)
    with pytest.raises(UserError, match="have one name; is it one person twice") as error:
        find_sources(tmp_path, FRACTIONS)
    assert "ann.mp4" in str(error.value)


def test_what_several_paths_lead_to_is_one_source(tmp_path):
    touch(tmp_path, "m/video.mp4", "people/1.jpg")
    (tmp_path / "m" / "alone.mp4").write_bytes(b"another")
    os.link(tmp_path / "m" / "video.mp4", tmp_path / "m" / "z.mp4")
    (tmp_path / "a.mp4").symlink_to(tmp_path / "m" / "video.mp4")
    (tmp_path / "b").symlink_to(tmp_path / "people")
    (tmp_path / "people" / "loop").symlink_to(tmp_path)
    (tmp_path / "nowhere.mp4").symlink_to(tmp_path / "gone.mp4")
    result = search(tmp_path, FRACTIONS)
    assert {source.place for source in result.sources} == {"m/video.mp4", "m/alone.mp4", "people"}
    passed = "\n".join(result.passed)
    for link in ("a.mp4", "b", "people/loop", "m/z.mp4"):
        assert f"{tmp_path / link}: is " in passed
    assert f"{tmp_path / 'nowhere.mp4'}: this link leads nowhere" in passed


def test_a_link_from_one_split_to_another_makes_no_second_person(tmp_path):
    touch(tmp_path, "train/a.mp4", "test/b.mp4")
    (tmp_path / "train" / "c.mp4").symlink_to(tmp_path / "test" / "b.mp4")
    assert sources_in(tmp_path) == {"a": ("train/a.mp4", "train"), "b": ("test/b.mp4", "test")}


def test_folders_of_systems_are_nobodys(tmp_path):
    touch(tmp_path, "ann/1.jpg", "ann/._1.jpg", "ann/Thumbs.db", "ann/.DS_Store", "ann/@eaDir/1.jpg")
    touch(tmp_path, "__MACOSX/ann/1.jpg", "@eaDir/ben.mp4/SYNO.jpg", "$RECYCLE.BIN/x.mp4", ".Trash/y.mp4")
    assert set(sources_in(tmp_path)) == {"ann"}
    assert [path.name for path in images_in(tmp_path / "ann")] == ["1.jpg"]


def test_images_that_lie_in_no_folder_of_a_person_are_told(tmp_path):
    touch(tmp_path, "ann/1.jpg", "2.jpg", "3.jpg")
    assert search(tmp_path, FRACTIONS).passed == [f"{tmp_path}: 2 images that lie in no person's folder"]


@pytest.mark.parametrize(("first", "second"), [("a.jpg", "a.png"), ("a.jpg", "a.JPG"), ("A.jpg", "a.jpeg")])
def test_two_images_of_one_name_are_refused(tmp_path, first, second):
    touch(tmp_path, first, second, "b.jpg")
    with pytest.raises(UserError, match="have one name, so it cannot be told which is the photograph") as error:
        check_images(tmp_path)
    assert first in str(error.value)
    assert second in str(error.value)


def test_names_that_are_no_utf8_are_passed_over_and_told(tmp_path):
    touch(tmp_path, "ann/1.jpg", os.fsdecode(b"caf\xe9/1.jpg"), os.fsdecode(b"ann/\xff.jpg"))
    result = search(tmp_path, FRACTIONS)
    assert [source.id for source in result.sources] == ["ann"]
    assert ["is no UTF-8" in line for line in result.passed] == [True]
    images, passed = look_into(tmp_path / "ann")
    assert [path.name for path in images] == ["1.jpg"]
    assert ["is no UTF-8" in line for line in passed] == [True]
    "".join(result.passed + passed).encode()  # can be printed


def test_accents_that_are_written_in_two_ways_go_to_one_split():
    many = [f"José {n}" for n in range(50)]
    composed = [Fractions(0.3, 0.3).split(unicodedata.normalize("NFC", name)) for name in many]
    assert composed == [Fractions(0.3, 0.3).split(unicodedata.normalize("NFD", name)) for name in many]
    assert len(set(composed)) == 3


def test_the_same_name_in_two_splits_makes_two_people(tmp_path):
    touch(tmp_path, "train/0.avi", "test/0.avi")
    assert sources_in(tmp_path) == {"0": ("train/0.avi", "train"), "test-0": ("test/0.avi", "test")}


def test_a_name_stays_in_its_split_when_others_come(tmp_path):
    touch(tmp_path, *(f"{n}.mp4" for n in range(0, 300, 2)))
    before = sources_in(tmp_path)
    touch(tmp_path, *(f"{n}.mp4" for n in range(1, 300, 2)))
    after = sources_in(tmp_path)
    assert all(after[id] == place for id, place in before.items())
    shares = [sum(split == name for _, split in after.values()) / 300 for name in ("train", "val", "test")]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.07)


def test_images_are_in_the_order_of_their_numbers(tmp_path):
    touch(tmp_path, "10.jpg", "9.jpg", "100.PNG", "b.txt")
    assert [path.name for path in images_in(tmp_path)] == ["9.jpg", "10.jpg", "100.PNG"]


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
