"""The stage store: what names a stage, when it is done, and who may work on it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metai2i import UserError
from metai2i.pipeline.stage_store import Stage, StageStore, read_log

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
DETERMINES = st.dictionaries(st.text(max_size=3), PLAIN, max_size=4)
STAGE = Stage("pretrain", {"lr": 1e-4})


def backwards(value):
    """The same data with every mapping in the opposite order."""
    if isinstance(value, dict):
        return {name: backwards(each) for name, each in reversed(value.items())}
    return [backwards(each) for each in value] if isinstance(value, list) else value


@given(DETERMINES)
def test_the_order_of_a_mapping_does_not_name_a_stage(determines):
    assert Stage("pretrain", determines).key == Stage("pretrain", backwards(determines)).key


@given(DETERMINES, st.text(max_size=3), PLAIN)
def test_every_determinant_names_it(determines, name, value):
    changed = {**determines, name: value}
    same = repr(backwards(changed)) == repr(backwards(determines)) or changed == determines
    assert same or Stage("pretrain", changed).key != Stage("pretrain", determines).key


def test_so_do_its_name_and_all_that_it_builds_on():
    lone = Stage("metatrain", {})
    above = Stage("metatrain", {}, STAGE)
    changed = Stage("metatrain", {}, Stage("pretrain", {"lr": 1e-3}))
    deep = Stage("evaluate", {}, above)
    keys = {s.key for s in (lone, above, changed, Stage("evaluate", {}), deep, Stage("evaluate", {}, changed))}
    assert len(keys) == 6


def test_the_names_of_kept_stages_stay():
    # Trained stages would otherwise not be found again.
    assert STAGE.key == "f1aaef0ac685c2d0"


def test_a_stage_is_done_when_its_marker_is_there_and_not_before(tmp_path):
    store = StageStore(tmp_path)
    assert store.done(STAGE) is None
    folder = store.begin(STAGE, resume=False)
    for name in ("model.safetensors", "progress.safetensors", "log.jsonl"):
        (folder / name).write_text("x")
    assert store.done(STAGE) is None
    store.finish(STAGE, {"iterations": 3})
    assert store.done(STAGE) == {"iterations": 3}
    assert not (folder / "progress.safetensors").exists()
    assert (folder / "model.safetensors").exists()


def leftovers(store: StageStore) -> Path:
    folder = store.begin(STAGE, resume=False)
    (folder / "tasks").mkdir()
    (folder / "tasks" / "00000.json").write_text("{}")
    (folder / "progress.safetensors").write_text("x")
    return folder


def test_beginning_anew_clears_what_an_interrupted_run_left(tmp_path):
    store = StageStore(tmp_path)
    folder = leftovers(store)
    with store.lock(STAGE):
        store.begin(STAGE, resume=False)
    assert {path.name for path in folder.iterdir()} == {"lock", "stage.json"}


def test_resuming_keeps_it(tmp_path):
    store = StageStore(tmp_path)
    folder = leftovers(store)
    store.begin(STAGE, resume=True)
    assert (folder / "tasks" / "00000.json").exists()
    assert (folder / "progress.safetensors").exists()


SCORED = Stage("evaluate", {"shots": 1}, STAGE)


@pytest.fixture
def store(tmp_path) -> StageStore:
    """A store with a trained stage and one that scores it."""
    store = StageStore(tmp_path / "stages")
    folder = store.begin(STAGE, resume=False)
    (folder / "model.safetensors").write_bytes(bytes(range(100)))
    (folder / "log.jsonl").write_text('{"step": 1, "losses": {"g": 0.5}}\n')
    store.finish(STAGE, {"iterations": 3})
    folder = store.begin(SCORED, resume=False)
    (folder / "results.json").write_text('[{"lpips": 0.5}]')
    (folder / "images" / "a").mkdir(parents=True)
    (folder / "images" / "a" / "0.png").write_bytes(b"image")
    store.finish(SCORED, {"iterations": 2, "chosen": {"lr": 0.1}})
    return store


def test_what_is_whole_is_done(store):
    assert store.done(STAGE) == {"iterations": 3}
    assert store.damage(STAGE) is None
    assert store.done(SCORED) == {"iterations": 2, "chosen": {"lr": 0.1}}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "5", "null", '{"iterations": 3}', '{"files": {}}'])
def test_a_stage_with_a_damaged_marker_is_not_done_and_the_log_says_why(store, caplog, text):
    (store.folder(STAGE) / "done.json").write_text(text)
    assert store.done(STAGE) is None
    assert "done.json" in caplog.text
    assert "it is made anew" in caplog.text


def test_a_marker_that_says_something_else_is_not_believed(store):
    marker = store.folder(SCORED) / "done.json"
    marker.write_text(marker.read_text().replace("0.1", "0.5"))
    assert store.done(SCORED) is None


def test_folders_that_have_been_exchanged_are_not_done(store, tmp_path):
    other = Stage("pretrain", {"lr": 1e-3})
    store.folder(STAGE).rename(store.folder(other))
    assert store.done(other) is None
    assert store.done(STAGE) is None


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-4] ^= 0x40
    path.write_bytes(bytes(content))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("change", [flip, truncate, Path.unlink])
@pytest.mark.parametrize("file", ["results.json", "images/a/0.png"])
def test_scores_and_images_are_read_through_each_time(store, caplog, change, file):
    change(store.folder(SCORED) / file)
    assert store.done(SCORED) is None
    assert file in caplog.text


@pytest.mark.parametrize("change", [flip, truncate, Path.unlink])
def test_weights_are_read_through_when_they_are_wanted(store, change):
    change(store.folder(STAGE) / "model.safetensors")
    assert "model.safetensors" in str(store.damage(STAGE))
    assert (store.done(STAGE) is None) == (change is not flip)  # sizes are looked at each time


def test_a_damaged_stage_is_begun_from_nothing_even_when_resuming(store):
    flip(store.folder(SCORED) / "results.json")
    (store.folder(SCORED) / "tasks").mkdir()
    folder = store.begin(SCORED, resume=True)
    assert {path.name for path in folder.iterdir()} == {"stage.json"}


def test_what_is_of_the_wrong_kind_is_cleared_when_resuming(tmp_path):
    store = StageStore(tmp_path)
    folder = store.begin(STAGE, resume=False)
    for name in ("images", "tasks"):
        (folder / name).write_text("x")
    (folder / "model.safetensors").mkdir()
    (folder / "progress.safetensors").write_text("x")
    store.begin(STAGE, resume=True)
    assert {path.name for path in folder.iterdir()} == {"stage.json", "progress.safetensors"}


def test_a_log_is_read_as_it_was_written(store):
    assert read_log(store.folder(STAGE), STAGE.key) == [{"step": 1, "losses": {"g": 0.5}}]
    assert read_log(store.folder(SCORED), SCORED.key) is None


@pytest.mark.parametrize("change", [flip, truncate, Path.unlink, lambda path: path.write_text("{x\n")])
def test_a_damaged_log_is_left_out_and_nothing_is_trained_for_it(store, caplog, change):
    change(store.folder(STAGE) / "log.jsonl")
    assert store.done(STAGE) == {"iterations": 3}
    assert read_log(store.folder(STAGE), STAGE.key) == []
    assert "the loss curve is left out" in caplog.text


def test_files_that_may_not_be_read_are_told(store, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("metai2i.pipeline.stage_store.file_sha256", refused)
    assert "cannot be read (Permission denied)" in str(store.damage(STAGE))


@pytest.mark.parametrize("taken", ["stages", "stages/KEY/lock"])
def test_a_store_that_cannot_be_written_is_told(tmp_path, taken):
    """Something of the wrong kind stands where the store wants to write."""
    path = tmp_path / taken.replace("KEY", STAGE.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch() if taken == "stages" else path.mkdir()
    refused = pytest.raises(UserError, match=r"cannot write the stage store.*METAI2I_STAGES")
    with refused, StageStore(tmp_path / "stages").lock(STAGE):
        pass


def hold(root: Path, held, go_on) -> None:
    store = StageStore(root)
    with store.lock(STAGE):
        held.set()
        go_on.wait(10)
        store.begin(STAGE, resume=False)
        time.sleep(0.1)
        store.finish(STAGE, {"by": os.getpid()})


@pytest.fixture
def holder(tmp_path):
    """A process that holds the stage, and the event that lets it finish."""
    here = multiprocessing.get_context("fork")
    held, go_on = here.Event(), here.Event()
    process = here.Process(target=hold, args=(tmp_path, held, go_on))
    process.start()
    assert held.wait(10)
    yield process, go_on
    process.kill()
    process.join()


def test_a_second_run_waits_until_the_first_has_finished_the_stage(tmp_path, holder):
    process, go_on = holder
    store = StageStore(tmp_path)
    assert store.done(STAGE) is None
    go_on.set()
    with store.lock(STAGE):
        assert store.done(STAGE) == {"by": process.pid}


def test_a_killed_run_lets_go_of_its_stage(tmp_path, holder):
    os.kill(holder[0].pid, signal.SIGKILL)
    store = StageStore(tmp_path)
    with store.lock(STAGE):
        assert store.done(STAGE) is None


def test_other_stages_are_free_meanwhile(tmp_path, holder):
    with StageStore(tmp_path).lock(Stage("pretrain", {"lr": 1e-3})):
        assert holder[0].is_alive()
