"""The task source on folders that the tests make."""

import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fingerprints import fingerprints
from metai2i_faces.faces import Faces
from metai2i_faces.regions import CLASSES, PALETTE
from PIL import Image

from metai2i import Randomness, UserError, tasks

SPLITS = {"train": ["a", "b", "c", "d"], "test": ["x", "y"]}


def ids(source, split):
    return [task.id for task in source.tasks(split)]


@pytest.fixture
def root(people, tmp_path):
    return people(tmp_path / "faces", SPLITS)


def test_every_person_is_a_scene_of_the_split_that_lists_it(root):
    source = Faces(root=root)
    assert {split: ids(source, split) for split in ("train", "val", "test")} == {**SPLITS, "val": []}
    assert all(len(task) == 4 for split in SPLITS for task in source.tasks(split))


def test_folders_named_as_splits_do_without_a_list(root, tmp_path):
    for split, names in SPLITS.items():
        for name in names:
            (tmp_path / "plain" / split).mkdir(parents=True, exist_ok=True)
            shutil.copytree(root / name, tmp_path / "plain" / split / name)
    source = Faces(root=tmp_path / "plain")
    assert ids(source, "train") == SPLITS["train"]
    assert ids(source, "test") == SPLITS["test"]


def test_an_image_of_the_wanted_size_comes_out_unchanged(root):
    batch = Faces(root=root, size=(16, 16)).tasks("train")[1].load([2])
    photo = np.asarray(Image.open(root / "b" / "02.jpg"))
    labels = np.asarray(Image.open(root / "b" / "02.png"))
    assert (((batch["target"][0] + 1) * 127.5).round().permute(1, 2, 0).numpy() == photo).all()
    assert (batch["structure"][0].argmax(0).numpy() == labels).all()
    assert (batch["structure"].sum(1) == 1).all()


