"""Scenes without pairs whose right outputs are known: what may be seen of them, and when."""

import numpy as np
import torch

from metai2i import Randomness, UserError
from metai2i.data import Pool, UnpairedScene

SIDE = 4


def level(path):
    return int(path.name)


def read(path):
    return np.full((SIDE, SIDE, 3), level(path), np.uint8)


def scene(tmp_path, truths, **options):
    """Inputs 0 to 5 of domain 0, photographs 100 to 105 of domain 1; the truth of an input is 200 levels away."""
    for n in (*range(6), *range(100, 106), *range(200, 206)):
        (tmp_path / str(n)).write_text(str(n))
    inputs = [tmp_path / str(n) for n in range(6)]
    known = {path: tmp_path / str(200 + n) for n, path in enumerate(inputs)} if truths else {}
    target = Pool(1, tuple(tmp_path / str(100 + n) for n in range(6)))
    return UnpairedScene("s", target, [Pool(0, tuple(inputs))], read, reading="1", truths=known, **options)


def levels(photos):
    return ((photos[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def test_a_query_has_the_truth_of_its_input_and_a_support_its_exemplars_alone(tmp_path):
    task = scene(tmp_path, truths=True, of_support=True)
    episode = task.episode(2, 4, Randomness((3,)))
    assert levels(episode.query["target"]) == [200 + n for n in levels(episode.query["source"])]
    assert levels(episode.support["target"]) == levels(episode.support["reference"])
    assert set(levels(episode.query["reference"])) <= set(levels(episode.support["reference"]))
    assert set(levels(episode.support["source"])).isdisjoint(levels(episode.query["source"]))


def test_real_images_are_photographs_of_the_domain_that_the_support_has_not(tmp_path):
    task = scene(tmp_path, truths=True, of_support=True)
    here = Randomness((3,))
    real = task.real(2, here)
    assert levels(real["target"]) == levels(real["reference"])
    shown = levels(task.episode(2, 4, here).support["reference"])
    assert sorted([*levels(real["target"]), *shown]) == list(range(100, 106))
    assert task.real(2, here, 3).size == 3
    assert task.real(6, here) is None


def test_where_no_truth_is_known_the_target_is_the_reference(tmp_path):
    task = scene(tmp_path, truths=False)
    for batch in (task.load(range(6)), task.draw(2, Randomness((0,)))):
        assert torch.equal(batch["target"], batch["reference"])


def test_files_begin_with_what_is_the_target_and_a_fingerprint_follows_every_file(tmp_path):
    task = scene(tmp_path, truths=True)
    assert len(task.files) == 18
    batch = task.load(range(6))
    assert [level(path) for path in task.files[::3]] == levels(batch["target"])
    assert [level(path) for path in task.files[1::3]] == levels(batch["reference"])
    before = task.fingerprint()
    (tmp_path / "203").write_text("other")
    assert scene(tmp_path, truths=False).fingerprint() != before
    (tmp_path / "203").write_text("others")
    assert task.fingerprint() != before


def test_further_maps_are_of_the_input_and_their_files_are_in_the_fingerprint(tmp_path):
    beside = tmp_path / "points"
    beside.write_text("a")
    maps = {"landmarks": lambda path: np.full((SIDE, SIDE, 2), 10 * level(path), np.uint8)}
    task = scene(tmp_path, truths=False, maps=maps, beside=[beside])
    for batch in (task.load(range(6)), task.draw(2, Randomness((0,)))):
        assert batch["landmarks"].shape[1:] == (2, SIDE, SIDE)
        of_sources = [10 * n / 255 for n in levels(batch["source"])]
        torch.testing.assert_close(batch["landmarks"][:, 0, 0, 0], torch.tensor(of_sources))
    before = task.fingerprint()
    beside.write_text("b")
    assert task.fingerprint() != before
    assert scene(tmp_path, truths=False).fingerprint() != before


def test_inputs_that_no_sample_shows_are_read_when_data_is_checked(tmp_path):
    def damaged_from_7_on(path):
        if level(path) >= 7:
            raise UserError("cut short", where=path)
        return read(path)

    inputs = [tmp_path / str(n) for n in range(12)]
    target = Pool(1, (tmp_path / "100", tmp_path / "101"))
    task = UnpairedScene("s", target, [Pool(0, tuple(inputs))], damaged_from_7_on, reading="1")
    shown = {path for path in task.files if path in inputs}
    assert len(shown) == 2
    assert {error.where for error in task.unread()} == {*inputs[7:]} - shown
    assert [*scene(tmp_path, truths=False).unread()] == []
