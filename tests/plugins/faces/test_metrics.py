"""The metrics of faces: closed forms, what they refuse, and what they say of real photographs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from metai2i_faces import metrics
from metai2i_faces.faces import Faces
from metai2i_faces.metrics import FaceLandmarks, FacePartsL1, face_box, normalised_error
from metai2i_faces.regions import CLASSES

from metai2i import Batch, TaskSpec, UserError

SPEC = TaskSpec(structure_channels=7, size=(16, 16), classes=CLASSES)


def query(ids: torch.Tensor, level: int = 0) -> Batch:
    """Label maps (B, H, W) and photographs of one 8-bit level."""
    structure = torch.nn.functional.one_hot(ids, len(CLASSES)).permute(0, 3, 1, 2).float()
    return Batch(structure=structure, target=torch.full((len(ids), 3, *ids.shape[1:]), level / 127.5 - 1))


# --- the parts of a face


def test_only_eyes_lips_and_inner_mouth_count():
    ids = torch.arange(7)[None, :, None].expand(1, 7, 4)
    metric, errors = FacePartsL1(spec=SPEC), []
    for part in range(7):
        images = query(ids).get("target").clone()
        images[:, :, part] += 51 / 127.5
        errors.append(metric(images, query(ids)).item())
    share = pytest.approx(51 / 127.5 / 3)  # one of three rows that count
    assert errors == [0, 0, 0, share, 0, share, share]


def test_the_mean_is_over_pixels_and_not_over_parts():
    ids = torch.zeros(1, 4, 4, dtype=torch.long)
    ids[0, 0], ids[0, 1, 0] = CLASSES.index("lips"), CLASSES.index("eyes")
    images = query(ids)["target"].clone()
    images[0, :, 1, 0] = 1  # the one pixel of the eyes, by the whole range
    assert FacePartsL1(spec=SPEC)(images, query(ids)).item() == pytest.approx(2 / 5)


def test_a_map_without_any_part_is_left_out_and_its_neighbours_are_not():
    ids = torch.ones(2, 4, 4, dtype=torch.long)
    ids[1, 0] = CLASSES.index("eyes")
    values = FacePartsL1(spec=SPEC)(torch.zeros(2, 3, 4, 4), query(ids)).tolist()
    assert math.isnan(values[0])
    assert values[1] == pytest.approx(128 / 127.5)


def test_differences_below_half_a_level_do_not_count():
    ids = torch.full((1, 4, 4), CLASSES.index("eyes"))
    real = query(ids, level=100)
    assert FacePartsL1(spec=SPEC)(real["target"] + 0.4 / 127.5, real).item() == 0


# --- where a landmark predictor sees them


def test_the_box_of_a_face_reaches_from_its_eyebrows_to_its_chin():
    face, brows = (np.zeros((20, 30), bool) for _ in range(2))
    face[2:18, 5:25], brows[6, 8:12] = True, True
    assert face_box(face, brows) == (5, 6, 25, 18)
    assert face_box(face, np.zeros_like(brows)) is None
    assert face_box(np.zeros_like(face), brows) is None


def test_the_error_is_measured_in_distances_of_the_eyes():
    real, moved = np.random.default_rng(0).uniform(0, 100, (68, 2)), np.array([3, 4])
    real[36], real[45] = (30, 40), (70, 70)  # 50 pixels apart
    assert normalised_error(real + moved, real) == pytest.approx(5 / 50)
    assert normalised_error(3 * (real + moved), 3 * real) == pytest.approx(5 / 50)
    assert math.isnan(normalised_error(real, np.ones((68, 2))))


# --- what they refuse


@pytest.mark.parametrize(("metric", "missing"), [(FacePartsL1, "lips, inner-mouth"), (FaceLandmarks, "face, eyebrows")])
def test_data_without_the_parts_of_a_face_is_refused(metric, missing):
    with pytest.raises(
        UserError, match=rf"needs the classes {missing}; the task source has road, eyes \(.*leave it out"
    ):
        metric(spec=TaskSpec(structure_channels=2, size=(16, 16), classes=("road", "eyes")))


def test_data_that_names_no_classes_is_refused():
    with pytest.raises(UserError, match="the task source has none that it names"):
        FacePartsL1(spec=TaskSpec(structure_channels=7, size=(16, 16)))


def test_classes_may_be_written_with_a_space():
    spaced = TaskSpec(structure_channels=4, size=(16, 16), classes=("lips", "inner mouth", "skin", "eyes"))
    assert FacePartsL1(spec=spaced).parts == [3, 0, 1]


@pytest.mark.parametrize("module", ["DLIB", "WEIGHTS"])
def test_what_is_not_installed_is_told_with_the_extra_that_brings_it(monkeypatch, module):
    monkeypatch.setattr(metrics, module, "no_such_module_anywhere")
    metrics.predictor.cache_clear()
    with pytest.raises(UserError, match=r"needs dlib .*pip install .*face-recognition-models"):
        FaceLandmarks(spec=SPEC)


# --- real photographs


@pytest.fixture
def people(shared) -> Faces:
    return Faces(root=shared / "data" / "faces", test_tasks=10)


@pytest.mark.shared
def test_a_photograph_has_the_landmarks_of_itself_and_of_nobody_else(people):
    metric, first, second = FaceLandmarks(spec=people.spec()), *people.tasks("test")[:2]
    query = first.load(range(8))
    assert metric(query["target"], query).tolist() == [0] * 8
    assert min(metric(second.load(range(8))["target"], query).tolist()) > 0.02


@pytest.mark.shared
def test_the_error_between_two_frames_is_how_far_the_prepared_landmarks_have_moved(people, shared):
    """Those were found at the source's resolution, in boxes of the detector."""
    metric, errors, expected = FaceLandmarks(spec=people.spec()), [], []
    for task in people.tasks("test"):
        other = [(i + 9) % len(task) for i in range(len(task))]
        batch, points = (
            task.load(range(len(task))),
            np.load(shared / "data/faces" / task.id / "landmarks.npz")["pts_crop"],
        )
        errors += metric(batch["target"][other], batch).tolist()
        moved, eyes = points[other] - points, points[:, 36] - points[:, 45]
        expected += (np.linalg.norm(moved, axis=2).mean(1) / np.linalg.norm(eyes, axis=1)).tolist()
    assert np.corrcoef(errors, expected)[0, 1] > 0.95
    assert np.mean(errors) == pytest.approx(np.mean(expected), rel=0.1)
    assert np.mean(errors) > 0.02
    assert min(errors) > 0


