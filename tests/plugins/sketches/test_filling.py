"""What fills the boxes of scenes: images, sketches, or what a model makes of sketches; and the boxes by themselves."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from metai2i_sketches.boxes import InBoxes, cut, fitted_box
from metai2i_sketches.cli import compose_command
from metai2i_sketches.composing import compose_scenes
from metai2i_sketches.scenes import SketchScenes
from PIL import Image
from toys import Toy

import metai2i
from metai2i import Adaptation, Batch, Field, Step, TaskSpec, UserError
from metai2i.inference.model_file import AdaptedModel
from metai2i.training.driving import translate

SIDE, NAMES = 16, ("car", "cat")
OBJECTS = TaskSpec(
    1,
    (8, 8),
    frozenset({"structure", "target", "domain"}),
    domains=2,
    also={"structure": Field("map", 1), "domain": Field("label", 2, NAMES)},
)
SCENES = TaskSpec(3, (SIDE, SIDE), also={"structure": Field("map", 3)})


RECIPE = """
tasks: {use: sketch_scenes, root: ROOT, size: [16, 16], neighbours: 2, judged: boxes}
episodes: {shots: 1, queries: 1}
translator: {use: pix2pix, width: 4, downs: 2, d_width: 4, d_layers: 1}
objective: {l1: 1, adversarial: 0, perceptual: 0}
pretrain: {iterations: 1, batch: 1}
evaluate: {metrics: [ssim]}
rows:
  by box: {strategy: {use: boxes}}
  whole: {strategy: {use: none}}
