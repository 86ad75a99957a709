import io
import struct

import numpy as np
import pytest
from odd_images import GREY, GREY_ALPHA, PALETTE, RGB, RGBA, SRGB, png, profile
from PIL import Image, ImageCms
from warned import warned

from metai2i import UserError
from metai2i.data.decoding import hush
from metai2i.data.photographs import read_photograph

COLOURS = np.array([[[10, 20, 30], [200, 100, 50]], [[0, 0, 0], [255, 255, 255]]], np.uint8)
SIX = np.arange(0, 60, 10, dtype=np.uint8).reshape(2, 3)
UPRIGHT = {
    1: SIX,
    2: SIX[:, ::-1],
    3: SIX[::-1, ::-1],
    4: SIX[::-1],
    5: SIX.T,
    6: SIX[::-1].T,
    7: SIX[::-1, ::-1].T,
    8: SIX.T[::-1],
}
"""What a viewer shows of `SIX` under each orientation."""


def read(tmp_path, content: bytes | Image.Image, name: str = "a.png", **options: object) -> np.ndarray:
    if isinstance(content, Image.Image):
        content.save(tmp_path / name, **options)
    else:
        (tmp_path / name).write_bytes(content)
    image = read_photograph(tmp_path / name)
    assert image.mode == "RGB"
    assert image.info == {}
    return np.asarray(image)


def refused(tmp_path, content: bytes | Image.Image, name: str = "a.png", **options: object) -> str:
    with pytest.raises(UserError) as caught:
        read(tmp_path, content, name, **options)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    return str(caught.value)


# --- kinds of pixels


def test_rgb_of_8_bits_stays_as_it_is(tmp_path):
    assert (read(tmp_path, Image.fromarray(COLOURS)) == COLOURS).all()


def test_grey_levels_of_8_bits_become_three_equal_channels(tmp_path):
    assert read(tmp_path, Image.fromarray(SIX)).tolist() == [[[v] * 3 for v in row] for row in SIX.tolist()]


@pytest.mark.parametrize(
    ("depth", "row", "levels"),
    [
        (1, b"\x50", [0, 255, 0, 255]),
        (2, b"\x1b", [0, 85, 170, 255]),
        (4, b"\x01\x8f", [0, 17, 136, 255]),
        (16, struct.pack(">4H", 0, 32768, 65535, 257), [0, 128, 255, 1]),
    ],
)
def test_grey_levels_of_other_depths_are_scaled_to_8_bits(tmp_path, depth, row, levels):
    assert read(tmp_path, png([row], 4, depth, GREY))[0, :, 0].tolist() == levels


def test_grey_of_16_bits_is_scaled_in_other_formats_too(tmp_path):
    levels = np.array([[0, 32768, 65535]], np.uint16)
    for name in ("a.tif", "a.png"):
        assert read(tmp_path, Image.fromarray(levels), name)[0, :, 1].tolist() == [0, 128, 255]
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 65535\n" + levels.astype(">u2").tobytes())
    assert np.asarray(read_photograph(tmp_path / "a.pgm"))[0, :, 1].tolist() == [0, 128, 255]


def test_rgb_of_16_bits_is_scaled_to_8(tmp_path):
    row = struct.pack(">6H", 65535, 32768, 0, 10 * 257, 20 * 257, 30 * 257)
    assert read(tmp_path, png([row], 2, 16, RGB))[0].tolist() == [[255, 128, 0], [10, 20, 30]]


def test_floating_point_is_refused(tmp_path):
    assert "the image holds floating-point numbers" in refused(tmp_path, Image.new("F", (2, 2)), "a.tif")


def test_grey_beyond_16_bits_is_refused(tmp_path):
    error = refused(tmp_path, Image.fromarray(np.full((2, 2), 1 << 20, np.int32)), "a.tif")
    assert "grey levels from 1048576 to 1048576, expected 8 or 16 bits" in error


