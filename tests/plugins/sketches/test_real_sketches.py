"""The photographs of objects and the drawings by hand that are beside the checkout."""

from __future__ import annotations

import pytest
from metai2i_sketches.drawings import find_drawings, read_drawing
from metai2i_sketches.source import Sketches

from metai2i import Randomness, UserError

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def data(request):
    for parent in request.config.rootpath.parents:
        if (parent / "shared" / "data" / "sketch").is_dir():
            return parent / "shared" / "data" / "sketch"
    pytest.skip("the real photographs are not here")


def test_photographs_train_by_their_edges_and_quickdraws_drawings_test(data):
    drawn = data / "sketches" / "quickdraw"
    source = Sketches(root=data / "photos", sketches=drawn, classes=("airplane", "cat", "dog"), size=(32, 32))
    assert [(task.id, len(task), len(task.drawings)) for task in source.tasks("test")] == [
        ("test/airplane", 40, 200), ("test/cat", 40, 200), ("test/dog", 40, 17),
    ]  # fmt: skip
    edges = source.tasks("train")[1].load(range(20))["structure"]
    assert 0.5 < edges.mean() < 0.98
    query = source.tasks("test")[1].episode(3, 8, Randomness((0,))).query["structure"]
    assert 0.7 < query.mean() < 0.98
    with pytest.raises(UserError, match="there are drawings of the class 'bicycle'"):
        Sketches(root=data / "photos", sketches=drawn)


def test_strokes_in_every_form_and_bitmaps_can_be_drawn(data, tmp_path):
    for path in (data / "sketches" / "quickdraw").glob("*.ndjson"):
        (tmp_path / path.name).symlink_to(path)
    drawings = [drawing for some in find_drawings(tmp_path, 15).values() for drawing in some]
    bitmaps = find_drawings(data / "sketches" / "quickdraw_bitmap28", 20)
    drawings += [drawing for some in bitmaps.values() for drawing in some]
    assert len(drawings) == 14 * 15 + 40
    assert all(0.4 < read_drawing(drawing, (64, 64)).mean() / 255 < 0.995 for drawing in drawings)
