"""Domains without pairs: what a task is, who is drawn with whom, and what is refused."""

import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from metai2i_domains.layouts import find_tree, images_in, in_order
from metai2i_domains.source import Domains
from PIL import Image

from metai2i import NEW_DOMAIN, Randomness, UserError
from metai2i.testing import run_contracts

SHADES = {"cat": (200, 120, 40), "dog": (40, 120, 200), "wild": (60, 180, 60)}


def lengths(source):
    return {split: {task.id: len(task) for task in source.tasks(split)} for split in ("train", "val", "test")}


def near(photos, domain):
    """Of each photograph whether it has the domain's colour."""
    return ((photos.mean((2, 3)) + 1) * 127.5 - torch.tensor(SHADES[domain])).abs().amax(1) < 10


def same(first, second):
    """Which photographs are equal: (N, M)."""
    return (first.flatten(1)[:, None] == second.flatten(1)[None]).all(-1)


def test_a_domain_is_a_task_and_inputs_are_of_all_others(afhq):
    source = Domains(root=afhq, size=(16, 16))
    assert lengths(source) == {
        "train": {"train/cat": 8, "train/dog": 8, "train/wild": 8},
        "val": {},
        "test": {"test/cat": 5, "test/dog": 5, "test/wild": 5},
    }
    batch = source.tasks("train")[1].load(range(8))
    assert near(batch["reference"], "dog").all()
    assert near(batch["reference2"], "dog").all()
    assert not same(batch["reference"], batch["reference2"]).diagonal().any()
    assert batch["reference_domain"].tolist() == [1] * 8
    assert batch["domain"].tolist() == [0, 2] * 4
    assert near(batch["source"][::2], "cat").all()
    assert near(batch["source"][1::2], "wild").all()
    assert set(batch) == source.provides == source.spec().fields
    assert source.spec().domains == 3
    assert source.spec().field("reference_domain").names == ("cat", "dog", "wild", NEW_DOMAIN)


def test_an_ordered_pair_is_a_task(afhq):
    source = Domains(root=afhq, size=(16, 16), each="pair", sources=("dog",), references=("cat", "wild"))
    assert list(lengths(source)["test"]) == ["test/dog-to-cat", "test/dog-to-wild"]
    batch = source.tasks("test")[0].load(range(5))
    assert batch["domain"].tolist() == [1] * 5
    assert batch["reference_domain"].tolist() == [0] * 5


def test_source_and_references_are_drawn_independently_of_each_other(afhq):
    task = Domains(root=afhq, size=(16, 16)).tasks("train")[0]
    draws = [task.draw(3, Randomness((n,))) for n in range(120)]
    assert all(same(draw["reference"], task.load([3])["reference"]) for draw in draws)
    inputs = {draw["source"].numpy().tobytes() for draw in draws}
    others = {draw["reference2"].numpy().tobytes() for draw in draws}
    assert len(inputs) == 16  # every photograph of dogs and of wild animals
    assert len(others) == 7  # every other photograph of a cat
    assert {int(draw["domain"]) for draw in draws} == {1, 2}
    assert torch.equal(task.draw(3, Randomness((7,)))["source"], draws[7]["source"])


def test_inputs_may_be_of_the_domain_itself_as_stargan_v2_draws_them(afhq):
    task = Domains(root=afhq, size=(16, 16), itself=True).tasks("train")[0]
    counts = Counter(int(task.draw(0, Randomness((n,)))["domain"]) for n in range(90))
    assert set(counts) == {0, 1, 2}
    assert min(counts.values()) > 15


def test_a_query_that_tests_has_exemplars_of_the_support_and_real_images_are_those_that_nobody_was_shown(afhq):
    task = Domains(root=afhq, size=(16, 16)).tasks("test")[0]
    here = Randomness((1,))
    episode = task.episode(2, 3, here)
    shown = episode.support["reference"]
    assert same(episode.query["reference"], shown).any(1).all()
    assert same(episode.query["reference2"], shown).any(1).all()
    assert same(episode.support["reference2"], shown).tolist() == [[False, True], [True, False]]
    real = task.real(2, here)["reference"]
    assert real.shape[0] == 3
    assert not same(real, shown).any()
    assert near(real, "cat").all()
    assert not same(episode.query["source"], episode.support["source"]).any()


