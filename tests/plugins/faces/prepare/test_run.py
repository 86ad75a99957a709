"""Whole preparations with a detector that the tests decide."""

import errno
import json
import subprocess
import sys

import numpy as np
import pytest
from metai2i_faces.faces import Faces
from metai2i_faces.prepare import run
from metai2i_faces.prepare.landmarks import Face
from metai2i_faces.prepare.portraits import LOW_SCORE, NO_AREA, NO_FACE, NO_ROOM, Settings, save
from metai2i_faces.prepare.run import prepare
from PIL import Image

from metai2i import UserError
from metai2i.cli import invoke

SETTINGS = Settings(size=32, frames=6, clips=2, min_frames=3, test_fraction=0.0)
DARK, DOUBTFUL, NARROW, FLAT = 10, 40, 70, 100
"""Levels of a corner in frames with no face, a doubtful one, one that does not fit, one with an eye that is a point."""


def frames(*levels):
    """Frames of a shot: those of a level above all of these are of that level, the others have it in a corner."""
    shot = [np.full((96, 96, 3), max(level, 130), np.uint8) for level in levels]
    for frame, level in zip(shot, levels, strict=True):
        frame[:16, :16] = level
    return shot


@pytest.fixture
def detector(face):
    """Finds a face as the corner of the frame says, and counts the frames it is shown."""

    class Detector:
        calls = 0
        stop_at = None

        def __call__(self, frame):
            self.calls += 1
            if self.calls == self.stop_at:
                raise KeyboardInterrupt
            level = float(frame[:12, :12].mean())
            if level < DARK + 5:
                return []
            points = face(48, 40, 39 if abs(level - NARROW) < 5 else 20)
            if abs(level - FLAT) < 5:
                points[36:42] = points[36]
            return [Face(points, -0.2 if abs(level - DOUBTFUL) < 5 else 1.5)]

    return Detector()


@pytest.fixture
def videos(encode, tmp_path):
    root = tmp_path / "videos"
    encode(root / "train" / "original" / "a.avi", frames(*range(130, 142)))
    encode(root / "train" / "original" / "b.avi", frames(*range(150, 162)))
    encode(root / "test" / "original" / "c.avi", frames(*range(170, 182)))
    return root


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".npz"  # archives hold times
    }


def test_what_comes_out_is_what_the_task_source_reads(videos, detector, tmp_path):
    prepare(videos, tmp_path / "out", SETTINGS, detector)
    source = Faces(root=tmp_path / "out", size=(32, 32))
    assert [task.id for task in source.tasks("train")] == ["a--0", "a--1", "b--0", "b--1"]
    assert [task.id for task in source.tasks("test")] == ["c"]
    assert [len(task) for task in source.tasks("train")] == [6] * 4
    batch = source.tasks("test")[0].load(range(6))
    assert batch["structure"].sum((0, 2, 3)).min() > 0
    levels = (batch["target"].mean((1, 2, 3)) + 1) * 127.5
    assert levels.tolist() == pytest.approx([170, 172, 174, 176, 178, 180], abs=1.5)  # evenly from the whole video


def test_the_points_are_kept_with_the_images(videos, detector, face, tmp_path):
    prepare(videos, tmp_path / "out", SETTINGS, detector)
    with np.load(tmp_path / "out" / "c" / "landmarks.npz") as kept:
        assert kept["names"].tolist() == ["00", "02", "04", "06", "08", "10"]
        assert kept["score"].tolist() == [1.5] * 6
        np.testing.assert_allclose(kept["pts_source"][0] + 0.5, face(48, 40, 20), atol=1e-4)
        left, top, side = kept["crop_left_top_side"][0]
        expected = (kept["pts_source"][0] + 0.5 - [left, top]) * 32 / side
        np.testing.assert_allclose(kept["pts_crop"][0], expected, atol=1e-4)


