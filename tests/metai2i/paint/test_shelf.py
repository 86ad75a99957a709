"""The test scenes of a run, which the page offers to begin with."""

import fake_run
import numpy as np
import pytest
from PIL import Image

from metai2i import TaskSpec
from metai2i.inference.support_files import find_support
from metai2i.paint.shelf import maps_of_scenes, scenes_of

COLOURS = tuple((int(r), int(g), int(b)) for r, g, b in fake_run.PALETTE)
SPEC = TaskSpec(len(COLOURS), (64, 64), palette=COLOURS)


@pytest.fixture
def run(tmp_path):
    fake_run.make_run(tmp_path / "run", tasks=3, size=64)
    return tmp_path / "run"


def test_each_scene_has_its_support_and_the_maps_of_its_queries(run):
    scenes = scenes_of(run, SPEC)
    assert [scene.title for scene in scenes] == [f"street/test-00{n}" for n in range(3)]
    assert [len(scene.support) for scene in scenes] == [5, 5, 5]
    first = next(maps_of_scenes(scenes, SPEC))
    assert first.title == "street/test-000, query 0"
    drawn = np.asarray(Image.open(run / "images" / "street-test-000" / "structure" / "0.png").convert("RGB"))
    assert np.array_equal(np.array(COLOURS)[first.ids], drawn)


def test_a_support_is_copied_as_pairs_that_adapt_reads(run, tmp_path):
    (tmp_path / "support").mkdir()
    scene = scenes_of(run, SPEC)[1]
    scene.copy_support(tmp_path / "support")
    pairs = find_support(tmp_path / "support").read(SPEC, frozenset({"structure", "target"}))
    maps = [np.asarray(Image.open(path).convert("RGB")) for _, path in scene.support]
    assert np.array_equal(np.array(COLOURS)[pairs["structure"].argmax(1).numpy()], np.stack(maps))


def test_maps_whose_colours_say_no_class_are_not_offered(run):
    assert scenes_of(run, TaskSpec(len(COLOURS), (64, 64))) == []
    assert scenes_of(run, TaskSpec(0, (64, 64))) == []


def test_a_support_that_is_not_whole_and_images_that_are_gone_are_left_out(run):
    (run / "images" / "street-test-000" / "support" / "2.png").unlink()
    assert [len(scene.support) for scene in scenes_of(run, SPEC)] == [0, 5, 5]
    (run / "images" / "index.json").write_text("[]")
    assert scenes_of(run, SPEC) == []
    (run / "images" / "index.json").unlink()
    assert scenes_of(run, SPEC) == []
