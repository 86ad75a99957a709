"""Frames of videos that the tests encode, and of folders of images."""

import struct
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
from metai2i_faces.prepare.decode import count_frames, read_frames, survey
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


def test_the_images_of_a_folder_are_its_frames(tmp_path):
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


@pytest.fixture
def lying(tmp_path):
    """A video of one frame, whose upper left quarter is bright, with the matrix a b c d in its header."""

    def encode_so(encode, *matrix):
        frame = grey(0)
        frame[:24, :32] = 250
        encode(tmp_path / "a.mp4", [frame] * 2)
        data = bytearray((tmp_path / "a.mp4").read_bytes())
        at = data.find(b"tkhd") + 4 + 40
        a, b, c, d = (round(entry * 65536) for entry in matrix)
        data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 2**30)
        (tmp_path / "a.mp4").write_bytes(data)
        return Source("a", tmp_path / "a.mp4", "train")

    return encode_so


@pytest.mark.parametrize(
    ("matrix", "bright"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((-1, 0, 0, 1), (0, 1)),
        ((1, 0, 0, -1), (1, 0)),
        ((-1, 0, 0, -1), (1, 1)),
        ((0, 1, -1, 0), (0, 1)),
        ((0, -1, 1, 0), (1, 0)),
        ((0, 1, 1, 0), (0, 0)),
        ((0, -1, -1, 0), (1, 1)),
    ],
)
def test_a_video_is_shown_as_its_header_says(lying, encode, matrix, bright):
    ((_, frame),) = read_frames(lying(encode, *matrix), [0])
    assert frame.shape == ((48, 64, 3) if matrix[0] else (64, 48, 3))
    rows, columns = frame.shape[0] // 2, frame.shape[1] // 2
    quarters = {
        (down, right): frame[down * rows : (down + 1) * rows, right * columns : (right + 1) * columns].mean()
        for down in (0, 1)
        for right in (0, 1)
    }
    assert quarters[bright] > 200
    assert sum(level > 100 for level in quarters.values()) == 1


def write_turning(path, angle, turned_from=6, count=10):
    """A stream whose upper left quarter is bright, and whose frames say from one on that they are to be turned."""
    av = pytest.importorskip("av")
    if "libx264" not in av.codecs_available:
        pytest.skip("there is no encoder of streams that turn")
    from av.bitstream import BitStreamFilterContext

    frame = grey(0)
    frame[:24, :32] = 250
    stream = av.CodecContext.create("libx264", "w")
    stream.width, stream.height, stream.pix_fmt, stream.time_base = 64, 48, "yuv420p", Fraction(1, 10)
    stream.options = {"g": "1", "bf": "0"}
    images = [av.VideoFrame.from_ndarray(frame, format="rgb24") for _ in range(count)]
    packets = [packet for image in [*images, None] for packet in stream.encode(image)]
    with av.open(str(path.with_suffix(".h264")), "w") as container:
        of = container.add_stream("libx264", rate=10)
        turn = BitStreamFilterContext(f"h264_metadata=display_orientation=insert:rotate={angle}", of)
        content = [bytes(packet) for packet in packets[:turned_from]]
        content += [bytes(turned) for packet in packets[turned_from:] for turned in turn.filter(packet)]
    path.write_bytes(b"".join(content))
    return Source("a", path, "train")


def test_a_stream_that_turns_in_the_middle_is_shown_so_and_cut_there(tmp_path):
    source = write_turning(tmp_path / "a.mpg", 90)
    import av

    rotations = []
    with av.open(str(source.path)) as container, suppress(av.error.InvalidDataError):  # the last turn has no frame
        for frame in container.decode(video=0):
            rotations.append(frame.rotation)
    turn = rotations.index(90)
    assert rotations == [0] * turn + [90] * (len(rotations) - turn)
    looked = survey(source)
    assert [shot[0] for shot in looked.shots] == [0, turn]
    assert [shot[-1] for shot in looked.shots] == [turn - 1, looked.count - 1]
    frames = dict(read_frames(source, range(looked.count)))
    assert {frames[n].shape for n in range(turn)} == {(48, 64, 3)}
    assert {frames[n].shape for n in range(turn, looked.count)} == {(64, 48, 3)}
    upright, turned = frames[turn - 1].astype(int), frames[turn].astype(int)
    assert np.abs(turned - np.rot90(upright)).mean() < 3


def test_a_stream_that_turns_in_the_middle_by_another_angle_is_refused(tmp_path):
    source = write_turning(tmp_path / "a.mpg", 45)
    with pytest.raises(UserError, match="no multiple of 90 degrees") as error:
        survey(source)
    assert error.value.where == source.path


def test_a_video_that_is_turned_by_another_angle_is_refused(lying, encode):
    source = lying(encode, 0.7, 0.7, -0.7, 0.7)
    with pytest.raises(UserError, match="no multiple of 90 degrees") as error:
        survey(source)
    assert error.value.where == source.path


