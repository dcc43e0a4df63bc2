"""Stratified splits, against counts known by hand."""

import numpy as np
import pytest

from mtbkd.data.splits import (
    named_split,
    stratified_quotas,
    stratified_sample,
    stratified_split,
    subset,
)
from mtbkd.errors import InputError


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


def test_no_rows_are_an_empty_pool():
    with pytest.raises(InputError, match="pool is empty"):
        stratified_split(np.empty(0, np.int64), validation=0.1, test=0.1, seed=0)


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.1), (0.1, 1.2)])
def test_bad_shares_are_named(validation, test):
    with pytest.raises(InputError, match=r"validation|test"):
        stratified_split(np.zeros(4, np.int64), validation, test, seed=0)


def test_subset_is_stratified_and_none_is_all():
    y = np.repeat([0, 1], [30, 10])
    assert np.bincount(y[subset(y, 8, seed=1, what="train_size")]).tolist() == [6, 2]
    assert subset(y, None, seed=1, what="train_size").tolist() == list(range(40))
    with pytest.raises(InputError, match="train_size is 41, but there are 40 rows"):
        subset(y, 41, seed=1, what="train_size")


def test_sample_of_nothing_is_empty():
    assert stratified_sample(np.empty(0, np.int64), 0, np.random.default_rng(0)).tolist() == []


def test_a_column_names_the_parts():
    split = named_split(["train", "test", "Pool", "ood", "validation "], "column 'split'")
    assert [p.tolist() for p in (split.pool, split.validation, split.test, split.ood)] == [
        [0, 2],
        [4],
        [1],
        [3],
    ]
    with pytest.raises(InputError, match=r"column 'split': 'tset' at row 1 .* did you mean 'test'\?"):
        named_split(["train", "tset"], "column 'split'")
