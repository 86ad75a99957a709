"""Where references come from, and that no query pixel gets into the input."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toys import ToyTask

from metai2i import Adaptation, Augment, Batch, Randomness, Reference, Task, TaskSpec, UserError
from metai2i.data.sampling import Sampling, others
from metai2i.meta.inner_loop import support_batches

RNG = Randomness((3,))
STILL = {"rotate": 0, "crop": 1}


class Numbered(Task):
    """Photograph n is of value n / 100 everywhere; its map has class n % 3."""

    def __init__(self, length: int) -> None:
        self.id, self.length, self.loaded = "numbered", length, []

    def __len__(self):
        return self.length

    def load(self, indices):
        self.loaded.append(list(indices))
        maps = torch.zeros(len(indices), 3, 8, 8)
        for n, index in enumerate(indices):
            maps[n, index % 3] = 1
        return Batch(structure=maps, target=torch.stack([torch.full((3, 8, 8), i / 100) for i in indices]))


def numbers(photos: torch.Tensor) -> list[int]:
    return [round(photo.mean().item() * 100) for photo in photos]


def test_the_reference_of_a_training_sample_is_another_photograph_of_its_scene():
    batch = Sampling(reference=Reference()).mixed([Numbered(6)], 50, RNG)
    assert all(
        target != other for target, other in zip(*map(numbers, (batch["target"], batch["reference"])), strict=True)
    )
    assert set(numbers(batch["reference"])) == set(range(6))


def test_the_nearest_of_some_is_the_one_with_the_most_similar_map():
    batch = Sampling(reference=Reference(pick="nearest", among=99)).mixed([Numbered(12)], 30, RNG)
    for target, other in zip(*map(numbers, (batch["target"], batch["reference"])), strict=True):
        assert target != other
        assert target % 3 == other % 3


def test_a_scene_of_one_pair_has_its_own_photograph_varied_as_its_reference():
    task = ToyTask("alone", 1)
    batch = Sampling(reference=Reference(rotate=30)).mixed([task], 4, RNG)
    assert not torch.equal(batch["reference"], batch["target"])
    plain = Sampling(reference=Reference(**STILL)).mixed([task], 4, RNG)
    assert torch.equal(plain["reference"], plain["target"])


def test_references_are_varied_on_their_own_and_not_flipped_with_their_pair():
    ramp = torch.linspace(-1, 1, 16).expand(2, 3, 16, 16)
    support = Batch(structure=torch.ones(2, 1, 16, 16), target=ramp)
    adaptation = Adaptation(batch=40, augment=Augment(rotate=0, crop=1), reference=Reference(**STILL))
    batch = next(support_batches(support, adaptation.for_training(1), RNG))
    flipped = [photo[0, 0, 0] > photo[0, 0, -1] for photo in batch["target"]]
    assert 0 < sum(flipped) < 40
    assert all(torch.equal(reference, ramp[0]) for reference in batch["reference"])


def test_support_samples_see_other_support_photographs_in_every_step():
    support = Numbered(5).load(range(5))
    for batch in support_batches(support, Adaptation(batch=5, reference=Reference()).for_training(20), RNG):
        targets, other = numbers(batch["target"]), numbers(batch["reference"])
        assert all(a != b for a, b in zip(targets, other, strict=True))


@pytest.mark.parametrize("options", [{}, {"pick": "nearest"}, {"still": False}, {"train": "target"}])
def test_no_query_pixel_can_reach_the_input_of_an_unseen_scene(options):
    """Whatever the photographs of the query are, what a translator is shown stays bit for bit the same."""

    class Swapped(ToyTask):
        def load(self, indices):
            batch = super().load(indices)
            hidden = torch.tensor([index in queries for index in indices])
            return batch.replace(target=torch.where(hidden.view(-1, 1, 1, 1), torch.nan, batch["target"]))

    sampling = Sampling(Augment(), Reference(**options))
    seen = sampling.episode(ToyTask("a", 12), 3, 4, RNG, unseen=True)
    queries = torch.randperm(12, generator=RNG.at("episode").generator()).tolist()[:4]
    blind = sampling.episode(Swapped("a", 12), 3, 4, RNG, unseen=True)
    assert blind.query["target"].isnan().all()
    assert torch.equal(blind.query["reference"], seen.query["reference"])
    assert torch.equal(blind.support["target"], seen.support["target"])


def test_the_papers_own_reading_leaks_and_has_to_be_asked_for():
    episode = Sampling(reference=Reference(test="target", **STILL)).episode(Numbered(9), 3, 4, RNG, unseen=True)
    assert torch.equal(episode.query["reference"], episode.query["target"])


def test_the_queries_of_an_unseen_scene_see_a_support_photograph_as_it_was_taken():
    episode = Sampling(reference=Reference(rotate=40)).episode(ToyTask("a", 9), 3, 4, RNG, unseen=True)
    support = [photo.tolist() for photo in episode.support["target"]]
    assert all(reference.tolist() in support for reference in episode.query["reference"])
    varied = Sampling(reference=Reference(rotate=40, still=False)).episode(ToyTask("a", 9), 3, 4, RNG, unseen=True)
    assert all(reference.tolist() not in support for reference in varied.query["reference"])


def test_the_query_of_a_training_episode_sees_the_support_varied():
    episode = Sampling(reference=Reference()).episode(Numbered(9), 3, 4, RNG)
    assert set(numbers(episode.query["reference"])) <= set(numbers(episode.support["target"]))


def test_without_a_reference_no_further_photograph_is_loaded():
    task = Numbered(6)
    assert "reference" not in Sampling().mixed([task], 3, RNG)
    assert [len(indices) for indices in task.loaded] == [1, 1, 1]


def test_others_are_drawn_without_replacement_and_leave_the_sample_out():
    assert sorted(others(5, 2, 9, RNG)) == [0, 1, 3, 4]
    assert len(others(5, 2, 2, RNG)) == 2


@pytest.mark.parametrize("options", [{"among": 0}, {"rotate": 200}, {"crop": 0}])
def test_options_out_of_range_are_refused_by_their_name(options):
    with pytest.raises(UserError, match=rf"^reference\.{next(iter(options))}: "):
        Reference(**options)


def with_map(**options) -> Reference:
    """Return a reference for a translator that reads the exemplar's map as well."""
    return Reference(**options).of({"reference", "reference_structure"}, TaskSpec(3, (8, 8)).known_field)


