"""Whoever brings fitted teachers is told where their scores may flatter, and only there."""

import dataclasses
import warnings

import pytest

from mtbkd.teachers import TeachersConfig
from mtbkd.teachers.rows_seen import warn_of_rows_seen

BROUGHT = TeachersConfig(files=["a/forest.skops", "logistic.skops"])
TRAINED = TeachersConfig(members={"forest": {"kind": "estimator"}})


def told(config, data, judged=False):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_rows_seen(config, data, judged)
    return [str(one.message) for one in caught]


def drawn(data, *splits):
    return dataclasses.replace(data, drawn=splits)


def test_test_rows_drawn_by_chance_may_be_known_to_teachers_that_came_fitted(digits):
    (text,) = told(BROUGHT, drawn(digits, "validation", "test"))
    assert text.startswith("teachers forest, logistic came fitted, and the test rows were drawn")
    assert "data.test_path, or mark them by data.split_column" in text


@pytest.mark.parametrize("judged", [False, True])
def test_validation_rows_matter_where_teachers_are_judged_by_them(digits, judged):
    texts = told(BROUGHT, drawn(digits, "validation"), judged)
    assert len(texts) == judged
    assert all("validation rows by which teachers are judged" in text for text in texts)


def test_nothing_is_said_of_teachers_that_the_run_trains_and_of_splits_that_were_given(digits):
    assert not told(TRAINED, drawn(digits, "validation", "test"), judged=True)
    assert not told(BROUGHT, drawn(digits), judged=True)
