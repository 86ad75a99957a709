"""Emoji by different hands: who sees which concept, what the truth is, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fingerprints import fingerprints
from metai2i_emoji.concepts import Concept, concepts
from metai2i_emoji.drawing import MARGIN, read_cover, read_drawing
from metai2i_emoji.hands import code_of
from metai2i_emoji.labelled import EmojiLabelled
from metai2i_emoji.source import Emoji
from PIL import Image

from metai2i import NEW_DOMAIN, Randomness, UserError
from metai2i.cli import invoke
from metai2i.testing import run_contracts

CODES = [f"{0x1F400 + n:x}" for n in range(60)]
NOTO, LINES = "emoji-datasource-google/img/google/64", "openmoji/black/svg"


def concept_and_hand(photos):
    """Of each drawing the concept's number and the hand's green level; a quarter of it is white."""
    assert (photos[:, :, 0, :3] == 1).all()
    levels = ((photos[:, :, 8, 8] + 1) * 127.5).round().int()
    return levels[:, 0] // 4, levels[:, 1]


def seen(source, split):
    """The concepts of references and of inputs, by hand."""
    shown, inputs = {}, {}
    for task in source.tasks(split):
        draws = [task.draw(n, Randomness((task.id, k))) for n in range(len(task)) for k in range(4)]
        for batch in [task.load(range(len(task))), *draws]:
            for into, name in ((shown, "reference"), (shown, "reference2"), (inputs, "source")):
                for concept, hand in zip(*concept_and_hand(batch[name]), strict=True):
                    into.setdefault(int(hand), set()).add(int(concept))
    return shown, inputs


def test_no_concept_is_seen_in_two_hands_in_training_and_none_that_trains_tests(root):
    source = Emoji(root=root, size=(16, 16), test_share=0.3)
    shown, inputs = seen(source, "train")
    assert set(shown) == set(inputs) == {0, 50, 100}
    for hand, concepts_of in shown.items():
        assert inputs[hand] <= concepts_of
        others = set().union(*(shown[other] for other in shown if other != hand))
        assert not concepts_of & others
    trains, (tests, judged) = set().union(*shown.values()), seen(source, "test")
    assert len(trains) > 25
    for late in (*tests.values(), *judged.values()):
        assert not late & trains
    for task in source.tasks("test"):  # each concept is an input by one hand
        inputs_of = [int(code_of(path.stem), 16) for pool in task.sources for path in pool.files]
        assert len(set(inputs_of)) == len(inputs_of) > 3
    for hand in tests:  # what shows how a hand draws is no input of its own scene or another
        assert not tests[hand] & set().union(*judged.values())


def test_the_truth_of_a_query_is_the_same_concept_by_the_hand_and_no_exemplar(root):
    source = Emoji(root=root, size=(16, 16), test_share=0.5)
    for task in source.tasks("test"):
        episode = task.episode(2, 4, Randomness((1,)))
        concept, hand = concept_and_hand(episode.query["source"])
        true_concept, true_hand = concept_and_hand(episode.query["target"])
        shown_concept, shown_hand = concept_and_hand(episode.query["reference"])
        assert torch.equal(concept, true_concept)
        assert (true_hand == shown_hand).all()
        assert (hand != true_hand).all()
        assert not set(concept.tolist()) & set(shown_concept.tolist())
        assert torch.equal(episode.support["target"], episode.support["reference"])
        assert not set(concept_and_hand(episode.support["reference"])[0].tolist()) & set(concept.tolist())


def test_in_training_the_target_is_the_reference(root):
    task = Emoji(root=root, size=(16, 16)).tasks("train")[0]
    batch = task.load(range(len(task)))
    assert torch.equal(batch["target"], batch["reference"])


def test_hands_are_domains_and_pairs_or_categories_may_be_tasks(root):
    source = Emoji(root=root, size=(16, 16))
    assert source.spec().domains == 3
    assert source.spec().field("reference_domain").names == ("twemoji", "noto", "fluent", NEW_DOMAIN)
    assert [task.id for task in source.tasks("train")] == ["train/twemoji", "train/noto", "train/fluent"]
    pairs = Emoji(root=root, size=(16, 16), each="pair", hands=("twemoji", "noto"))
    assert [task.id for task in pairs.tasks("test")] == ["test/noto-to-twemoji", "test/twemoji-to-noto"]
    some = Emoji(root=root, size=(16, 16), each="category", hands=("twemoji", "noto"), test_share=0.4)
    assert [task.id for task in some.tasks("train")][:2] == ["train/twemoji/animals-nature", "train/twemoji/objects"]
    batch = some.tasks("train")[1].load([0, 1])
    assert (concept_and_hand(batch["reference"])[0] % 2 == 1).all()


def test_references_are_the_only_hands_that_are_drawn_as(root):
    some = {"root": root, "size": (16, 16), "hands": ("twemoji", "fluent")}
    source = Emoji(**some, references=("fluent",))
    assert {split: [task.id for task in source.tasks(split)] for split in ("train", "test")} == {
        "train": ["train/fluent"],
        "test": ["test/fluent"],
    }
    every = Emoji(**some).tasks("train")[1]
    assert source.tasks("train")[0].fingerprint() == every.fingerprint()
    with pytest.raises(UserError, match=r"no hand to draw as in the split train: tasks\.references has none"):
        Emoji(**some, references=("noto",))


def test_an_unseen_hand_tests_and_leaves_training_as_it_is(root):
    before = Emoji(root=root, size=(16, 16), hands=("twemoji", "noto"))
    source = Emoji(root=root, size=(16, 16), hands=("twemoji", "noto"), unseen=("fluent",))
    assert [task.id for task in source.tasks("test")] == ["test/fluent"]
    assert source.spec().domains == 2
    assert source.tasks("test")[0].load([0])["reference_domain"].tolist() == [2]
    assert source.fingerprint("train") == before.fingerprint("train")
    assert source.fingerprint("test") != before.fingerprint("test")


def test_concepts_stay_where_they_are_when_others_come_and_go(root, tmp_path, package):
    for hand in ("twemoji", "noto", "fluent"):
        package(tmp_path / "fewer", hand, CODES[::2])
    many, few = (Emoji(root=place, size=(16, 16)) for place in (root, tmp_path / "fewer"))
    for all_of, some in zip(many.tasks("train"), few.tasks("train"), strict=True):
        there = {code_of(path.stem) for path in all_of.target.files} & set(CODES[::2])
        assert {code_of(path.stem) for path in some.target.files} == there
    for all_of, some in zip(many.tasks("test"), few.tasks("test"), strict=True):
        inputs = [{code_of(path.stem) for pool in task.sources for path in pool.files} for task in (all_of, some)]
        assert inputs[1] == inputs[0] & set(CODES[::2])
        assert not inputs[0] & {code_of(path.stem) for path in some.target.files}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1f468-200d-1f373", "1f469-200d-1f373"),
        ("1f9d1-200d-1f373", "1f468-200d-1f373"),
        ("1f3c3", "1f3c3-200d-2640"),
        ("1f3c3", "1f3c3-200d-2640-200d-27a1"),
        ("1f48f", "1f469-200d-2764-200d-1f48b-200d-1f468"),
        ("1f46b", "1f9d1-200d-1f91d-200d-1f9d1"),
        ("1f46a", "1f469-200d-1f467-200d-1f466"),
        ("1fac5", "1f478"),
        ("27a1", "2b05"),
        ("1faf7", "1faf8"),
        ("2764", "1fa77"),
        ("1f9d1", "1f468-200d-1f9b0"),
        ("1f550", "1f567"),
        ("1f426", "1f426-200d-2b1b"),
    ],
)
def test_variants_of_a_drawing_go_together(first, second):
    first_of, other = Concept(first, "people-body"), Concept(second, "people-body")
    assert first_of.family == other.family
    assert first_of.split(0.3, 0.3) == other.split(0.3, 0.3)
    assert first_of.hand(["twemoji", "noto"]) == other.hand(["twemoji", "noto"])


def test_people_alone_are_no_families_of_several():
    assert Concept("1f468", "people-body").family == Concept("1f9d1", "people-body").family != "1f46a"
    assert Concept("1f467", "people-body").family == Concept("1f466", "people-body").family


def test_code_points_are_the_same_in_all_packages_and_flags_and_skin_tones_are_left_out(root):
    assert code_of("2764-FE0F-200D-1F525") == code_of("2764-200d-1f525")
    assert [concept.code for concept in concepts(root)] == CODES
    assert {concept.category for concept in concepts(root)} == {"animals-nature", "objects"}


def test_svg_drawings_are_drawn_on_white(tmp_path, package):
    pytest.importorskip("resvg_py")
    package(tmp_path, "lines", ["1f400", "1f401"])
    image = np.asarray(read_drawing(tmp_path / LINES / "1F401.svg", 72))
    assert image.shape == (72, 72, 3)
    assert (image[:, :18] == 255).all()
    assert (image[:, 18:39] == 0).all()
    assert (image[:, 39:] == 255).all()
    (tmp_path / "bad.svg").write_text("<svg")
    with pytest.raises(UserError, match="cannot be drawn"):
        read_drawing(tmp_path / "bad.svg", 16)


def test_missing_packages_are_told_with_the_commands_that_fetch_them(root):
    with pytest.raises(UserError) as caught:
        Emoji(root=root, unseen=("openmoji", "lines"))
    text = str(caught.value)
    assert "1 of the 4 packages of these hands is not here: openmoji 17.0.0" in text
    assert "npm pack openmoji@17.0.0 && mkdir -p openmoji && tar -xzf openmoji-17.0.0.tgz -C openmoji" in text
    assert "twitter" not in text
    with pytest.raises(UserError, match=r"tar -xzf lobehub-fluent-emoji-3d-1\.1\.0\.tgz -C fluent-emoji-3d"):
        Emoji(root=root / "nowhere")


def test_packages_may_lie_where_npm_install_puts_them(root):
    (root / "node_modules" / "@lobehub").mkdir(parents=True)
    (root / "fluent-emoji-3d").rename(root / "node_modules" / "@lobehub" / "fluent-emoji-3d")
    assert len(Emoji(root=root).tasks("train")) == 3


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"hands": ("noto",)}, "tasks.hands has 1 hand, expected two or more"),
        ({"hands": ("noto", "noto")}, "the hand 'noto' is given twice"),
        ({"unseen": ("noto",)}, "the hand 'noto' is given twice, in tasks.hands and tasks.unseen"),
        ({"test": "unseen"}, "tasks.test is 'unseen', but no hand is"),
        ({"val_share": 0.5, "test_share": 0.5}, "leave nothing to train on"),
        ({"categories": ("object",)}, "there is no category 'object' (did you mean 'objects'?)"),
        ({"val_share": 0.0, "test_share": 0.0}, "no test scene has two drawings by its hand and an input"),
    ],
)
def test_what_cannot_be_is_told(root, options, why):
    with pytest.raises(UserError) as caught:
        Emoji(root=root, **options)
    assert why in str(caught.value)


def test_a_package_without_its_drawings_or_with_another_list_is_told(root):
    (root / "emoji-datasource-twitter" / "emoji.json").write_text('[{"unified": "1F400"}]')
    with pytest.raises(UserError, match="expected an emoji with 'unified' and 'category'"):
        Emoji(root=root)
    for path in (root / NOTO).iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"the package emoji-datasource-google has no drawings \(\*\.png\) here"):
        Emoji(root=root)


def test_an_unknown_hand_in_a_recipe_is_told(root, tmp_path, capsys):
    recipe = f"tasks: {{use: emoji, root: {root}, hands: [twemoji, notto]}}\ntranslator: {{use: pix2pix}}\n"
    (tmp_path / "r.yaml").write_text(recipe + "rows: {a: {strategy: {use: none}}}\n")
    assert invoke(["validate", str(tmp_path / "r.yaml")]) == 2
    assert "notto" in "".join(capsys.readouterr())


def test_it_keeps_the_contracts_of_a_task_source(root):
    outcomes = run_contracts("task source", Emoji, {"root": str(root), "size": [16, 16], "test_share": 0.4})
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}


def test_a_few_concepts_have_their_category_as_a_label_whoever_draws_them(root):
    some = {"root": root, "size": (16, 16), "test_share": 0.4}
    source, every, none = (EmojiLabelled(**some, labelled=share) for share in (0.5, 1.0, 0.0))
    names = ("animals-nature", "objects", "no label")
    assert source.spec().field("reference_label").names == names
    seen = {}
    for task in source.tasks("train"):
        batch = task.load(range(len(task)))
        for photos, labels in (("source", "label"), ("reference", "reference_label")):
            for concept, label in zip(concept_and_hand(batch[photos])[0].tolist(), batch[labels].tolist(), strict=True):
                assert label in (concept % 2, 2)
                assert seen.setdefault(concept, label) == label
    assert 0.2 < sum(label < 2 for label in seen.values()) / len(seen) < 0.8
    episode = every.tasks("test")[0].episode(2, 3, Randomness((0,)))
    for name, photos in (("label", "source"), ("reference_label", "reference")):
        assert torch.equal(episode.query[name], concept_and_hand(episode.query[photos])[0] % 2)
    assert (none.tasks("train")[0].load([0])["label"] == 2).all()
    assert source.fingerprint("train") != every.fingerprint("train")
    plain = Emoji(**some).tasks("train")[0].load([0, 1])
    assert {"label", "reference_label"}.isdisjoint(plain)
    assert torch.equal(plain["source"], source.tasks("train")[0].load([0, 1])["source"])


def test_with_its_margins_cut_a_drawing_stands_in_the_middle_of_the_square_that_holds_it(tmp_path):
    pixels = np.zeros((72, 72, 4), np.uint8)
    pixels[10:42, 4:20] = (200, 10, 30, 255)  # 32 high and 16 wide
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = np.asarray(read_drawing(tmp_path / "a.png", 64, trim=True))
    assert MARGIN * 32 == 2
    assert image.shape == (36, 36, 3)
    assert (image[2:34, 10:26] == (200, 10, 30)).all()
    assert (image == (200, 10, 30)).all(-1).sum() == 32 * 16
    assert (image == 255).all(-1).sum() == 36 * 36 - 32 * 16
    cover = np.asarray(read_cover(tmp_path / "a.png", 64, trim=True))
    assert ((cover == 255) == (image != 255).any(-1)).all()


def test_an_empty_drawing_has_no_margins_to_cut(tmp_path):
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).save(tmp_path / "a.png")
    assert read_drawing(tmp_path / "a.png", 8, trim=True).size == (8, 8)


def test_all_hands_draw_as_large_with_trim_and_other_images_are_other_data(root):
    plain, trimmed = (Emoji(root=root, size=(32, 32), trim=trim) for trim in (False, True))
    assert all(a != b for a, b in zip(fingerprints(plain), fingerprints(trimmed), strict=True))
    photos = trimmed.tasks("train")[0].load([0])["source"]
    drawn = (photos < 0.9).any(1)[0]
    rows, columns = drawn.any(1).nonzero().flatten().tolist(), drawn.any(0).nonzero().flatten().tolist()
    assert max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 >= 27
