"""What bad files get: one message that names the file, and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exemplar_trees import LAYOUTS, PARTS, SIDE, ade, ade_map, celeba, face_map, fashion, mask, save, shot, source
from PIL import Image

from metai2i import UserError

ADE = "annotations/training/ADE_train_00000001.png"
MASKS = "CelebAMask-HQ-mask-anno"
DRESS = "pose/WOMEN/Dresses/id_00000001/01_1_front"


def load_all(root: Path, **options: Any) -> None:
    data = source(root, least=1, **options)
    for split in ("train", "test"):
        for task in data.tasks(split):
            task.load(range(len(task)))


def jpeg(path: Path) -> None:
    Image.open(path).convert("L").save(path, format="JPEG")


def shifted(path: Path) -> None:
    save(ade_map() - np.uint8(1), path)


def coloured(path: Path) -> None:
    save(np.stack([ade_map(), ade_map() // 2, ade_map() // 3], -1), path)


def halved(path: Path) -> None:
    save(np.asarray(Image.open(path))[: SIDE // 2], path)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def gone(path: Path) -> None:
    path.unlink()


def grey(path: Path) -> None:
    save(mask("skin") // 2, path)


def unknown(path: Path) -> None:
    path.rename(path.with_name("00003_hairs.png"))


def astray(path: Path) -> None:
    target = path.parent.parent / "1" / path.name
    target.parent.mkdir(exist_ok=True)
    path.rename(target)


def the_left_one(path: Path) -> None:
    save(mask("l_eye"), path)


def small(path: Path) -> None:
    save(np.asarray(Image.fromarray(mask("hair")).resize((SIDE // 2, SIDE // 2), Image.Resampling.NEAREST)), path)


def edited(old: str, new: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return edit


def appended(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(path.read_text().rstrip("\n") + text)


def replaced(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(text)


FAULTS = [
    ("ade20k", ADE, jpeg, r"ADE_train_00000001.png: .*this is a JPEG image, expected PNG.* blends the classes"),
    ("ade20k", ADE, shifted, r"000001.png: 128 pixels \(12 %\) have class ids that the data has not \(255\).*shifted"),
    ("ade20k", ADE, coloured, r"000001.png: this map is coloured"),
    ("ade20k", ADE, halved, r"000001.png: the label map is 32x16, its photograph .*000001.jpg 32x32"),
    ("ade20k", ADE, cut_short, r"000001.png: .*damaged or cut short"),
    ("ade20k", ADE, gone, r"000001.jpg: the photograph has no label map; expected .*annotations/training/ADE_train"),
    (
        "ade20k",
        ADE.replace("annotations", "images").replace("png", "jpg"),
        cut_short,
        r"000001.jpg: .*damaged",
    ),
    ("celebamask", f"{MASKS}/0/00003_skin.png", jpeg, r"00003_skin.png: .*this is a JPEG image, expected PNG"),
    (
        "celebamask",
        f"{MASKS}/0/00003_skin.png",
        grey,
        r"00003_skin.png: .*colours that no class has.*\(127, 127, 127\)",
    ),
    (
        "celebamask",
        f"{MASKS}/0/00003_hair.png",
        unknown,
        r"00003_hairs.png: there is no part 'hairs' \(did you mean 'hair'",
    ),
    ("celebamask", f"{MASKS}/0/00003_hair.png", astray, r"1/00003_hair.png: this mask belongs into .*/0/"),
    (
        "celebamask",
        f"{MASKS}/0/00003_hair.png",
        small,
        r"00003_hair.png: the mask is 16x16, and 00003_skin.png .* 32x32",
    ),
    (
        "celebamask",
        f"{MASKS}/0/00003_skin.png",
        halved,
        r"00003_skin.png: the mask is 32x16, its photograph .*3.jpg 64x64",
    ),
    (
        "celebamask",
        f"{MASKS}/0/00003_r_eye.png",
        the_left_one,
        r"r_eye.png: 12 of 12 pixels of r_eye here are l_eye in 00003_l_e",
    ),
    ("celebamask", f"{MASKS}/0/00003_nose.png", cut_short, r"00003_nose.png: .*damaged or cut short"),
    ("celebamask", "CelebA-HQ-img/2001.jpg", gone, r"val.txt:1: the list has '2001', but there is no .*2001.jpg"),
    ("celebamask", "val.txt", appended("\nnone"), r"val.txt:3: expected the number of a photograph.*got 'none'"),
    ("celebamask", "val.txt", appended("\n02001.jpg"), r"val.txt:3: '02001.jpg' stands in line 1, too"),
    ("celebamask", "val.txt", replaced("\n\n"), r"val.txt: there is no line in this file"),
    (
        "deepfashion",
        f"{DRESS}_candidate.txt",
        gone,
        r"01_1_front.jpg: the photograph has no pose; expected .*candidate.txt",
    ),
    ("deepfashion", f"{DRESS}_subset.txt", gone, r"01_1_front.jpg: the photograph has no pose; expected .*subset.txt"),
    ("deepfashion", f"{DRESS}_candidate.txt", edited("9.0e-01 ", ""), r"candidate.txt:1: expected 4 numbers .*got 3"),
    ("deepfashion", f"{DRESS}_candidate.txt", edited("e+01", "o"), r"candidate.txt:1: expected x, y, score and number"),
    (
        "deepfashion",
        f"{DRESS}_candidate.txt",
        edited("1.6", "9.6"),
        r"candidate.txt:1: the point \(96, 4\) lies outside .*32x32",
    ),
    ("deepfashion", f"{DRESS}_candidate.txt", edited("9.0e-01", "nan"), r"candidate.txt:1: expected 4 numbers"),
    ("deepfashion", f"{DRESS}_candidate.txt", replaced(""), r"candidate.txt: there is no line in this file"),
    ("deepfashion", f"{DRESS}_subset.txt", appended(" 1.0"), r"subset.txt:1: expected 20 numbers .*got 21"),
    (
        "deepfashion",
        f"{DRESS}_subset.txt",
        edited("2.00", "7.00"),
        r"subset.txt:1: the r_hip is candidate 7, and .* has 3",
    ),
    ("deepfashion", f"{DRESS}_subset.txt", edited("2.00", "1.50"), r"subset.txt:1: the r_hip is candidate 1.5"),
    (
        "deepfashion",
        f"{DRESS}_subset.txt",
        appended("\n" + "-1 " * 18 + "0 0"),
        r"subset.txt: expected one person, got 2",
    ),
    ("deepfashion", "val.txt", appended("\nimages/1.jpg"), r"val.txt:3: expected the path of a photograph"),
    ("deepfashion", "val.txt", appended("\nimg/../x/1.jpg"), r"val.txt:3: expected the path of a photograph"),
    (
        "deepfashion",
        "val.txt",
        appended("\nimg/MEN/Denim/x/1.jpg"),
        r"val.txt:3: the list has 'img/MEN/Denim/x/1', but there",
    ),
]


@pytest.mark.parametrize(
    ("layout", "file", "spoil", "message"), FAULTS, ids=[f"{f[0]}-{n}" for n, f in enumerate(FAULTS)]
)
def test_a_bad_file_is_told_once_with_what_was_expected(layout, file, spoil, message, tmp_path):
    root = LAYOUTS[layout](tmp_path)
    load_all(root)
    spoil(root / file)
    with pytest.raises(UserError, match=message) as error:
        load_all(root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("layout", "file", "spoil"), [fault[:3] for fault in FAULTS if fault[1] != "val.txt"])
def test_what_is_bad_is_left_out_and_listed_if_the_recipe_says_so(layout, file, spoil, tmp_path, caplog):
    root = LAYOUTS[layout](tmp_path)
    spoil(root / file)
    load_all(root, on_bad_file="skip")
    assert "exemplars: skipped 1 of " in caplog.text


def test_a_photograph_that_trains_and_tests_by_the_lists_is_told_with_both_lines(tmp_path):
    root = celeba(tmp_path)
    (root / "train.txt").write_text("3\n5\n4002\n")
    with pytest.raises(UserError, match=r"val.txt:2: '4002' trains and tests; the other list has it in .*train.txt:3"):
        source(root)


def test_a_merged_map_of_another_numbering_is_told_by_one_of_the_masks(tmp_path):
    root = celeba(tmp_path, whole=True)
    path = root / MASKS / "all_parts_except_glasses" / "00003.png"
    other = face_map(glasses=False)
    swapped = other.copy()
    swapped[other == 6], swapped[other == 9] = 9, 5
    save(swapped, path)
    with pytest.raises(
        UserError, match=r"00003.png: \d+ of \d+ pixels of id 5 \(l_eye\) lie outside of 00003_l_eye.png"
    ):
        load_all(root)
    save(face_map(glasses=True), path)
    with pytest.raises(
        UserError, match=r"00003.png: .*class ids that the data has not \(16\).*all parts except the glasses"
    ):
        load_all(root)


def test_two_label_maps_of_a_photograph_are_told(tmp_path):
    root = ade(tmp_path)
    save(ade_map(), root / "images" / "training" / "ADE_train_00000001.png")
    with pytest.raises(UserError, match=r"000001.jpg: the photograph has two label maps, .*images.* and .*annotations"):
        source(root)


def test_two_photographs_of_one_name_are_told(tmp_path):
    root = fashion(tmp_path)
    save(shot(1), root / "img/WOMEN/Dresses/id_00000001/01_1_front.png")
    with pytest.raises(UserError, match=r"01_1_front.jpg and 01_1_front.png have one name"):
        source(root)


def test_glasses_alone_are_no_face(tmp_path):
    root = celeba(tmp_path)
    for part in PARTS:
        if part != "eye_g":
            (root / MASKS / "0" / f"00005_{part}.png").unlink()
    with pytest.raises(UserError, match=r"00005_eye_g.png: this face has a mask of its glasses alone"):
        source(root)


def test_a_few_pixels_may_be_of_both_eyes(tmp_path):
    root = celeba(tmp_path)
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[2:30, 2:30] = 255
    right, left = pixels.copy(), pixels.copy()
    right[:, 16:], left[:, :16] = 0, 0
    left[2, 15] = 255
    for part, drawn in (("r_eye", right), ("l_eye", left)):
        save(drawn, root / MASKS / "0" / f"00003_{part}.png")
    load_all(root)


def test_many_bad_files_are_counted(tmp_path):
    root = ade(tmp_path, per_part=10)
    for n in range(1, 11):
        (root / "annotations" / "training" / f"ADE_train_{n:08d}.png").unlink()
    with pytest.raises(UserError) as error:
        source(root)
    assert str(error.value).count("the photograph has no label map") == 8
    assert "and 2 more bad files (tasks.on_bad_file: skip leaves them out)" in str(error.value)


@pytest.mark.parametrize("name", ["._ADE_train_00000001.jpg", ".ADE_train_00000002.png.swp"])
def test_what_systems_leave_behind_is_not_looked_at(name, tmp_path):
    root = ade(tmp_path)
    (root / "images" / "training" / name).write_bytes(b"\0")
    (root / "__MACOSX").mkdir()
    assert sum(map(len, source(root).tasks("train"))) == 4
