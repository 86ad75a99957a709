"""What sources of domains have in common: how domains are numbered, and what a fingerprint depends on."""

from __future__ import annotations

from typing import ClassVar

import pytest

from metai2i import NEW_DOMAIN, Batch, Field, Task, UserError
from metai2i.data import DomainSource, refuse_twice, split_parts


class Photographs(Task):
    def __init__(self, id, mark):
        self.id, self.mark = id, mark

    def __len__(self):
        return 1

    def load(self, indices):
        return Batch()

    def fingerprint(self):
        return self.mark


class Animals(DomainSource):
    provides = frozenset({"structure", "target", "domain"})
    called = "animals"
    fields: ClassVar = {"structure": Field("map", 2)}
    size = (8, 8)

    def __init__(self, trains=("cat", "dog"), mark="a", reading="1"):
        self.trains, self.names, self.reading = trains, (*trains, "horse"), (reading,)
        self.scenes = {"train": [Photographs("cat", mark)], "val": [], "test": [Photographs("horse", "b")]}


def test_domains_that_train_are_numbered_first_and_the_last_number_is_for_one_that_is_not_here():
    spec = Animals().spec()
    assert spec.domains == 2
    assert spec.field("reference_domain") == Field("label", 4, ("cat", "dog", "horse", NEW_DOMAIN))
    assert (spec.structure_channels, spec.field("structure")) == (2, Field("map", 2))


def test_a_fingerprint_follows_the_domains_that_train_the_scenes_and_the_reading():
    prints = {
        Animals(**options).fingerprint("train")
        for options in ({}, {"trains": ("cat",)}, {"mark": "c"}, {"reading": "2"})
    }
    assert len(prints) == 4
    assert Animals(mark="c").fingerprint("test") == Animals().fingerprint("test")
    known = "animals-e79bb3ce5e8ec2e4a580069192c9de3863ecdb82ed1b99dd2af91280c53d8d61"
    assert Animals().fingerprint("train") == known


def test_a_name_that_is_listed_twice_is_told():
    refuse_twice("tasks.val", ["cat", "dog"])
    with pytest.raises(UserError, match=r"tasks\.val lists 'dog' twice"):
        refuse_twice("tasks.val", ["dog", "cat", "dog"])


def test_images_of_no_part_are_split_by_their_content_alone(tmp_path):
    files = [tmp_path / f"{n}" for n in range(40)]
    for path in files:
        path.write_text(path.name)
    some = split_parts({"whole": files[:20]}, 0.5, lambda path: path)
    every = split_parts({"whole": files[::-1]}, 0.5, lambda path: path)
    assert 3 < len(some["test"]) < 17
    for split in ("train", "test"):
        assert set(some[split]) == set(every[split]) & set(files[:20])


@pytest.mark.parametrize("parts", ["whole", "folders"])
def test_a_share_of_what_trains_validates_where_nothing_else_does(tmp_path, parts):
    files = [tmp_path / f"{n}" for n in range(400)]
    for path in files:
        path.write_text(path.name)
    given = {"whole": files} if parts == "whole" else {"train": files[:360], "test": files[360:]}
    before = split_parts(given, 0.1, lambda path: path)
    after = split_parts(given, 0.1, lambda path: path, val_share=0.25)
    assert after["test"] == before["test"]
    assert set(after["train"]) | set(after["val"]) == set(before["train"])
    assert not set(after["train"]) & set(after["val"])
    assert 60 < len(after["val"]) < 120  # of about 360, three standard deviations
    fewer = split_parts({name: paths[::2] for name, paths in given.items()}, 0.1, lambda path: path, val_share=0.25)
    assert set(fewer["val"]) == set(after["val"]) & set(files[::2])


def test_images_that_validate_by_their_folder_are_all_that_do():
    parts = {"train": [1, 2], "val": [3], "test": [4]}
    assert split_parts(parts, 0.5, str, val_share=0.5) == {"train": (1, 2), "val": (3,), "test": (4,)}


def test_what_validates_tests_where_nothing_else_does():
    assert split_parts({"train": [1], "val": [2]}, 0.5, str) == {"train": (1,), "test": (2,)}
    assert split_parts({"train": [1], "val": [2], "test": [3]}, 0.5, str) == {"train": (1,), "val": (2,), "test": (3,)}
