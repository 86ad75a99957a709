"""Episodes that show the domain of their scene as a new one."""

from __future__ import annotations

import pytest
import torch
from toys import ToyTask

from metai2i import NEW_DOMAIN, Batch, Episode, Field, Randomness, TaskSpec, UserError
from metai2i.data.as_new import AsNew
from metai2i.data.sampling import Sampling

NAMES = ("cat", "dog", "hen", "horse", NEW_DOMAIN)
UNPAIRED = frozenset({"source", "domain", "reference", "reference_domain"})


def spec(fields=UNPAIRED, names=NAMES):
    return TaskSpec(0, (8, 8), fields, domains=3, also={"domain": Field("label", len(names), names)})


def labels(**values):
    return Batch(**{name: torch.tensor(numbers) for name, numbers in values.items()})


def test_the_domain_that_is_translated_into_is_new_wherever_it_stands_and_others_stay():
    support = labels(domain=[0, 2, 1], reference_domain=[1, 1, 1])
    query = labels(domain=[2, 0], reference_domain=[1, 1])
    shown = AsNew.of(spec())(Episode("into dogs", support, query))
    assert shown.support["domain"].tolist() == [0, 2, 4]
    assert shown.support["reference_domain"].tolist() == [4, 4, 4]
    assert shown.query["domain"].tolist() == [2, 0]
    assert shown.query["reference_domain"].tolist() == [4, 4]
    assert support["reference_domain"].tolist() == [1, 1, 1]


def test_without_exemplars_it_is_what_samples_are_of():
    shown = AsNew.of(spec(frozenset({"structure", "target", "domain"})))(
        Episode("hens", labels(domain=[2, 2]), labels(domain=[2]))
    )
    assert [shown.support["domain"].tolist(), shown.query["domain"].tolist()] == [[4, 4], [4]]


def test_a_domain_that_does_not_train_is_new_already():
    episode = Episode("into horses", labels(domain=[0], reference_domain=[3]), labels(domain=[1], reference_domain=[3]))
    assert AsNew.of(spec())(episode) is episode


@pytest.mark.parametrize(
    "data", [TaskSpec(2, (8, 8)), spec(names=("cat", "dog", "hen")), spec(frozenset({"structure", "target"}))]
)
def test_data_without_a_new_domain_is_refused(data):
    with pytest.raises(UserError, match=r"episodes\.as_new: the data has no domains to which a new one could be added"):
        AsNew.of(data)


def test_a_scene_of_several_domains_is_refused_by_its_name():
    several = Episode("all animals", labels(domain=[0, 1]), labels(domain=[0]))
    with pytest.raises(UserError, match=r"the scene 'all animals' is of 2 domains, expected one"):
        AsNew(3, 4)(several)


class Dogs(ToyTask):
    def load(self, indices):
        return super().load(indices).replace(domain=torch.ones(len(indices), dtype=torch.long))


def test_episodes_show_it_and_batches_of_plain_training_do_not():
    task, sampling = Dogs("a", 6), Sampling(as_new=AsNew(3, 4))
    episode = sampling.episode(task, 2, 3, Randomness())
    assert [episode.support["domain"].tolist(), episode.query["domain"].tolist()] == [[4, 4], [4, 4, 4]]
    assert sampling.mixed([task], 2, Randomness())["domain"].tolist() == [1, 1]
    assert torch.equal(episode.support["target"], Sampling().episode(task, 2, 3, Randomness()).support["target"])
