"""Shares of the pool overlap exactly where their intervals do."""

import dataclasses

import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.teachers.shares import check_share, training_rows


def rows_of(x):
    return {tuple(row) for row in x.tolist()}


def test_intervals_split_and_overlap_as_they_say(digits):
    # Digits hold a few identical images; with unique inputs a row can be told by its values.
    x = torch.arange(len(digits.pool), dtype=torch.float32)[:, None]
    data = dataclasses.replace(digits, pool=dataclasses.replace(digits.pool, x=x))
    first, second = (rows_of(training_rows("t", data, s, 3)[0]) for s in ([0, 0.5], [0.5, 1]))
    middle = rows_of(training_rows("t", data, [0.25, 0.75], 3)[0])
    assert not first & second
    assert len(first | second) == len(data.pool)
    assert len(middle & first) + len(middle & second) == len(middle)
    assert abs(len(middle & first) - len(data.pool) / 4) <= 1
    assert rows_of(training_rows("t", data, [0, 0.5], 4)[0]) != first


def test_rows_without_a_teacher_label_are_left_out(digits):
    y = digits.teacher_y.clone()
    y[::2] = -1
    data = dataclasses.replace(digits, teacher_y=y)
    x, labels = training_rows("t", data, [0, 1], 0)
    torch.testing.assert_close(x, digits.pool.x[1::2])  # in the pool's order
    assert torch.equal(labels, digits.teacher_y[1::2])


@pytest.mark.parametrize("share", [[0.5, 0.5], [0.6, 0.4], [-0.1, 1], [0, 1.1], [0.5], []])
def test_intervals_that_are_none(share):
    with pytest.raises(InputError, match="share is"):
        check_share(share)


def test_one_class_is_not_enough(digits):
    data = dataclasses.replace(digits, teacher_y=torch.where(digits.teacher_y == 3, 3, -1))
    with pytest.raises(InputError, match=r"teacher 'forest': share .* of 1 classes"):
        training_rows("forest", data, [0, 1], 0)


def test_classes_are_taken_of_the_same_share(digits):
    both, y = training_rows("t", digits, [0.2, 0.7], 3)
    x, labels = training_rows("t", digits, [0.2, 0.7], 3, ["7", "2"])
    own = (y == 2) | (y == 7)
    assert 0 < own.sum() < len(y)
    assert torch.equal(x, both[own])
    assert torch.equal(labels, y[own])


def test_a_class_that_the_data_does_not_have_is_refused(digits):
    with pytest.raises(InputError, match=r"teacher 't': its class 'seven' is not among the data's classes"):
        training_rows("t", digits, [0, 1], 0, ["1", "seven"])
