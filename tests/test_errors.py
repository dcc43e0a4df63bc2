"""Bad input is told as thing, value and mend."""

import math

import pytest

from mtbkd.errors import (
    InputError,
    nearest,
    require_at_least,
    require_choice,
    require_fraction,
    require_positive,
)


def test_it_is_a_value_error():
    assert issubclass(InputError, ValueError)


def test_the_nearest_word_and_all_of_them():
    assert nearest("entrpy", ["uniform", "entropy"]) == "did you mean 'entropy'? valid: entropy, uniform"
    assert nearest("xyz", ["uniform", "entropy"]) == "valid: entropy, uniform"


def test_a_choice_is_one_of_the_valid():
    require_choice("guide", "diagonal", ("diagonal", "low_rank"))
    require_choice("guide", "diagonal", iter(("diagonal", "low_rank")))
    with pytest.raises(InputError, match="guide: unknown value 'diag'; did you mean 'diagonal'"):
        require_choice("guide", "diag", iter(("diagonal", "low_rank")))


NOT_FINITE = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize(
    ("require", "good", "bad"),
    [
        (require_positive, [1e-9, 1, None], [0, -1, *NOT_FINITE]),
        (lambda **v: require_at_least(2, **v), [2, 3.5, None], [1.99, -3, *NOT_FINITE]),
        (require_fraction, [0, 0.5, 1, None], [-0.1, 1.1, *NOT_FINITE]),
    ],
)
def test_numbers_in_their_range_pass_and_others_are_named(require, good, bad):
    for value in good:
        require(**{"prior.strength": value})
    for value in bad:
        with pytest.raises(InputError, match=rf"prior\.strength is {value}"):
            require(first=None, **{"prior.strength": value})