def test_photographs_are_held_upright_as_their_maps_are(root):
    exif = Image.Exif()
    exif[0x0112] = 3
    photo = Image.open(root / "b" / "02.jpg").convert("RGB")
    photo.rotate(180).save(root / "b" / "02.jpg", quality=100, subsampling=0, exif=exif)
    batch = Faces(root=root, size=(16, 16)).tasks("train")[1].load([2])
    seen = ((batch["target"][0] + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(seen - np.asarray(photo, np.float32)).max() < 6
    assert (batch["structure"][0].argmax(0).numpy() == np.asarray(Image.open(root / "b" / "02.png"))).all()


@pytest.mark.parametrize("kind", ["palette", "colours", "grey"])
def test_maps_are_read_as_they_are_seen(root, kind):
    order = np.array([3, 0, 6, 1, 2, 5, 4])
    ids = np.asarray(Image.open(root / "b" / "02.png"))
    if kind == "palette":  # the same colours in another order
        image = Image.fromarray(order[ids].astype(np.uint8)).convert("P")
        image.putpalette([level for index in range(7) for level in PALETTE[int(np.argmax(order == index))]])
    else:
        image = Image.fromarray(np.array(PALETTE, np.uint8)[ids] if kind == "colours" else ids)
    image.save(root / "b" / "02.png")
    source = Faces(root=root, size=(16, 16))
    assert (source.tasks("train")[1].load([2])["structure"][0].argmax(0).numpy() == ids).all()
    assert source.remarks() == []


def test_a_palette_that_is_not_the_datas_is_told_once_for_all(root, caplog):
    for path in (root / "b").glob("*.png"):
        image = Image.fromarray(np.asarray(Image.open(path))).convert("P")
        image.putpalette([level for i in range(7) for level in (9 * i, 255 - 9 * i, 40)])
        image.save(path)
    source = Faces(root=root, size=(16, 16))
    with caplog.at_level(logging.WARNING, logger="metai2i"):
        source.tasks("train")[1].load([0, 1, 2, 3])
    assert source.remarks() == [
        f"4 label maps, such as {root / 'b' / '00.png'}: the palette's colours are not the data's; its indices are "
        "taken for class ids"
    ]
    assert caplog.text.count("the palette's colours") == 1


@pytest.mark.parametrize("twin", ["02.jpeg", "02.JPG", "02.PNG"])
def test_two_files_of_one_name_are_refused(root, twin):
    shutil.copy(root / "b" / f"02{twin[2:].lower().replace('jpeg', 'jpg')}", root / "b" / twin)
    with pytest.raises(UserError, match=r"02\.\w+ and 02\.\w+ have one name"):
        Faces(root=root)


def test_maps_shrink_by_the_nearest_pixel_and_photographs_by_their_mean(people, save_pair, tmp_path):
    root = people(tmp_path / "faces", SPLITS)
    labels = np.zeros((16, 16), np.uint8)
    labels[1::2, 1::2] = 5  # the pixel that lies under the middle of each pair of pixels is the second
    save_pair(root / "a", "00", ids=labels)
    Image.fromarray(np.indices((16, 16)).sum(0).astype(np.uint8) % 2 * 255).convert("RGB").save(
        root / "a" / "00.jpg", quality=100
    )
    batch = Faces(root=root, size=(8, 8)).tasks("train")[0].load([0])
    assert (batch["structure"].argmax(1) == 5).all()
    assert batch["target"].abs().max() < 0.1


def test_another_aspect_keeps_the_middle(root):
    task = Faces(root=root, size=(8, 16)).tasks("train")[0]
    labels = np.asarray(Image.open(root / "a" / "00.png"))
    assert (task.maps()[0].numpy() == labels[4:12]).all()


def test_maps_read_no_photograph(root):
    source = Faces(root=root, size=(16, 16))
    for photo in (root / "a").glob("*.jpg"):
        photo.write_bytes(b"")
    maps = source.tasks("train")[0].maps(limit=2)
    assert maps.shape == (2, 16, 16)
    assert maps.dtype == torch.int64
    assert set(maps.unique().tolist()) == set(range(7))


def test_images_are_decoded_once(root):
    task = Faces(root=root).tasks("train")[0]
    first = task.load([0, 1])
    for path in (root / "a").iterdir():
        path.write_bytes(b"")
    again = task.load([0, 1])
    assert torch.equal(first["target"], again["target"])
    assert torch.equal(first["structure"], again["structure"])


def test_a_query_is_never_among_the_support(root):
    task = Faces(root=root).tasks("test")[0]
    for draw in range(10):
        episode = task.episode(2, 2, Randomness((draw,)))
        for support in episode.support["target"]:
            assert all(not torch.equal(support, query) for query in episode.query["target"])


def test_people_set_aside_to_validate_do_not_train(people, tmp_path):
    root = people(tmp_path / "faces", {"train": list("abcdefgh"), "test": ["x"]})
    source = Faces(root=root, val=2)
    assert ids(source, "val") == ["a", "e"]
    assert ids(source, "train") == list("bcdfgh")


def test_clips_of_one_video_never_train_and_validate(people, tmp_path):
    clips = [f"{person}--{n}" for person in "abcd" for n in range(3)]
    source = Faces(root=people(tmp_path / "faces", {"train": clips, "test": ["x"]}), val=2)
    assert ids(source, "val") == ["a--0", "c--0"]
    assert ids(source, "train") == [clip for clip in clips if clip[0] in "bd"]
    with pytest.raises(UserError, match="there are only 4 training people"):
        Faces(root=tmp_path / "faces", val=4)


def test_people_listed_to_validate_do(people, tmp_path):
    root = people(tmp_path / "faces", {"train": ["a"], "val": ["v"], "test": ["x"]})
    assert ids(Faces(root=root), "val") == ["v"]
    with pytest.raises(UserError, match="1 people for validation already"):
        Faces(root=root, val=1)


def test_limits_take_people_and_pairs_evenly(people, tmp_path):
    root = people(tmp_path / "faces", {"train": list("abcdef"), "test": list("uvwxyz")}, pairs=6)
    source = Faces(root=root, val=3, train_tasks=2, val_tasks=1, test_tasks=3, frames=2)
    assert [ids(source, split) for split in ("train", "val", "test")] == [["b", "d"], ["a"], ["u", "w", "y"]]
    assert [pair.photo.stem for pair in source.tasks("test")[0].pairs] == ["00", "03"]


def test_people_of_another_folder_can_test(root, people, tmp_path):
    other = people(tmp_path / "other", {"cross_test": ["a", "w"]})
    source = Faces(root=root, test_root=other, test="cross_test")
    assert ids(source, "train") == SPLITS["train"]
    assert ids(source, "test") == ["other/a", "other/w"]  # "a" is also one of those that train
    assert source.tasks("test")[0].pairs[0].photo == other / "a" / "00.jpg"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val": 4}, "only 4 training people"),
        ({"test": "cross_test"}, "no cross_test people here; it has 4 train, 2 test"),
        ({"size": (0, 16)}, "tasks.size"),
        ({"frames": 0}, r"tasks\.frames: got 0, expected at least 1"),
        ({"test_tasks": 0}, r"tasks\.test_tasks: got 0, expected at least 1"),
        ({"val": -1}, r"tasks\.val: got -1, expected at least 0"),
    ],
)
def test_what_cannot_be_is_told(root, options, message):
    with pytest.raises(UserError, match=message):
        Faces(root=root, **options)


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        Faces(root=tmp_path / "nowhere")


