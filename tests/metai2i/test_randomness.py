"""Randomness by address: draws depend on nothing but their address."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metai2i import Randomness

PARTS = st.one_of(st.integers(), st.text(max_size=5))
KEYS = st.lists(PARTS, max_size=4).map(tuple)


def draw(rng: Randomness) -> list[float]:
    return torch.rand(4, generator=rng.generator()).tolist()


@given(KEYS, KEYS)
def test_addresses_add_up(first, second):
    assert Randomness((0,)).at(*first).at(*second) == Randomness((0, *first, *second))


@given(KEYS)
def test_an_address_always_gives_the_same_draws(key):
    assert draw(Randomness(key)) == draw(Randomness(key))
    assert 0 <= Randomness(key).seed() < 2**63


@given(KEYS, KEYS)
def test_different_addresses_give_different_seeds(first, second):
    assert (Randomness(first).seed() == Randomness(second).seed()) == (first == second)


def test_numbers_and_their_names_and_nested_parts_are_different_addresses():
    seeds = {Randomness(key).seed() for key in [(1, 2), ("1", "2"), (12,), ("12",), (2, 1), ("1", 2), (1,), (1, 2, 0)]}
    assert len(seeds) == 8


def test_seeds_are_the_same_in_every_process_and_version():
    # Kept results would otherwise not be found again.
    assert Randomness((0,)).seed() == 7210762507766007076
    assert Randomness((0, "pretrain", 7)).seed() == 8145356127697406256


def test_a_generator_is_fresh_at_each_call():
    rng = Randomness((5,))
    torch.rand(10, generator=rng.generator())
    assert draw(rng) == draw(Randomness((5,)))


def test_neighbouring_steps_are_uncorrelated():
    run = Randomness((0,)).at("step")
    draws = torch.stack([torch.rand(1000, generator=run.at(i).generator()) for i in range(20)])
    assert (torch.corrcoef(draws) - torch.eye(20)).abs().max() < 0.15
    assert draws.mean() == pytest.approx(0.5, abs=0.01)


def test_a_scope_seeds_the_global_generator_and_puts_it_back():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    with Randomness((1,)).scope():
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with Randomness((1,)).scope():
        assert torch.equal(torch.rand(3), inside)
    with Randomness((2,)).scope():
        assert not torch.equal(torch.rand(3), inside)


def test_a_scope_is_put_back_after_an_error():
    before = torch.get_rng_state()

    def fails() -> None:
        with Randomness((1,)).scope():
            torch.rand(3)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fails()
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_within_a_scope_depends_on_the_address():
    ones = torch.ones(100)

    def dropped(rng: Randomness) -> torch.Tensor:
        with rng.scope():
            return torch.nn.functional.dropout(ones, 0.5)

    assert torch.equal(dropped(Randomness((1,))), dropped(Randomness((1,))))
    assert not torch.equal(dropped(Randomness((1,))), dropped(Randomness((2,))))