def test_a_query_that_trains_has_photographs_that_the_support_has_not(afhq):
    episode = Domains(root=afhq, size=(16, 16)).tasks("train")[0].episode(3, 5, Randomness((1,)))
    assert not same(episode.query["reference"], episode.support["reference"]).any()


def test_unseen_domains_test_with_all_their_images_and_never_train(tree):
    every = ("cat", "dog", "wild", "horse")
    root = tree({"train": dict.fromkeys(every, 4), "test": dict.fromkeys(every, 3)})
    source = Domains(root=root, size=(16, 16), unseen=("dog",), val=("horse",))
    assert lengths(source) == {
        "train": {"train/cat": 4, "train/wild": 4}, "val": {"val/horse": 7}, "test": {"test/dog": 7},
    }  # fmt: skip
    assert source.spec().domains == 2
    assert source.spec().field("domain").names == ("cat", "wild", "horse", "dog", NEW_DOMAIN)
    batch = source.tasks("test")[0].load(range(7))
    assert set(batch["domain"].tolist()) == {0, 1}
    assert batch["reference_domain"].tolist() == [3] * 7
    inputs = [path for task in source.tasks("test") for path in task.files[1::2]]
    assert {path.parent.parent.name for path in inputs} == {"test"}  # none that trained
    seen = Domains(root=root, size=(16, 16), unseen=("dog",), val=("horse",), test="seen")
    assert list(lengths(seen)["test"]) == ["test/cat", "test/wild"]
    assert seen.fingerprint("train") == source.fingerprint("train")
    assert Domains(root=root, size=(16, 16), val=("horse",)).fingerprint("train") != source.fingerprint("train")


def test_unseen_domains_may_have_a_root_of_their_own(afhq, tree):
    far = tree({"train": {"horse": 3}, "test": {"horse": 2}}, "far")
    source = Domains(root=afhq, size=(16, 16), unseen_root=far)
    assert lengths(source)["test"] == {"test/horse": 5}
    assert source.fingerprint("train") == Domains(root=afhq, size=(16, 16)).fingerprint("train")
    shutil.copytree(afhq / "train" / "cat", far / "train" / "cat")
    with pytest.raises(UserError, match=r"the domain 'cat' is in tasks\.root and in tasks\.unseen_root"):
        Domains(root=afhq, size=(16, 16), unseen_root=far)


def test_val_validates_where_there_is_a_test_part_as_well(tree):
    root = tree({part: {"cat": 3, "dog": 3} for part in ("train", "val", "test")})
    assert [len(tasks) for tasks in lengths(Domains(root=root, size=(16, 16))).values()] == [2, 2, 2]


def test_part_and_side_may_be_in_the_same_name(tree):
    root = tree({"": {"trainA": 4, "trainB": 4, "testA": 3, "testB": 2}})
    assert lengths(Domains(root=root, size=(16, 16)))["test"] == {"test/A": 3, "test/B": 2}


def test_gpunits_trees_have_their_numbers_and_no_masks(tree):
    root = tree({part: {"2_ray": 3, "10_jay": 3, "1_tench": 2, "1_tench_mask": 2} for part in ("Train", "Test")})
    source = Domains(root=root, size=(16, 16))
    assert source.names == ("1_tench", "2_ray", "10_jay")
    assert in_order(["2_ray", "10"]) == ["2_ray", "10"]
    assert in_order(["2_ray", "10", "owl"]) == ["10", "2_ray", "owl"]


