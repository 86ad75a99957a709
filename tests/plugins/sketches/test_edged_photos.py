"""`metai2i data edges`: photographs with their edges, for EdgeGAN to adapt to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from metai2i_sketches.cli import edges_command
from metai2i_sketches.edged_photos import write_edged
from metai2i_sketches.source import Sketches
from PIL import Image

from metai2i import UserError
from metai2i.inference.field_folders import FieldFolders, stacked

SIDE, LARGE = 16, 48


@pytest.fixture
def photos(tmp_path):
    """Three photographs of a class, larger than the run's size, in the tree that a run trains on."""
    for n in range(3):
        pixels = np.full((LARGE, LARGE, 3), 250, np.uint8)
        pixels[8 + 4 * n : 30 + 4 * n, 10:36] = 40, 60 * n, 120
        for folder in ("photos/train/cat", "photos/test/cat"):
            path = tmp_path / folder / f"{folder[7:9]}{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels[0, 0] = n, 0, len(folder)  # no two alike
            Image.fromarray(pixels).save(path)
    return tmp_path / "photos"


def test_what_it_writes_is_read_back_as_the_task_source_reads_the_photographs(photos, tmp_path):
    source, out = Sketches(root=photos, size=(SIDE, SIDE)), tmp_path / "support"
    options = ["--class", "cat", "--size", str(SIDE), str(SIDE)]
    result = CliRunner().invoke(edges_command, [str(photos / "train" / "cat"), str(out), *options])
    assert result.exit_code == 0, result.output
    assert result.output == f"3 photographs with edges at {SIDE}x{SIDE} in {out}, of the class 'cat'\n"
    folders = FieldFolders(out, ("structure", "target", "domain"), source.spec())
    written, trained = stacked([folders.read(name) for name in folders.names]), source.tasks("train")[0].load(range(3))
    assert (written["structure"] == 0).any()
    for name in ("structure", "target", "domain"):
        assert torch.equal(written[name], trained[name]), name


def test_a_class_is_a_new_one_unless_it_is_named(photos, tmp_path):
    source = Sketches(root=photos, size=(SIDE, SIDE))
    CliRunner().invoke(edges_command, [str(photos / "train" / "cat"), str(tmp_path / "support")])
    folders = FieldFolders(tmp_path / "support", ("domain",), source.spec())
    assert folders.names == ()
    assert (tmp_path / "support" / "domain.txt").read_text() == "a new domain\n"
    assert source.spec().field("domain").names == ("cat", "a new domain")


@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (lambda folder: Image.new("RGB", (9, 9), "grey").save(folder / "plain.png"), "plain.png: .*empty"),
        (lambda folder: (folder / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n"), "cut.png: "),
        (lambda folder: Image.new("RGB", (9, 9)).save(folder / "tr0.jpg"), "both would be written as tr0.png"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "there are no photographs in this folder"),
    ],
)
def test_photographs_without_edges_and_files_that_are_none_are_told_and_nothing_is_written(
    photos, tmp_path, break_it, why
):
    folder = photos / "train" / "cat"
    break_it(folder)
    with pytest.raises(UserError, match=why):
        write_edged(folder, tmp_path / "support", "cat", (SIDE, SIDE))
    assert not (tmp_path / "support").exists()


def test_a_folder_with_something_in_it_is_refused_for_all_in_it_would_be_of_the_class(photos, tmp_path):
    folder, out = photos / "train" / "cat", tmp_path / "support"
    write_edged(folder, out, "cat", (SIDE, SIDE))
    names = sorted(path.name for path in out.rglob("*"))
    for place in (out, out / "domain.txt"):
        with pytest.raises(UserError, match="something is there already"):
            write_edged(photos / "test" / "cat", place, "dog", (SIDE, SIDE))
    assert (out / "domain.txt").read_text() == "cat\n"
    assert sorted(path.name for path in out.rglob("*")) == names
    with pytest.raises(UserError, match="there is no such file or folder"):
        write_edged(tmp_path / "nowhere", tmp_path / "other", "cat", (SIDE, SIDE))


@pytest.mark.parametrize("label", ["", "  ", "cat,dog", "cat\ndog"])
def test_a_class_that_a_line_of_labels_could_not_say_is_told(photos, tmp_path, label):
    with pytest.raises(UserError, match=r"--class: got .*, expected a name of one line without commas"):
        write_edged(photos / "train" / "cat", tmp_path / "support", label, (SIDE, SIDE))
    assert not (tmp_path / "support").exists()
