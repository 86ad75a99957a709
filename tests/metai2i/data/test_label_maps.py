import io
import pickle

import numpy as np
import pytest
from odd_images import GREY, GREY_ALPHA, PALETTE, RGB, png
from PIL import Image

from metai2i import TaskSpec, UserError
from metai2i.data.label_maps import Legend, blended, legend_of, looks_smoothed, read_label_map

ROAD, SKY, CAR, LAWN = (128, 64, 128), (70, 130, 180), (0, 0, 142), (10, 200, 10)
COLOURS = (ROAD, SKY, CAR, LAWN)
NAMES = ("road", "sky", "car", "lawn")
IDS = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [0, 0, 3, 3], [1, 1, 2, 2]], np.uint8)
IN_COLOURS = np.array(COLOURS, np.uint8)[IDS]
BOTH = legend_of(TaskSpec(structure_channels=4, size=(4, 4), classes=NAMES, palette=COLOURS))
"""Maps hold ids, or the colours of all classes."""
COLOURED = Legend(NAMES, colours=dict(zip(COLOURS, range(4), strict=True)), rest=3)
"""Maps hold colours only; what is of none is lawn."""


def saved(tmp_path, content: bytes | Image.Image | np.ndarray, name: str = "map.png", **options: object):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        (content if isinstance(content, Image.Image) else Image.fromarray(content)).save(path, **options)
    return path


def read(tmp_path, content, legend: Legend = BOTH, name: str = "map.png", **options: object) -> np.ndarray:
    labels = read_label_map(saved(tmp_path, content, name, **options), legend)
    assert labels.remarks == ()
    assert labels.classes.dtype == np.uint8
    return labels.classes


def remarked(tmp_path, content, legend: Legend = BOTH) -> tuple[np.ndarray, str]:
    labels = read_label_map(saved(tmp_path, content), legend)
    (remark,) = labels.remarks
    return labels.classes, remark.kind


def refused(tmp_path, content, legend: Legend = BOTH, name: str = "map.png", **options: object) -> str:
    path = saved(tmp_path, content, name, **options)
    with pytest.raises(UserError) as caught:
        read_label_map(path, legend)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def with_palette(indices: np.ndarray, colours: list[tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8)).convert("P")
    image.putpalette([level for colour in colours for level in colour])
    return image


def reordered(order: tuple[int, ...], colours=COLOURS) -> Image.Image:
    """`IDS` as a palette image whose class k has the index `order[k]` and its own colour."""
    palette = [(0, 0, 0)] * (max(order) + 1)
    for number, index in enumerate(order):
        palette[index] = colours[number]
    return with_palette(np.array(order)[IDS], palette)


# --- numbers


def test_grey_levels_of_8_bits_are_ids(tmp_path):
    assert (read(tmp_path, IDS) == IDS).all()


@pytest.mark.parametrize(
    ("depth", "rows"),
    [
        (1, [b"\x50", b"\xa0"]),
        (2, [b"\x11", b"\x44"]),
        (4, [b"\x01\x01", b"\x10\x10"]),
        (16, [b"\0\0\0\1\0\0\0\1", b"\0\1\0\0\0\1\0\0"]),
    ],
)
def test_ids_of_other_depths_are_the_numbers_in_the_file(tmp_path, depth, rows):
    """Pillow stretches grey levels of 2 and 4 bits: the ids 0, 1 would be 0, 85 or 0, 17."""
    assert read(tmp_path, png(rows, 4, depth, GREY)).tolist() == [[0, 1, 0, 1], [1, 0, 1, 0]]


@pytest.mark.parametrize(("name", "dtype"), [("a.tif", np.uint16), ("a.tif", np.int32), ("a.bmp", np.uint8)])
def test_ids_in_other_formats_that_lose_nothing_are_read(tmp_path, name, dtype):
    assert (read(tmp_path, IDS.astype(dtype), name=name) == IDS).all()


def test_ids_beside_an_opaque_alpha_channel_are_read(tmp_path):
    assert (read(tmp_path, Image.merge("LA", [Image.fromarray(IDS), Image.new("L", (4, 4), 255)])) == IDS).all()