def test_domains_are_made_of_lists_of_folders_for_each_side(tree):
    root = tree({part: {"1_tench": 2, "2_ray": 3, "10_jay": 3} for part in ("train", "test")})
    far = tree({"": {"owls": 25}}, "elsewhere") / "owls"
    source = Domains(
        root=root, size=(16, 16), each="pair", folders={"fish": ("1_tench", "2_ray"), "bird": ("10_jay",)},
        sources=("fish",), references=("bird",),
    )  # fmt: skip
    assert lengths(source)["train"] == {"train/fish-to-bird": 3}
    draws = [source.tasks("train")[0].draw(0, Randomness((n,)))["source"].numpy().tobytes() for n in range(60)]
    assert len(set(draws)) == 5
    mixed = Domains(root=root, size=(16, 16), folders={"fish": ("1_tench",), "owl": (str(far),)}, test_share=0.5)
    assert lengths(mixed)["train"]["train/owl"] + lengths(mixed)["test"]["test/owl"] == 25
    with pytest.raises(UserError, match=r"there is no folder '2_rays'.*did you mean '2_ray'"):
        find_tree(root, {"fish": ("2_rays",), "bird": ("10_jay",)})


def test_without_parts_the_content_of_an_image_decides_whether_it_tests(tree):
    root = tree({"": {"cat": 40, "dog": 40}})
    source = Domains(root=root, size=(16, 16), test_share=0.3)
    counts = lengths(source)
    assert counts["train"]["train/cat"] + counts["test"]["test/cat"] == 40
    assert 4 <= counts["test"]["test/cat"] <= 20
    tests = {path.read_bytes() for path in source.tasks("test")[0].files[::2]}
    for path in sorted((root / "cat").iterdir())[:20]:
        path.unlink()
    for path in sorted((root / "cat").iterdir()):
        path.rename(root / "cat" / f"renamed-{path.name}")
    later = Domains(root=root, size=(16, 16), test_share=0.3).tasks("test")[0]
    fewer = {path.read_bytes() for path in later.files[::2]}
    assert fewer
    assert fewer == tests & {path.read_bytes() for path in (root / "cat").iterdir()}


def test_a_share_of_the_images_that_train_may_validate(tree):
    root = tree({"train": {"cat": 40, "dog": 40, "owl": 40}, "test": {"cat": 3, "dog": 3, "owl": 3}})
    assert Domains(root=root, size=(16, 16)).tasks("val") == []
    whole, shared = Domains(root=root, size=(16, 16)), Domains(root=root, size=(16, 16), val_share=0.3)
    assert [scene.id for scene in shared.tasks("val")] == ["val/cat", "val/dog", "val/owl"]
    files = {split: {path for scene in shared.tasks(split) for path in scene.files} for split in ("train", "val")}
    assert not files["train"] & files["val"]
    assert files["train"] | files["val"] == {path for scene in whole.tasks("train") for path in scene.files}
    assert "has 0 images in the split train, expected 2 or more (tasks.val_share is 1; add some" in message(
        root, val_share=1.0
    )
    named = Domains(root=root, size=(16, 16), val=("owl",), val_share=0.3)
    assert [len(scene) for scene in named.tasks("train")] == [40, 40]


def test_a_single_folder_with_domains_in_it_is_looked_into(afhq):
    assert find_tree(afhq.parent).root == afhq
    shutil.copytree(afhq, afhq.parent / "other")
    with pytest.raises(UserError, match=r"several folders here have domains \(other, root\)"):
        find_tree(afhq.parent)


def message(root, **options):
    with pytest.raises(UserError) as caught:
        Domains(root=root, size=(16, 16), **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"unseen": ("wlid",)}, "tasks.unseen: there is no domain 'wlid' (did you mean 'wild'?)"),
        ({"domains": ("cat", "cow")}, "tasks.domains: there is no domain 'cow'"),
        ({"references": ("dogs",)}, "tasks.references: there is no domain 'dogs' (did you mean 'dog'?)"),
        ({"domains": ("cat", "dog"), "references": ("wild",)}, "the domain 'wild' is left out by tasks.domains"),
        ({"unseen": ("wild",), "sources": ("wild",)}, "tasks.sources: the domain 'wild' does not train"),
        ({"unseen": ("wild",), "val": ("wild",)}, "'wild' is in tasks.val and in tasks.unseen"),
        ({"unseen": ("wild", "wild")}, "tasks.unseen lists 'wild' twice"),
        ({"unseen": ("dog", "wild")}, "only 'cat' of the domains cat, dog, wild trains, expected two or more"),
        ({"test": "unseen"}, "tasks.test is 'unseen', but no domain is"),
        ({"folders": {"cat": ()}}, "tasks.folders.cat is empty"),
        ({"folders": {"a": ("cat",), "b": ("cat",)}}, "which 'a' (train) has too"),
    ],
)
def test_a_domain_that_is_not_there_or_cannot_be_is_told(afhq, options, why):
    assert why in message(afhq, **options)