compare: {baseline: by box, metric: ssim}
"""


class Stamp(Toy):
    """Makes the lines of a sketch red for cars and green for cats, on what is nearly white."""

    needs = frozenset({"structure", "target", "domain"})

    def translate(self, batch):
        paper = batch["structure"] > 0.5
        colours = torch.tensor([[1.0, -1.0, -1.0], [-1.0, 1.0, -1.0]])[batch["domain"]]
        return torch.where(paper, 0.97, colours[:, :, None, None])


class Negative(Toy):
    """Paints what is given in the other colours."""

    def translate(self, batch):
        return 1 - 2 * batch["structure"]


def model_of(translator: type[Toy], spec: TaskSpec) -> AdaptedModel:
    about = {"translator": {"use": translator.__name__.lower(), "options": {}}}
    return AdaptedModel(translator(spec=spec), spec, Batch(), None, about)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def models(monkeypatch, tmp_path):
    """Two files of models, by whose names they are known."""
    known = {"objects.safetensors": model_of(Stamp, OBJECTS), "scene.safetensors": model_of(Negative, SCENES)}
    for name in known:
        (tmp_path / name).write_text(name)
    for module in ("making", "composing"):
        monkeypatch.setattr(f"metai2i_sketches.{module}.load_adapted", lambda path: known[Path(path).name])


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def sketch() -> np.ndarray:
    """A black stroke on white, in the left half."""
    image = np.full((8, 8), 255, np.uint8)
    image[:, :4] = 0
    image[0, 0] = 255
    return image


def entry(**changes):
    given = {"class": "cat", "box": [8, 4, 8, 8], "image": "blue.png", "sketch": "lines.png", **changes}
    return {key: value for key, value in given.items() if value is not None}


def write_scenes(root: Path, *entries: dict) -> Path:
    """Two scenes to train on and two to test on, alike but for their photographs."""
    for n in range(4):
        place = root / ("train", "test")[n >= 2]
        save(place / f"{n}.png", np.random.default_rng(n).integers(0, 200, (SIDE, SIDE, 3), dtype=np.uint8))
        save(place / "blue.png", np.full((8, 8, 3), (0, 0, 255), np.uint8))
        save(place / "lines.png", sketch())
        (place / f"{n}.json").write_text(json.dumps({"objects": list(entries or (entry(),))}))
    return root


def scenes(root: Path, **options) -> SketchScenes:
    return SketchScenes(root=root, size=(SIDE, SIDE), neighbours=2, **options)


def in_box(source: SketchScenes, split: str) -> torch.Tensor:
    """The composite of a scene in its box, in 255 levels."""
    return (source.tasks(split)[0].load([0])["structure"][0, :, 4:12, 8:] * 255).round()


def test_a_model_makes_the_objects_of_scenes_that_test_and_those_that_train_keep_theirs(tmp_path):
    source = scenes(write_scenes(tmp_path / "data"), model=str(tmp_path / "objects.safetensors"))
    assert torch.equal(in_box(source, "train"), torch.tensor([0.0, 0.0, 255.0])[:, None, None].expand(3, 8, 8))
    lines, paper = in_box(source, "test")[:, 1:, :4], in_box(source, "test")[:, :, 4:]
    assert torch.equal(lines, torch.tensor([0.0, 255.0, 0.0])[:, None, None].expand(3, 7, 4))
    assert paper.eq(255).all()  # what a network makes nearly white hides no background


def test_sketches_may_be_left_as_they_are(tmp_path):
    source = scenes(write_scenes(tmp_path / "data"), fill="sketches")
    expected = torch.from_numpy(sketch().astype(np.float32)).expand(3, 8, 8)
    assert all(torch.equal(in_box(source, split), expected) for split in ("train", "test"))


def test_what_fills_boxes_is_in_the_fingerprint_and_a_model_by_its_content(tmp_path):
    root, model = write_scenes(tmp_path / "data"), tmp_path / "objects.safetensors"
    prints = [scenes(root).fingerprint("test"), scenes(root, fill="sketches").fingerprint("test")]
    prints.append(scenes(root, model=str(model)).fingerprint("test"))
    model.write_text("another one")
    prints.append(scenes(root, model=str(model)).fingerprint("test"))
    assert len(set(prints)) == 4
    assert scenes(root, model=str(model)).fingerprint("train") == scenes(root).fingerprint("train")


@pytest.mark.parametrize(
    ("given", "options", "why"),
    [
        (entry(**{"class": "cta"}), {"model": True}, r"knows no class 'cta'.*did you mean 'cat'"),
        (entry(sketch=None), {"model": True}, r"'cat' has an image and no sketch"),
        (
            entry(image=None),
            {},
            r"'cat' has a sketch and no image.*tasks\.model, or --objects, makes images of sketches",
        ),
        (entry(sketch=None), {"fill": "sketches"}, r"'cat' has an image and no sketch"),
        (entry(image=None, sketch=None), {}, "with one of the files or both"),
        (entry(box=[9, 4, 8, 8]), {"model": True}, r"the box \[9, 4, 8, 8\] of 'cat' is not within the scene"),
        (entry(), {"model": True, "fill": "sketches"}, "which tasks.fill: sketches leaves as they are"),
    ],
)
def test_objects_that_cannot_be_put_in_are_told(tmp_path, given, options, why):
    options = {**options, **({"model": str(tmp_path / "objects.safetensors")} if "model" in options else {})}
    with pytest.raises(UserError, match=why):
        scenes(write_scenes(tmp_path / "data", given), **options)


def test_a_model_that_paints_from_something_else_is_told(tmp_path):
    with pytest.raises(UserError, match=r"scene\.safetensors: this model paints from structure, expected a sketch"):
        scenes(write_scenes(tmp_path / "data"), model=str(tmp_path / "scene.safetensors"))


def test_a_drawing_in_white_on_black_is_told_before_a_model_sees_it(tmp_path):
    root = write_scenes(tmp_path / "data")
    save(root / "test" / "lines.png", np.pad(255 - sketch()[1:7, 1:7], 1))
    source = scenes(root, model=str(tmp_path / "objects.safetensors"))
    with pytest.raises(UserError, match=r"lines\.png: the drawing is white on black"):
        source.tasks("test")[0].load([0])


def test_a_box_is_a_sample_of_what_lies_in_it(tmp_path):
    root = write_scenes(tmp_path / "data", entry(), entry(box=[0, 0, 4, 4]))
    whole, by_box = scenes(root).tasks("test")[0], scenes(root, judged="boxes").tasks("test")[0]
    assert [len(whole), len(by_box)] == [2, 4]
    first, second = by_box.load([0, 1])["box"].tolist()
    assert first == [0.5, 0.25, 1.0, 0.75]
    assert second == [0.0, 0.0, 0.25, 0.25]
    photo, batch = whole.load([0])["target"], by_box.load([0, 1])
    assert torch.equal(batch["target"], cut(photo.expand(2, -1, -1, -1), batch["box"]))
    assert torch.equal(batch["structure"], whole.load([0, 0])["structure"])
    assert scenes(root, judged="boxes").tasks("train")[0].load([0])["box"].tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_a_cut_is_the_part_itself_at_the_size_of_the_image():
    images = torch.arange(16.0).view(1, 1, 4, 4)
    part = torch.tensor([[0.5, 0.0, 1.0, 0.5]])
    assert torch.equal(cut(images, torch.tensor([[0.0, 0.0, 1.0, 1.0]])), images)
    corners = cut(images, part)[0, 0][[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.tolist() == [2, 3, 6, 7]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((16, 0, 16, 16), (0.0, 0.0, 0.5, 0.5)),  # 64x32 at 32x32: the middle 32 columns, from 16 to 48
        ((8, 0, 16, 32), (0.0, 0.0, 0.25, 1.0)),  # half of it is cut off
        ((4, 0, 16, 32), None),
        ((0, 0, 8, 8), None),
    ],
)
def test_a_box_of_a_photograph_is_placed_where_the_cut_out_middle_shows_it(box, expected):
    assert fitted_box(box, (64, 32), (32, 32)) == expected


def test_outputs_are_cut_as_their_targets_are(tmp_path):
    root = write_scenes(tmp_path / "data", entry(box=[0, 0, 4, 4]))
    batch = scenes(root, judged="boxes").tasks("test")[0].load([0, 1])
    inner = Adaptation(iterations=1, lr=1e-2)
    general = Negative(spec=SCENES)
    adapted = InBoxes(inner=inner).adapt(general, batch, Step())
    expected = cut(1 - 2 * batch["structure"], batch["box"])
    torch.testing.assert_close(translate(adapted, batch, Step()), expected)
    assert not {id(parameter) for parameter in adapted.parameters()} & {id(each) for each in general.parameters()}


def test_boxes_are_judged_by_a_strategy_that_cuts_outputs_alone(tmp_path):
    write_scenes(tmp_path / "data")
    recipe = tmp_path / "boxes.yaml"
    recipe.write_text(RECIPE.replace("ROOT", str(tmp_path / "data")))
    where = {"out": tmp_path / "run", "stages": tmp_path / "stages", "device": "cpu"}
    with pytest.raises(UserError, match=r"row 'whole': .* to be read with its box, which neither .* nor the strategy"):
        metai2i.run(recipe, **where)
    run = metai2i.run(recipe, **where, only=["by box"])
    assert {record.row for record in run.records} == {"by box"}


def test_scenes_without_boxes_cannot_be_judged_by_them(tmp_path):
    root = write_scenes(tmp_path / "data")
    for path in (root / "test").glob("*.json"):
        path.write_text('{"objects": []}')
    with pytest.raises(UserError, match=r"there are no boxes in the 2 scenes of a task, and tasks\.judged is boxes"):
        scenes(root, judged="boxes")


def a_list(tmp_path: Path, **more) -> Path:
    save(tmp_path / "mine" / "lines.png", sketch())
    ground = np.full((SIDE, SIDE), 255, np.uint8)
    ground[2] = 0
    save(tmp_path / "mine" / "ground.png", ground)
    content = {"background": "ground.png", "objects": [entry(image=None)], **more}
    (tmp_path / "mine" / "a.json").write_text(json.dumps(content))
    return tmp_path / "mine" / "a.json"


def test_one_command_makes_a_scene_of_a_sketch_with_boxes_and_classes(tmp_path):
    listing, out = a_list(tmp_path), tmp_path / "out"
    options = ["--objects", str(tmp_path / "objects.safetensors"), "--scene", str(tmp_path / "scene.safetensors")]
    result = CliRunner().invoke(compose_command, [str(listing), str(out), *options])
    assert result.exit_code == 0, result.output
    assert "1 composite in" in result.output
    composite = np.asarray(Image.open(out / "composites" / "a.png"))
    assert composite[2].max() == 0  # the line of the background
    assert (composite[5:12, 8:12] == (0, 255, 0)).all()
    assert np.array_equal(np.asarray(Image.open(out / "a.png")), 255 - composite)


def test_a_list_may_say_its_size_and_have_images_already(tmp_path):
    listing = a_list(tmp_path, background=None, size=[SIDE, 12], objects=[entry(image="lines.png", sketch=None)])
    compose_scenes(listing.parent, tmp_path / "out", None, None)
    assert np.asarray(Image.open(tmp_path / "out" / "composites" / "a.png")).shape == (12, SIDE, 3)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"background": None}, 'neither "background" nor "size"'),
        (
            {"background": None, "size": [10**7, 10**7]},
            r"a\.json: the size is 10000000x10000000 pixels, expected at most",
        ),
        ({"size": [0, 4]}, r"expected \[width, height\] in pixels as the size, got \[0, 4\]"),
        ({"objects": [entry(**{"class": "dog"})]}, "knows no class 'dog'"),
        ({"objects": [entry(box=[12, 4, 8, 8])]}, "not within the scene, which is 16x16"),
        ({"objects": [entry(sketch="none.png")]}, r"none\.png: there is no such file"),
        ({"objects": [entry(sketch="ground.png")], "background": "lines.png"}, "not within the scene, which is 8x8"),
    ],
)
def test_nothing_is_written_of_lists_of_which_one_cannot_be_used(tmp_path, more, why):
    a_list(tmp_path)
    good = (tmp_path / "mine" / "a.json").read_text()
    listing = a_list(tmp_path, **more)
    (listing.parent / "b.json").write_text(good)
    with pytest.raises(UserError, match=why):
        compose_scenes(listing.parent, tmp_path / "out", tmp_path / "objects.safetensors", None)
    assert not (tmp_path / "out").exists()


def test_scenes_are_composed_one_after_another_as_a_model_may_draw(tmp_path, monkeypatch):
    listing = a_list(tmp_path, background=None, size=[SIDE, SIDE], objects=[])
    for name in "bcdefgh":
        listing.with_name(f"{name}.json").write_text(listing.read_text())
    composed = []

    def composite(self, size, filling):
        composed.append((self.listing.stem, threading.current_thread()))
        return np.zeros((SIDE, SIDE, 3), np.uint8)

    monkeypatch.setattr("metai2i_sketches.scene_list.SceneList.composite", composite)
    compose_scenes(listing.parent, tmp_path / "out", None, None)
    assert composed == [(name, threading.main_thread()) for name in "abcdefgh"]


def test_lists_of_one_name_are_told_before_one_image_is_written_for_both(tmp_path):
    listing = a_list(tmp_path)
    listing.with_name("a.JSON").write_text(listing.read_text())
    with pytest.raises(UserError, match="are lists of one name"):
        compose_scenes(listing.parent, tmp_path / "out", tmp_path / "objects.safetensors", None)


def test_images_that_are_there_are_not_replaced_unless_it_is_asked_for(tmp_path):
    given = a_list(tmp_path), tmp_path / "out", tmp_path / "objects.safetensors", None
    compose_scenes(*given)
    with pytest.raises(UserError, match=r"a\.png: this is there already"):
        compose_scenes(*given)
    compose_scenes(*given, overwrite=True)


def test_models_of_other_things_and_places_without_lists_are_told(tmp_path):
    listing = a_list(tmp_path)
    with pytest.raises(UserError, match=r"objects\.safetensors: this model paints from domain, structure, expected"):
        compose_scenes(listing, tmp_path / "out", None, tmp_path / "objects.safetensors")
    with pytest.raises(UserError, match="there are no lists of objects"):
        compose_scenes(tmp_path, tmp_path / "out", None, None)
    with pytest.raises(UserError, match="there is no such file or folder, expected lists"):
        compose_scenes(tmp_path / "no.json", tmp_path / "out", None, None)