def test_pixels_that_are_not_square_are_made_so(encode, tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(90), format="rgb24")))
        container.mux(stream.encode())
    ((_, frame),) = read_frames(Source("a", tmp_path / "a.mp4", "train"), [0])
    assert frame.shape == (48, 85, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_shown_as_its_exif_says(tmp_path, orientation):
    frame = grey(0)
    frame[:24, :32] = 250
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(frame).save(tmp_path / "1.png", exif=exif)
    ((_, shown),) = read_frames(Source("a", tmp_path, "train"), [0])
    corners = [bool(shown[y, x, 0] > 128) for y in (0, -1) for x in (0, -1)]
    where = {1: 0, 2: 1, 3: 3, 4: 2, 5: 0, 6: 1, 7: 3, 8: 2}[orientation]
    assert corners == [place == where for place in range(4)]
    assert shown.shape == ((48, 64, 3) if orientation < 5 else (64, 48, 3))


def test_an_image_that_cannot_be_read_is_left_out_and_told(tmp_path):
    for n in range(5):
        Image.fromarray(grey(60 + n)).save(tmp_path / f"{n}.png")
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:60])
    (tmp_path / "3.png").write_bytes(b"")
    (tmp_path / "5.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "6.png").symlink_to(tmp_path / "0.png")
    seen = survey(Source("a", tmp_path, "train"))
    assert (seen.count, seen.shots) == (5, ((0, 1, 4),))
    assert [line.split(":")[0] for line in seen.unread] == [str(tmp_path / f"{n}.png") for n in (5, 6, 2, 3)]


def test_a_folder_of_which_no_image_can_be_read_is_told(tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "2.jpg").write_bytes(b"text")
    with pytest.raises(UserError, match=r"none of the 2 images can be read; the first: .*1\.png"):
        survey(Source("a", tmp_path, "train"))


def test_postscript_under_the_name_of_an_image_starts_no_other_program(tmp_path, monkeypatch):
    Image.fromarray(grey(60)).save(tmp_path / "1.png")
    Image.fromarray(grey(60)).save(tmp_path / "2.eps")
    (tmp_path / "2.eps").rename(tmp_path / "2.png")
    monkeypatch.setattr("subprocess.Popen", None)
    monkeypatch.setattr("subprocess.check_call", None)
    seen = survey(Source("a", tmp_path, "train"))
    assert seen.shots == ((0,),)
    (line,) = seen.unread
    assert line.startswith(str(tmp_path / "2.png"))
    assert "damaged" not in line


def test_a_damaged_frame_does_not_lose_the_video(encode, tmp_path):
    encode(tmp_path / "a.avi", [grey(100 + n) for n in range(12)])
    data = bytearray((tmp_path / "a.avi").read_bytes())
    frames = [at for at in range(len(data)) if data[at : at + 3] == b"\xff\xd8\xff"]
    data[frames[5] : frames[6] - 16] = bytes(frames[6] - 16 - frames[5])
    (tmp_path / "a.avi").write_bytes(data)
    seen = survey(Source("a", tmp_path / "a.avi", "train"))
    assert len(frames) == 12
    assert sum(map(len, seen.shots)) == 11
    assert seen.unread == (f"{tmp_path / 'a.avi'}: 1 damaged frames",)
    assert len(list(read_frames(Source("a", tmp_path / "a.avi", "train"), range(11)))) == 11


def test_a_video_that_is_cut_short_gives_the_frames_that_are_there(encode, tmp_path):
    encode(tmp_path / "a.avi", [grey(100 + n) for n in range(12)])
    data = (tmp_path / "a.avi").read_bytes()
    frames = [at for at in range(len(data)) if data[at : at + 3] == b"\xff\xd8\xff"]
    (tmp_path / "a.avi").write_bytes(data[: frames[8] + 20])
    seen = survey(Source("a", tmp_path / "a.avi", "train"))
    assert (seen.shots, len(seen.unread)) == ((tuple(range(8)),), 1)


def test_the_shots_of_a_video_are_found(encode, tmp_path):
    encode(tmp_path / "a.avi", [grey(60)] * 5 + [grey(200)] * 6)
    assert survey(Source("a", tmp_path / "a.avi", "train")).shots == (tuple(range(5)), tuple(range(5, 11)))


def test_photographs_of_several_sizes_are_an_album(tmp_path):
    for n, side in enumerate((40, 50, 60)):
        Image.fromarray(grey(90, side, side)).save(tmp_path / f"{n}.png")
    seen = survey(Source("a", tmp_path, "train"))
    assert (seen.album, seen.shots) == (True, ((0, 1, 2),))


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_told_with_its_file(content, tmp_path):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(UserError, match="cannot be decoded") as error:
        count_frames(Source("a", tmp_path / "a.mp4", "train"))
    assert error.value.where == tmp_path / "a.mp4"


def test_a_file_without_an_image_in_it_is_told(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode())
    with pytest.raises(UserError, match="there is no video in this file"):
        count_frames(Source("a", tmp_path / "a.mkv", "train"))
