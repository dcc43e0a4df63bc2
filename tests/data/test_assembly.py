"""What every source shares: standardised on the pool, labels hidden, parts checked."""

import numpy as np
import pytest
import torch

from mtbkd.data.assembly import assemble, standardise
from mtbkd.data.distillation import Rows
from mtbkd.data.splits import Split
from mtbkd.errors import InputError


def rows(y):
    n = len(y)
    index = torch.arange(n)
    return Rows(torch.arange(2.0 * n).reshape(n, 2), torch.tensor(y), index.numpy().astype(str), index)


def split(**parts):
    empty = np.empty(0, np.int64)
    return Split(**{part: np.array(parts.get(part, empty)) for part in ("pool", "validation", "test", "ood")})


def test_standardise_uses_the_pool_only_and_leaves_constants_finite():
    x = standardise(np.array([[0.0, 7.0], [4.0, 9.0], [2.0, 7.0]]), np.array([0, 2]))
    assert x.tolist() == [[-1, 0], [3, 2], [1, 0]]
    assert x.dtype == np.float32


def test_one_pool_row_is_standardised_to_zero():
    assert standardise(np.array([[5.0], [6.0]]), np.array([0])).tolist() == [[0], [1]]


def test_teachers_may_see_labels_that_the_student_may_not():
    data = assemble(
        "mine", rows([0, 1, 0, 1, 1]), split(pool=[3, 0, 1], test=[2], ood=[4]), ("a", "b"), 0.0, 0
    )
    assert data.teacher_y.tolist() == [1, 0, 1]
    assert data.pool.y.tolist() == [-1, -1, -1]
    assert data.pool.ids.tolist() == ["3", "0", "1"]
    assert data.pool.x.tolist() == [[6, 7], [0, 1], [2, 3]]
    assert data.test.y.tolist() == [0]
    assert data.ood.y.tolist() == [-1]
    assert set(data.splits) == {"pool", "test", "ood"}


def test_one_row_is_enough_for_a_pool():
    data = assemble("mine", rows([1]), split(pool=[0]), tuple(str(k) for k in range(1000)), 0.0, 0)
    assert (len(data.pool), data.num_classes, data.ood) == (1, 1000, None)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_an_unlabelled_held_out_row_is_named(part):
    with pytest.raises(InputError, match=f"{part} row '1' has no label"):
        assemble("mine", rows([0, -1]), split(pool=[0], **{part: [1]}), ("a", "b"), 1.0, 0)


def test_an_empty_pool_and_a_single_class_are_refused():
    with pytest.raises(InputError, match="pool is empty"):
        assemble("mine", rows([0, 1]), split(test=[0, 1]), ("a", "b"), 1.0, 0)
    with pytest.raises(InputError, match="at least 2"):
        assemble("mine", rows([0, 0]), split(pool=[0, 1]), ("a",), 1.0, 0)
    with pytest.raises(InputError, match="label 2 at row 1"):
        assemble("mine", rows([0, 2]), split(pool=[0, 1]), ("a", "b"), 1.0, 0)


def test_an_id_given_twice_is_told():
    twice = Rows(torch.zeros(2, 1), torch.tensor([0, 1]), np.array(["P1", "P1"]), torch.arange(2))
    with pytest.raises(InputError, match="id 'P1' names several rows"):
        assemble("mine", twice, split(pool=[0, 1]), ("a", "b"), 1.0, 0)
