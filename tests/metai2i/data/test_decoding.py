import io
import os
import shlex
import stat
import struct
import zlib

import numpy as np
import pytest
from odd_images import GREY, png
from PIL import Image
from warned import warned

from metai2i import UserError
from metai2i.data.decoding import (
    MAPS,
    ORIENTATION,
    READS_AVIF,
    TURNS,
    ImageHeader,
    check_same_size,
    header,
    hush,
    opened,
)
from metai2i.data.label_maps import Legend, read_label_map
from metai2i.data.photographs import read_photograph

EXPECTED = "JPEG, PNG, WebP, BMP, TIFF, PPM or AVIF" if READS_AVIF else "JPEG, PNG, WebP, BMP, TIFF or PPM"
WIDE = np.array([[[10, 0, 0], [20, 0, 0], [30, 0, 0]], [[40, 0, 0], [50, 0, 0], [60, 0, 0]]], np.uint8)


def exif_of(orientation: object) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def refused(path, *formats) -> str:
    with pytest.raises(UserError) as caught, opened(path, *formats) as image:
        image.load()
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


# --- what a file is


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a"])
def test_an_image_is_read_by_what_it_is_not_by_its_name(tmp_path, format, name):
    Image.new("RGB", (5, 4), (9, 9, 9)).save(tmp_path / name, format=format)
    assert header(tmp_path / name) == ImageHeader((5, 4), 1, "RGB")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "this is PostScript"),
        (b"\xc5\xd0\xd3\xc6" + bytes(40), "this is PostScript"),
        (b"%PDF-1.4\n", "this is a PDF document"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "this is an SVG drawing"),
        (b"<!DOCTYPE html><p>404", "this is an HTML page"),
        (b"\0\0\0\x1cftypisom" + bytes(40), "this is a video (MP4)"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "this is a Git LFS pointer, whose content has not been fetched",
        ),
        ("grün ".encode() * 200, "this is text"),
        (b"", "this is an empty file"),
    ],
)
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.eps"])
def test_what_is_no_photograph_is_called_what_it_is(tmp_path, content, words, name):
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name) == (f"not an image that can be read: {words}, expected {EXPECTED}")


def brands(major: bytes, *others: bytes) -> bytes:
    """The beginning of an ISO media file of these brands."""
    named = b"ftyp" + major + bytes(4) + b"".join(others)
    return (4 + len(named)).to_bytes(4) + named + bytes(40)


@pytest.mark.parametrize(
    ("content", "name", "words", "command"),
    [
        (brands(b"heic", b"mif1", b"heic"), "a.heic", "a HEIC image", "heif-convert {} {}"),
        (brands(b"mif1", b"mif1", b"heic"), "a.jpg", "a HEIC image", "heif-convert {} {}"),
        (b"\0\0\0\x0cJXL " + bytes(40), "a.jxl", "a JPEG XL image", "djxl {} {}"),
        (b"\0\0\0\x0cjP  " + bytes(40), "a.jp2", "a JPEG 2000 image", "opj_decompress -i {} -o {}"),
        (b"8BPS\0\1" + bytes(40), "my photo.psd", "a Photoshop document", "magick {} {}"),
        (b"\0\0\1\0\1\0" + bytes(40), "a.ico", "an icon (ICO)", "magick {} {}"),
        (b"GIF89a" + bytes(40), "a.gif", "a GIF image", "magick {} {}"),
    ],
)
def test_what_is_not_read_comes_with_a_command_that_converts_it(tmp_path, content, name, words, command):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        header(path)
    assert caught.value.what == f"not an image that can be read: this is {words}, expected {EXPECTED}"
    shown, png = str(path), str(path.with_suffix(".png"))
    if command.startswith("magick"):
        shown += "[0]"
    command = command.format(shlex.quote(shown), shlex.quote(png))
    assert caught.value.hint == f"convert it, and move the original elsewhere: {command}"


def test_no_command_is_named_for_a_label_map_whose_classes_are_blended_already(tmp_path):
    (tmp_path / "map.png").write_bytes(brands(b"heic", b"mif1"))
    with pytest.raises(UserError) as caught:
        header(tmp_path / "map.png", MAPS)
    assert "this is a HEIC image, expected PNG, BMP, TIFF or PPM" in str(caught.value)
    assert caught.value.hint == "it blends the classes along every edge; label maps must keep each pixel"


