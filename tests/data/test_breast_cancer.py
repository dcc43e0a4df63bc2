"""The breast cancer source: sizes, values and what its out-of-distribution rows are, against scikit-learn's table."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer

from mtbkd.data.breast_cancer import BreastCancerConfig, load
from mtbkd.errors import InputError

SOURCE = load_breast_cancer()


def test_sizes_labels_and_values_of_the_default():
    data = load(BreastCancerConfig(), seed=0)
    assert [len(rows) for rows in data.splits.values()] == [341, 114, 114, 114]
    assert data.class_names == ("malignant", "benign")
    assert (data.pool.y >= 0).sum() == 34  # round(0.1 * 341)
    pool = SOURCE.data[data.pool.index]
    for rows in (data.pool, data.validation, data.test):
        expected = (SOURCE.data[rows.index] - pool.mean(0)) / pool.std(0)
        np.testing.assert_allclose(rows.x.numpy(), expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(rows.raw, SOURCE.data[rows.index], rtol=1e-6)
    assert np.array_equal(data.teacher_y, SOURCE.target[data.pool.index])
    used = torch.cat([data.pool.index, data.validation.index, data.test.index])
    assert sorted(used.tolist()) == list(range(569))
    share = SOURCE.target.mean()
    assert abs(data.test.y.double().mean() - share) < 1 / 114


def test_outsiders_are_test_rows_with_other_columns_in_one_order_for_all_seeds():
    data, other = load(BreastCancerConfig(), 0), load(BreastCancerConfig(), 1)
    orders = []
    for d in (data, other):
        found = [int((d.test.x == d.ood.x[:, k, None]).all(0).nonzero()[0]) for k in range(30)]
        orders.append(found)
        assert torch.equal(d.ood.index, d.test.index + 569)
        assert (d.ood.y == -1).all()
    assert orders[0] == orders[1] != list(range(30))
    assert sorted(orders[0]) == list(range(30))
    # The raw value of a column is what would have been standardised to the column's input.
    pool = SOURCE.data[data.pool.index]
    np.testing.assert_allclose((data.ood.raw - pool.mean(0)) / pool.std(0), data.ood.x, atol=1e-4)


def test_none_and_bad_values():
    assert load(BreastCancerConfig(ood="none"), 0).ood is None
    with pytest.raises(InputError, match=r"data\.ood: unknown value 'rotated'"):
        BreastCancerConfig(ood="rotated")
    with pytest.raises(InputError, match="test_fraction is 2"):
        BreastCancerConfig(test_fraction=2)