def test_a_single_image_is_no_domain(tree):
    root = tree({"train": {"cat": 3, "dog": 3}, "test": {"cat": 3, "dog": 1}})
    assert "test/dog: the domain 'dog' has 1 image in the split test, expected 2 or more" in message(root)
    (root / "train" / "cat" / "000.png").unlink()
    (root / "train" / "cat" / "001.png").unlink()
    assert "train/cat: the domain 'cat' has 1 image in the split train" in message(root)


def test_a_domain_without_images_or_of_a_single_part_is_told(tree):
    root = tree({"train": {"cat": 3, "dog": 3}, "test": {"cat": 3, "dog": 3, "owl": 3}})
    assert "the domain 'owl' has images to test on, and none to train on" in message(root)
    assert lengths(Domains(root=root, size=(16, 16), unseen=("owl",)))["test"] == {"test/owl": 3}
    shutil.rmtree(root / "test" / "owl")
    shutil.rmtree(root / "test" / "dog")
    assert "the domain 'dog' has 0 images in the split test" in message(root)
    (root / "test" / "dog").mkdir()
    assert "test/dog: the domain 'dog' has no images here" in message(root)


def test_domains_with_the_same_name_are_told(tree):
    root = tree({"train": {"cat": 3, "Cat": 3}, "test": {"cat": 3, "Cat": 3}})
    assert "the domains 'Cat' and 'cat' have one name" in message(root)
    accents = tree({"train": {"b\u00e9": 3, "be\u0301": 3}}, "accents")
    assert "have one name, but for capitals or the spelling of accents" in message(accents)


def test_a_folder_that_a_link_makes_two_domains_is_told(afhq):
    shutil.rmtree(afhq / "train" / "wild")
    (afhq / "train" / "wild").symlink_to(afhq / "train" / "dog")
    assert "which 'dog' (train) has too" in message(afhq)


def test_unseen_domains_come_from_their_own_root_also_where_another_one_is_called_so(afhq, tree):
    far = tree({"train": {"wild": 4}, "test": {"wild": 2}}, "far")
    source = Domains(root=afhq, domains=("cat", "dog"), unseen_root=far, size=(16, 16))
    wild = [path for path in source.tasks("test")[0].files if path.parent.name == "wild"]
    assert wild
    assert all(path.is_relative_to(far) for path in wild)


def test_a_folder_called_mask_is_a_domain_unless_it_lies_beside_what_it_masks(tree):
    names = ["with_mask", "without_mask", "cat", "cat_mask"]
    root = tree({"train": dict.fromkeys(names, 2)})
    assert list(find_tree(root).domains) == ["cat", "with_mask", "without_mask"]


@pytest.mark.parametrize("link", ["train/cat/more", "test"])
def test_a_folder_that_is_gone_is_told_and_not_passed_over(tree, tmp_path, link):
    root = tree({"train": {"cat": 2, "dog": 2}})
    (root / link).symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=f"{link}: this link leads nowhere"):
        find_tree(root)


@pytest.mark.parametrize("to", [".", ".."])
def test_a_link_that_leads_back_is_told(tree, to):
    root = tree({"train": {"cat": 2, "dog": 2}})
    (root / "train" / "cat" / "self").symlink_to(to)
    with pytest.raises(UserError, match="this link leads back to a folder that it lies in"):
        find_tree(root)