def classes(maps: torch.Tensor) -> list[int]:
    return maps.mean((2, 3)).argmax(1).tolist()


def test_the_map_of_an_exemplar_is_that_of_the_same_sample():
    drawn = Sampling(reference=with_map(**STILL))
    episode = drawn.episode(Numbered(12), 4, 5, RNG, unseen=True)
    support = drawn.support(episode.support, 4, RNG)
    for batch in (drawn.mixed([Numbered(9)], 20, RNG), episode.query, support):
        assert [number % 3 for number in numbers(batch["reference"])] == classes(batch["reference_structure"])
        assert numbers(batch["reference"]) != numbers(batch["target"])


def test_the_map_of_an_exemplar_is_warped_with_its_photograph():
    class Drawn(ToyTask):
        def load(self, indices):
            batch = super().load(indices)
            return batch.replace(target=batch["structure"] * 2 - 1)

    batch = Sampling(Augment(), with_map(rotate=20, flip=True)).mixed([Drawn("a", 6)], 12, RNG)
    maps = batch["reference_structure"]
    assert set(maps.unique().tolist()) == {0.0, 1.0}
    assert ((batch["reference"] > 0) == (maps > 0.5)).float().mean() > 0.95
    assert not torch.equal(batch["reference_structure"], batch["structure"])


def test_further_fields_of_exemplars_change_nothing_of_the_photographs():
    plain, further = (Sampling(Augment(), each).mixed([ToyTask("a", 6)], 8, RNG) for each in (Reference(), with_map()))
    assert all(torch.equal(plain[name], further[name]) for name in plain)


def test_a_share_of_the_exemplars_is_the_sample_itself_in_a_crop_of_its_own():
    sampling = Sampling(reference=Reference(self_share=0.3, **STILL))
    batch = sampling.mixed([Numbered(40)], 200, RNG)
    same = [a == b for a, b in zip(*map(numbers, (batch["target"], batch["reference"])), strict=True)]
    assert 40 < sum(same) < 80
    support = sampling.support(Numbered(40).load(range(40)), 40, RNG)
    assert 0 < sum(a == b for a, b in zip(numbers(support["target"]), numbers(support["reference"]), strict=True)) < 40
    cropped = Sampling(reference=Reference(self_share=1, rotate=0, crop=0.5)).mixed([ToyTask("a", 6)], 4, RNG)
    assert not torch.equal(cropped["reference"], cropped["target"])


def test_a_batch_says_which_samples_are_their_own_exemplars_where_the_recipe_lets_them():
    def same(batch):
        return [int(a == b) for a, b in zip(numbers(batch["target"]), numbers(batch["reference"]), strict=True)]

    share = Sampling(Augment(flip=False, rotate=0, crop=1), Reference(self_share=0.3, **STILL))
    support = Numbered(9).load(range(9))
    seen = share.episode(Numbered(9), 4, 5, RNG).query
    for batch in (share.mixed([Numbered(9)], 40, RNG), share.support(support, 9, RNG), seen):
        assert batch["self_exemplar"].dtype == torch.int64
        assert batch["self_exemplar"].tolist() == same(batch)
    assert set(share.mixed([Numbered(9)], 40, RNG)["self_exemplar"].tolist()) == {0, 1}
    assert "self_exemplar" not in share.episode(Numbered(9), 4, 5, RNG, unseen=True).query
    assert share.mixed([Numbered(1)], 3, RNG)["self_exemplar"].tolist() == [1, 1, 1]  # there is no other
    target = Sampling(reference=Reference(train="target", **STILL))
    for batch in (
        target.mixed([Numbered(9)], 4, RNG),
        target.support(support, 9, RNG),
        target.episode(Numbered(9), 4, 5, RNG).query,
    ):
        assert batch["self_exemplar"].tolist() == [1] * batch.size
    assert "self_exemplar" not in Sampling(reference=Reference(**STILL)).mixed([Numbered(9)], 4, RNG)