def test_a_folder_without_people_is_told(tmp_path):
    with pytest.raises(UserError, match=r"no people here; looked for splits\.json") as error:
        Faces(root=tmp_path)
    assert "metai2i data faces" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read JSON"),
        ("[]", "expected an object"),
        ('{"train": "a"}', "expected a list of folder names under 'train'"),
        ('{"train": ["a", "a"], "test": ["x"]}', "'train' lists 'a' twice"),
        ('{"train": ["a", "e"], "test": ["x"]}', "'train' lists 'e', but there is no folder"),
        ('{"train": ["a", "x"], "test": ["x"]}', "'x' is in 'train' and in 'test'"),
        ('{"train": ["a", "./a"], "test": ["x"]}', "'train' lists 'a' twice"),
        ('{"train": ["a"], "test": ["x", "a/"]}', "'a' is in 'train' and in 'test'"),
        ('{"train": ["a", "../faces/x"], "test": ["x"]}', "which leads out of this folder"),
        ('{"train": ["a"], "train": ["b"], "test": ["x"]}', "the key 'train' stands twice"),
    ],
)
def test_a_wrong_list_is_told_with_its_place(root, content, message):
    (root / "splits.json").write_text(content)
    with pytest.raises(UserError, match=message) as error:
        Faces(root=root)
    assert "splits.json" in str(error.value.where)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_with_a_byte_order_mark_is_read(root, encoding):
    (root / "splits.json").write_text(json.dumps(SPLITS), encoding=encoding)
    assert ids(Faces(root=root), "train") == SPLITS["train"]


def test_lists_that_nobody_asks_for_do_no_harm(root):
    lists = json.loads((root / "splits.json").read_text())
    (root / "splits.json").write_text(json.dumps({**lists, "spare": []}))
    assert len(Faces(root=root).tasks("train")) == 4


def no_photo(folder):
    (folder / "01.jpg").unlink()


def no_map(folder):
    (folder / "01.png").unlink()