def test_a_grey_image_of_ids_in_three_channels_is_read(tmp_path):
    assert (read(tmp_path, np.repeat(IDS[..., None], 3, -1)) == IDS).all()


@pytest.mark.parametrize("wrong", [4, 255, 300, 65535, -1, 1 << 20])
def test_ids_that_the_data_has_not_are_told_with_their_share(tmp_path, wrong):
    numbers = IDS.astype(np.int32)
    numbers[0, :3] = wrong
    error = refused(tmp_path, numbers, name="map.tif")
    assert f"3 pixels (19 %) have class ids that the data has not ({wrong}), expected 0 to 3: 0 road, 1 sky" in error


def test_numbers_in_gaps_are_told_as_such(tmp_path):
    legend = Legend(NAMES, {0: 0, 1: 1, 2: 2, 255: 3})
    assert "class ids that the data has not (3), expected 0 to 2 and 255" in refused(tmp_path, IDS, legend)
    assert read(tmp_path, np.where(IDS == 3, 255, IDS).astype(np.uint8), legend).tolist() == IDS.tolist()


def test_floating_point_is_refused(tmp_path):
    assert "got floating-point numbers" in refused(tmp_path, IDS.astype(np.float32), name="map.tif")


def test_grey_levels_are_refused_where_only_colours_mean_something(tmp_path):
    assert "expected a label map of colours, got grey levels" in refused(tmp_path, IDS, COLOURED)


# --- colours


@pytest.mark.parametrize("legend", [BOTH, COLOURED])
def test_the_datas_colours_are_read_by_class(tmp_path, legend):
    assert (read(tmp_path, IN_COLOURS, legend) == IDS).all()
    opaque = np.full((4, 4, 1), 255, np.uint8)
    assert (read(tmp_path, np.concatenate([IN_COLOURS, opaque], -1), legend) == IDS).all()


def test_an_unknown_colour_is_told_with_its_share_and_the_nearest_class(tmp_path):
    pixels = IN_COLOURS.copy()
    pixels[0, 0] = (128, 64, 129)
    error = refused(tmp_path, pixels)
    assert "1 pixel (6.2 %) has colours that no class has, most of them (128, 64, 129)" in error
    assert "(the nearest is road (128, 64, 128); a map holds class ids" in error


def speckled(pixels: int) -> np.ndarray:
    whole = np.full((20, 20, 3), SKY, np.uint8)
    whole[0, :pixels] = (70, 130, 181)
    return whole


def test_a_few_specks_count_as_the_rest_and_are_remarked(tmp_path):
    labels = read_label_map(saved(tmp_path, speckled(4)), COLOURED)
    assert (labels.classes[0, :4] == 3).all()
    assert (labels.classes[0, 4:] == 1).all()
    assert [remark.sentence() for remark in labels.remarks] == [
        "4 pixels (1 %) have colours that no class has, most of them (70, 130, 181), the nearest being sky "
        "(70, 130, 180); they count as lawn"
    ]


def test_more_than_a_few_specks_are_refused(tmp_path):
    assert "5 pixels (1.2 %) have colours that no class has" in refused(tmp_path, speckled(5), COLOURED)


def test_specks_are_refused_where_there_is_no_class_for_the_rest(tmp_path):
    assert "4 pixels (1 %) have colours that no class has" in refused(tmp_path, speckled(4))


def test_colours_that_were_blended_are_told_as_smoothing(tmp_path):
    whole = Image.fromarray(IN_COLOURS).resize((40, 40), Image.Resampling.BILINEAR)
    assert "such colours are what smoothing or JPEG leaves: resize maps by the nearest pixel" in refused(
        tmp_path, whole
    )


@pytest.mark.parametrize("kind", [RGB, GREY_ALPHA])
def test_channels_of_16_bits_are_refused(tmp_path, kind):
    rows = [b"\0\1" * (3 if kind == RGB else 2)]
    assert "several channels of 16 bits, expected 8" in refused(tmp_path, png(rows, 1, 16, kind))