def test_maps_are_images_of_ids_with_colours(videos, detector, tmp_path):
    prepare(videos, tmp_path / "out", SETTINGS, detector)
    labels = Image.open(tmp_path / "out" / "c" / "00.png")
    assert labels.mode == "P"
    assert set(np.unique(np.asarray(labels))) == set(range(7))
    assert labels.getpalette()[3:6] == [255, 205, 170]


def test_frames_are_rejected_for_a_reason_that_is_counted(encode, detector, tmp_path):
    encode(tmp_path / "v" / "train" / "a.avi", frames(140, DARK, DOUBTFUL, NARROW, FLAT, 140, 140, DARK))
    summary = prepare(tmp_path / "v", tmp_path / "out", Settings(size=32, frames=8, clips=1, min_frames=3), detector)
    assert summary.rejected == {NO_FACE: 2, LOW_SCORE: 1, NO_ROOM: 1, NO_AREA: 1}
    assert (summary.frames, summary.pairs) == (8, {"train": 3})
    lines = "\n".join(summary.lines(tmp_path / "out"))
    assert "8 frames looked at, 3 kept, 5 rejected" in lines
    assert f"{NO_FACE}: 2" in lines


def test_a_clip_with_few_good_frames_is_dropped(encode, detector, tmp_path):
    encode(tmp_path / "v" / "train" / "a.avi", frames(*[140] * 6, *[DARK] * 4, 140, 140))
    summary = prepare(tmp_path / "v", tmp_path / "out", SETTINGS, detector)
    assert json.loads((tmp_path / "out" / "splits.json").read_text()) == {"train": ["a--0"]}
    assert (summary.dropped, summary.unused) == (1, 2)
    assert not (tmp_path / "out" / "a--1").exists()


def test_one_broken_video_does_not_stop_the_others(videos, detector, encode, tmp_path):
    broken = videos / "train" / "original" / "aa.avi"
    broken.write_bytes(b"nothing of a video")
    summary = prepare(videos, tmp_path / "out", SETTINGS, detector)
    assert [error.where for error in summary.bad] == [broken]
    assert summary.clips == {"train": 4, "test": 1}
    assert str(broken) in "\n".join(summary.lines(tmp_path / "out"))
    encode(broken, frames(*range(190, 202)))
    mended = prepare(videos, tmp_path / "out", SETTINGS, detector)
    assert (mended.before, mended.bad, mended.clips["train"]) == (3, [], 6)


@pytest.mark.parametrize("at", [1, 12, 13, 30])
def test_a_run_killed_in_the_middle_goes_on_and_gives_the_same(videos, detector, tmp_path, at):
    prepare(videos, tmp_path / "whole", SETTINGS, detector)
    out = tmp_path / "killed"
    detector.calls, detector.stop_at = 0, at
    with pytest.raises(KeyboardInterrupt):
        prepare(videos, out, SETTINGS, detector)
    assert not (out / "splits.json").exists()
    done = (at - 1) // 12  # whole training videos of two clips of six frames
    assert len(list(out.glob(".done/*"))) == done
    with pytest.raises(UserError, match="no people here"):
        Faces(root=out)
    detector.stop_at = None
    detector.calls = 0
    summary = prepare(videos, out, SETTINGS, detector)
    assert detector.calls == 30 - 12 * done
    assert summary.before == done
    assert content(out) == content(tmp_path / "whole")


def test_a_full_disk_ends_it_at_once_and_a_further_call_goes_on(videos, detector, tmp_path, monkeypatch):
    prepare(videos, tmp_path / "whole", SETTINGS, detector)
    calls = 0

    def full(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*arguments)

    monkeypatch.setattr(run, "save", full)
    with pytest.raises(UserError) as error:
        prepare(videos, tmp_path / "out", SETTINGS, detector)
    assert str(error.value) == f"{tmp_path / 'out'}: cannot write: the disk is full (what is done is kept)"
    assert calls == 3
    monkeypatch.undo()
    assert prepare(videos, tmp_path / "out", SETTINGS, detector).before == 1
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_clips_of_a_video_that_was_not_done_are_made_anew(videos, detector, tmp_path):
    out = tmp_path / "out"
    prepare(videos, out, SETTINGS, detector)
    whole = content(out)
    (out / ".done" / "b.json").unlink()  # killed between the clips and the marker
    (out / "b--1" / "99.jpg").write_bytes(b"left over")
    prepare(videos, out, SETTINGS, detector)
    assert content(out) == whole


