import re
from pathlib import Path

import numpy as np
import pytest
import torch
from metai2i_sketches.drawings import Drawing, read_drawing
from PIL import Image

from metai2i import Field, TaskSpec, UserError
from metai2i.data.images import save_map
from metai2i.data.pairs_in_folders import PairFiles
from metai2i.inference.pair_folders import (
    find_images,
    find_maps,
    find_pairs,
    read_field,
    read_map,
    read_pairs,
    read_photo,
)

COLOURS = ((128, 64, 128), (70, 130, 180), (0, 0, 142))
SPEC = TaskSpec(structure_channels=3, size=(8, 8), classes=("road", "sky", "car"), palette=COLOURS)


@pytest.fixture
def files(tmp_path):
    """Writes 8x8 images by their names, photographs in one grey, and gives the folder."""

    def files(*names: str) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB" if "jp" in name else "L", (8, 8)).save(tmp_path / name)
        return tmp_path

    return files


def image(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels.astype(np.uint8)).save(path, **options)
    return path


def refused(work, *arguments: object) -> str:
    with pytest.raises(UserError) as caught:
        work(*arguments)
    return str(caught.value)


# --- folders


@pytest.mark.parametrize(
    "names",
    [
        ("b.jpg", "b.png", "a.jpeg", "a.png"),
        ("b.jpg", "b_map.png", "a.png", "a_map.png"),
        ("photos/b.jpg", "maps/b.png", "photos/a.png", "maps/a.png"),
    ],
)
def test_pairs_are_found_in_each_of_the_three_layouts(files, names):
    folder = files(*names)
    (b, b_map, a, a_map) = (folder / name for name in names)
    assert find_pairs(folder) == [PairFiles("a", a, a_map), PairFiles("b", b, b_map)]


def test_a_folder_in_no_layout_is_told_what_was_looked_for(files):
    error = refused(find_pairs, files("a.png", "b.png"))
    assert "only 0 .jpg files and 2 .png files (looked for NAME.jpg with NAME.png" in error
    assert "photos/NAME.png with maps/NAME.png" in error


def test_a_photograph_without_its_map_is_named(files):
    folder = files("a.jpg", "a.png", "b.jpg")
    error = refused(find_pairs, folder)
    assert error.startswith(f"{folder / 'b.jpg'}: this photograph has no map, expected {folder / 'b.png'}")


def test_a_map_without_its_photograph_is_named(files):
    error = refused(find_pairs, files("photos/a.jpg", "maps/a.png", "maps/b.png"))
    assert "b.png: this map has no photograph called 'b'" in error


def test_two_photographs_of_one_name_are_refused(files):
    assert "a.jpg and a.png have one name" in refused(find_pairs, files("photos/a.jpg", "photos/a.png", "maps/a.png"))


def test_fewer_pairs_than_one_are_refused(files):
    folder = files("photos/a.jpg", "maps/a.png")
    for path in (folder / "photos" / "a.jpg", folder / "maps" / "a.png"):
        path.unlink()
    assert "there are no pairs, expected at least one" in refused(find_pairs, folder)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    assert "missing: there is no such folder" in refused(find_pairs, tmp_path / "missing")


def test_maps_are_the_png_files_of_a_folder_by_name_or_one_file(files):
    folder = files("b.png", "a.png", "c.jpg")
    assert find_maps(folder) == [folder / "a.png", folder / "b.png"]
    assert find_maps(folder / "c.jpg") == [folder / "c.jpg"]


def test_a_folder_without_maps_points_to_the_maps_inside(files):
    folder = files("maps/a.png")
    assert refused(find_maps, folder).endswith(f"(did you mean {folder / 'maps'}?)")
    assert "there is no such file or folder" in refused(find_maps, folder / "other")


# --- maps


