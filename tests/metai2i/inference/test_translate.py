"""Exemplars that are named on the command line, and inputs in their layouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toys import Toy, ToyTask

from metai2i import Batch, Field, TaskSpec, UserError
from metai2i.data.remarks import Remarks
from metai2i.inference.exemplars import given_by
from metai2i.inference.model_file import AdaptedModel
from metai2i.inference.trained_run import exemplars_of
from metai2i.inference.translate import Inputs, paint_inputs, targets

SPEC = TaskSpec(structure_channels=3, size=(16, 16))


class Warp(Toy):
    """Paints its exemplar where the exemplar's map has class 2, and black elsewhere."""

    needs = frozenset({"structure", "target", "reference", "reference_structure"})

    def translate(self, batch):
        return torch.where(batch["reference_structure"][:, 2:] > 0, batch["reference"], -1)


class FromPhotographs(Toy):
    """Paints photographs darker."""

    needs = frozenset({"source", "target"})

    def translate(self, batch):
        return (batch["source"] - 0.5).clamp(-1, 1)


def model_of(translator: type[Toy], support: Batch | None = None) -> AdaptedModel:
    model, support = translator(spec=SPEC), support or ToyTask("scene", 4).load(range(4))
    about = {"translator": {"use": translator.__name__.lower(), "options": {}}}
    return AdaptedModel(model, SPEC, support, exemplars_of(model, SPEC, {}), about)  # type: ignore[arg-type]


def saved(path: Path, value: int, mode: str = "L") -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new(mode, (16, 16), value if mode == "L" else (value, value, value)).save(path)
    return path


def test_all_images_are_shown_the_exemplar_that_is_named_with_its_map(tmp_path):
    model = model_of(Warp)
    for n in range(3):
        saved(tmp_path / "maps" / f"{n}.png", 1)
    inputs = Inputs(tmp_path / "maps", model)
    photo, label_map = saved(tmp_path / "me.png", 200, "RGB"), saved(tmp_path / "me_map.png", 2)
    given = given_by(model, None, photo, label_map, None)
    painted = paint_inputs(model, inputs, targets(inputs.files, tmp_path / "out", overwrite=False), 2, given=given)
    assert [path.name for path in painted.images] == ["0.png", "1.png", "2.png"]
    assert all((np.asarray(Image.open(path)) == 200).all() for path in painted.images)


def test_without_one_the_support_gives_photograph_and_map_of_one_sample():
    support = ToyTask("scene", 4).load(range(4))
    images = model_of(Warp, support).paint(ToyTask("other", 6).load(range(6))["structure"])
    shown = torch.where(support["structure"][:, 2:] > 0, support["target"], -1)
    assert all(any(torch.equal(image, each) for each in shown) for image in images)


@pytest.mark.parametrize(
    ("translator", "named", "why"),
    [
        (Warp, ("me.png", None), r"--reference: the translator reads the exemplar's label map as well"),
        (Warp, (None, "me_map.png"), r"--reference-map goes with a photograph"),
        (Toy, ("me.png", None), r"--reference: the translator 'toy' is shown no exemplar"),
        (Warp, ("me.png", "wide.png"), r"wide.png: the map is 32x16.*they do not show the same view"),
        (Warp, ("me.png", "seven.png"), r"seven.png: .*7"),
    ],
)
def test_an_exemplar_that_does_not_fit_is_refused(tmp_path, translator, named, why):
    saved(tmp_path / "me.png", 200, "RGB")
    saved(tmp_path / "me_map.png", 2)
    saved(tmp_path / "seven.png", 7)
    Image.new("L", (32, 16)).save(tmp_path / "wide.png")
    with pytest.raises(UserError, match=why):
        given_by(model_of(translator), None, *(None if name is None else tmp_path / name for name in named), None)


def test_a_translator_of_photographs_is_given_a_folder_of_them_or_one_in_the_fields_name(tmp_path):
    model = model_of(FromPhotographs)
    saved(tmp_path / "photos" / "a.jpg", 100, "RGB")
    saved(tmp_path / "source" / "b.png", 100, "RGB")
    for place, name in ((tmp_path / "photos", "a"), (tmp_path, "b"), (tmp_path / "photos" / "a.jpg", "a")):
        inputs = Inputs(place, model)
        assert [path.stem for path in inputs.files] == [name]
        out = tmp_path / f"out-{len(place.name)}"
        painted = paint_inputs(model, inputs, targets(inputs.files, out, overwrite=True), 4)
        assert abs(int(np.asarray(Image.open(painted.images[0])).mean()) - 36) <= 1


class Labelled(Toy):
    """Paints one level, that of its label."""

    needs = frozenset({"target", "domain"})

    def translate(self, batch):
        return (batch["domain"][:, None, None, None] / 10).expand(-1, 3, 16, 16).contiguous()


