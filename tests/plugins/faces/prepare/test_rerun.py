"""A preparation that is called again, after its inputs or its outputs have changed."""

import json
import os
import pwd
import shutil
from pathlib import Path

import numpy as np
import pytest
from metai2i_faces.faces import Faces
from metai2i_faces.prepare import run
from metai2i_faces.prepare.landmarks import Face
from metai2i_faces.prepare.portraits import Settings
from metai2i_faces.prepare.run import prepare
from PIL import Image

from metai2i import UserError

SETTINGS = Settings(size=32, frames=4, clips=1, min_frames=3, test_fraction=0.4)


class Finder:
    """One face in the middle of every frame; counts the frames."""

    def __init__(self, face):
        self.face, self.calls = face, 0

    def __call__(self, frame):
        self.calls += 1
        return [Face(self.face(48, 40, 20), 1.5)]


@pytest.fixture
def find(face):
    return Finder(face)


def person(folder, level, count=4):
    """A folder of grey images, from the level on."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        Image.fromarray(np.full((96, 96, 3), level + n, np.uint8)).save(folder / f"{n}.png")


@pytest.fixture
def root(tmp_path):
    for level, name in ((40, "ann"), (80, "ben"), (120, "李娜")):
        person(tmp_path / "in" / name, level)
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def splits(out):
    return json.loads((out / "splits.json").read_text())


def levels(out):
    """What stands in splits.json: the grey level of the first photograph of every person."""
    return {
        name: round(float(np.asarray(Image.open(min((out / name).glob("*.jpg")))).mean()) / 10) * 10
        for names in splits(out).values()
        for name in names
    }


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines(summary, out):
    return "\n".join(summary.lines(out))


ANN, BEN, LI = "ann", "ben", "李娜-6e9c21fa"


def test_nothing_is_made_anew_where_nothing_has_changed(root, out, find):
    prepare(root, out, SETTINGS, find)
    assert levels(out) == {ANN: 40, BEN: 80, LI: 120}
    before, calls = content(out), find.calls
    summary = prepare(root, out, SETTINGS, find)
    assert (summary.before, summary.notes, find.calls) == (3, [], calls)
    assert content(out) == before


def test_others_that_come_and_go_change_nobody(root, out, find):
    prepare(root, out, SETTINGS, find)
    before, calls = splits(out), find.calls
    for n, name in enumerate(("丁伟", "aaa", "Ann", "ann-6e9c21fa", "zed", "王芳")):
        person(root / name, 150 + 10 * n)
    prepare(root, out, SETTINGS, find)
    assert find.calls == calls + 6 * 4
    assert sorted(levels(out).values()) == [40, 80, 120, 150, 160, 170, 180, 190, 200]
    assert all(set(names) <= set(splits(out)[split]) for split, names in before.items())
    for name in ("丁伟", "aaa", "Ann", "ann-6e9c21fa", "zed", "王芳"):
        shutil.rmtree(root / name)
    prepare(root, out, SETTINGS, find)
    assert splits(out) == before


def test_a_replaced_input_is_made_anew(root, out, find):
    prepare(root, out, SETTINGS, find)
    calls = find.calls
    person(root / "ann", 200)
    summary = prepare(root, out, SETTINGS, find)
    assert levels(out) == {ANN: 200, BEN: 80, LI: 120}
    assert find.calls == calls + 4
    assert f"{root / 'ann'}: is another file than before: ann is made anew" in lines(summary, out)
    assert "2 of them done before" in lines(summary, out)


def test_a_change_in_place_that_keeps_size_and_time_is_seen(root, out, find):
    for n in range(4):
        Image.fromarray(np.full((96, 96, 3), 60, np.uint8)).save(root / "ann" / f"{n}.bmp")
        (root / "ann" / f"{n}.png").unlink()
    prepare(root, out, SETTINGS, find)
    for path in (root / "ann").iterdir():
        state = path.stat()
        Image.fromarray(np.full((96, 96, 3), 220, np.uint8)).save(path)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    prepare(root, out, SETTINGS, find)
    assert levels(out)[ANN] == 220


def test_inputs_that_are_touched_or_copied_elsewhere_are_the_same(root, out, find, tmp_path):
    prepare(root, out, SETTINGS, find)
    calls = find.calls
    shutil.copytree(root, tmp_path / "elsewhere")
    shutil.rmtree(root)
    summary = prepare(tmp_path / "elsewhere", out, SETTINGS, find)
    assert (find.calls, summary.before, summary.notes) == (calls, 3, [])


def test_a_renamed_input_keeps_its_person_and_her_split(root, out, find):
    prepare(root, out, SETTINGS, find)
    before, calls = splits(out), find.calls
    for n, name in enumerate(("ann", "ben", "李娜")):
        (root / name).rename(root / f"renamed {n}")
    summary = prepare(root, out, SETTINGS, find)
    assert find.calls == calls
    assert {split: set(names) for split, names in splits(out).items()} == {
        split: set(names) for split, names in before.items()
    }
    assert f"{root / 'renamed 0'}: was ann before, and stays ann" in lines(summary, out)
    person(root / "ann", 200)  # a new one, whose id is another's by now
    prepare(root, out, SETTINGS, find)
    assert sorted(levels(out).values()) == [40, 80, 120, 200]
    assert levels(out)[ANN] == 40
    assert prepare(root, out, SETTINGS, find).before == 4


def test_two_inputs_that_change_names_change_people(root, out, find):
    prepare(root, out, SETTINGS, find)
    (root / "ann").rename(root / "x")
    (root / "ben").rename(root / "ann")
    (root / "x").rename(root / "ben")
    prepare(root, out, SETTINGS, find)
    assert levels(out) == {ANN: 80, BEN: 40, LI: 120}


def test_a_removed_input_is_left_out_and_told_and_its_folders_stay(root, out, find, tmp_path):
    prepare(root, out, SETTINGS, find)
    calls = find.calls
    (root / "ann").rename(tmp_path / "aside")
    summary = prepare(root, out, SETTINGS, find)
    assert levels(out) == {BEN: 80, LI: 120}
    assert len(list((out / "ann").glob("*.jpg"))) == 4
    assert f"ann: ann is no longer there, so it is left out of splits.json; its 1 folders stay in {out}" in lines(
        summary, out
    )
    (tmp_path / "aside").rename(root / "ann")
    prepare(root, out, SETTINGS, find)
    assert (levels(out), find.calls) == ({ANN: 40, BEN: 80, LI: 120}, calls)


def test_an_input_that_is_there_twice_is_made_once_and_told(root, out, find):
    shutil.copytree(root / "ann", root / "zoe")
    summary = prepare(root, out, SETTINGS, find)
    assert sorted(levels(out).values()) == [40, 80, 120]
    twins = {root / "ann", root / "zoe"}
    either = [f"{twin}: is the same as {other}, and left out" for twin in twins for other in twins - {twin}]
    assert sum(line in lines(summary, out) for line in either) == 1
    again = prepare(root, out, SETTINGS, find)
    assert again.notes == summary.notes


def test_one_video_in_two_splits_makes_one_person(tmp_path, out, find):
    person(tmp_path / "in" / "train" / "ann", 40)
    person(tmp_path / "in" / "train" / "ben", 80)
    shutil.copytree(tmp_path / "in" / "train" / "ann", tmp_path / "in" / "test" / "zoe")
    prepare(tmp_path / "in", out, SETTINGS, find)
    assert splits(out) == {"train": ["ann", "ben"]}


def test_an_input_that_is_moved_to_another_split_is_made_anew_there(tmp_path, out, find):
    for name, level in (("ann", 40), ("ben", 80)):
        person(tmp_path / "in" / "train" / name, level)
    prepare(tmp_path / "in", out, SETTINGS, find)
    (tmp_path / "in" / "test").mkdir()
    (tmp_path / "in" / "train" / "ben").rename(tmp_path / "in" / "test" / "ben")
    summary = prepare(tmp_path / "in", out, SETTINGS, find)
    assert splits(out) == {"train": ["ann"], "test": ["ben"]}
    assert "was in train and is in test now: ben is made anew" in lines(summary, out)


def test_people_stay_in_the_list_that_they_were_put_in_by_hand(root, out, find):
    prepare(root, out, SETTINGS, find)
    (out / "splits.json").write_text(json.dumps({"train": [BEN], "cross_test": [ANN], "test": [LI]}))
    person(root / "zed", 200)
    prepare(root, out, SETTINGS, find)
    assert splits(out)["cross_test"] == [ANN]
    assert BEN in splits(out)["train"]
    assert LI in splits(out)["test"]
    assert sorted(levels(out).values()) == [40, 80, 120, 200]


def test_a_folder_that_was_changed_by_hand_is_not_made_anew(root, out, find):
    prepare(root, out, SETTINGS, find)
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(out / "ann" / "02.png")
    before = content(out / "ann")
    person(root / "ann", 200)
    summary = prepare(root, out, SETTINGS, find)
    assert content(out / "ann") == before
    assert "both this folder of a person and its source were changed since it was prepared" in lines(summary, out)
    assert levels(out) == {BEN: 80, LI: 120}
    (out / "ann").rename(out.parent / "mine")
    prepare(root, out, SETTINGS, find)
    assert levels(out) == {ANN: 200, BEN: 80, LI: 120}


def test_what_somebody_else_put_there_is_never_removed(root, out, find):
    prepare(root, out, SETTINGS, find)
    (out / "ann" / "notes.txt").write_text("mine")
    (out / "zed").mkdir()
    (out / "zed" / "thesis.txt").write_text("mine, too")
    (out / "ben" / "more").mkdir()
    for level, name in ((200, "ann"), (210, "ben"), (220, "zed")):
        person(root / name, level)
    summary = prepare(root, out, SETTINGS, find)
    assert (out / "ann" / "notes.txt").read_text() == "mine"
    assert (out / "zed" / "thesis.txt").read_text() == "mine, too"
    assert (out / "ben" / "more").is_dir()
    assert len(summary.bad) == 3
    assert "holds 'thesis.txt', which this command did not write" in lines(summary, out)
    assert levels(out) == {LI: 120}


def test_a_folder_that_was_removed_is_made_anew(root, out, find):
    prepare(root, out, SETTINGS, find)
    before = levels(out)
    shutil.rmtree(out / "ann")
    prepare(root, out, SETTINGS, find)
    assert levels(out) == before


@pytest.mark.parametrize("step", range(1, 7))
def test_a_replacement_that_is_killed_is_made_whole_by_the_next_call(tmp_path, out, find, monkeypatch, step):
    settings = Settings(size=32, frames=4, clips=2, min_frames=4)
    person(tmp_path / "in" / "train" / "ann", 40, count=8)
    prepare(tmp_path / "in", out, settings, find)
    person(tmp_path / "in" / "train" / "ann", 200, count=8)
    left = iter(range(1, 100))

    def killing(call):
        def called(*args):
            if next(left) == step:
                raise KeyboardInterrupt
            call(*args)
            if next(left) == step:
                raise KeyboardInterrupt

        return called

    with monkeypatch.context() as patch:
        patch.setattr(run, "remove", killing(run.remove))
        patch.setattr(run.os, "replace", killing(os.replace))
        with pytest.raises(KeyboardInterrupt):
            prepare(tmp_path / "in", out, settings, find)
    prepare(tmp_path / "in", out, settings, find)
    assert splits(out) == {"train": ["ann--0", "ann--1"]}
    assert set(levels(out).values()) == {200}
    assert all(len(list((out / name).iterdir())) == 9 for name in ("ann--0", "ann--1"))
    assert not (out / ".part").exists()


def test_clips_that_are_no_longer_made_are_removed(tmp_path, out, find):
    settings = Settings(size=32, frames=4, clips=2, min_frames=4)
    person(tmp_path / "in" / "train" / "ann", 40, count=8)
    prepare(tmp_path / "in", out, settings, find)
    for n in range(4, 8):
        (tmp_path / "in" / "train" / "ann" / f"{n}.png").unlink()
    prepare(tmp_path / "in", out, settings, find)
    assert splits(out) == {"train": ["ann"]}
    assert not (out / "ann--0").exists()
    assert not (out / "ann--1").exists()


def test_other_settings_are_refused(root, out, find):
    prepare(root, out, SETTINGS, find)
    with pytest.raises(UserError, match="this folder was prepared with another test-fraction"):
        prepare(root, out, Settings(**{**vars(SETTINGS), "test_fraction": 0.1}), find)


@pytest.mark.parametrize(
    "note",
    ["5", "{}", '{"split": "train", "clips": [{"name": "../in"}]}', '{"split": "train", "clips": [], "source": 5}'],
)
def test_a_note_that_is_none_is_refused_with_its_place(root, out, find, note):
    prepare(root, out, SETTINGS, find)
    (out / ".done" / "ann.json").write_text(note)
    with pytest.raises(UserError, match="this is no note of a preparation") as error:
        prepare(root, out, SETTINGS, find)
    assert error.value.where == out / ".done" / "ann.json"


def test_no_home_folder_is_needed(root, out, find, monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME", "METAI2I_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises(RuntimeError):
        Path.home()
    prepare(root, out, SETTINGS, find)
    assert levels(out) == {ANN: 40, BEN: 80, LI: 120}
    assert (out / "contact.png").exists()


def test_two_calls_do_not_write_one_folder(root, out, find):
    def second(frame):
        with pytest.raises(UserError, match=rf"another call \(process {os.getpid()} on .*\) is preparing this folder"):
            prepare(root, out, SETTINGS, find)
        return find(frame)

    prepare(root, out, SETTINGS, second)
    assert find.calls == 3 * 4
    assert not (out / ".lock").exists()
    assert prepare(root, out, SETTINGS, find).before == 3


@pytest.fixture
def earlier(root, out, find):
    """A folder as the earlier version left it, whose ids depended on the order of names."""
    person(root / "王芳", 160)
    prepare(root, out, SETTINGS, find)
    listing = json.loads((out / "preparation.json").read_text())
    (out / "preparation.json").write_text(json.dumps({**listing, "version": 1}))
    ids = {"李娜-6e9c21fa": "x", "王芳-8ac9540b": "x-8ac9540b"}
    for path in (out / ".done").iterdir():
        marker = json.loads(path.read_text())
        for key in ("source", "whole", "shots", "elsewhere", "gaps", "others", "unread"):
            del marker[key]
        for clip in marker["clips"]:
            del clip["digest"]
            if clip["name"] in ids:
                (out / clip["name"]).rename(out / ids[clip["name"]])
                clip["name"] = ids[clip["name"]]
        path.unlink()
        path.with_name(f"{ids.get(path.stem, path.stem)}.json").write_text(json.dumps(marker))
    lists = {split: [ids.get(name, name) for name in names] for split, names in splits(out).items()}
    (out / "splits.json").write_text(json.dumps(lists))
    return out


def test_people_of_an_earlier_version_are_recognised(root, earlier, find):
    before, calls = splits(earlier), find.calls
    assert levels(earlier) == {ANN: 40, BEN: 80, "x": 120, "x-8ac9540b": 160}
    person(root / "丁伟", 200)
    summary = prepare(root, earlier, SETTINGS, find)
    assert find.calls == calls + 4
    assert levels(earlier) == {ANN: 40, BEN: 80, "x": 120, "x-8ac9540b": 160, "丁伟-65a195c6": 200}
    assert all(set(names) <= set(splits(earlier)[split]) for split, names in before.items())
    assert "was begun by an earlier version, whose people are left as they are" in lines(summary, earlier)
    assert prepare(root, earlier, SETTINGS, find).before == 5


def test_somebody_who_would_have_had_the_same_earlier_id_is_not_taken_for_her(root, earlier, find):
    shutil.rmtree(root / "李娜")
    person(root / "丁伟", 200)
    summary = prepare(root, earlier, SETTINGS, find)
    assert levels(earlier) == {ANN: 40, BEN: 80, "x-8ac9540b": 160, "丁伟-65a195c6": 200}
    assert "x: what an earlier version made it of is no longer there" in lines(summary, earlier)
    assert len(Faces(root=earlier, size=(32, 32)).tasks("train")) == len(splits(earlier)["train"])


def test_an_input_that_was_replaced_since_an_earlier_version_is_made_anew(root, earlier, find):
    person(root / "ann", 220)
    prepare(root, earlier, SETTINGS, find)
    assert levels(earlier) == {ANN: 220, BEN: 80, "x": 120, "x-8ac9540b": 160}