def test_a_palette_is_read_by_its_colours(tmp_path):
    content = png([b"\x01\x00\x01"], 3, 8, PALETTE, (b"PLTE", bytes([10, 20, 30, 200, 100, 50])))
    assert read(tmp_path, content)[0].tolist() == [[200, 100, 50], [10, 20, 30], [200, 100, 50]]


def test_cmyk_is_read_as_ink_on_paper(tmp_path):
    """JPEG files of CMYK are stored inverted, as Adobe began it."""
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert np.abs(read(tmp_path, inks, "a.jpg", quality=100).astype(int) - (255, 0, 0)).max() <= 2


# --- transparency


def test_an_opaque_alpha_channel_is_dropped(tmp_path):
    alpha = np.full((2, 2, 1), 255, np.uint8)
    assert (read(tmp_path, Image.fromarray(np.concatenate([COLOURS, alpha], -1))) == COLOURS).all()
    assert (
        read(tmp_path, Image.merge("LA", [Image.new("L", (2, 2), 7), Image.new("L", (2, 2), 255)])).tolist()
        == [[[7] * 3] * 2] * 2
    )


@pytest.mark.parametrize(
    "content",
    [
        png([bytes([9, 9, 9, 255]) * 3 + bytes([9, 9, 9, 254])], 4, 8, RGBA),
        png([bytes([9, 255]) * 3 + bytes([9, 0])], 4, 8, GREY_ALPHA),
        png([struct.pack(">8H", 9, 65535, 9, 65535, 9, 65535, 9, 0)], 4, 16, GREY_ALPHA),
        png([b"\0\0\0\1"], 4, 8, PALETTE, (b"PLTE", bytes(6)), (b"tRNS", b"\xff\x80")),
        png([bytes([1, 2, 3]) + bytes(9)], 4, 8, RGB, (b"tRNS", b"\0\1\0\2\0\3")),
        png([b"\5\0\0\0"], 4, 8, GREY, (b"tRNS", b"\0\5")),
        png([b"\x01\x11"], 4, 4, GREY, (b"tRNS", b"\0\0")),
        png([b"\x80"], 4, 1, GREY, (b"tRNS", b"\0\1")),
        png([struct.pack(">4H", 300, 0, 0, 0)], 4, 16, GREY, (b"tRNS", b"\x01\x2c")),
    ],
)
def test_transparent_pixels_are_refused_with_their_share(tmp_path, content):
    assert "25 % of the pixels are transparent, and what is seen there is up to the viewer" in refused(
        tmp_path, content
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png([bytes([1, 2, 3])], 1, 8, RGB, (b"tRNS", b"\0\1\0\2\0\4")), [1, 2, 3]),
        (png([b"\1"], 1, 8, PALETTE, (b"PLTE", bytes([0, 0, 0, 1, 2, 3])), (b"tRNS", b"\0")), [1, 2, 3]),
        (png([b"\x11"], 1, 8, GREY, (b"tRNS", b"\0\1")), [17, 17, 17]),
    ],
)
def test_a_transparent_colour_that_no_pixel_has_does_no_harm(tmp_path, content, expected, recwarn):
    hush()  # pytest has set the filters back
    assert read(tmp_path, content)[0, 0].tolist() == expected
    assert warned(recwarn) == []


