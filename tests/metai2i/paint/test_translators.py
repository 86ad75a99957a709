"""The page asks every bundled translator in each of its ways, and gets the image that `metai2i translate` makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from page_server import Served, files_in_one, served
from PIL import Image
from small_models import (
    MODELS_AND_WAYS,
    bundled_translators,
    inputs_of_model,
    samples_of_fields,
    small_spec,
    write_small_model,
)
from torch import Tensor

from metai2i.cli import invoke
from metai2i.data.images import to_uint8
from metai2i.errors import UserError
from metai2i.field import Field
from metai2i.inference.model_file import AdaptedModel

UNPAINTABLE = {"gpunit-prior": "twin_domain"}
"""Those that read what the page has no place for, and what that is."""
CASES = [pytest.param(name, way, id=f"{name} {way}") for name, way in MODELS_AND_WAYS if name not in UNPAINTABLE]


def test_no_bundled_translator_is_left_out():
    assert {name.partition(" ")[0] for name, _ in MODELS_AND_WAYS} == bundled_translators()


@pytest.mark.parametrize(("name", "lacking"), UNPAINTABLE.items())
def test_a_model_that_reads_what_the_page_has_no_place_for_is_refused(name, lacking, tmp_path):
    write_small_model(name, tmp_path / "small.safetensors")
    with (
        pytest.raises(UserError, match=f"the page has no place for what this model reads: {lacking}"),
        served([tmp_path / "small.safetensors"], tmp_path),
    ):
        pass


def saved(values: Tensor, known: Field, path: Path) -> None:
    """Writes a sample of a field as a file."""
    path.parent.mkdir(parents=True)
    pixels = to_uint8(values * 2 - 1 if known.kind == "map" else values).permute(1, 2, 0).numpy()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)


class Asking:
    """A page with a small model, and the same wishes for the command line.

    Args:
        page: that is open.
        model: on it.
        folder: for the maps of the command line.
        way: in which the model is asked.
    """

    def __init__(self, page: Served, model: AdaptedModel, folder: Path, way: str | None) -> None:
        self.page, self.folder = page, folder
        (self.about,) = page.ask("/state").json["models"]
        (self.way,) = [each for each in self.about["ways"] if each["name"] == way]
        self.query = {"model": self.about["key"]} | ({} if way is None else {"way": way})
        self.words = [] if way is None else ["--way", way]
        self.body = b""
        reads = inputs_of_model(model, way)
        sample = samples_of_fields(model.spec, reads, 1)
        (folder / "maps").mkdir()
        assert sorted(self.way["painted"] + self.way["files"] + ["domain"] * ("domain" in reads)) == reads
        for field in self.way["files"]:
            self.hand_over(field, sample[field][0], model.spec.field(field))
        if "structure" in self.way["painted"]:
            self.paint(sample["structure"][0].argmax(0).numpy())
        if "domain" in reads:
            (folder / "maps" / "domain.txt").write_text("a,1\n")
            self.query["domain"] = "1"

    def hand_over(self, field: str, values: Tensor, known: Field) -> None:
        """Hands a file over to the page, and keeps it for the command line."""
        path = self.folder / "maps" / field / "a.png"
        saved(values, known, path)
        answer = self.page.ask(f"/files/{field}", files_in_one({"a.png": path.read_bytes()}))
        assert answer.status == 200, answer.content
        assert self.page.ask(f"/files/{field}/{answer.json['key']}.png").content.startswith(b"\x89PNG")
        self.query[f"file.{field}"] = answer.json["key"]

    def paint(self, ids: np.ndarray) -> None:
        """Paints a map on the page, and keeps it for the command line as the page saves it."""
        self.body = ids.astype(np.uint8).tobytes()
        for field, address in (("structure", "/map.png"), ("instances", "/instances.png")):
            if field in self.way["painted"]:
                path = self.folder / "maps" / field / "a.png"
                path.parent.mkdir()
                path.write_bytes(self.page.ask(address, self.body).content)

    def by_page(self, **query: str) -> bytes:
        """The image of the page."""
        answer = self.page.ask("/image?" + "&".join(f"{k}={v}" for k, v in (self.query | query).items()), self.body)
        assert answer.status == 200, answer.content
        return answer.content

    def by_command(self, *words: str) -> bytes:
        """The image of the command line, or its last where there are several."""
        out = self.folder / f"out{len(list(self.folder.glob('out*')))}"
        model = str(self.folder / "small.safetensors")
        assert invoke(["translate", model, str(self.folder / "maps"), str(out), *self.words, *words]) == 0
        return sorted(path for path in out.iterdir() if path.name != "contact.png")[-1].read_bytes()


@pytest.fixture
def asking(name, way, tmp_path) -> Iterator[Asking]:
    model = write_small_model(name, tmp_path / "small.safetensors")
    with served([tmp_path / "small.safetensors"], tmp_path) as page:
        yield Asking(page, model, tmp_path, way)


@pytest.mark.parametrize(("name", "way"), CASES)
def test_an_image_of_the_page_is_that_of_translate_in_each_way_that_the_page_offers(name, way, asking, tmp_path):
    first = asking.by_page()
    assert first == asking.by_command()
    if asking.way["draws"]:
        third = asking.by_page(sample="2")
        assert third == asking.by_command("--samples", "3")
        assert third != first
    if asking.way["exemplar"]:
        exemplar = samples_of_fields(small_spec(name.partition(" ")[0]), ["target"], 2)["target"][1] * -1
        saved(exemplar, Field("photo"), tmp_path / "shown" / "photo.png")
        files = {"photo/photo.png": (tmp_path / "shown" / "photo.png").read_bytes()}
        words = ["--reference", str(tmp_path / "shown" / "photo.png")]
        query = {}
        if asking.way["exemplar_map"]:
            files["map/map.png"] = (tmp_path / "maps" / "structure" / "a.png").read_bytes()
            words += ["--reference-map", str(tmp_path / "maps" / "structure" / "a.png")]
        if asking.way["domain_of_support"]:
            query["domain"], words = "1", [*words, "--domain", "1"]
        key = asking.page.ask("/exemplars", files_in_one(files)).json["key"]
        assert asking.by_page(exemplar=key, **query) == asking.by_command(*words)
    elif asking.way["domain_of_support"]:
        assert asking.by_page(domain="1") == asking.by_command("--domain", "1")
