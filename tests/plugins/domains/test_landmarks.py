"""Faces whose landmarks are known, as domains."""

from __future__ import annotations

import numpy as np
import pytest
from metai2i_domains.landmarks import landmark_map
from metai2i_domains.source import DomainsLandmarks
from metai2i_stargan2 import StarGan2Landmarks

from metai2i import Randomness, UserError
from metai2i.testing import run_contracts

CORNER = (5.0, 5.0)
NOSE, EYE, CHIN = 30, 40, 8
NAMES = np.array(["006"])


def points(**places):
    """The points of a face: all in one corner but for some."""
    return np.array([places.get(str(n), CORNER) for n in range(68)])


def test_landmarks_are_spots_in_the_channel_of_their_part():
    spots = landmark_map(points(**{str(NOSE): (12.5, 2.5), str(EYE): (2.5, 12.5), str(CHIN): (12.5, 12.5)}), (16, 16),
                         (32, 32))  # fmt: skip
    assert spots.shape == (32, 32, 3)
    assert spots.dtype == np.uint8
    for channel, x, y in ((2, 25, 5), (1, 5, 25), (0, 25, 25)):
        assert (spots[y - 1 : y + 1, x - 1 : x + 1, channel] > 100).all()
        others = [each for each in range(3) if each != channel]
        assert spots[y - 1 : y + 1, x - 1 : x + 1, others].max() == 0
    assert (spots[9:11, 9:11] > 100).all()


def test_landmarks_are_where_resizing_and_cutting_put_the_photograph():
    spots = landmark_map(points(**{str(NOSE): (16.5, 4.5)}), (8, 32), (16, 16))  # 16x64, of which columns 24 to 39 stay
    row, column = np.unravel_index(spots[..., 2].argmax(), (16, 16))
    assert (row, column) in {(8, 8), (8, 9), (9, 8), (9, 9)}


def test_a_folder_of_a_person_is_a_domain_and_region_maps_are_no_photographs(people):
    source = DomainsLandmarks(root=people, size=(16, 16))
    assert source.spec().field("landmarks").channels == 3
    task = source.tasks("train")[0]
    assert all(path.suffix == ".jpg" for pool in (task.target, *task.sources) for path in pool.files)
    for n in range(8):
        batch = task.draw(0, Randomness((n,)))
        shown = ((batch["source"][0].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
        (path,) = [each for pool in task.sources for each in pool.files if np.array_equal(task.read(each), shown)]
        row = batch["landmarks"][0, 2, 12]  # the tip of the nose, below all other points
        assert int(row.argmax()) == int(path.stem) % 6


def test_other_landmarks_are_other_data(people):
    before = DomainsLandmarks(root=people, size=(16, 16)).fingerprint("train")
    with np.load(people / "train" / "ann" / "landmarks.npz") as kept:
        names, every = kept["names"], kept["pts_crop"]
    np.savez(people / "train" / "ann" / "landmarks.npz", names=names, pts_crop=every + 1)
    assert DomainsLandmarks(root=people, size=(16, 16)).fingerprint("train") != before


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, r"bob: these images have no landmarks; expected landmarks\.npz"),
        ({"names": NAMES}, r"landmarks\.npz: the landmarks lack pts_crop"),
        (
            {"names": NAMES, "pts_crop": np.zeros((1, 5, 2))},
            r"pts_crop is \(1, 5, 2\), expected \(1, 68, 2\)",
        ),
        ({"names": NAMES, "pts_crop": np.zeros((1, 68, 2))}, r"007\.jpg: this photograph has no landmarks"),
    ],
)
def test_landmarks_that_are_none_are_told(people, content, why):
    file = people / "train" / "bob" / "landmarks.npz"
    file.unlink() if content is None else np.savez(file, **content)
    with pytest.raises(UserError, match=why):
        DomainsLandmarks(root=people, size=(16, 16))


def test_a_file_that_is_no_archive_is_told(people):
    file = people / "train" / "bob" / "landmarks.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"landmarks\.npz: these are no landmarks"):
        DomainsLandmarks(root=people, size=(16, 16))
    (people / "train" / "bob" / "landmarks.npz").write_text("none")
    with pytest.raises(UserError, match=r"landmarks\.npz: these are no landmarks"):
        DomainsLandmarks(root=people, size=(16, 16))


def test_it_keeps_the_contracts_of_a_task_source(people):
    options = {"root": str(people), "size": [16, 16]}
    outcomes = run_contracts("task source", DomainsLandmarks, options)
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}


@pytest.mark.slow
def test_stargan2_keeps_its_contracts_on_them(people):
    source = DomainsLandmarks(root=people, size=(32, 32))
    options = {"width": 2, "widest": 4, "style": 3, "latent": 2, "hidden": 4, "high_pass": 1.0}
    outcomes = run_contracts("translator", StarGan2Landmarks, options, source=source)
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}
