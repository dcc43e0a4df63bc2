import numpy as np

from mtbkd.evaluation.ties import mean_over_ties


def test_equal_keys_share_their_mean():
    assert mean_over_ties([1, 0, 5, 1], [0.2, 0.3, 0.2, 0.1]).tolist() == [3, 0, 3, 1]


def test_distinct_keys_keep_their_values():
    values = np.random.default_rng(0).random(20)
    assert mean_over_ties(values, np.arange(20)).tolist() == values.tolist()