@pytest.mark.shared
def test_the_error_grows_as_a_face_is_lost(people):
    metric, query = FaceLandmarks(spec=people.spec()), people.tasks("test")[0].load(range(6))
    blurred = torch.nn.functional.avg_pool2d(query["target"], 5, 1, 2)
    shown = [blurred, blurred.roll(8, dims=3), torch.zeros_like(blurred)]
    errors = [metric(images, query).mean().item() for images in shown]
    assert errors == sorted(errors)
    assert errors[0] < 0.03
    assert errors[-1] > 0.1


@pytest.mark.shared
def test_a_query_without_eyebrows_is_left_out(people):
    metric, query = FaceLandmarks(spec=people.spec()), people.tasks("test")[0].load([0, 1])
    structure = query["structure"].clone()
    structure[0, CLASSES.index("eyebrows")] = 0
    values = metric(query["target"], query.replace(structure=structure)).tolist()
    assert math.isnan(values[0])
    assert values[1] == 0


@pytest.mark.shared
def test_larger_images_have_the_same_error(people, shared):
    batches = [
        Faces(root=shared / "data" / "faces", size=size, test_tasks=1).tasks("test")[0].load(range(6))
        for size in ((128, 128), (256, 256))
    ]
    metric, other = FaceLandmarks(spec=people.spec()), [3, 4, 5, 0, 1, 2]
    small, large = (metric(batch["target"][other], batch).tolist() for batch in batches)
    assert large == pytest.approx(small, abs=0.01)


@pytest.mark.shared
def test_the_parts_of_another_frame_are_off_by_more_than_the_whole(people):
    metric, off, whole = FacePartsL1(spec=people.spec()), [], []
    for task in people.tasks("test"):
        batch = task.load([0, 9])
        off += metric(batch["target"].flip(0), batch).tolist()
        whole.append((batch["target"][0] - batch["target"][1]).abs().mean().item())
    assert np.mean(off) > np.mean(whole)
