from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from toys import Toy, ToyRegistry, ToyTask, toy_row

from metai2i import Objective, Reference, Step, TaskSpec, UserError
from metai2i.inference.model_file import (
    AdaptedModel,
    Own,
    check_faithful,
    description,
    read_adapted,
    save_adapted,
    save_apart,
    save_general,
)
from metai2i.inference.trained_run import other_plugin
from metai2i.training.checkpoint import digest, load, save

CPU = torch.device("cpu")
SPEC = TaskSpec(structure_channels=3, size=(16, 16), classes=("a", "b", "c"))


class Mirror(Toy):
    """Paints its reference."""

    needs = frozenset({"structure", "target", "reference"})

    def __init__(self, *, spec: TaskSpec, objective: Objective | None = None) -> None:
        super().__init__(spec=spec)

    def translate(self, batch):
        return batch["reference"]


class Fussy(Toy):
    """Reads what files do not give."""

    needs = frozenset({"structure", "target", "depth"})


class Moody(Toy):
    """Paints by a number that no file holds."""

    mood = 1.0

    def translate(self, batch):
        return self.mood * super().translate(batch)


@pytest.fixture
def registry() -> ToyRegistry:
    toy_registry = ToyRegistry()
    toy_registry.known |= {
        ("translator", "mirror"): Mirror,
        ("translator", "fussy"): Fussy,
        ("translator", "moody"): Moody,
    }
    return toy_registry


@pytest.fixture
def saved(registry, tmp_path):
    """Saves an adapted model of a kind, and gives it and its file."""

    def saved(use: str = "toy", **sections) -> tuple[AdaptedModel, Path]:
        row = toy_row(translator={"use": use}, **sections)
        translator, support = registry.get("translator", use)(spec=SPEC), ToyTask("scene", 4).load(range(4))
        support = support.replace(target=(support["target"] * 120).round() / 127.5 + 1 / 255)
        about = description(row, SPEC, registry.identity("translator", use), {"row": "X"})
        reference = Reference(test="support") if "reference" in translator.needs else None
        path = tmp_path / f"{use}.safetensors"
        save_adapted(path, translator, support, about)
        return AdaptedModel(translator, SPEC, support, reference, about), path

    return saved


def refused(path: Path, registry: ToyRegistry) -> str:
    with pytest.raises(UserError) as caught:
        read_adapted(path, registry, CPU)
    return str(caught.value)


def test_a_model_read_back_computes_in_the_precision_of_its_row(saved, registry):
    for precision in ("fp32", "bf16"):
        _, path = saved(precision=precision)
        assert read_adapted(path, registry, torch.device("cpu")).translator.precision == precision


def test_a_model_read_back_paints_the_same_and_knows_its_pairs(saved, registry):
    model, path = saved()
    again = read_adapted(path, registry, CPU)
    structure = ToyTask("other", 3).load(range(3))["structure"]
    assert torch.equal(again.paint(structure, Step()), model.paint(structure, Step()))
    assert again.spec == SPEC
    assert torch.equal(again.support["structure"], model.support["structure"])
    assert (again.support["target"] - model.support["target"]).abs().max() < 1e-6
    assert again.about["made"] == {"row": "X"}
    check_faithful(model, again)


def test_the_support_is_kept_as_bytes(saved):
    _, path = saved()
    tensors, _ = load(path)
    assert {tensors[f"support.{name}"].dtype for name in ("structure", "target")} == {torch.uint8}
    assert tensors["support.structure"].shape == (4, 16, 16)


def test_a_translator_with_references_is_shown_support_photographs_only(saved, registry):
    """Also where the recipe was scored with each image's own photograph, which is not there to be shown."""
    model, path = saved("mirror", reference={"test": "target"})
    again = read_adapted(path, registry, CPU)
    painted = again.paint(ToyTask("other", 6).load(range(6))["structure"], Step())
    for image in painted:
        assert any(torch.allclose(image, photo, atol=1e-6) for photo in model.support["target"])


def test_the_nearest_support_photograph_is_shown_where_the_recipe_says_so(saved, registry):
    model, path = saved("mirror", reference={"pick": "nearest"})
    order = [2, 0, 3, 1]
    painted = read_adapted(path, registry, CPU).paint(model.support["structure"][order], Step())
    assert torch.allclose(painted, model.support["target"][order], atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"no tensors", json.dumps({"a": 1}).encode()])
