"""The source `exemplars`: layouts, maps, scenes and lists, on small trees."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from exemplar_trees import LAYOUTS, PARTS, POSE, SIDE, ade, ade_map, celeba, face_map, fashion, save, shot, source
from fingerprints import fingerprints
from metai2i_exemplars.parts import CLASSES, GLASSES

from metai2i import Augment, Randomness, UserError


def ids(batch) -> np.ndarray:
    return batch["structure"].argmax(1).numpy()


@pytest.mark.parametrize("beside", [False, True])
def test_ade20k_is_read_with_its_maps_beside_the_photographs_or_apart(beside, tmp_path):
    data = source(ade(tmp_path, beside=beside), neighbours=2)
    batch = data.tasks("train")[1].load([0, 1])
    assert [(task.id, len(task)) for task in data.tasks("test")] == [
        ("test/ADE_val_00000001", 2),
        ("test/ADE_val_00000003", 2),
    ]
    assert batch["structure"].shape == (2, 151, SIDE, SIDE)
    assert (ids(batch) == ade_map()).all()
    spec = data.spec()
    assert (spec.classes[0], spec.classes[3], spec.classes[150]) == ("unlabelled", "sky", "flag")
    assert len(set(spec.palette)) == 151
    assert (data.tasks("train")[1].maps()[0].numpy() == ade_map()).all()


def test_the_folder_of_a_data_set_may_lie_in_the_named_one(tmp_path):
    ade(tmp_path / "ADEChallengeData2016")
    assert len(source(tmp_path, neighbours=4).tasks("train")) == 1
    celeba(tmp_path / "CelebAMask-HQ")
    with pytest.raises(UserError, match=r"several data sets lie here: ADE20K in .* and CelebAMask-HQ in"):
        source(tmp_path)
    assert source(tmp_path, layout="celebamask").spec().structure_channels == 19


def test_categories_are_scenes_where_their_list_is_there(tmp_path):
    root = ade(tmp_path)
    stems = {f"ADE_{part}_{n:08d}": ("kitchen", "street")[n % 2] for part in ("train", "val") for n in range(1, 5)}
    (root / "sceneCategories.txt").write_text("".join(f"{stem} {category}\n" for stem, category in stems.items()))
    data = source(root)
    assert [(task.id, len(task)) for task in data.tasks("train")] == [("train/kitchen", 2), ("train/street", 2)]
    assert [task.id for task in data.tasks("test")] == ["test/kitchen", "test/street"]
    assert [record.name for record in data.tasks("train")[0].pairs] == ["ADE_train_00000002", "ADE_train_00000004"]


@pytest.mark.parametrize("whole", [False, True])
def test_parts_are_laid_over_each_other_as_the_authors_do_it(whole, tmp_path):
    data = source(celeba(tmp_path, whole=whole))
    without, worn = ids(data.tasks("train")[0].load([0, 1]))
    assert (without == face_map(glasses=False)).all()
    assert (worn == face_map(glasses=True)).all()
    assert data.spec().field("structure").kind == "onehot"


@pytest.mark.parametrize("whole", [False, True])
def test_glasses_apart_are_a_channel_over_all_else(whole, tmp_path):
    data = source(celeba(tmp_path, whole=whole), glasses="apart")
    structure = data.tasks("train")[0].load([1])["structure"][0].numpy()
    worn = np.zeros((SIDE, SIDE), bool)
    worn[PARTS["eye_g"]] = True
    assert (structure[GLASSES] == worn).all()
    others = np.delete(structure, GLASSES, axis=0)
    assert (others.sum(0) == 1).all()
    assert (np.insert(others, GLASSES, 0, axis=0).argmax(0) == face_map(glasses=False)).all()
    field = data.spec().field("structure")
    assert (field.kind, field.channels, field.names) == ("map", 19, CLASSES)
    batch = data.tasks("train")[0].load([0, 1])
    varied = Augment(flip=True, rotate=10, crop=0.8).of(data.spec().known_field)(batch, Randomness((0,)))["structure"]
    assert not torch.equal(varied, batch["structure"])
    assert set(varied.unique().tolist()) <= {0.0, 1.0}


def test_lists_say_what_trains_and_what_tests(tmp_path):
    root = celeba(tmp_path)
    names = {split: [r.name for task in source(root).tasks(split) for r in task.pairs] for split in ("train", "test")}
    assert names == {"train": ["3", "5"], "test": ["2001", "4002"]}
    (root / "train.txt").write_text("\ufeff5\n")
    assert [record.name for record in source(root).tasks("train")[0].pairs] == ["5"]
    for name in ("train.txt", "val.txt"):
        (root / name).unlink()
    assert [record.name for record in source(root, least=1).tasks("test")[0].pairs] == ["4002"]


def test_people_are_scenes_where_their_list_is_there_and_nobody_trains_and_tests(tmp_path, caplog):
    root = celeba(tmp_path)
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text(
        "idx orig_idx orig_file\n3 10 000011.jpg\n5 11 000012.jpg\n2001 12 000013.jpg\n4002 13 000014.jpg\n"
    )
    (root / "identity_CelebA.txt").write_text("000011.jpg 70\n000012.jpg 80\n000013.jpg 70\n000014.jpg 90\n")
    with caplog.at_level(logging.WARNING, "metai2i"):
        data = source(root, least=1)
    assert "people who train and test: 1" in caplog.text
    assert [task.id for task in data.tasks("train")] == ["train/70", "train/80"]
    (root / "val.txt").unlink()
    for path in (root / "CelebA-HQ-img").iterdir():  # with or without zeros in front, as copies of the data have them
        path.rename(path.with_stem(path.stem.zfill(5)))
    data = source(root, least=1)
    people = {
        split: {record.scene for task in data.tasks(split) for record in task.pairs} for split in ("train", "test")
    }
    assert people == {"train": {"70", "80"}, "test": {"90"}}


def test_an_outfit_seen_from_several_sides_is_a_scene(tmp_path):
    data = source(fashion(tmp_path))
    assert [(task.id, len(task)) for task in data.tasks("train")] == [
        ("train/WOMEN/Dresses/id_00000001/01", 2),
        ("train/WOMEN/Dresses/id_00000001/02", 1),
    ]
    assert [(task.id, len(task)) for task in data.tasks("test")] == [("test/MEN/Denim/id_00000007/01", 2)]
    batch = data.tasks("train")[0].load([0, 1])
    assert batch["structure"].shape == (2, 20, SIDE, SIDE)
    assert data.spec().field("structure").names[3] == "neck to r_shoulder"
    with pytest.raises(UserError, match="poses are no label maps"):
        data.tasks("train")[0].maps()


def test_a_pose_is_brought_to_size_with_its_photograph(tmp_path):
    data = source(fashion(tmp_path), size=(16, 16))
    x, y = (int(value / 2) for value in POSE["nose"])
    structure = data.tasks("train")[0].load([0])["structure"][0]
    assert structure[:3, y, x].sum() > 0
    assert structure[:3, :, 0].sum() == 0
    to_nose, to_shoulder = structure[3 + 12], structure[3]
    assert to_nose[y, x] == 0
    assert to_nose[15, 0] > to_nose[8, 8]
    assert (to_shoulder == 1).all()


def test_a_list_makes_scenes_of_an_image_and_its_exemplars(tmp_path):
    root = fashion(tmp_path)
    lines = [
        r"img\MEN\Denim\id_00000007\01_1_front.jpg,img\WOMEN\Dresses\id_00000001\02_1_front.jpg,"
        r"img\WOMEN\Dresses\id_00000001\01_1_front.jpg"
    ]
    path = root / "deepfashion_ref_test.txt"
    path.write_text("\n".join(lines))
    data = source(root, test_list=path)
    (task,) = data.tasks("test")
    assert (len(task), task.support_only) == (3, {1, 2})
    drawn = task.episode(1, 1, Randomness(("here",)))
    easy = next(t for t in data.tasks("train") if t.id.endswith("/02")).load([0])
    assert (drawn.support["target"] == easy["target"]).all()
    assert (drawn.query["target"] == task.load([0])["target"]).all()
    with pytest.raises(UserError, match="has 2 exemplars and one image to judge, but an episode takes 3 shots"):
        task.episode(3, 1, Randomness(("here",)))
    with pytest.raises(UserError, match="1 shots \\+ 2 queries"):
        task.episode(1, 2, Randomness(("here",)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ADE_val_00000001.jpg,ADE_train_00000009.jpg", r"2: no photograph here is called 'ADE_train_00000009.jpg'"),
        ("ADE_train_00000001.jpg,ADE_train_00000002.jpg", r"2: 'ADE_train_00000001.jpg' is of the split that trains"),
        ("ADE_val_00000001.jpg,ADE_val_00000001.jpg", r"2: 'ADE_val_00000001.jpg' is its own exemplar"),
        ("ADE_val_00000001.jpg", r"2: expected IMAGE,EXEMPLAR"),
        ("ADE_val_00000002.jpg,ADE_train_00000001.jpg", r"2: the image 'ADE_val_00000002.jpg' stands twice"),
    ],
)
def test_a_bad_line_of_a_list_is_told_with_its_place(line, message, tmp_path):
    root = ade(tmp_path)
    path = root / "ref.txt"
    path.write_text(f"ADE_val_00000002.jpg,ADE_train_00000001.jpg\n{line}\n")
    with pytest.raises(UserError, match=f"ref.txt:{message}"):
        source(root, test_list=path)


def test_scenes_too_short_to_test_are_left_out_and_those_that_train_stay(tmp_path):
    data = source(ade(tmp_path, per_part=5), neighbours=3, least=3)
    assert [len(task) for task in data.tasks("train")] == [3, 2]
    assert [len(task) for task in data.tasks("test")] == [3]
    with pytest.raises(UserError, match="no test scenes: of 5 photographs, no 6 belong to one scene"):
        source(tmp_path, neighbours=3, least=6)


def test_training_scenes_can_be_set_aside(tmp_path):
    data = source(ade(tmp_path), neighbours=2, val=1)
    assert [len(data.tasks(split)) for split in ("train", "val", "test")] == [1, 1, 2]
    with pytest.raises(UserError, match=r"tasks.val is 2, but of 2 training scenes 2 have 2"):
        source(tmp_path, neighbours=2, val=2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_fingerprint_follows_every_file_and_no_time(layout, tmp_path):
    root = LAYOUTS[layout](tmp_path / "one")
    options = {"least": 1}
    before = fingerprints(source(root, **options))
    assert fingerprints(source(LAYOUTS[layout](tmp_path / "two"), **options)) == before
    record = source(root, **options).tasks("train")[0].pairs[0]
    changed = record.maps[-1]
    changed.write_bytes(changed.read_bytes() + b" ")
    train, _, test = fingerprints(source(root, **options))
    assert train != before[0]
    assert test == before[2]


def test_a_photograph_in_both_splits_is_refused_or_left_out_of_training(tmp_path):
    root = ade(tmp_path)
    copy = root / "images" / "training" / "ADE_train_00000001.jpg"
    copy.write_bytes((root / "images" / "validation" / "ADE_val_00000003.jpg").read_bytes())
    with pytest.raises(UserError, match="the same photograph is in several splits"):
        source(root)
    data = source(root, on_bad_file="skip")
    assert "ADE_train_00000001" not in {record.name for task in data.tasks("train") for record in task.pairs}


def test_a_folder_without_a_data_set_is_told_what_was_looked_for(tmp_path):
    with pytest.raises(UserError, match=r"no ADE20K or CelebAMask-HQ or DeepFashion here; looked for") as error:
        source(tmp_path)
    assert "CelebAMask-HQ-mask-anno/all_parts_except_glasses/NNNNN.png" in str(error.value)
    with pytest.raises(UserError, match="no DeepFashion here, the folder does not exist"):
        source(tmp_path / "nowhere", layout="deepfashion")
    with pytest.raises(UserError, match=r"tasks.glasses is of CelebAMask-HQ, and this is ADE20K"):
        source(ade(tmp_path), glasses="apart")


def test_a_photograph_of_another_size_is_cut_like_its_map(tmp_path):
    root = ade(tmp_path)
    for part, stem in (("training", "ADE_train_00000001"),):
        save(np.concatenate([shot(7), shot(8)], 1), root / "images" / part / f"{stem}.jpg")
        save(np.concatenate([ade_map(), ade_map()], 1), root / "annotations" / part / f"{stem}.png")
    cut = ids(source(root).tasks("train")[0].load([0]))[0]
    assert (cut == np.concatenate([ade_map(), ade_map()], 1)[:, SIDE // 2 : 3 * SIDE // 2]).all()