def test_a_domain_that_is_called_as_new_ones_are_is_told(tree):
    with pytest.raises(UserError, match="no domain can be called 'a new domain'"):
        find_tree(tree({"train": {"cat": 2, "dog": 2, "a new domain": 2}}))


def test_a_folder_that_is_not_there_has_no_images(tmp_path):
    assert images_in(tmp_path / "none") == []


def test_images_that_cannot_be_read_are_found_and_told(tree):
    root = tree({"train": {"cat": 4, "dog": 4}})
    Image.new("RGB", (16, 16)).save(root / "train" / "cat" / "moving.gif")
    with pytest.raises(UserError, match=r"moving\.gif: not an image that can be read: this is a GIF"):
        Domains(root=root, size=(16, 16))


def test_an_image_in_two_domains_is_told_with_both_files_or_left_out_of_both(afhq):
    shutil.copy(afhq / "train" / "cat" / "000.png", afhq / "train" / "dog" / "copy.png")
    text = message(afhq)
    assert "the same image is in several domains: 'cat'" in text
    assert "dog/copy.png" in text
    assert lengths(Domains(root=afhq, size=(16, 16), on_bad_file="skip"))["train"] == {
        "train/cat": 7, "train/dog": 8, "train/wild": 8,
    }  # fmt: skip


def test_an_image_in_two_splits_is_told_or_stays_where_it_tests(afhq):
    shutil.copy(afhq / "train" / "cat" / "000.png", afhq / "val" / "cat" / "copy.png")
    assert "the same photograph is in several splits" in message(afhq)
    counts = lengths(Domains(root=afhq, size=(16, 16), on_bad_file="skip"))
    assert (counts["train"]["train/cat"], counts["test"]["test/cat"]) == (7, 6)


def test_bad_files_are_told_or_left_out(afhq, caplog):
    (afhq / "train" / "cat" / "000.png").write_text("no image")
    Image.fromarray(np.zeros((16, 16, 4), np.uint8)).save(afhq / "train" / "dog" / "008.png")
    assert "000.png: not an image that can be read: this is text" in message(afhq)
    assert lengths(Domains(root=afhq, size=(16, 16), on_bad_file="skip"))["train"]["train/cat"] == 7
    assert "skipped 2 of 39 images" in caplog.text
    assert "transparent" in caplog.text


def test_a_root_without_domains_is_told(tmp_path):
    assert "no such folder" in message(tmp_path / "nowhere")
    assert "there are no folders of images here (looked for train/DOMAIN/" in message(tmp_path)
    (tmp_path / "train").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "train" / "a.png")
    assert "1 image of no domain, a.png first" in message(tmp_path)


@pytest.mark.parametrize(("part", "refused"), [("train", True), ("val", True), (".", False)])
def test_images_beside_the_folders_of_domains_are_not_passed_over(afhq, part, refused):
    """Beside parts may lie what belongs to no training, such as an image for a page."""
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(afhq / part / "a.png")
    if refused:
        assert f"{afhq / part}: 1 image of no domain, a.png first" in message(afhq)
    else:
        assert lengths(Domains(root=afhq, size=(16, 16)))["train"]["train/cat"] == 8


def test_images_beside_domains_without_parts_are_not_passed_over(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name / "a.png")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "b.png")
    assert "1 image of no domain, b.png first" in message(tmp_path)


def test_its_fingerprint_follows_content_and_not_times(afhq):
    before = Domains(root=afhq, size=(16, 16)).fingerprint("train")
    shutil.copytree(afhq, afhq.parent / "copy")
    assert Domains(root=afhq.parent / "copy", size=(16, 16)).fingerprint("train") == before
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(afhq / "train" / "cat" / "000.png")
    assert Domains(root=afhq, size=(16, 16)).fingerprint("train") != before


def test_it_keeps_the_contracts_of_a_task_source(afhq):
    outcomes = run_contracts("task source", Domains, {"root": str(afhq), "size": [16, 16]})
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}