def test_a_map_that_is_a_jpeg_is_refused_whatever_its_name(tmp_path):
    assert "this is a JPEG image" in refused(tmp_path, IDS, name="map.png", format="JPEG")
    assert "compressed as a JPEG is" in refused(tmp_path, IN_COLOURS, name="map.tif", compression="jpeg")


def test_a_copied_legend_leaves_its_tables_behind():
    assert COLOURED.class_of_colour[0x804080] == 0
    content = pickle.dumps(COLOURED)
    assert len(content) < 1000
    assert pickle.loads(content).colours == COLOURED.colours


# --- palettes


@pytest.mark.parametrize("legend", [BOTH, COLOURED])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 2, 1), (9, 4, 200, 0)])
def test_a_palette_of_the_datas_colours_is_read_by_colour_in_any_order(tmp_path, legend, order):
    assert (read(tmp_path, reordered(order), legend) == IDS).all()


def test_a_palette_of_grey_ids_is_read_by_grey_level_in_any_order(tmp_path):
    """So a grey image of ids looks that was made smaller."""
    assert (read(tmp_path, reordered((2, 3, 0, 1), [(i, i, i) for i in range(4)])) == IDS).all()


def test_a_palette_that_is_only_for_looking_at_leaves_the_indices_as_ids(tmp_path):
    strange = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]
    classes, kind = remarked(tmp_path, with_palette(IDS, strange))
    assert (classes == IDS).all()
    assert kind == "palette"


def test_a_palette_says_nothing_where_the_data_has_no_colours(tmp_path):
    legend = legend_of(TaskSpec(structure_channels=4, size=(4, 4)))
    assert (read(tmp_path, with_palette(IDS, [(9, 9, 9), (128, 0, 0), (0, 128, 0), (1, 2, 3)]), legend) == IDS).all()


@pytest.mark.parametrize("shift", [0, 1])
def test_a_reordered_palette_with_a_wrong_colour_is_refused(tmp_path, shift):
    colours = [(r + shift, g, b) for r, g, b in COLOURS[:3]] + [(255, 255, 0)]
    error = refused(tmp_path, reordered((3, 0, 2, 1), colours))
    assert "have colours that no class has" in error


def test_a_palette_in_order_with_a_colour_a_little_off_is_read_by_its_indices(tmp_path):
    classes, kind = remarked(tmp_path, reordered((0, 1, 2, 3), [*COLOURS[:3], (11, 200, 10)]))
    assert (classes == IDS).all()
    assert kind == "palette"


def test_an_index_beyond_the_palette_is_refused(tmp_path):
    content = png([b"\0\1\2\3"], 4, 8, PALETTE, (b"PLTE", bytes([*ROAD, *SKY, *CAR])))
    assert "pixels have the index 3, but the palette has only 3 colours" in refused(tmp_path, content)


def test_palettes_of_few_bits_are_read(tmp_path):
    content = png([b"\x1b"], 4, 2, PALETTE, (b"PLTE", bytes([*SKY, *ROAD, *LAWN, *CAR])))
    assert read(tmp_path, content).tolist() == [[1, 0, 3, 2]]


# --- how it is held, what is seen through


@pytest.mark.parametrize("content", [IDS, IN_COLOURS, reordered((3, 0, 2, 1))], ids=["ids", "colours", "palette"])
def test_a_maps_own_orientation_is_followed(tmp_path, content):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert (read(tmp_path, content, exif=exif) == IDS[::-1].T).all()


@pytest.mark.parametrize(
    "content",
    [
        Image.merge("LA", [Image.new("L", (4, 1)), Image.fromarray(np.array([[255, 255, 255, 0]], np.uint8))]),
        np.array([[[*ROAD, 255], [*ROAD, 255], [*ROAD, 255], [*ROAD, 9]]], np.uint8),
        png([b"\0\1\1\1"], 4, 8, PALETTE, (b"PLTE", bytes([*ROAD, *SKY])), (b"tRNS", b"\0")),
        png([b"\0\1\1\1"], 4, 8, GREY, (b"tRNS", b"\0\0")),
    ],
)
def test_a_transparent_map_is_refused(tmp_path, content):
    assert "25 % of the pixels are transparent" in refused(tmp_path, content)