def test_grey_palette_and_coloured_maps_of_the_same_classes_are_read_alike(tmp_path):
    ids = np.random.default_rng(0).integers(0, 3, (8, 8)).astype(np.uint8)
    indexed = Image.fromarray(ids).convert("P")
    indexed.putpalette([9, 9, 9, 8, 8, 8, 7, 7, 7])
    indexed.save(tmp_path / "palette.png")
    image(tmp_path / "grey.png", ids)
    image(tmp_path / "colours.png", np.asarray(COLOURS)[ids])
    Image.fromarray(ids.astype(np.uint16)).save(tmp_path / "wide.png")
    expected = torch.nn.functional.one_hot(torch.from_numpy(ids).long(), 3).permute(2, 0, 1).float()
    for path in tmp_path.iterdir():
        assert torch.equal(read_map(path, SPEC), expected), path


def test_a_coloured_map_that_was_made_smaller_is_read_by_its_colours(tmp_path):
    ids = np.random.default_rng(0).integers(0, 3, (8, 8))
    image(tmp_path / "colours.png", np.asarray(COLOURS)[ids])
    small = Image.open(tmp_path / "colours.png").quantize(3)
    small.save(tmp_path / "small.png")
    order = np.asarray(small.getpalette()[:9]).reshape(3, 3).tolist()
    assert order != [list(colour) for colour in COLOURS]  # so its indices are not the classes
    assert torch.equal(read_map(tmp_path / "small.png", SPEC), read_map(tmp_path / "colours.png", SPEC))


@pytest.mark.parametrize(("colour", "expected"), [((0, 0, 142), 2), ((7, 7, 7), 3), ((1, 1, 1), 1)])
def test_a_palette_of_one_colour_is_that_class_or_a_grey_id(tmp_path, colour, expected):
    image = Image.new("P", (8, 8), 0)
    image.putpalette(colour)
    image.save(tmp_path / "map.png")
    spec = TaskSpec(structure_channels=4, size=(8, 8), palette=(*COLOURS, (7, 7, 7)))
    assert (read_map(tmp_path / "map.png", spec).argmax(0) == expected).all()


def test_the_maps_that_a_run_leaves_can_be_read_again(tmp_path):
    structure = torch.nn.functional.one_hot(torch.randint(3, (8, 8)), 3).permute(2, 0, 1).float()
    save_map(tmp_path / "map.png", structure, SPEC)
    assert torch.equal(read_map(tmp_path / "map.png", SPEC), structure)


def test_a_class_that_the_data_has_not_is_told_with_those_that_it_has(tmp_path):
    ids = np.zeros((8, 8))
    ids[:2] = 7
    error = refused(read_map, image(tmp_path / "map.png", ids), SPEC)
    assert "map.png: 16 pixels (25 %) have class ids that the data has not (7)" in error
    assert "expected 0 to 2: 0 road, 1 sky, 2 car" in error


def test_a_colour_that_no_class_has_is_told_with_the_nearest(tmp_path):
    pixels = np.full((8, 8, 3), COLOURS[1])
    pixels[0, :3] = (70, 131, 180)
    error = refused(read_map, image(tmp_path / "map.png", pixels), SPEC)
    assert "3 pixels (4.7 %) have colours that no class has, most of them (70, 131, 180)" in error
    assert "the nearest is sky (70, 130, 180)" in error


def test_a_coloured_map_is_refused_where_the_data_has_no_colours(tmp_path):
    path = image(tmp_path / "map.png", np.full((8, 8, 3), (1, 2, 3)))
    error = refused(read_map, path, TaskSpec(structure_channels=2, size=(8, 8)))
    assert "the data does not have a colour for each class (write class ids into one channel: 0 to 1)" in error


def test_data_without_classes_has_no_label_maps(tmp_path):
    path = image(tmp_path / "map.png", np.zeros((8, 8)))
    assert "1 channel, expected label maps" in refused(read_map, path, TaskSpec(structure_channels=1, size=(8, 8)))


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n broken"])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "map.png"
    path.write_bytes(content)
    assert refused(read_map, path, SPEC).startswith(f"{path}: ")


