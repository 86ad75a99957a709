"""Scenes of paired files: what they load, and when their fingerprint changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from metai2i.data.paired_files import PairedScene


class Reader:
    """Pairs are names of files: `NAME.jpg` is as bright as its number of bytes, `NAME.png` of its class everywhere."""

    classes = 3
    reading, size = "1", (2, 4)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.photographs = 0

    def files(self, pair: str) -> tuple[Path, ...]:
        return self.folder / f"{pair}.jpg", self.folder / f"{pair}.png"

    def photo(self, pair: str) -> np.ndarray:
        self.photographs += 1
        return np.full((2, 4, 3), self.files(pair)[0].stat().st_size, np.uint8)

    def labels(self, pair: str) -> np.ndarray:
        return np.full((2, 4), int(self.files(pair)[1].read_text()), np.uint8)

    def instances(self, pair: str) -> np.ndarray | None:
        return None


class WithInstances(Reader):
    def instances(self, pair: str) -> np.ndarray:
        return self.labels(pair).astype(np.int64) + 2**40


@pytest.fixture
def scene(tmp_path):
    for name, size, label in (("a", 0, 2), ("b", 51, 0), ("c", 255, 1)):
        (tmp_path / f"{name}.jpg").write_bytes(b"x" * size)
        (tmp_path / f"{name}.png").write_text(str(label))
    return PairedScene("ada", ["a", "b", "c"], Reader(tmp_path))


def test_samples_are_one_hot_maps_and_photographs_from_minus_one_to_one(scene):
    batch = scene.load([2, 0, 1])
    assert batch["structure"].shape == (3, 3, 2, 4)
    assert torch.equal(batch["structure"][:, :, 0, 0], torch.eye(3)[[1, 2, 0]])
    torch.testing.assert_close(batch["target"][:, 0, 0, 0], torch.tensor([1.0, -1.0, -0.6]))
    assert batch["target"].shape == (3, 3, 2, 4)
    assert batch["target"].is_contiguous()


def test_maps_are_of_evenly_spaced_pairs_and_need_no_photograph(scene):
    assert scene.maps(2)[:, 0, 0].tolist() == [2, 0]
    assert scene.maps()[:, 1, 3].tolist() == [2, 0, 1]
    assert scene.images.photographs == 0


def test_its_files_are_those_of_its_pairs_in_order(scene):
    assert [path.name for path in scene.files] == ["a.jpg", "a.png", "b.jpg", "b.png", "c.jpg", "c.png"]
    assert (len(scene), repr(scene)) == (3, "PairedScene('ada', 3 pairs)")


def test_its_fingerprint_tells_contents_and_how_they_are_read(scene, tmp_path):
    before = scene.fingerprint()
    assert PairedScene("other", ["a", "b", "c"], Reader(tmp_path)).fingerprint() == before
    assert PairedScene("ada", ["a", "b"], Reader(tmp_path)).fingerprint() != before
    (tmp_path / "a.png").write_text("1")
    assert scene.fingerprint() != before
    (tmp_path / "a.png").write_text("2")
    assert scene.fingerprint() == before
    scene.images.reading = "2"
    assert scene.fingerprint() != before


def test_instances_are_there_where_the_reader_has_them(scene, tmp_path):
    assert "instances" not in scene.load([0])
    batch = PairedScene("ada", ["a", "b"], WithInstances(tmp_path)).load([1, 0])
    assert batch["instances"].dtype == torch.int64
    assert batch["instances"][:, 1, 1].tolist() == [2**40, 2**40 + 2]