def cut_short(folder):
    content = (folder / "01.jpg").read_bytes()
    (folder / "01.jpg").write_bytes(content[: -len(content) // 5])


def no_image(folder):
    (folder / "01.png").write_bytes(b"nothing")


def other_size(folder):
    Image.fromarray(np.zeros((8, 16), np.uint8)).save(folder / "01.png")


def out_of_range(folder):
    Image.fromarray(np.full((16, 16), 7, np.uint8)).save(folder / "01.png")


def in_colours(folder):
    Image.fromarray(np.full((16, 16, 3), (90, 200, 91), np.uint8)).save(folder / "01.png")


AT_ONCE = [
    (no_photo, "the label map has no photograph"),
    (no_map, "the photograph has no label map"),
    (no_image, "not an image"),
    (other_size, r"the label map is 16x8, its photograph .* 16x16"),
]
WHEN_READ = [
    (cut_short, "damaged or cut short"),
    (out_of_range, r"class ids that the data has not \(7\), expected 0 to 6: 0 background"),
    (in_colours, r"have colours that no class has, most of them \(90, 200, 91\) \(the nearest is nose \(90, 200, 90\)"),
]


@pytest.mark.parametrize(("spoil", "message"), AT_ONCE)
def test_a_bad_pair_is_told_at_once_with_its_file(root, spoil, message):
    spoil(root / "b")
    with pytest.raises(UserError, match=message) as error:
        Faces(root=root)
    assert str(error.value.where).startswith(str(root / "b" / "01"))


@pytest.mark.parametrize(("spoil", "message"), WHEN_READ)
def test_a_bad_pixel_is_told_when_it_is_read(root, spoil, message):
    spoil(root / "b")
    task = Faces(root=root).tasks("train")[1]
    with pytest.raises(UserError, match=message) as error:
        task.load([1])
    assert str(error.value.where).startswith(str(root / "b" / "01"))


@pytest.mark.parametrize("spoil", [spoil for spoil, _ in AT_ONCE + WHEN_READ])
def test_bad_pairs_can_be_left_out(root, spoil, caplog):
    spoil(root / "b")
    with caplog.at_level(logging.WARNING, logger="metai2i"):
        source = Faces(root=root, on_bad_file="skip")
    assert [len(task) for task in source.tasks("train")] == [4, 3, 4, 4]
    assert "skipped 1 of 24 pairs" in caplog.text
    assert str(root / "b" / "01") in caplog.text


def test_a_person_without_a_good_pair_is_left_out(root):
    for path in (root / "b").glob("*.png"):
        path.write_bytes(b"")
    assert ids(Faces(root=root, on_bad_file="skip"), "train") == ["a", "c", "d"]


@pytest.fixture
def folders(root):
    """The people in folders of splits, without a list."""
    for split, names in SPLITS.items():
        (root / split).mkdir()
        for name in names:
            (root / name).rename(root / split / name)
    (root / "splits.json").unlink()
    return root


@pytest.mark.parametrize(
    "name", ["__MACOSX", "@eaDir", ".ipynb_checkpoints", "lost+found", "System Volume Information"]
)
def test_folders_of_systems_are_nobody(folders, name):
    (folders / "train" / name / "a").mkdir(parents=True)
    (folders / "train" / name / "00.jpg").write_bytes(b"")
    (folders / "train" / "a" / name).mkdir()
    (folders / "train" / "a" / "._00.jpg").write_bytes(b"")
    assert ids(Faces(root=folders), "train") == SPLITS["train"]
    assert [len(task) for task in Faces(root=folders).tasks("train")] == [4, 4, 4, 4]


def test_a_person_without_images_is_told_or_left_out(folders, caplog):
    (folders / "train" / "aa").mkdir()
    with pytest.raises(UserError, match="aa: no images of this person"):
        Faces(root=folders)
    with caplog.at_level(logging.WARNING, logger="metai2i"):
        source = Faces(root=folders, val=2, on_bad_file="skip")
    assert (ids(source, "train"), ids(source, "val")) == (["b", "d"], ["a", "c"])  # as if it were not there
    assert f"left out 1 people:\nfaces:   {folders / 'train' / 'aa'}: no images" in "\n".join(caplog.messages)


def test_a_person_whose_folder_is_gone_is_told_or_left_out(root, folders, caplog):
    (folders / "train" / "e").symlink_to(folders / "gone")
    with pytest.raises(UserError, match="this link leads nowhere"):
        Faces(root=folders)
    assert ids(Faces(root=folders, on_bad_file="skip"), "train") == SPLITS["train"]
    (root / "splits.json").write_text(json.dumps({"train": ["train/a", "train/f"], "test": ["test/x"]}))
    with pytest.raises(UserError, match="'train' lists 'train/f', but there is no folder"):
        Faces(root=root)
    assert ids(Faces(root=root, on_bad_file="skip"), "train") == ["train/a"]


def test_people_are_told_by_their_names_alone(folders, save_pair):
    before = {task.id: task.pairs for task in Faces(root=folders).tasks("train")}
    save_pair(folders / "train" / "A", "00", seed=99)
    after = {task.id: task.pairs for task in Faces(root=folders).tasks("train")}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("target", ["../test/x", "../test/x/../x", "b"])
def test_a_person_that_is_a_link_to_another_is_refused(folders, target):
    (folders / "train" / "linked").symlink_to(target)
    with pytest.raises(UserError, match="are one folder"):
        Faces(root=folders, on_bad_file="skip")


def test_a_split_that_is_a_link_to_another_is_refused(folders):
    (folders / "val").symlink_to("test")
    with pytest.raises(UserError, match="'x' is in 'val' and in 'test'"):
        Faces(root=folders)


def test_a_person_of_one_name_in_two_splits_is_refused(folders, save_pair):
    save_pair(folders / "test" / "a", "00", seed=99)
    with pytest.raises(UserError, match="'a' is in 'train' and in 'test'"):
        Faces(root=folders)


def test_a_link_among_the_people_of_another_folder_is_refused(root, people, tmp_path):
    other = people(tmp_path / "other", {"test": ["w"]})
    shutil.rmtree(other / "w")
    (other / "w").symlink_to(root / "a")
    with pytest.raises(UserError, match="'a' in 'train' and 'other/w' in 'test' are one folder"):
        Faces(root=root, test_root=other)


def test_a_photograph_of_a_test_person_in_training_is_refused_or_left_out(root, caplog):
    shutil.copy(root / "x" / "02.jpg", root / "b" / "01.jpg")
    with pytest.raises(UserError, match="the same photograph is in several splits") as error:
        Faces(root=root)
    assert str(root / "x" / "02.jpg") in str(error.value)
    assert str(root / "b" / "01.jpg") in str(error.value)
    source = Faces(root=root, on_bad_file="skip")
    assert [len(task) for task in source.tasks("train")] == [4, 3, 4, 4]
    assert [len(task) for task in source.tasks("test")] == [4, 4]


def test_two_photographs_of_one_name_are_told_or_left_out(root):
    shutil.copy(root / "c" / "00.jpg", root / "b" / "01.jpeg")
    with pytest.raises(UserError, match=r"01\.jpeg and 01\.jpg have one name"):
        Faces(root=root)
    assert [len(task) for task in Faces(root=root, on_bad_file="skip").tasks("train")] == [4, 3, 4, 4]


def test_a_name_that_is_no_utf_8_is_told_or_left_out(folders):
    odd = os.fsdecode(os.fsencode(folders / "train") + b"/caf\xe9")
    shutil.copytree(folders / "train" / "a", odd)
    with pytest.raises(UserError, match=r"the name b'caf\\xe9' is no UTF-8"):
        Faces(root=folders)
    assert ids(Faces(root=folders, on_bad_file="skip"), "train") == SPLITS["train"]


def test_a_home_that_is_not_there_is_told():
    with pytest.raises(UserError, match="there is no user 'nobody-at-all'"):
        Faces(root="~nobody-at-all/faces")


def test_many_bad_pairs_are_told_together(root):
    for name in SPLITS["train"]:
        for path in (root / name).glob("*.png"):
            path.unlink()
    with pytest.raises(UserError) as error:
        Faces(root=root)
    assert str(error.value).count("has no label map") == 8
    assert "and 8 more" in str(error.value)


def test_a_copy_has_the_same_fingerprint_and_another_file_another(root, save_pair, tmp_path):
    before = fingerprints(Faces(root=root))
    shutil.copytree(root, tmp_path / "copy")
    assert fingerprints(Faces(root=tmp_path / "copy")) == before
    save_pair(root / "a", "04")
    assert fingerprints(Faces(root=root)) != before


def in_place(path: Path, text: bytes) -> None:
    """Gives a file as many other bytes, and its old time."""
    before = path.stat()
    assert len(text) == before.st_size
    with path.open("r+b") as file:
        file.write(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("name", ["00.jpg", "00.png"])
def test_a_change_in_place_changes_the_fingerprint_of_its_split_and_of_the_person_alone(root, tmp_path, name):
    def prints() -> tuple[list[str], dict[str, str | None]]:
        source = Faces(root=root)
        people = {task.id: task.fingerprint() for split in tasks.SPLITS for task in source.tasks(split)}
        return [source.fingerprint(split) for split in tasks.SPLITS], people

    person = Faces(root=root).tasks("train")[0]
    path = next(file for file in person.files if file.name == name)
    before = prints()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    in_place(path, bytes(content))
    after = prints()
    assert [before_change == other for before_change, other in zip(before[0], after[0], strict=True)] == [
        False,
        True,
        True,
    ]
    assert {id for id in before[1] if before[1][id] != after[1][id]} == {person.id}


def test_two_maps_of_one_size_that_are_exchanged_change_the_fingerprint(root):
    first, two = [file for file in Faces(root=root).tasks("train")[0].files if file.suffix == ".png"][:2]
    size = max(first.stat().st_size, two.stat().st_size)
    contents = []
    for n, path in enumerate((first, two)):  # what follows a PNG's end is not read
        path.write_bytes(path.read_bytes().ljust(size + 1, bytes([n])))
        contents.append(path.read_bytes())
    before = fingerprints(Faces(root=root))
    in_place(first, contents[1])
    in_place(two, contents[0])
    assert fingerprints(Faces(root=root)) != before


@pytest.mark.parametrize("option", [{"size": (64, 64)}, {"val": 1}, {"frames": 2}, {"test_tasks": 1}])
def test_options_that_change_the_scenes_change_the_fingerprint(root, option):
    assert fingerprints(Faces(root=root, **option)) != fingerprints(Faces(root=root))


def test_options_of_the_test_leave_the_fingerprints_of_training_alone(root, save_pair, tmp_path):
    shutil.copytree(root, tmp_path / "others")
    save_pair(tmp_path / "others" / "a", "04")
    before = Faces(root=root, val=1)
    for option in ({"test_tasks": 1}, {"test_root": tmp_path / "others"}):
        assert set(option) <= Faces.test_options
        after = Faces(root=root, val=1, **option)
        same = [
            before_change == other
            for before_change, other in zip(fingerprints(after), fingerprints(before), strict=True)
        ]
        assert same == [True, True, False]


def test_the_cache_does_not_change_the_fingerprint(root):
    assert fingerprints(Faces(root=root, cache_mb=0)) == fingerprints(Faces(root=root))


def test_the_seven_regions_have_names_and_colours(root):
    spec = Faces(root=root, size=(32, 32)).spec()
    assert (spec.structure_channels, spec.size, spec.classes) == (7, (32, 32), CLASSES)
    assert len(set(spec.palette)) == 7


def test_it_is_installed_as_faces():
    from metai2i.registry import Registry

    assert Registry().get("task source", "faces") is Faces


@pytest.mark.parametrize(("name", "warned"), [("valid", True), ("Train2", False), ("cross_test", False)])
def test_a_list_under_nearly_the_name_of_a_split_that_is_missing_is_warned_of(people, tmp_path, caplog, name, warned):
    """A list of another name may be meant for `tasks.test`; one that is a slip must not be passed over in silence."""
    root = people(tmp_path / "data", {"train": ["a", "b"], "test": ["x"], name: ["v"]})
    with caplog.at_level("WARNING"):
        Faces(root=root, size=(16, 16))
    said = f"the list {name!r} (1 people) is no split, and nothing is taken from it; did you mean 'val'?"
    assert (said in caplog.text) is warned