def test_an_image_that_is_cut_short_is_named(tmp_path):
    path = image(tmp_path / "photo.png", np.random.default_rng(0).integers(0, 255, (64, 64, 3)))
    path.write_bytes(path.read_bytes()[:3000])
    assert re.match(rf"{path}: the image is damaged or cut short", refused(read_photo, path, (8, 8)))


# --- size


def test_an_image_of_the_size_stays_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    photo = read_photo(image(tmp_path / "photo.png", pixels), (8, 8))
    assert torch.equal(((photo + 1) * 127.5).round().permute(1, 2, 0).byte(), torch.from_numpy(pixels))
    assert (photo.min() >= -1) & (photo.max() <= 1)


def test_a_wide_image_is_cut_to_its_middle(tmp_path):
    ids = np.zeros((16, 48))
    ids[:, 16:32] = 1
    ids[:, 32:] = 2
    assert (read_map(image(tmp_path / "map.png", ids), SPEC).argmax(0) == 1).all()
    photo = read_photo(image(tmp_path / "photo.png", np.asarray(COLOURS)[ids.astype(int)]), (8, 8))
    blue = torch.tensor(COLOURS[1])[:, None, None] / 127.5 - 1
    assert torch.allclose(photo[:, :, 2:6], blue.expand(3, 8, 4), atol=0.01)  # the cut's edges are mixed with outside


def test_photograph_and_map_stay_aligned_at_another_size(tmp_path):
    ids = np.random.default_rng(0).integers(0, 3, (8, 10)).repeat(6, 0).repeat(6, 1)
    image(tmp_path / "a.png", ids)
    image(tmp_path / "a.jpg", np.asarray(COLOURS)[ids], quality=100, subsampling=0)
    spec = TaskSpec(structure_channels=3, size=(24, 24), palette=COLOURS)
    batch = read_pairs(find_pairs(tmp_path), spec)
    assert batch["structure"].shape == (1, 3, 24, 24)
    painted = (torch.tensor(COLOURS)[batch["structure"][0].argmax(0)].permute(2, 0, 1)) / 127.5 - 1
    middles = (batch["target"][0] - painted).abs().amax(0)[1::3, 1::3]  # of cells of three pixels
    assert middles.max() < 0.1


def test_a_photograph_taken_upright_is_turned_as_its_camera_says(tmp_path):
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the right side of the sensor's image is up
    Image.fromarray(pixels).save(tmp_path / "photo.png", exif=exif)
    photo = read_photo(tmp_path / "photo.png", (8, 8))
    assert (photo[:, :, 4:] == 1).all()
    assert (photo[:, :, :4] == -1).all()


def test_a_map_of_another_view_is_refused(tmp_path):
    image(tmp_path / "a.png", np.zeros((16, 16)))
    image(tmp_path / "a.jpg", np.zeros((16, 24, 3)))
    error = refused(read_pairs, find_pairs(tmp_path), SPEC)
    assert "the map is 16x16, its photograph a.jpg 24x16 (width x height): they do not show the same view" in error


def test_a_map_of_the_photograph_as_it_is_stored_is_told_of_its_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    image(tmp_path / "a.png", np.zeros((8, 12)))
    image(tmp_path / "a.jpg", np.zeros((16, 24, 3)), exif=exif)
    error = refused(read_pairs, find_pairs(tmp_path), SPEC)
    assert "the map is 12x8, its photograph a.jpg 16x24" in error
    assert "stored as 24x16 and is turned upright by its EXIF orientation (8)" in error


