"""`Batch`: a mapping of aligned samples."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metai2i import Batch, UserError, refuse_new_domains


def numbered(count: int, start: int = 0) -> Batch:
    index = torch.arange(start, start + count)
    return Batch(structure=index.view(-1, 1, 1, 1).float(), domain=index)


def test_a_batch_is_a_mapping_in_the_order_given():
    batch = numbered(3)
    assert list(batch) == ["structure", "domain"]
    assert len(batch) == 2
    assert batch.size == 3
    assert "target" not in batch
    assert batch.get("target") is None
    assert repr(batch) == "Batch(structure=(3, 1, 1, 1), domain=(3,))"


def test_a_missing_field_is_named_with_those_there_are():
    with pytest.raises(KeyError, match="this batch has no 'target'; it has domain, structure"):
        numbered(1)["target"]


def test_fields_must_agree_on_the_number_of_samples():
    with pytest.raises(ValueError, match=r"same number of samples, got \{'structure': 2, 'target': 3\}"):
        Batch(structure=torch.zeros(2, 1), target=torch.zeros(3, 1))
    with pytest.raises(ValueError, match="same number of samples"):
        numbered(2).replace(target=torch.zeros(3))


def test_a_batch_without_fields_has_no_samples():
    assert Batch().size == 0
    assert len(Batch()) == 0


def test_a_batch_cannot_be_assigned_to():
    with pytest.raises(TypeError):
        numbered(1)["domain"] = torch.zeros(1)


@given(st.lists(st.integers(0, 4), max_size=8))
def test_selecting_takes_the_samples_in_that_order_from_every_field(indices):
    chosen = numbered(5).select(indices)
    assert chosen["domain"].tolist() == indices
    assert chosen["structure"].flatten().tolist() == indices
    assert chosen.size == len(indices)


def test_selecting_takes_ranges_and_tensors():
    assert numbered(5).select(range(1, 3))["domain"].tolist() == [1, 2]
    assert numbered(5).select(torch.tensor([4, 4]))["domain"].tolist() == [4, 4]


def test_selecting_nothing_leaves_shapes():
    assert numbered(5).select([])["structure"].shape == (0, 1, 1, 1)


def test_an_index_beyond_the_batch_is_refused():
    with pytest.raises(IndexError):
        numbered(2).select([2])


def test_replacing_puts_fields_in_and_leaves_the_original():
    batch = numbered(2)
    changed = batch.replace(domain=torch.tensor([7, 8]), target=torch.zeros(2, 3, 1, 1))
    assert list(changed) == ["structure", "domain", "target"]
    assert changed["domain"].tolist() == [7, 8]
    assert changed["structure"] is batch["structure"]
    assert list(batch) == ["structure", "domain"]
    assert batch["domain"].tolist() == [0, 1]


def test_mapping_changes_every_field():
    assert numbered(2).map(lambda field: field + 1)["domain"].tolist() == [1, 2]


def test_moving_to_a_device_moves_every_field():
    moved = numbered(2).to("meta")
    assert {field.device.type for field in moved.values()} == {"meta"}


def test_concatenating_keeps_order_and_the_fields_that_all_have():
    more = numbered(2, start=3).replace(target=torch.zeros(2, 3, 1, 1))
    joined = Batch.cat([numbered(3), more])
    assert list(joined) == ["structure", "domain"]
    assert joined["domain"].tolist() == [0, 1, 2, 3, 4]
    assert list(Batch.cat([more, numbered(3)])) == ["structure", "domain"]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_concatenating_what_was_selected_one_by_one_is_selecting_at_once(indices):
    batch = numbered(5)
    one_by_one = Batch.cat([batch.select([i]) for i in indices])
    assert torch.equal(one_by_one["structure"], batch.select(indices)["structure"])


def test_a_domain_of_a_number_beyond_those_that_train_is_refused():
    refuse_new_domains(torch.tensor([0, 1]), 2, "stargan2")
    with pytest.raises(UserError, match="stargan2: domain 3 is none of the 2 that train") as caught:
        refuse_new_domains(torch.tensor([1, 3]), 2, "stargan2")
    assert caught.value.hint == "translator: {spare: true}"
