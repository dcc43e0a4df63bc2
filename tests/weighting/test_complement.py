"""What a teacher lacks of the total."""

import torch

from mtbkd.weighting.complement import complement


def test_by_hand():
    # Shares 1/6, 2/6, 3/6 of the total leave 5/6, 4/6, 3/6, which sum to M - 1 = 2.
    expected = torch.tensor([[5 / 12, 4 / 12, 3 / 12]])
    torch.testing.assert_close(complement(torch.tensor([[1.0, 2.0, 3.0]])), expected)


def test_nothing_in_a_row_and_one_teacher():
    torch.testing.assert_close(complement(torch.zeros(2, 4)), torch.full((2, 4), 0.25))
    assert complement(torch.tensor([[0.0], [3.0]])).tolist() == [[1.0], [1.0]]


def test_who_has_all_of_it_counts_nothing():
    assert complement(torch.tensor([[0.3, 0.0, 0.0]])).tolist() == [[0.0, 0.5, 0.5]]