def test_other_options_are_refused_for_a_folder_that_was_begun(videos, detector, tmp_path):
    prepare(videos, tmp_path / "out", SETTINGS, detector)
    before = content(tmp_path / "out")
    with pytest.raises(UserError, match="this folder was prepared with another size, margin"):
        prepare(videos, tmp_path / "out", Settings(**{**vars(SETTINGS), "size": 64, "margin": 1.5}), detector)
    assert content(tmp_path / "out") == before


def test_a_folder_of_something_else_is_left_alone(videos, detector, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="expected a new or an empty folder"):
        prepare(videos, tmp_path / "out", SETTINGS, detector)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_preparation_of_which_nothing_came_is_an_error_with_the_reasons(encode, detector, tmp_path):
    encode(tmp_path / "v" / "train" / "a.avi", frames(*[DARK] * 6))
    with pytest.raises(UserError, match=f"no clip came out of 1 video: .*{NO_FACE}: 6"):
        prepare(tmp_path / "v", tmp_path / "out", SETTINGS, detector)
    assert not (tmp_path / "out" / "splits.json").exists()


def test_the_contact_sheet_shows_a_pair_of_every_clip(videos, detector, tmp_path):
    prepare(videos, tmp_path / "out", SETTINGS, detector)
    sheet = Image.open(tmp_path / "out" / "contact.png")
    assert sheet.width * sheet.height >= 5 * 32 * 64
    grey = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    for level in (132, 158, 176):  # of a--0, b--1 and c
        assert (np.abs(grey.astype(int) - level).max(1) <= 3).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 5, "min_frames": 6}, "--min-frames 6 is more than --frames 5"),
        ({"clips": 0}, "--clips: got 0, expected at least 1"),
        ({"margin": 0.5}, r"--margin: got 0\.5, expected at least 1"),
    ],
)
def test_options_that_cannot_be_are_told(options, message):
    with pytest.raises(UserError, match=message):
        Settings(**options)


@pytest.mark.parametrize(("module", "package"), [("dlib", "dlib-bin"), ("av", "av")])
def test_what_is_not_installed_is_told_with_its_extra(videos, tmp_path, monkeypatch, capsys, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    assert invoke(["data", "faces", str(videos), str(tmp_path / "out")]) == 2
    printed = capsys.readouterr().err
    assert f"needs {package}, which is not installed" in printed
    assert "face-recognition-models" in printed
    assert not (tmp_path / "out").exists()


def test_the_command_line_hands_its_options_over(videos, tmp_path, monkeypatch, capsys, detector):
    monkeypatch.setattr("metai2i_faces.prepare.run.dlib_finder", lambda: detector)
    options = ["--size", "32", "--frames", "6", "--clips", "2", "--min-frames", "3"]
    assert invoke(["data", "faces", str(videos), str(tmp_path / "out"), *options]) == 0
    assert "train: 4 clips of 24 pairs, val: 0 clips of 0 pairs, test: 1 clips of 6 pairs" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "preparation.json").read_text())["clips"] == 2


def test_asking_for_help_imports_neither_dlib_nor_torch():
    code = (
        "import sys\n"
        "from metai2i.cli import invoke\n"
        "invoke(['data', 'faces', '--help'])\n"
        "print('imported:', {'dlib', 'av', 'torch', 'scipy'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "--min-frames" in printed
    assert "imported: set()" in printed