@pytest.mark.skipif(not READS_AVIF, reason="this Pillow reads no AVIF")
class TestAvif:
    def test_an_avif_photograph_is_read(self, tmp_path):
        Image.new("RGB", (8, 6), (200, 40, 90)).save(tmp_path / "a.jpg", format="AVIF", quality=100)
        assert header(tmp_path / "a.jpg") == ImageHeader((8, 6), 1, "RGB")
        pixels = np.asarray(read_photograph(tmp_path / "a.jpg")).astype(int)
        assert pixels.shape == (6, 8, 3)
        assert np.abs(pixels - (200, 40, 90)).max() <= 3

    @pytest.mark.parametrize("orientation", [3, 6, 8])
    def test_an_avif_photograph_is_turned_upright(self, tmp_path, orientation):
        image = Image.fromarray(np.kron([[0, 80], [160, 240]], np.ones((8, 16))).astype(np.uint8)).convert("RGB")
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        image.save(tmp_path / "a.avif", quality=100, exif=exif)
        expected = np.asarray(image.transpose(TURNS[orientation])).astype(int)
        pixels = np.asarray(read_photograph(tmp_path / "a.avif")).astype(int)
        assert pixels.shape == expected.shape
        assert np.abs(pixels - expected).mean() < 3

    def test_an_avif_that_is_cut_short_or_moves_is_told(self, tmp_path):
        image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
        image.save(tmp_path / "a.avif")
        (tmp_path / "short.avif").write_bytes((tmp_path / "a.avif").read_bytes()[:-200])
        with pytest.raises(UserError, match="damaged or cut short"):
            read_photograph(tmp_path / "short.avif")
        image.save(tmp_path / "moving.avif", save_all=True, append_images=[image.rotate(90)])
        with pytest.raises(UserError, match="2 frames, an animation"):
            header(tmp_path / "moving.avif")

    @pytest.mark.parametrize(
        ("primaries", "transfer", "words"),
        [
            (9, 16, "the AVIF image has PQ, an HDR curve, expected sRGB"),
            (9, 18, "the AVIF image has HLG, an HDR curve, expected sRGB"),
            (12, 13, "the AVIF image has the colours of Display P3, expected sRGB"),
            (1, 4, "the AVIF image has transfer characteristics 4, expected sRGB"),
        ],
    )
    def test_an_avif_of_other_light_is_refused(self, tmp_path, primaries, transfer, words):
        path = tmp_path / "a.avif"
        Image.new("RGB", (8, 6), (200, 40, 90)).save(path)
        content = path.read_bytes()
        place = content.index(b"colrnclx") + 8
        coded = primaries.to_bytes(2) + transfer.to_bytes(2)
        path.write_bytes(content[:place] + coded + content[place + 4 :])
        with pytest.raises(UserError) as caught:
            read_photograph(path)
        assert caught.value.what == words

    def test_an_avif_with_transparent_pixels_is_refused(self, tmp_path):
        Image.new("RGBA", (8, 6), (200, 40, 90, 10)).save(tmp_path / "a.avif")
        with pytest.raises(UserError, match="100 % of the pixels are transparent"):
            read_photograph(tmp_path / "a.avif")

    def test_a_label_map_is_no_avif(self, tmp_path):
        Image.new("RGB", (8, 6)).save(tmp_path / "map.png", format="AVIF")
        with pytest.raises(UserError) as caught:
            header(tmp_path / "map.png", MAPS)
        assert caught.value.hint == "it blends the classes along every edge; label maps must keep each pixel"


def test_no_decoder_sees_postscript(tmp_path, monkeypatch):
    """Pillow would start Ghostscript for it."""
    started = tmp_path / "started"
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.parent.mkdir()
    ghostscript.write_text(f"#!/bin/sh\ntouch {started}\n")
    ghostscript.chmod(ghostscript.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(ghostscript.parent), prepend=os.pathsep)
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\nshowpage\n%%EOF\n"
    )
    assert "PostScript" in refused(tmp_path / "a.png")
    assert not started.exists()


