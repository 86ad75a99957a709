"""Frames of videos that the tests encode, and of folders of pictures."""

import numpy as np
import pytest
from metai2i_faces.prepare.decode import count_frames, read_frames
from metai2i_faces.prepare.sources import Source
from PIL import Image

from metai2i import UserError


def grey(level, height=48, width=64):
    return np.full((height, width, 3), level, np.uint8)


def levels(source, wanted):
    return [(number, round(float(frame.mean()) / 10)) for number, frame in read_frames(source, wanted)]


def test_the_wanted_frames_of_a_video_are_read(encode, tmp_path):
    encode(tmp_path / "a.avi", [grey(10 * n) for n in range(12)])
    source = Source("a", tmp_path / "a.avi", "train")
    assert count_frames(source) == 12
    assert levels(source, {0, 3, 11}) == [(0, 0), (3, 3), (11, 11)]


def test_colours_are_red_green_blue(encode, tmp_path):
    encode(tmp_path / "a.avi", [np.broadcast_to(np.uint8([200, 100, 20]), (48, 64, 3)).copy()])
    ((_, frame),) = read_frames(Source("a", tmp_path / "a.avi", "train"), [0])
    assert np.abs(frame.astype(int) - [200, 100, 20]).max() <= 4


@pytest.mark.parametrize("turned", [90, 180, -90])
def test_a_video_that_was_taken_lying_is_turned_upright(encode, tmp_path, turned):
    frame = grey(0)
    frame[:24, :32] = 250  # the upper left quarter
    encode(tmp_path / "a.mp4", [frame], turned=turned)
    ((_, upright),) = read_frames(Source("a", tmp_path / "a.mp4", "train"), [0])
    assert np.abs(upright.astype(int) - np.rot90(frame, turned // 90)).mean() < 3


def test_the_pictures_of_a_folder_are_its_frames(tmp_path):
    for n in (1, 2, 10):
        Image.fromarray(grey(10 * n)).save(tmp_path / f"{n}.png")
    source = Source("a", tmp_path, "train")
    assert count_frames(source) == 3
    assert levels(source, [0, 2]) == [(0, 1), (2, 10)]


def test_a_photograph_that_was_taken_lying_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(grey(0)).save(tmp_path / "1.jpg", exif=exif)
    ((_, frame),) = read_frames(Source("a", tmp_path, "train"), [0])
    assert frame.shape == (64, 48, 3)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_told_with_its_file(content, tmp_path):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(UserError, match="cannot be decoded") as error:
        count_frames(Source("a", tmp_path / "a.mp4", "train"))
    assert error.value.where == tmp_path / "a.mp4"


def test_a_file_without_a_picture_in_it_is_told(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode())
    with pytest.raises(UserError, match="there is no video in this file"):
        count_frames(Source("a", tmp_path / "a.mkv", "train"))
