"""Arrays in memory: nothing is changed but the type."""

import numpy as np
import pytest
import torch

from mtbkd.data import from_arrays
from mtbkd.errors import InputError

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 2, -1, 1, 0])


@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor, lambda a: a.tolist()])
def test_arrays_tensors_and_lists_give_the_same(make):
    data = from_arrays(
        make(X),
        make(Y),
        x_validation=make(X[:1]),
        y_validation=make(Y[:1]),
        x_test=make(X[1:3]),
        y_test=make(Y[1:3]),
    )
    assert data.pool.x.dtype == torch.float32
    assert data.pool.x.tolist() == X.tolist()
    assert data.pool.y.tolist() == data.teacher_y.tolist() == Y.tolist()
    assert data.class_names == ("0", "1", "2")
    assert (data.validation.index.tolist(), data.test.index.tolist()) == ([6], [7, 8])
    assert data.test.ids.tolist() == ["7", "8"]
    assert (data.test.y.tolist(), data.ood) == ([1, 2], None)


def test_teachers_may_know_more_labels_and_names_are_given():
    data = from_arrays(X, teacher_y=Y, x_ood=X[:2], class_names=["a", "b", "c"], kind="image")
    assert data.pool.y.tolist() == [-1] * 6
    assert data.teacher_y.tolist() == Y.tolist()
    assert (data.class_names, data.kind) == (("a", "b", "c"), "image")
    assert (data.ood.index.tolist(), data.ood.y.tolist()) == ([6, 7], [-1, -1])
    assert from_arrays(X, teacher_y=Y).num_classes == 3


def test_the_callers_arrays_are_not_shared():
    x = X.astype(np.float32)
    data = from_arrays(x, Y)
    x[0] = 99
    assert data.pool.x[0].tolist() == [0, 1]


def test_two_classes_a_thousand_classes_and_one_row():
    assert from_arrays(X, Y == 1).num_classes == 2
    assert from_arrays(X, class_names=[str(k) for k in range(1000)]).num_classes == 1000
    with pytest.warns(UserWarning, match="1 of 2 classes have no labelled example in the pool: 0"):
        assert len(from_arrays(X[:1], [1]).pool) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": Y[:5]}, r"y has shape \(5,\), not \(6,\)"),
        ({"y": Y / 2}, "y is float64; give class indices"),
        ({"y": Y, "class_names": ["a", "b"]}, r"label 2 at row 2 is outside 0\.\.1"),
        ({"y": Y - 1}, r"label -2 at row 3"),
        ({"y": None}, "no row has a label"),
        ({"y": np.zeros(6, int)}, "at least 2"),
        ({"x": np.where(X == 5, np.nan, X)}, "pool: row 2 has a NaN"),
        ({"x": X[:0], "y": Y[:0], "class_names": ["a", "b"]}, "pool is empty"),
        ({"x": X[:, 0]}, r"x is float64 \(6,\); give numbers"),
        ({"x": X.astype(str)}, "x is <U"),
        ({"x_test": X[:, :1], "y_test": Y}, r"x_test: inputs of shape \(1,\), those of x have \(2,\)"),
        ({"x_test": X, "y_test": Y}, "y_test: row 3 has no label"),
        ({"x_validation": X}, "y_validation: row 0 has no label"),
        ({"x_ood": np.where(X == 5, np.inf, X)}, "ood: row 2 has a NaN or inf"),
    ],
)
def test_bad_arrays_are_told(arguments, message):
    with pytest.raises(InputError, match=message):
        from_arrays(**({"x": X, "y": Y} | arguments))