def test_a_training_query_is_its_exemplar_as_often_and_one_of_an_unseen_scene_never():
    sampling = Sampling(reference=Reference(self_share=1, **STILL))
    seen, unseen = (sampling.episode(Numbered(9), 3, 4, RNG, unseen=each).query for each in (False, True))
    assert torch.equal(seen["reference"], seen["target"])
    assert not set(numbers(unseen["reference"])) & set(numbers(unseen["target"]))


class Filed(Numbered):
    """Numbered photographs in files, each beside its map."""

    def __init__(self, name: str, length: int) -> None:
        super().__init__(length)
        self.id = name

    @property
    def files(self):
        return [Path(f"{self.id}/{kind}/{n}.png") for n in range(self.length) for kind in ("photos", "maps")]


def listing(folder: Path, *lines: str) -> Path:
    path = folder / "list.txt"
    path.write_text("\n".join(lines))
    return path


def test_a_list_says_which_exemplar_an_image_gets_the_first_or_the_last(tmp_path):
    names = [f"a/photos/{n}.png,b/photos/{n + 3}.png,a/photos/{n}.png,b/photos/9" for n in range(4)]
    names += [f"b/photos/{n},a/photos/0,a/photos/3" for n in range(10)]
    path = listing(tmp_path, "# easy first", *names)
    tasks = [Filed("a", 4), Filed("b", 10)]
    easy, hard = Reference(list=path, **STILL), Reference(list=path, hard=1, **STILL)
    assert easy.listed(tasks)[0, 2] == ((1, 5), (0, 2), (1, 9))
    for task, reference, expected in (
        (0, easy, lambda n: n + 3),
        (0, hard, lambda n: 9),
        (1, easy, lambda n: 0),
        (1, hard, lambda n: 3),
    ):
        place = RNG.at(task)
        while torch.randint(2, (1,), generator=place.at("draw").generator()).item() != task:
            place = place.at("on")
        batch = Sampling(reference=reference).mixed(tasks, 1, place)
        assert numbers(batch["reference"]) == [expected(n) for n in numbers(batch["target"])]


def test_folders_may_be_parted_by_backslashes(tmp_path):
    path = listing(tmp_path, "a\\photos\\1.png,b\\photos\\2.png")
    assert Reference(list=path).listed([Filed("a", 4), Filed("b", 4)]) == {(0, 1): ((1, 2),)}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a/photos/0,a/photos/77", r"list.txt:2: no photograph of the scenes that are .* called 'a/photos/77'"),
        ("0,a/photos/1", r"list.txt:2: several photographs are called '0': a/photos/0.png and b/photos/0.png"),
        ("a/photos/1,a/photos/2", r"list.txt:2: the image 'a/photos/1' stands twice \(the first is in line 1\)"),
    ],
)  # fmt: skip
def test_a_name_in_a_list_that_is_missing_is_refused_with_file_and_line(tmp_path, line, why):
    path = listing(tmp_path, "a/photos/1,b/photos/1", line)
    with pytest.raises(UserError, match=why):
        Reference(list=path).listed([Filed("a", 4), Filed("b", 4)])


class Lying(Filed):
    """Its photographs lie in a folder."""

    def __init__(self, root, id, length):
        super().__init__(id, length)
        self.root = root
        for file in self.files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    @property
    def files(self):
        return [self.root / file for file in super().files]


def test_what_a_list_says_of_photographs_that_a_recipe_leaves_out_is_passed_over_and_told(tmp_path, caplog):
    tasks = [Lying(tmp_path, "a", 4), Lying(tmp_path, "b", 4), Lying(tmp_path, "c", 4)]
    lines = ("a/photos/1,b/photos/2,c/photos/3", "c/photos/0,a/photos/0", "b/photos/1,c/photos/1")
    reference = Reference(list=listing(tmp_path, *lines))
    assert reference.listed(tasks[:2]) == {(0, 1): ((1, 2),)}
    assert "reference.list: passed over 2 of 3 lines" in caplog.text
    assert len(Reference(list=listing(tmp_path, *lines)).listed(tasks)) == 3
    with pytest.raises(UserError, match=r"list.txt:1: no photograph of the scenes that are .* called 'd/photos/0'"):
        Reference(list=listing(tmp_path, "d/photos/0,a/photos/0")).listed(tasks[:2])


def test_a_list_without_exemplars_or_that_is_not_there_is_refused_at_once(tmp_path):
    with pytest.raises(UserError, match=r"^reference\.list cannot be used: .*list.txt:1: expected IMAGE,EXEMPLAR"):
        Reference(list=listing(tmp_path, "a.png"))
    with pytest.raises(UserError, match=r"^reference\.list cannot be used: .*nowhere.txt: the list of exemplars"):
        Reference(list=tmp_path / "nowhere.txt")


@pytest.mark.parametrize("option", ["self_share", "hard"])
def test_shares_out_of_range_are_refused(option):
    with pytest.raises(UserError, match=rf"^reference\.{option}: got 1\.5, expected at most 1"):
        Reference(**{option: 1.5})
