"""What a field is: by its name, by what a source says of it, and for exemplars."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import ToyTask

from metai2i import Augment, Batch, Field, Randomness, TaskSpec
from metai2i.data.colour_jitter import ColourJitter
from metai2i.data_tools.dataset_check import wrong_fields
from metai2i.field import exemplar_fields, mirrored_places, with_exemplars
from metai2i.guards.handed_over import wrong_spec
from metai2i.run_folder.spec_json import SpecPart, spec_data
from metai2i.stages.score import measured
from metai2i.tasks import Episode

DOMAINS = Field("label", 2, ("cat", "dog"))
SPEC = TaskSpec(3, (8, 8), also={"domain": DOMAINS, "edges": Field("map", 1), "parts": Field("onehot", 2)})


def test_standard_names_have_their_kinds_without_a_word():
    spec = TaskSpec(3, (8, 8), domains=4, classes=("a", "b", "c"))
    kinds = {name: spec.field(name).kind for name in ("structure", "target", "source", "reference")}
    assert kinds == {"structure": "onehot", "target": "photo", "source": "photo", "reference": "photo"}
    assert (spec.field("instances").kind, spec.field("domain")) == ("ids", Field("label", 4))
    assert spec.field("structure").names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (("l_brow", "nose", "r_brow", "l_lip"), (2, 1, 0, 3)),
        (("left-arm", "right-arm"), (1, 0)),
        (("LeftArm", "rightArm", "RightArm", "leftArm"), (2, 3, 0, 1)),
        (("LEFT", "RIGHT"), (1, 0)),
        (("L hand", "R hand"), (1, 0)),
        (("L", "R"), ()),  # letters
        (("letter l", "letter r"), ()),
        (("l_eye", "l_eye", "r_eye"), ()),  # which of the two?
        (("brightness", "bleftness"), ()),
        (("leftover", "rightover"), ()),
        (("ear_r", "hair"), ()),
        ((), ()),
    ],
)
def test_classes_that_are_called_left_and_right_take_each_others_place_in_a_mirror(names, places):
    assert mirrored_places(names) == places
    assert Field("onehot", len(names), names).mirrored == places
    assert Field("map", len(names), names, sharp=True).mirrored == places
    assert Field("label", len(names), names).mirrored == ()
    assert Field("map", len(names), names).mirrored == ()  # a drawing of a pose has sides in its colours


def test_names_in_a_list_and_numbers_for_names_are_fine():
    assert TaskSpec(2, (8, 8), classes=["l_a", "r_a"]).field("structure").mirrored == (1, 0)  # type: ignore[arg-type]
    assert Field("onehot", 2, (0, 1)).mirrored == ()  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(["l_a", "r_a", "left b", "right b", "RightC", "LeftC", "l", "r", "e"]), unique=True))
def test_a_mirror_in_a_mirror_shows_what_is_there(names):
    places = mirrored_places(tuple(names)) or tuple(range(len(names)))
    assert [places[place] for place in places] == list(range(len(names)))


def test_a_field_of_an_exemplar_is_as_that_field_is():
    assert SPEC.field("reference_domain") is DOMAINS
    assert SPEC.field("reference_structure") == SPEC.field("structure")
    assert SPEC.field("reference_edges").kind == "map"


def test_a_field_of_which_nobody_says_anything_is_told():
    assert SPEC.known_field("depth") is None
    with pytest.raises(KeyError, match="the data does not say what 'depth' is"):
        SPEC.field("depth")


def test_exemplars_have_the_fields_of_samples_unless_the_source_has_exemplars_of_its_own():
    provides = frozenset({"structure", "target", "instances"})
    exemplars = {"reference", "reference_structure", "reference_instances"}
    assert with_exemplars(provides) == provides | exemplars
    assert with_exemplars(provides | {"reference"}) == provides | {"reference"}
    assert with_exemplars({"structure"}) == {"structure"}
    assert exemplar_fields({"target", "reference", "reference_structure"}, {"target", "reference"}) == {
        "reference_structure"
    }


def test_what_a_source_says_of_its_fields_decides_how_they_are_warped():
    batch = Batch(
        parts=torch.nn.functional.one_hot(torch.randint(2, (4, 8, 8))).movedim(3, 1).float(),
        edges=torch.rand(4, 1, 8, 8).round(),
        tokens=torch.rand(4, 3, 8),
    )
    augment = Augment(rotate=30, crop=0.5)
    warped = augment.of(SPEC.known_field)(batch, Randomness())
    assert set(warped["parts"].unique().tolist()) == {0.0, 1.0}
    assert warped["edges"].frac().any()
    assert torch.equal(warped["tokens"], batch["tokens"])
    assert augment(batch, Randomness())["parts"].frac().any()  # by its name alone it might be anything


def test_a_continuous_structure_is_mixed_where_the_source_says_so():
    batch = Batch(structure=torch.rand(3, 3, 8, 8).round())
    said = TaskSpec(3, (8, 8), also={"structure": Field("map", 3)})
    augment = Augment(rotate=30, crop=0.5)
    assert not augment(batch, Randomness())["structure"].frac().any()
    assert augment.of(said.known_field)(batch, Randomness())["structure"].frac().any()


def test_an_exemplar_and_its_map_are_warped_as_the_standard_names_say_without_a_spec():
    maps = torch.nn.functional.one_hot(torch.randint(3, (4, 8, 8))).movedim(3, 1).float()
    warped = Augment(rotate=30, crop=0.5)(Batch(reference=maps * 2 - 1, reference_structure=maps), Randomness())
    assert set(warped["reference_structure"].unique().tolist()) == {0.0, 1.0}
    assert warped["reference"].frac().any()


def test_every_photograph_gets_the_look_and_no_map_does():
    spec = TaskSpec(3, (8, 8), also={"night": Field("photo"), "pose": Field("map", 3)})
    batch = Batch(night=torch.full((1, 3, 8, 8), 0.2), pose=torch.full((1, 3, 8, 8), 0.2))
    seen = ColourJitter().of(spec.known_field)(batch, Randomness())
    assert not torch.equal(seen["night"], batch["night"])
    assert torch.equal(seen["pose"], batch["pose"])


def test_a_binary_map_that_is_no_label_map_gets_no_overlap_with_the_support():
    samples = ToyTask("a", 4).load(range(4))
    episode = Episode("a", samples.select([0, 1]), samples.select([2, 3]))
    said = TaskSpec(3, (16, 16), also={"structure": Field("map", 3)})
    by_name = measured({}, samples["target"][:2], episode)
    by_kind = measured({}, samples["target"][:2], episode, field_of=said.known_field)
    assert [list(query) for query in by_name] == [["map_iou"]] * 2
    assert by_kind == [{}, {}]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("domain", torch.tensor([2]), "'domain' has values from 2 to 2, expected 0 to 1"),
        ("domain", torch.tensor([0.5]), "'domain' has values of torch.float32, expected whole numbers"),
        ("edges", torch.full((1, 1, 8, 8), 1.5), "'edges' has values from 1.5 to 1.5, expected [0, 1]"),
        ("parts", torch.zeros(1, 3, 8, 8), "'parts' has shape (1, 3, 8, 8), expected (1, 2, 8, 8)"),
        ("instances", -torch.ones(1, 8, 8).long(), "'instances' has values from -1 to -1, expected 0 or more"),
    ],
)  # fmt: skip
def test_values_that_are_none_of_the_kind_are_told(name, value, why):
    assert wrong_fields(Batch(**{name: value}), SPEC, frozenset()) == [why]


def test_a_spec_is_the_same_when_it_is_read_again():
    assert SpecPart.model_validate(spec_data(SPEC)).task_spec() == SPEC
    assert "also" not in spec_data(TaskSpec(3, (8, 8)))


@pytest.mark.parametrize(
    ("also", "got", "expected"),
    [
        ({"edges": Field("map")}, "0 channels for the field 'edges'", "1 or more"),
        ({"edges": Field("drawing", 1)}, "the kind 'drawing' for the field 'edges'", "one of photo, onehot, map"),
        (
            {"mask": Field("onehot", 2, drawn=True)},
            "drawn=True with the kind 'onehot' for the field 'mask'",
            "a map alone",
        ),
        ({"structure": Field("map", 5)}, "5 channels for the field 'structure'", "3, as structure_channels says"),
        ({"reference_pose": Field("map", 5)}, "the field 'reference_pose' in also", "'pose' alone"),
        ({"domain": Field("label", 3, ("a",))}, "names ('a',) for the field 'domain'", "one for each channel"),
        ({"domain": "label"}, "'label' for the field 'domain'", "a Field for each name"),
    ],
)
def test_what_cannot_be_a_field_is_refused(also, got, expected):
    wrong = wrong_spec(TaskSpec(3, (8, 8), also=also))
    assert wrong is not None
    assert wrong[0] == got
    assert expected in wrong[1]
