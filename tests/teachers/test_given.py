"""Whatever a user holds as a teacher is named, trained where it must be, and asked."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from torch import nn

from mtbkd.data.distillation import Rows
from mtbkd.errors import InputError
from mtbkd.teachers import EstimatorTeacher, TorchEnsembleTeacher, TorchTeacher
from mtbkd.teachers.given import ask, is_fitted, known_classes, named, trained


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def rows_of(x, y):
    numbers = np.arange(len(x))
    inputs = x.astype(np.float32)
    return Rows(
        torch.from_numpy(inputs),
        torch.from_numpy(y),
        numbers.astype(str),
        torch.from_numpy(numbers),
        inputs,
    )


def test_names_are_own_ones_or_the_classes_numbered_where_repeated():
    net = nn.Linear(4, 3)
    teachers = [GaussianNB(), LogisticRegression(), GaussianNB(), TorchTeacher("conv", net), net]
    assert list(named(teachers)) == [
        "GaussianNB-1",
        "LogisticRegression",
        "GaussianNB-2",
        "conv",
        "Linear",
    ]
    assert list(named({"a": net, 2: net})) == ["a", "2"]
    assert named(None) == {}


def test_a_classifier_knows_whether_it_is_fitted_and_its_classes(iris):
    x, y = iris
    fitted = GaussianNB().fit(x, y)
    assert not is_fitted(GaussianNB())
    assert not is_fitted(make_pipeline(GaussianNB()))
    for teacher in (fitted, FrozenEstimator(fitted), make_pipeline(GaussianNB()).fit(x, y)):
        assert is_fitted(teacher)
        assert known_classes(teacher) == [0, 1, 2]
    assert is_fitted(nn.Linear(4, 3))
    assert known_classes(nn.Linear(4, 3)) == []


def test_training_makes_a_copy_and_seeds_only_what_the_user_left_open(iris):
    x, y = iris
    pipeline = make_pipeline(RandomForestClassifier(3))
    first, again = (trained(pipeline, x, y, 5) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(x), again.predict_proba(x))
    assert not hasattr(pipeline, "classes_")
    assert trained(RandomForestClassifier(3, random_state=8), x, y, 5).random_state == 8


def test_every_kind_is_asked_in_the_order_of_the_classes(iris):
    x, y = iris
    rows = rows_of(x, y)
    names = np.array(["zebra", "ape", "cat"])
    forest = RandomForestClassifier(5, random_state=0).fit(x, names[y])  # its order: ape, cat, zebra
    z = ask("forest", forest, x, rows, ["ape", "bear", "cat", "zebra"])
    assert z.shape == (1, 150, 4)
    np.testing.assert_allclose(z[0, :, [0, 2, 3]].exp(), forest.predict_proba(x), atol=1e-6)
    assert (z[0, :, 1] == -torch.inf).all()  # it never saw a bear
    own = EstimatorTeacher("own", GaussianNB().fit(x, y), 3)
    np.testing.assert_allclose(
        ask("own", own, x, rows, [0, 1, 2])[0].exp(), own.estimator.predict_proba(x), atol=1e-5
    )
    nets = [nn.Linear(4, 3) for _ in range(2)]
    with torch.no_grad():
        torch.testing.assert_close(ask("net", nets[0], x, rows, [0, 1, 2])[0], nets[0](rows.x))
    assert ask("nets", TorchEnsembleTeacher("nets", nets), x, rows, [0, 1, 2]).shape == (2, 150, 3)


def test_values_that_do_not_fit_are_refused(iris):
    x, y = iris
    rows = rows_of(x, y)
    with pytest.raises(InputError, match=r"teacher 'net': gives 150 rows of 5 classes for 150 inputs of 3"):
        ask("net", nn.Linear(4, 5), x, rows, [0, 1, 2])
    with pytest.raises(InputError, match=r"teacher 'net': fails on inputs of shape \(150, 4\)"):
        ask("net", nn.Linear(6, 3), x, rows, [0, 1, 2])
    broken = nn.Linear(4, 3)
    nn.init.constant_(broken.bias, float("nan"))
    with pytest.raises(InputError, match="teacher 'net': row 0, class 0 is nan"):
        ask("net", broken, x, rows, [0, 1, 2])