def test_a_format_that_is_not_on_the_list_is_named(tmp_path):
    Image.new("P", (4, 4)).save(tmp_path / "a.png", format="GIF")
    assert "this is a GIF image, expected" in refused(tmp_path / "a.png")


def test_a_label_map_may_not_be_a_jpeg_under_another_name(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", format="JPEG")
    error = refused(tmp_path / "a.png", MAPS)
    assert "this is a JPEG image, expected PNG, BMP, TIFF or PPM (it blends the classes along every edge" in error


def test_bytes_that_are_nothing_known_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(bytes(range(1, 200)))
    assert refused(tmp_path / "a.png").startswith("not an image that can be read, expected JPEG")


def test_what_is_no_ordinary_file_is_not_opened(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone")
    assert refused(tmp_path / "folder.png") == "this is a folder, expected an image"
    assert refused(tmp_path / "pipe.png") == refused(tmp_path / "device.png") == "this is no ordinary file"
    assert refused(tmp_path / "nowhere.png") == refused(tmp_path / "gone.png") == "there is no such file"
    assert refused(tmp_path / f"{'x' * 300}.png") == "cannot read: File name too long"


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n broken", png([b""] * 5, 0, 8, GREY)])
def test_a_broken_header_is_told_as_damage(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert refused(tmp_path / "a.png") == "not an image that can be read: a PNG image, damaged or cut short"


def test_an_image_that_is_too_large_is_called_so_with_its_size(tmp_path):
    (tmp_path / "a.png").write_bytes(png([b"\0"], 400_000_000, 8, GREY))
    assert refused(tmp_path / "a.png") == "too large: 400000000x1 pixels, at most 178 million pixels are read"


def test_a_large_photograph_is_read_without_a_word(tmp_path, recwarn):
    hush()  # pytest has set the filters back
    (tmp_path / "a.png").write_bytes(png([b"\0"], 100_000_000, 8, GREY))
    assert header(tmp_path / "a.png").size == (100_000_000, 1)
    assert warned(recwarn) == []


@pytest.mark.parametrize(
    ("name", "what"), [("a.png", "2 frames, an animation"), ("a.webp", "2 frames, an animation"), ("a.tif", "2 pages")]
)
def test_several_images_in_one_file_are_refused(tmp_path, name, what):
    first, second = Image.new("RGB", (8, 8), (9, 9, 9)), Image.new("RGB", (8, 8), (99, 9, 9))
    first.save(tmp_path / name, save_all=True, append_images=[second])
    assert refused(tmp_path / name) == f"the file has {what}, expected a single image"


def test_of_a_cameras_several_views_the_photograph_is_taken(tmp_path):
    first, second = Image.new("RGB", (8, 8), (200, 200, 200)), Image.new("RGB", (8, 8))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    with opened(tmp_path / "a.jpg") as image:
        assert np.asarray(image).min() > 190


# --- orientation


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_header_tells_the_upright_size(tmp_path, format, orientation):
    Image.fromarray(WIDE).save(tmp_path / "a", format=format, exif=exif_of(orientation))
    lying = orientation > 4
    assert header(tmp_path / "a").size == ((2, 3) if lying else (3, 2))


def test_orientation_behind_the_pixels_of_a_png_counts(tmp_path):
    content = png([b"\0\0\0", b"\0\0\0"], 3, 8, GREY, late=exif_of(6).tobytes().removeprefix(b"Exif\0\0"))
    (tmp_path / "a.png").write_bytes(content)
    assert header(tmp_path / "a.png") == ImageHeader((2, 3), 6, "L")


def test_orientation_in_xmp_counts_where_there_is_no_exif(tmp_path):
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta><rdf:Description tiff:Orientation='6'/>".replace(b"'", b'"')
    (tmp_path / "a.png").write_bytes(png([b"\0\0\0", b"\0\0\0"], 3, 8, GREY, (b"iTXt", xmp)))
    assert header(tmp_path / "a.png") == ImageHeader((2, 3), 6, "L")


def test_a_png_header_is_told_without_its_pixels(tmp_path):
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, "PNG")
    cut = whole.getvalue()[:500]
    (tmp_path / "a.png").write_bytes(cut)
    assert header(tmp_path / "a.png").size == (64, 64)


@pytest.mark.parametrize("wrong", [0, 9, 65535])
def test_an_orientation_that_there_is_not_is_passed_over(tmp_path, wrong):
    Image.fromarray(WIDE).save(tmp_path / "a.png", exif=exif_of(wrong))
    assert header(tmp_path / "a.png") == ImageHeader((3, 2), 1, "RGB")


@pytest.mark.parametrize("end", range(6, 26))
def test_damaged_exif_is_passed_over_as_viewers_do(tmp_path, recwarn, end):
    hush()
    Image.fromarray(WIDE).save(tmp_path / "a.png", exif=exif_of(6).tobytes()[:end])
    assert header(tmp_path / "a.png").size in {(3, 2), (2, 3)}
    assert warned(recwarn) == []


# --- a photograph and its map


def test_a_map_of_the_upright_size_fits(tmp_path):
    Image.fromarray(WIDE).save(tmp_path / "a.jpg", exif=exif_of(6))
    Image.new("L", (2, 3)).save(tmp_path / "a.png")
    check_same_size(tmp_path / "a.jpg", tmp_path / "a.png")


def test_a_map_of_the_stored_size_is_told_that_orientation_is_why(tmp_path):
    Image.fromarray(WIDE).save(tmp_path / "a.jpg", exif=exif_of(6))
    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    with pytest.raises(UserError) as caught:
        check_same_size(tmp_path / "a.jpg", tmp_path / "a.png")
    error = str(caught.value)
    assert f"a.png: the label map is 3x2, its photograph {tmp_path / 'a.jpg'} 2x3 (width x height)" in error
    assert "stored as 3x2 and is turned upright by its EXIF orientation (6)" in error


def test_a_map_of_another_size_is_not_told_of_orientation(tmp_path):
    Image.fromarray(WIDE).save(tmp_path / "a.jpg", exif=exif_of(6))
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(UserError) as caught:
        check_same_size(tmp_path / "a.jpg", tmp_path / "a.png")
    assert "orientation" not in str(caught.value)


def test_a_map_with_an_orientation_of_its_own_is_turned_too(tmp_path):
    Image.fromarray(WIDE).save(tmp_path / "a.jpg", exif=exif_of(6))
    Image.new("L", (3, 2)).save(tmp_path / "a.png", exif=exif_of(8))
    check_same_size(tmp_path / "a.jpg", tmp_path / "a.png")


# --- what was changed since it was written


def damaged_png(place: bytes, step: int) -> bytes:
    """A grey PNG of which a bit is flipped so many bytes behind the name of a chunk."""
    content = bytearray(png([bytes([1, 2, 3]), bytes([4, 5, 6])], 3, 8, GREY))
    content[content.index(place) + step] ^= 4
    return bytes(content)


@pytest.mark.parametrize(("place", "step"), [(b"IDAT", 8), (b"IEND", -5)], ids=["pixels", "checksum"])
@pytest.mark.parametrize(
    "reader", [read_photograph, lambda path: read_label_map(path, Legend(ids={i: i for i in range(256)}))]
)
def test_a_png_whose_pixels_have_another_checksum_is_refused(tmp_path, place, step, reader):
    path = tmp_path / "a.png"
    path.write_bytes(damaged_png(place, step))
    with pytest.raises(UserError, match="the image is damaged: its pixels do not have the checksum in the file"):
        reader(path)


def test_the_checksum_counts_in_every_piece_of_the_pixels(tmp_path):
    pixels = zlib.compress(bytes([0, 7, 8, 9]))

    def chunk(name: bytes, content: bytes, flip: int = 0) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content) ^ flip)

    def of(flip: int) -> bytes:
        size = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, 8, 0, 0, 0, 0))
        pieces = chunk(b"IDAT", pixels[:5]) + chunk(b"IDAT", pixels[5:], flip)
        return b"\x89PNG\r\n\x1a\n" + size + pieces + chunk(b"IEND", b"")

    path = tmp_path / "a.png"
    path.write_bytes(of(0))
    assert np.asarray(read_photograph(path))[0, :, 0].tolist() == [7, 8, 9]
    path.write_bytes(of(1))
    with pytest.raises(UserError, match="checksum"):
        read_photograph(path)