# --- smoothing


def street(size: int = 64) -> np.ndarray:
    """Sky above a road, with a car, a thin pole and a round tree: ids that are not in the order of nesting."""
    y, x = np.mgrid[:size, :size]
    ids = np.where(y < size // 2, 10, 0).astype(np.uint8)
    ids[size // 3 : 2 * size // 3, size // 4 : size // 2] = 13
    ids[: size // 2, 3 * size // 4] = 5
    ids[(y - size // 2) ** 2 + (x - size // 6) ** 2 < (size // 8) ** 2] = 8
    return ids


def test_a_sound_map_of_ids_is_not_taken_for_smoothed(tmp_path):
    legend = Legend(ids={i: i for i in range(20)})
    assert read(tmp_path, street(), legend).shape == (64, 64)
    for size in (16, 64, 100):
        larger = Image.fromarray(street()).resize((size, size), Image.Resampling.NEAREST)
        assert not looks_smoothed(*blended(np.asarray(larger)))


@pytest.mark.parametrize("how", ["BILINEAR", "BICUBIC", "LANCZOS", "BOX", "HAMMING"])
def test_a_map_of_ids_that_was_smoothed_is_remarked(tmp_path, how):
    smaller = Image.fromarray(street(128)).resize((50, 50), getattr(Image.Resampling, how))
    labels = read_label_map(saved(tmp_path, smaller), Legend(ids={i: i for i in range(20)}))
    (remark,) = labels.remarks
    assert remark.kind == "smoothed"
    assert "resized with smoothing or stored as JPEG, it seems" in remark.sentence()


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_a_map_of_ids_that_once_was_a_jpeg_is_remarked_or_refused(tmp_path, quality):
    stored = io.BytesIO()
    Image.fromarray(street()).save(stored, "JPEG", quality=quality)
    again = np.asarray(Image.open(stored))
    if again.max() < 20:
        assert remarked(tmp_path, again, Legend(ids={i: i for i in range(20)}))[1] == "smoothed"
    else:
        assert "class ids that the data has not" in refused(tmp_path, again, Legend(ids={i: i for i in range(20)}))


def test_blends_are_counted_between_a_smaller_and_a_greater_id_and_alone():
    ids = np.array([[0, 3, 6, 6], [0, 0, 6, 6], [0, 0, 0, 0], [0, 9, 0, 0], [0, 0, 0, 0]])
    assert blended(ids) == (2, 10)  # the 3 and the 9; 2 + 1 + 2 borders across, 3 + 1 + 1 down


def pgm(start: bytes, levels: list[int], largest: int) -> bytes:
    if start == b"P2":
        return b"P2 %d 1 %d\n" % (len(levels), largest) + b" ".join(b"%d" % level for level in levels)
    packed = np.array(levels).astype(">u2" if largest > 255 else np.uint8).tobytes()
    return b"P5 %d 1 %d\n" % (len(levels), largest) + packed


@pytest.mark.parametrize(("start", "largest"), [(b"P5", 150), (b"P5", 40_000), (b"P2", 18)])
def test_a_pgm_whose_levels_would_be_stretched_is_no_map_of_ids(tmp_path, start, largest):
    error = refused(tmp_path, pgm(start, [0, 1, 3], largest), name="map.pgm")
    assert f"its levels go up to {largest}, so viewers and readers stretch them to 255" in error


@pytest.mark.parametrize(("start", "largest"), [(b"P5", 255), (b"P5", 65535), (b"P2", 255)])
def test_a_pgm_of_all_levels_is_read_as_it_is(tmp_path, start, largest):
    assert read(tmp_path, pgm(start, [0, 1, 3], largest), name="map.pgm").tolist() == [[0, 1, 3]]