def test_maps_of_the_support_that_were_smoothed_are_told_once(tmp_path, caplog):
    ids = np.random.default_rng(0).integers(0, 2, (8, 8)).astype(np.uint8) * 2
    for name in "ab":
        Image.fromarray(ids).resize((16, 16), Image.Resampling.BILINEAR).save(tmp_path / f"{name}.png")
        image(tmp_path / f"{name}.jpg", np.zeros((32, 32, 3)))
    read_pairs(find_pairs(tmp_path), SPEC)
    assert caplog.text.count("resized with smoothing") == 1
    assert f"support: {tmp_path / 'a.png'}: resized with smoothing or stored as JPEG" in caplog.text


def test_a_map_at_half_the_photographs_size_is_the_same_view(tmp_path):
    image(tmp_path / "a.png", np.zeros((17, 33)))
    image(tmp_path / "a.jpg", np.zeros((33, 65, 3)))
    assert read_pairs(find_pairs(tmp_path), SPEC).size == 1


def test_photographs_of_any_format_that_is_read_are_images_of_a_folder(tmp_path):
    names = ["a.JPG", "b.jpeg", "c.webp", "d.bmp", "e.tiff", "f.PNG"]
    for name in names:
        Image.new("RGB", (4, 4), "red").save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    assert [path.name for path in find_images(tmp_path)] == names


def test_a_folder_of_folders_of_photographs_is_told_with_one_of_them(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (4, 4), "red").save(tmp_path / "cat" / "0.webp")
    with pytest.raises(UserError, match=r"no photographs \(\.jpg, .* are in this folder \(did you mean .*cat\?\)"):
        find_images(tmp_path)


def test_what_is_wrong_in_a_folder_below_is_not_told_in_place_of_what_is_wrong_here(tmp_path):
    (tmp_path / "cat").mkdir()
    for name in ("a.png", "a.jpg"):
        Image.new("RGB", (4, 4), "red").save(tmp_path / "cat" / name)
    with pytest.raises(UserError, match=r"no photographs \(\.jpg, .* are in this folder$"):
        find_images(tmp_path)


def test_a_drawing_is_read_in_grey_on_white_paper_whatever_its_ink_and_its_paper_are(tmp_path):
    """As the task source `sketches` reads it for training."""
    spec = TaskSpec(3, (8, 8), also={"structure": Field("map", 3, drawn=True)})
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[8:10, 2:14] = (0, 0, 160, 255)
    Image.fromarray(ink).save(tmp_path / "clear.png")
    paper = np.full((16, 16, 3), 255, np.uint8)
    paper[8:10, 2:14] = (0, 0, 160)
    Image.fromarray(paper).save(tmp_path / "paper.png")
    for name in ("clear", "paper"):
        read = read_field(tmp_path / f"{name}.png", "structure", spec)
        expected = read_drawing(Drawing(tmp_path / f"{name}.png", "image"), (8, 8))
        assert (read * 255).round().to(torch.uint8)[1].tolist() == expected.tolist()
        assert torch.equal(read[0], read[2])
        assert (read.min() < 0.2, read.max() > 0.95) == (True, True)


def test_a_map_that_is_a_drawing_is_refused_when_it_is_empty_or_white_on_black(tmp_path):
    spec = TaskSpec(1, (8, 8), also={"structure": Field("map", 1, drawn=True), "mask": Field("map", 1)})
    lines = np.full((8, 8), 255, np.uint8)
    lines[4, 1:7] = 0
    for name, levels in {"lines": lines, "black": 255 - lines, "white": np.full((8, 8), 255, np.uint8)}.items():
        Image.fromarray(levels).save(tmp_path / f"{name}.png")
    read = read_field(tmp_path / "lines.png", "structure", spec)
    assert torch.equal(read[0], torch.from_numpy(lines) / 255)
    with pytest.raises(UserError, match=r"black\.png: the drawing is white on black"):
        read_field(tmp_path / "black.png", "structure", spec)
    with pytest.raises(UserError, match=r"white\.png: the drawing is empty"):
        read_field(tmp_path / "white.png", "structure", spec)
    assert read_field(tmp_path / "white.png", "mask", spec).min() == 1
