"""Words of YAML 1.2."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metai2i.recipe.scalars import LONGEST_SCALAR, meant_as_number, resolve_scalar

WORDS = st.from_regex(r"[-+]?[0-9][0-9_]{0,6}(\.[0-9_]*)?([eE][-+]?[0-9]{1,2})?|0[ox][0-9a-fA-F]{1,6}", fullmatch=True)


@given(st.integers(-(10**90), 10**90))
def test_whole_numbers_are_what_they_are_with_leading_zeros_too(number):
    assert resolve_scalar(str(number)) == number
    padded = f"{'-' if number < 0 else ''}000{abs(number)}"
    assert resolve_scalar(padded) == number
    assert isinstance(resolve_scalar(padded), int)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_what_python_writes(number):
    assert resolve_scalar(repr(number)) == number
    assert math.copysign(1, resolve_scalar(repr(number))) == math.copysign(1, number)


@given(WORDS)
def test_a_word_has_the_old_meaning_or_the_new_one_but_no_third(text):
    new, old = resolve_scalar(text), yaml.safe_load(f"[{text}]")[0]
    assert new in {old, text} or text.lstrip("+-").startswith("0") or "e" in text.lower()


@pytest.mark.parametrize(("text", "value"), [(".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf)])
def test_infinity_is_a_number_of_yaml(text, value):
    assert resolve_scalar(text) == value


def test_nan_is_a_number_of_yaml():
    assert math.isnan(resolve_scalar(".nan"))
    assert (resolve_scalar("nan"), resolve_scalar("inf"), resolve_scalar("-.nan")) == ("nan", "inf", "-.nan")


@pytest.mark.parametrize("text", ["1" * (LONGEST_SCALAR + 1), "0x" + "1" * LONGEST_SCALAR, "0." + "1" * LONGEST_SCALAR])
def test_a_number_that_is_too_long_is_no_number(text):
    with pytest.raises(ValueError, match=f"a number of {len(text)} characters, expected at most {LONGEST_SCALAR}"):
        resolve_scalar(text)


def test_what_only_older_readers_take_for_a_number_or_a_truth_is_known():
    assert [meant_as_number(text) for text in ("1_000", "-1_0.5", "0x_1F", "Yes", "OFF", "a_b", "1:30", "n")] == [
        "1000", "-10.5", "0x1F", "true", "false", None, None, None,
    ]  # fmt: skip
