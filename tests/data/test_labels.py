"""Label coding and labelled shares, against counts known by hand."""

import warnings

import numpy as np
import pytest

from mtbkd.data.labels import encode_labels, visible_labels, warn_missing_classes
from mtbkd.errors import InputError

NAMES = ("a", "b", "c")


def test_every_class_keeps_a_label_where_the_number_allows_it():
    y = np.repeat([0, 1, 2], [96, 3, 1])
    visible = visible_labels(y, 0.05, NAMES, seed=0)
    assert np.bincount(visible[visible >= 0]).tolist() == [3, 1, 1]
    assert (visible[visible >= 0] == y[visible >= 0]).all()


def test_too_few_labels_for_all_classes_warn_and_name_them():
    with pytest.warns(UserWarning, match="of 3 classes have no labelled example"):
        visible = visible_labels(np.array([0, 1, 2]), 0.3, NAMES, seed=0)
    assert (visible >= 0).sum() == 1


def test_no_label_at_all_is_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (visible_labels(np.array([0, 1, 2]), 0.0, NAMES, seed=0) == -1).all()
        assert (visible_labels(np.array([-1, -1]), 0.5, NAMES, seed=0) == -1).all()


def test_the_warning_is_short_for_many_classes():
    with pytest.warns(UserWarning, match=r"999 of 1000 .*: 1, 2, 3, 4, 5 and 994 more"):
        warn_missing_classes(np.array([0, -1]), [str(k) for k in range(1000)])


def test_all_labels_are_kept_at_fraction_one():
    y = np.array([0, 1, -1, 2])
    assert visible_labels(y, 1.0, NAMES, seed=5).tolist() == [0, 1, -1, 2]


def test_numbers_are_ordered_as_numbers_and_words_as_words():
    y, names = encode_labels([10, 9, 2, 10])
    assert (y.tolist(), names) == ([2, 1, 0, 2], ("2", "9", "10"))
    y, names = encode_labels(["b", "a", None, float("nan")])
    assert (y.tolist(), names) == ([1, 0, -1, -1], ("a", "b"))
    y, names = encode_labels(np.array([1.0, np.nan, 0.0]))
    assert (y.tolist(), names) == ([1, -1, 0], ("0", "1"))
    y, names = encode_labels(np.array([True, False]))
    assert (y.tolist(), names) == ([1, 0], ("False", "True"))


def test_numbers_that_are_no_classes_are_told():
    with pytest.raises(InputError, match=r"label 0\.5 is no class"):
        encode_labels([1.0, 0.5])
    with pytest.raises(InputError, match="label -1 at row 1 may be a class or mean unlabelled"):
        encode_labels([1, -1])


def test_given_class_names_fix_the_order_and_take_indices():
    assert encode_labels(["dog", "cat"], ["dog", "cat"])[0].tolist() == [0, 1]
    assert encode_labels([1, 0, -1], ["dog", "cat"])[0].tolist() == [1, 0, -1]
    assert encode_labels([5, 3], ["3", "5"])[0].tolist() == [1, 0]
    assert encode_labels([5, -1], ["3", "5"])[0].tolist() == [1, -1]
    assert encode_labels([1, -1], ["-1", "1"])[0].tolist() == [1, 0]
    with pytest.raises(InputError, match=r"label 'dgo' at row 1 .* did you mean 'dog'\?"):
        encode_labels(["cat", "dgo"], ["dog", "cat"])
    with pytest.raises(InputError, match="label '2' at row 0"):
        encode_labels([2], ["dog", "cat"])
    with pytest.raises(InputError, match="twice"):
        encode_labels([0], ["dog", "dog"])
