"""Warnings reach their reader once noted, whatever becomes of the work."""

import warnings

import pytest

from mtbkd.noted_warnings import noted_warnings


def work(*texts, fails=False):
    with noted_warnings() as notes:
        for text in texts:
            warnings.warn(text, stacklevel=1)
        if fails:
            raise RuntimeError("no")
    return notes


def test_each_is_noted_once_and_given_on():
    with pytest.warns(UserWarning, match="old") as given:
        assert work("old  milk", "old milk", "cold tea") == ["old milk", "cold tea"]
    assert len(given) == 3


def test_they_are_given_on_where_the_work_fails():
    with pytest.warns(UserWarning, match="old milk"), pytest.raises(RuntimeError):
        work("old milk", fails=True)