# --- orientation


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_colour_is_seen_through_what_is_transparent_where_a_source_says_so(tmp_path, mode):
    alpha = Image.fromarray(np.array([[255, 128, 0]], np.uint8))
    image = Image.merge("LA", [Image.new("L", (3, 1), 100), alpha]).convert("RGBA")
    if mode == "P":
        image = Image.fromarray(np.array([[0, 0, 1]], np.uint8)).convert("P")
        image.putpalette([100, 100, 100, 9, 9, 9])
        image.info["transparency"] = 1
        image.save(tmp_path / "a.png", transparency=1)
    else:
        image.convert(mode).save(tmp_path / "a.png")
    middle = 100 if mode == "P" else 177  # half of 100 and of 255
    levels = np.asarray(read_photograph(tmp_path / "a.png", on=(255, 255, 0)))
    assert np.abs(levels[0, :, 0].astype(int) - [100, middle, 255]).max() <= 1
    assert levels[0, 2].tolist() == [255, 255, 0]
    with pytest.raises(UserError, match="transparent"):
        read_photograph(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png([bytes([1, 2, 3, 4, 5, 6])], 2, 8, RGB, (b"tRNS", b"\0\1\0\2\0\3")), [[255, 255, 0], [4, 5, 6]]),
        (png([b"\5\7"], 2, 8, GREY, (b"tRNS", b"\0\5")), [[255, 255, 0], [7, 7, 7]]),
        (png([b"\x40"], 2, 1, GREY, (b"tRNS", b"\0\0")), [[255, 255, 0], [255, 255, 255]]),
        (png([b"\x12"], 2, 4, GREY, (b"tRNS", b"\0\1")), [[255, 255, 0], [34, 34, 34]]),
    ],
)
def test_a_colour_is_seen_through_the_one_that_stands_for_nothing_too(tmp_path, content, expected):
    (tmp_path / "a.png").write_bytes(content)
    assert np.asarray(read_photograph(tmp_path / "a.png", on=(255, 255, 0)))[0].tolist() == expected


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright_once(tmp_path, format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(SIX).convert("RGB")
    image.save(tmp_path / "a", format=format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    upright = read_photograph(tmp_path / "a")
    assert (np.asarray(upright)[..., 0] == UPRIGHT[orientation]).all()
    upright.save(tmp_path / "again.png")
    assert (np.asarray(read_photograph(tmp_path / "again.png")) == np.asarray(upright)).all()


def test_a_jpeg_taken_upright_is_turned(tmp_path):
    exif, tall = Image.Exif(), np.zeros((16, 32, 3), np.uint8)
    exif[0x0112], tall[:8] = 6, 255
    seen = read(tmp_path, Image.fromarray(tall), "a.jpg", quality=100, exif=exif)
    assert seen.shape == (32, 16, 3)
    assert seen[:, 9:].min() > 250
    assert seen[:, :7].max() < 5


# --- colour


def test_another_red_and_green_are_shown_as_such(tmp_path):
    """A profile that exchanges the primaries of sRGB: what is stored as red is shown as green."""
    swapped = profile(2.2, (SRGB[1], SRGB[0], SRGB[2]))
    seen = read(tmp_path, Image.new("RGB", (4, 4), (255, 0, 0)), icc_profile=swapped)
    assert np.abs(seen.astype(int) - (0, 255, 0)).max() <= 2


def test_grey_levels_with_a_profile_are_shown_as_it_says(tmp_path):
    seen = read(tmp_path, Image.new("L", (4, 4), 128), icc_profile=profile(1.0))
    assert abs(int(seen[0, 0, 0]) - 188) <= 1  # half the light


@pytest.mark.parametrize(
    "embedded",
    [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b"no profile at all", profile(1.0)],
    ids=["sRGB", "damaged", "grey"],
)
def test_a_profile_that_changes_nothing_leaves_every_number(tmp_path, embedded):
    assert (read(tmp_path, Image.fromarray(COLOURS), icc_profile=embedded) == COLOURS).all()


@pytest.mark.parametrize(("gamma", "level"), [(100_000, 186), (45_455, 128), (46_000, 128)])
def test_the_gamma_of_a_png_is_followed_unless_it_is_that_of_srgb(tmp_path, gamma, level):
    content = png([b"\x80"], 1, 8, GREY, (b"gAMA", struct.pack(">I", gamma)))
    assert read(tmp_path, content)[0, 0].tolist() == [level] * 3


def test_a_gamma_beside_the_word_srgb_does_not_count(tmp_path):
    content = png([b"\x80"], 1, 8, GREY, (b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000)))
    assert read(tmp_path, content)[0, 0].tolist() == [128] * 3


# --- damage


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_an_image_that_is_cut_short_is_told(tmp_path, name):
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, format={"jpg": "JPEG"}.get(name[2:], name[2:].upper()))
    assert "damaged or cut short" in refused(tmp_path, whole.getvalue()[:1000], name)