def test_a_file_that_is_no_model_is_told(tmp_path, registry, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    assert refused(path, registry) == f"{path}: this is no adapted model (`metai2i adapt` makes them)"


def test_the_weights_of_a_stage_are_no_adapted_model(tmp_path, registry):
    save(tmp_path / "model.safetensors", {"model.x": torch.zeros(1)}, {"step": 3})
    assert "this is no adapted model: it does not say its format" in refused(tmp_path / "model.safetensors", registry)
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert "this is no adapted model" in refused(tmp_path / "other.safetensors", registry)
    assert "there is no such file" in refused(tmp_path / "none.safetensors", registry)


@pytest.mark.parametrize("lost", ["spec", "translator", "plugin", "objective", "reference"])
def test_a_damaged_model_is_told(saved, registry, lost):
    _, path = saved()
    tensors, header = load(path)
    save(path, tensors, {k: v for k, v in header.items() if k != lost})
    assert f"this adapted model is damaged: key '{lost}' is missing" in refused(path, registry)


def test_a_model_without_its_support_is_damaged(saved, registry):
    _, path = saved()
    tensors, about = load(path)
    left = {name: tensor for name, tensor in tensors.items() if name != "support.structure"}
    save(path, left, about)
    assert "this adapted model is damaged: its tensors are not those that were written" in refused(path, registry)
    save(path, left, {**about, "tensors": None})
    assert "this adapted model is damaged: it has no support.structure" in refused(path, registry)


def test_a_model_whose_plugin_is_missing_says_which(saved, tmp_path):
    from metai2i.registry import Registry

    model, path = saved()
    error = refused(path, Registry())
    assert error.startswith(f"{path}: it was made with the translator 'toy' of a one-file plugin: ")
    assert error.endswith("(--plugins-dir names its folder)")
    plugin = {"name": "toy", "distribution": "metai2i-toy", "version": "1.2", "source": "x"}
    save_adapted(path, model.translator, model.support, {**model.about, "plugin": plugin})
    assert refused(path, Registry()).endswith("(install metai2i-toy 1.2)")


def test_weights_of_another_network_are_told(saved, registry):
    model, path = saved()
    model.translator.generator = nn.Conv2d(3, 3, 3)
    save_adapted(path, model.translator, model.support, model.about)
    assert "the weights do not fit the networks that the plugin builds now" in refused(path, registry)


def test_an_option_that_the_plugin_has_no_more_is_told(saved, registry):
    model, path = saved()
    translator = {"use": "toy", "options": {"depth": 3}}
    save_adapted(path, model.translator, model.support, {**model.about, "translator": translator})
    assert "unknown option 'depth'" in refused(path, registry)


def test_a_translator_that_reads_more_than_files_give_is_refused(saved, registry):
    _, path = saved("fussy")
    assert (
        "the translator 'fussy' needs depth, which files of photographs, maps, ids and labels do not give"
        in refused(path, registry)
    )


def test_state_that_no_file_holds_is_found(saved, registry):
    model, path = saved("moody")
    model.translator.mood = 0.5
    with pytest.raises(UserError, match="Moody paints other images once it has been written to a file and read back"):
        check_faithful(model, read_adapted(path, registry, CPU))


def test_classes_beyond_a_byte_are_kept(registry, tmp_path):
    spec = TaskSpec(structure_channels=300, size=(4, 4))
    ids = torch.full((1, 4, 4), 299)
    structure = nn.functional.one_hot(ids, 300).permute(0, 3, 1, 2).float()
    support = ToyTask("scene", 1, (4, 4)).load([0]).replace(structure=structure)
    about = description(toy_row(), spec, {"name": "toy"}, {})
    save_adapted(tmp_path / "x.safetensors", Toy(spec=spec), support, about)
    again = read_adapted(tmp_path / "x.safetensors", registry, CPU)
    assert torch.equal(again.support["structure"], structure)


# Apart from the general model


@pytest.fixture
def apart(registry, tmp_path):
    """A general model in a file, a scene's model that has a bias of its own, and its file."""
    gp, support = Toy(spec=SPEC), ToyTask("scene", 2).load(range(2))
    bias = torch.tensor([0.1, 0.2, 0.3])
    adapted = Toy(spec=SPEC)
    adapted.load_state_dict({**gp.state_dict(), "generator.bias": bias})
    general, path = tmp_path / "general" / "g.safetensors", tmp_path / "scene.safetensors"
    general.parent.mkdir()
    save_general(general, gp)
    about = description(toy_row(), SPEC, registry.identity("translator", "toy"), {"row": "X"})
    save_apart(path, Own({"generator.bias": bias}, None, digest(gp)), support, about, general)
    return AdaptedModel(adapted, SPEC, support, None, about), path, general


def test_a_scene_apart_from_its_general_model_has_only_its_own_and_paints_the_same(apart, registry):
    model, path, _ = apart
    tensors, _ = load(path)
    assert set(tensors) == {"kept.generator.bias", "support.structure", "support.target"}
    again = read_adapted(path, registry, CPU)
    assert digest(again.translator) == digest(model.translator)
    check_faithful(model, again)


class Halved(Toy):
    """A strategy, for what it restores: half of what was kept."""

    @classmethod
    def restored(cls, gp, kept):
        translator = Toy(spec=SPEC)
        translator.load_state_dict({**gp.state_dict(), "generator.bias": kept["code"] / 2})
        return translator


def test_the_strategy_restores_what_it_has_kept(apart, registry, tmp_path):
    model, path, general = apart
    registry.known["strategy", "halved"] = Halved
    changes = Own({"code": torch.tensor([0.2, 0.4, 0.6])}, "halved", load(path)[1]["general"]["digest"])
    save_apart(tmp_path / "coded.safetensors", changes, model.support, model.about, general)
    again = read_adapted(tmp_path / "coded.safetensors", registry, CPU)
    assert digest(again.translator) == digest(model.translator)


def test_both_files_can_move_together_and_the_general_one_be_named(apart, registry, tmp_path):
    _, path, general = apart
    (tmp_path / "away").mkdir()
    moved = path.rename(tmp_path / "away" / path.name)
    assert "the general model of scene.safetensors is not there" in refused(moved, registry)
    assert read_adapted(moved, registry, CPU, general=general).about["made"] == {"row": "X"}
    (tmp_path / "away" / "general").mkdir()
    general.rename(tmp_path / "away" / "general" / general.name)
    assert read_adapted(moved, registry, CPU).about["made"] == {"row": "X"}


def test_another_general_model_is_refused(apart, registry, tmp_path):
    _, path, general = apart
    other = tmp_path / "other.safetensors"
    save_general(other, Toy(spec=SPEC))
    with pytest.raises(UserError, match=r"not the general model that scene\.safetensors was adapted from"):
        read_adapted(path, registry, CPU, general=other)
    with pytest.raises(UserError, match="this is no general model"):
        read_adapted(path, registry, CPU, general=path)
    with pytest.raises(UserError, match="this file holds another general model"):
        save_general(general, Toy(spec=SPEC))


def test_a_general_model_of_another_format_is_refused(apart, registry, tmp_path):
    _, path, general = apart
    tensors, about = load(general)
    save(tmp_path / "later.safetensors", tensors, {**about, "format": "metai2i general model 2"})
    refusal = "its format is 'metai2i general model 2', of another version of metai2i; this version reads "
    with pytest.raises(UserError, match=f"{refusal}'metai2i general model 1'"):
        read_adapted(path, registry, CPU, general=tmp_path / "later.safetensors")


def flip(path, at: int = -3) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x40
    path.write_bytes(bytes(content))


def test_a_file_that_was_damaged_is_not_painted_with(apart, registry):
    _, path, general = apart
    flip(general)
    assert "this general model is damaged" in refused(path, registry)
    with pytest.raises(UserError, match="this general model is damaged"):
        save_general(general, Toy(spec=SPEC))
    flip(general)
    flip(path)
    assert "this adapted model is damaged" in refused(path, registry)
    flip(path)
    assert read_adapted(path, registry, CPU).about["made"] == {"row": "X"}


def test_other_weights_under_the_digest_of_the_general_model_are_refused(apart, registry):
    _, path, general = apart
    tensors, _ = load(general)
    with safe_open(general, "np") as file:
        header = file.metadata()
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, general, header)
    assert "this general model is damaged" in refused(path, registry)


def test_what_does_not_fit_the_general_model_is_told(apart, registry, tmp_path):
    model, path, general = apart
    wanted = load(path)[1]["general"]["digest"]
    for kept in ({"generator.scale": torch.zeros(1)}, {"generator.bias": torch.zeros(7)}):
        save_apart(tmp_path / "odd.safetensors", Own(kept, None, wanted), model.support, model.about, general)
        assert "does not fit its general model" in refused(tmp_path / "odd.safetensors", registry)


THEN = {"name": "x", "distribution": "metai2i-x", "version": "1.0", "source": "a"}


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ({}, None),
        ({"version": "2.0"}, "the model was made with metai2i-x 1.0, metai2i-x 2.0 is installed"),
        ({"source": "b"}, "the source of the translator 'x' is not the one that the model was made with"),
        (
            {"source": "b", "distribution": None, "version": None},
            "the model was made with metai2i-x 1.0, a one-file plugin is installed",
        ),
    ],
)
def test_another_version_of_the_plugin_is_told(now, message):
    assert other_plugin(THEN, {**THEN, **now}, "model") == message


def test_the_description_is_json(saved):
    model, _ = saved()
    assert json.loads(json.dumps(model.about)) == model.about