def labelled_levels(place: Path, out: Path, domain: str | None = None) -> dict[str, int]:
    """The label that each image shows, by the image's name."""
    spec = replace(SPEC, domains=3, also={"domain": Field("label", 3, ("cat", "dog", "owl"))})
    model = replace(model_of(Labelled), spec=spec)
    given = given_by(model, None, None, None, domain)
    inputs = Inputs(place, model, given=given.fields)
    painted = paint_inputs(model, inputs, targets(inputs.files, out, overwrite=False), 2, given=given)
    assert painted.bad == []
    return {path.stem: round(float(np.asarray(Image.open(path)).mean()) / 12.75 - 10) for path in painted.images}


def test_a_translator_of_labels_alone_makes_an_image_for_each_line(tmp_path):
    (tmp_path / "domain.txt").write_text("a,owl\nb.c,dog\n")
    expected = {"a": 2, "b.c": 1}
    assert labelled_levels(tmp_path, tmp_path / "folder") == expected
    assert labelled_levels(tmp_path / "domain.txt", tmp_path / "file") == expected


def test_a_single_label_makes_one_image_of_its_name(tmp_path):
    (tmp_path / "label.txt").write_text("dog\n")
    assert labelled_levels(tmp_path / "label.txt", tmp_path / "out") == {"dog": 1}


def test_where_images_lie_beside_a_label_there_is_an_output_for_each(tmp_path):
    for name in ("x", "y"):
        saved(tmp_path / "maps" / f"{name}.png", 1)
    (tmp_path / "domain.txt").write_text("owl\n")
    assert labelled_levels(tmp_path, tmp_path / "out") == {"x": 2, "y": 2}
    assert labelled_levels(tmp_path / "maps", tmp_path / "named", "dog") == {"x": 1, "y": 1}
    assert labelled_levels(tmp_path / "maps" / "y.png", tmp_path / "one", "cat") == {"y": 0}


@pytest.mark.parametrize(
    ("text", "domain", "why"),
    [
        (None, None, r"domain\.txt: the labels cannot be read"),
        ("", None, "nothing here says how many images shall be made"),
        (None, "dog", "nothing here says how many images shall be made"),
        ("a,dgo\n", None, r"domain\.txt:1: no label is called 'dgo'"),
        ("a,dog\na,cat\n", None, r"domain\.txt:2: expected NAME,LABEL"),
    ],
)
def test_labels_that_cannot_be_used_are_told(tmp_path, text, domain, why):
    place = tmp_path / "inputs"
    place.mkdir()
    if text is not None:
        (place / "domain.txt").write_text(text)
    with pytest.raises(UserError, match=why):
        labelled_levels(place, tmp_path / "out", domain)


class OfClass(Toy):
    """Paints the brightness of a photograph's class where it is bright."""

    needs = frozenset({"source", "target", "domain"})

    def translate(self, batch):
        return torch.where(batch["source"] > 0, batch["domain"][:, None, None, None] / 10, -1.0)


class TestInputsWithoutALabel:
    @staticmethod
    def model(domains: list[int]) -> AdaptedModel:
        spec = replace(SPEC, domains=3, also={"domain": Field("label", 3, ("cat", "dog", "owl"))})
        support = ToyTask("scene", 2).load(range(2)).replace(domain=torch.tensor(domains))
        return replace(model_of(OfClass, support), spec=spec)

    def test_are_of_the_supports_domain_where_it_is_of_one(self, tmp_path):
        saved(tmp_path / "bright" / "a.png", 255, "RGB")
        for place in (tmp_path / "bright", tmp_path / "bright" / "a.png"):
            inputs = Inputs(place, self.model([2, 2]))
            out = targets(inputs.files, tmp_path / place.stem / "out", overwrite=False)
            (path,) = paint_inputs(self.model([2, 2]), inputs, out, 1).images
            assert (np.asarray(Image.open(path)) == round((0.2 + 1) * 127.5)).all()

    def test_are_of_none_where_it_is_of_several(self, tmp_path):
        saved(tmp_path / "bright" / "a.png", 255, "RGB")
        with pytest.raises(UserError, match=r"there is no folder source/"):
            Inputs(tmp_path / "bright", self.model([1, 2]))

    def test_are_of_the_domain_that_a_text_says(self, tmp_path):
        saved(tmp_path / "source" / "a.png", 255, "RGB")
        (tmp_path / "domain.txt").write_text("dog\n")
        inputs = Inputs(tmp_path, self.model([2, 2]))
        assert inputs.read(0, Remarks("maps"))["domain"] == 1


def test_two_inputs_of_one_name_are_refused_and_so_is_a_folder_that_is_read(tmp_path):
    paths = [tmp_path / "a" / "x.txt", tmp_path / "b" / "x.txt"]
    with pytest.raises(UserError, match=r"this has the name of .*a/x\.txt, and both would be written as x\.png"):
        targets(paths, tmp_path / "out", overwrite=True)
    (tmp_path / "instances").mkdir()
    for out in (tmp_path / "instances", tmp_path / "b" / ".." / "instances"):
        with pytest.raises(UserError, match="the label maps are in this folder"):
            targets(paths[:1], out, overwrite=True, read_from=[tmp_path / "instances"])
