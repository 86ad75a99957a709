"""The photographs without pairs that are beside the checkout."""

from __future__ import annotations

import pytest
from metai2i_domains.source import Domains

from metai2i import Randomness, UserError

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def data(request):
    for parent in request.config.rootpath.parents:
        if (parent / "shared" / "data" / "domains").is_dir():
            return parent / "shared" / "data" / "domains"
    pytest.skip("the real photographs are not here")


def lengths(source, split):
    return {task.id: len(task) for task in source.tasks(split)}


def test_faces_train_and_domains_that_training_never_saw_test(data):
    source = Domains(root=data / "faces", unseen_root=data / "unseen", size=(32, 32))
    assert lengths(source, "train") == {"train/cat": 500, "train/man": 500, "train/woman": 500}
    assert lengths(source, "test") == {"test/horse": 120, "test/macaque": 120, "test/squirrel_monkey": 120}
    task = source.tasks("test")[0]
    episode = task.episode(10, 20, Randomness((0,)))
    assert set(episode.query["domain"].tolist()) == {0, 1, 2}
    assert set(episode.query["reference_domain"].tolist()) == {3}
    assert task.real(10, Randomness((0,)))["reference"].shape == (110, 3, 32, 32)


def test_pairs_of_animals_are_tasks(data):
    source = Domains(root=data / "animals", each="pair", size=(32, 32))
    assert len(source.tasks("train")) == 6
    assert set(lengths(source, "test").values()) == {60}


def test_stargan_v2s_samples_are_told_to_be_too_few_or_in_two_folders(data):
    root = data / "raw_layouts" / "stargan_v2_representative"
    assert lengths(Domains(root=root / "celeba_hq" / "ref", size=(32, 32), test_share=0.4), "train")
    with pytest.raises(UserError, match="the same image is in several domains"):
        Domains(root=root / "afhq", size=(32, 32))
