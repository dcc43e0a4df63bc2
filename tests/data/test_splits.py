"""Splits, labelled shares and label encoding, against counts known by hand."""

import warnings

import numpy as np
import pytest

from mtbkd.data.splits import (
    encode_labels,
    standardise,
    stratified_quotas,
    stratified_sample,
    stratified_split,
    subset,
    visible_labels,
    warn_missing_classes,
)
from mtbkd.errors import InputError

NAMES = ("a", "b", "c")


def test_quotas_are_the_exact_shares_where_these_are_whole():
    assert stratified_quotas(np.array([50, 30, 20]), 10, 0).tolist() == [5, 3, 2]


@pytest.mark.parametrize("seed", range(20))
def test_quotas_round_each_share_up_or_down_and_sum_to_the_total(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 40, size=int(rng.integers(1, 50)))
    n = int(sizes.sum())
    total = int(rng.integers(0, n + 1))
    quotas = stratified_quotas(sizes, total, int(rng.integers(n)))
    share = sizes * total / n
    assert quotas.sum() == total
    assert (np.floor(share) <= quotas).all()
    assert (quotas <= np.minimum(np.ceil(share), sizes)).all()


def test_split_is_disjoint_complete_stratified_and_set_by_the_seed():
    y = np.repeat([0, 1, 2], [100, 60, 40])
    split = stratified_split(y, validation=0.1, test=0.2, seed=3)
    together = np.concatenate([split.pool, split.validation, split.test])
    assert sorted(together) == list(range(200))
    assert np.bincount(y[split.pool]).tolist() == [70, 42, 28]
    assert np.bincount(y[split.validation]).tolist() == [10, 6, 4]
    assert np.bincount(y[split.test]).tolist() == [20, 12, 8]
    again, other = stratified_split(y, 0.1, 0.2, seed=3), stratified_split(y, 0.1, 0.2, seed=4)
    assert (again.test == split.test).all()
    assert (other.test != split.test).any()


def test_unlabelled_rows_go_to_the_pool():
    y = np.array([-1, 0, 1, -1, 0, 1])
    split = stratified_split(y, validation=0.25, test=0.25, seed=0)
    assert set(split.pool) >= {0, 3}
    assert len(split.validation) == len(split.test) == 1


@pytest.mark.parametrize("y", [[0], [-1], [0, 1]])
def test_tiny_data_keeps_a_pool(y):
    split = stratified_split(np.array(y), validation=0.45, test=0.45, seed=0)
    assert len(split.pool) >= 1
    assert len(split.pool) + len(split.validation) + len(split.test) == len(y)


def test_a_thousand_classes_of_two_rows_split():
    y = np.repeat(np.arange(1000), 2)
    split = stratified_split(y, validation=0.1, test=0.1, seed=0)
    assert (len(split.pool), len(split.validation), len(split.test)) == (1600, 200, 200)
    assert len(np.unique(y[split.test])) == 200


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.1), (0.1, 1.2)])
def test_bad_shares_are_named(validation, test):
    with pytest.raises(InputError, match=r"validation|test"):
        stratified_split(np.zeros(4, np.int64), validation, test, seed=0)


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


def test_subset_is_stratified_and_none_is_all():
    y = np.repeat([0, 1], [30, 10])
    assert np.bincount(y[subset(y, 8, seed=1, what="train_size")]).tolist() == [6, 2]
    assert subset(y, None, seed=1, what="train_size").tolist() == list(range(40))
    with pytest.raises(InputError, match="train_size is 41, but there are 40 rows"):
        subset(y, 41, seed=1, what="train_size")


def test_sample_of_nothing_is_empty():
    assert stratified_sample(np.empty(0, np.int64), 0, np.random.default_rng(0)).tolist() == []


def test_standardise_uses_the_pool_only_and_leaves_constants_finite():
    pool = np.array([[0.0, 7.0], [2.0, 7.0]])
    x, other, empty = standardise(pool, np.array([[4.0, 9.0]]), np.empty((0, 2)))
    assert x.tolist() == [[-1, 0], [1, 0]]
    assert other.tolist() == [[3, 2]]
    assert empty.shape == (0, 2)
    assert x.dtype == other.dtype == empty.dtype == np.float32


def test_numbers_are_ordered_as_numbers_and_words_as_words():
    y, names = encode_labels([10, 9, 2, 10])
    assert (y.tolist(), names) == ([2, 1, 0, 2], ("2", "9", "10"))
    y, names = encode_labels(["b", "a", None, float("nan")])
    assert (y.tolist(), names) == ([1, 0, -1, -1], ("a", "b"))
    y, names = encode_labels(np.array([1.0, np.nan, 0.0]))
    assert (y.tolist(), names) == ([1, -1, 0], ("0", "1"))
    y, names = encode_labels(np.array([True, False]))
    assert (y.tolist(), names) == ([1, 0], ("False", "True"))


def test_given_class_names_fix_the_order_and_take_indices():
    assert encode_labels(["dog", "cat"], ["dog", "cat"])[0].tolist() == [0, 1]
    assert encode_labels([1, 0, -1], ["dog", "cat"])[0].tolist() == [1, 0, -1]
    assert encode_labels([5, 3], ["3", "5"])[0].tolist() == [1, 0]
    with pytest.raises(InputError, match=r"label 'dgo' at row 1 .* did you mean 'dog'\?"):
        encode_labels(["cat", "dgo"], ["dog", "cat"])
    with pytest.raises(InputError, match="label '2' at row 0"):
        encode_labels([2], ["dog", "cat"])
    with pytest.raises(InputError, match="twice"):
        encode_labels([0], ["dog", "dog"])
