"""scikit-learn teachers give the estimator's own probabilities in the data's columns."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mtbkd.errors import InputError
from mtbkd.teachers import EstimatorTeacher
from mtbkd.teachers.estimator import ESTIMATORS, EstimatorConfig, build

SMALL = {
    "random_forest": {"n_estimators": 10},
    "extra_trees": {"n_estimators": 10},
    "gradient_boosting": {"max_iter": 3, "max_leaf_nodes": 5},
    "mlp": {"hidden_layer_sizes": [16], "max_iter": 30, "learning_rate_init": 0.01},
}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_each_kind_learns_the_digits(name, digits, accuracy):
    teacher = build(name, EstimatorConfig(name, SMALL.get(name, {}), [0.0, 0.4]), digits, 0)
    assert accuracy(teacher) > 0.7
    p = teacher.predict(digits.test).exp()
    torch.testing.assert_close(p.sum(1), torch.ones(len(p)), rtol=1e-5, atol=1e-5)
    assert teacher.size()[1] > 0


def test_the_recipe_is_what_scikit_learn_would_do(digits):
    config = EstimatorConfig("random_forest", {"n_estimators": 7, "random_state": 5})
    teacher = build("forest", config, digits, 0)
    forest = RandomForestClassifier(n_estimators=7, random_state=5)
    forest.fit(digits.pool.x.numpy(), digits.teacher_y.numpy())
    expected = forest.predict_proba(digits.test.x.numpy())
    np.testing.assert_allclose(teacher.predict(digits.test).exp(), expected, rtol=1e-6, atol=1e-7)
    assert (expected == 0).any()  # zeros are exact and give no NaN
    assert not teacher.predict(digits.test).isnan().any()


def test_the_fingerprint_tells_recipes_apart_before_training(digits):
    def of(name="a", data=digits, seed=0, **fields):
        return build(name, EstimatorConfig(**fields), data, seed).fingerprint

    assert of() == of()
    other_y = dataclasses.replace(digits, teacher_y=digits.teacher_y.roll(1))
    different = [
        of(),
        of(seed=1),
        of(name="b"),
        of(data=other_y),
        of(estimator="extra_trees"),
        of(share=[0.0, 0.5]),
        of(params={"n_estimators": 5}),
    ]
    assert len(set(different)) == len(different)


def test_classes_that_were_never_seen_have_probability_zero(digits):
    seen = torch.where(digits.teacher_y < 4, digits.teacher_y, -1)
    data = dataclasses.replace(digits, teacher_y=seen)
    teacher = build("nb", EstimatorConfig("logistic_regression", {"C": 0.1}), data, 0)
    z = teacher.predict(digits.test)
    assert z.shape == (len(digits.test), 10)
    assert bool((z[:, 4:] == -torch.inf).all())
    torch.testing.assert_close(z[:, :4].exp().sum(1), torch.ones(len(z)))


def test_classes_named_by_strings_go_to_their_columns(digits):
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    x, y = digits.pool.x.numpy(), digits.teacher_y.numpy()
    by_index = EstimatorTeacher("a", GaussianNB().fit(x, y), 10)
    by_name = EstimatorTeacher("a", GaussianNB().fit(x, np.array(names)[y]), 10, names)
    torch.testing.assert_close(by_name.predict(digits.test), by_index.predict(digits.test))
    with pytest.raises(
        InputError, match=r"its class 'eight' is not among the data's classes.*did you mean 'eigth'"
    ):
        EstimatorTeacher("a", by_name.estimator, 10, tuple(n.replace("ght", "gth") for n in names)).predict(
            digits.test
        )
    with pytest.raises(InputError, match=r"fit it to class indices 0\.\.9"):
        EstimatorTeacher("a", by_name.estimator, 10).predict(digits.test)


def test_fit_copies_and_flattens(digit_images):
    untouched = GaussianNB(var_smoothing=0.1)
    teacher = EstimatorTeacher("a", untouched, 10).fit(digit_images.pool.x, digit_images.teacher_y)
    assert not hasattr(untouched, "classes_")
    assert teacher.predict(digit_images.test).shape == (len(digit_images.test), 10)
    raw = dataclasses.replace(teacher, inputs="raw")
    grey_levels = dataclasses.replace(digit_images.test, x=torch.from_numpy(digit_images.test.raw)[:, None])
    torch.testing.assert_close(raw.predict(digit_images.test), teacher.predict(grey_levels))
    with pytest.raises(InputError, match="keep no raw inputs"):
        raw.predict(dataclasses.replace(digit_images.test, raw=None))


def test_fingerprint_of_a_fitted_estimator(digits):
    x, y = digits.pool.x.numpy(), digits.teacher_y.numpy()
    first, same, other = (GaussianNB(var_smoothing=v).fit(x, y) for v in (1e-2, 1e-2, 1e-1))
    prints = [EstimatorTeacher("a", e, 10).fingerprint for e in (first, same, other)]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.filterwarnings("ignore:lbfgs", "ignore:Stochastic Optimizer")
def test_sizes_by_hand(digits):
    x, y = digits.pool.x.numpy(), digits.teacher_y.numpy()
    logistic = LogisticRegression(max_iter=5, C=0.01).fit(x, y)
    assert EstimatorTeacher("a", logistic, 10).size()[0] == 64 * 10 + 10
    mlp = MLPClassifier((8,), max_iter=2).fit(x, y)
    assert (
        EstimatorTeacher("a", make_pipeline(StandardScaler(), mlp).fit(x, y), 10).size()[0] == 65 * 8 + 9 * 10
    )
    stump = RandomForestClassifier(2, max_depth=1, random_state=0).fit(x, y)
    # Each of two trees: one threshold, two leaves of ten class shares.
    assert EstimatorTeacher("a", stump, 10).size()[0] == 2 * (1 + 2 * 10)


def test_estimators_that_cannot_be_asked(digits):
    x, y = digits.pool.x.numpy()[:200], digits.teacher_y.numpy()[:200]
    with pytest.raises(InputError, match="'a': GaussianNB is not fitted"):
        EstimatorTeacher("a", GaussianNB(), 10).predict(digits.test)
    with pytest.raises(
        InputError, match="'a': SVC gives no probabilities; wrap it in CalibratedClassifierCV"
    ):
        EstimatorTeacher("a", SVC().fit(x, y), 10).predict(digits.test)
    with pytest.raises(InputError, match="'a': fitted to 30 features, the inputs have 64"):
        EstimatorTeacher("a", GaussianNB().fit(x[:, :30], y), 10).predict(digits.test)


@pytest.mark.parametrize(
    ("estimator", "params", "message"),
    [
        ("random_forest", {"n_estimator": 5}, "no parameter 'n_estimator'; did you mean 'n_estimators'"),
        ("random_forest", {"n_estimators": -5}, "'n_estimators' parameter"),
        ("svc", {"kernel": "rfb"}, "'kernel' parameter"),
    ],
)
def test_parameters_are_checked_before_any_training(estimator, params, message, digits):
    with pytest.raises(InputError, match=message):
        build("a", EstimatorConfig(estimator, params), digits, 0)


def test_only_listed_estimators():
    with pytest.raises(InputError, match="unknown value 'randm_forest'; did you mean 'random_forest'"):
        EstimatorConfig("randm_forest")


def test_an_svc_needs_two_examples_of_each_class(digits):
    y = digits.teacher_y.clone()
    nines = (y == 9).nonzero().flatten()
    y[nines[1:]] = -1
    data = dataclasses.replace(digits, teacher_y=y)
    with pytest.raises(InputError, match="class '9' has one example"):
        build("svm", EstimatorConfig("svc"), data, 0)


# ---- some of the classes -----------------------------------------------------------------------------------------
def test_a_teacher_of_some_classes_knows_those_before_and_after_training(digits):
    teacher = build("a", EstimatorConfig("gaussian_nb", classes=["3", "1", "8"]), digits, 0)
    assert teacher.known == (1, 3, 8)
    own = torch.isin(digits.teacher_y, torch.tensor([1, 3, 8]))
    expected = GaussianNB().fit(digits.pool.x[own], digits.teacher_y[own]).predict_proba(digits.test.x)
    z = teacher.predict(digits.test)
    np.testing.assert_allclose(z[:, [1, 3, 8]].exp(), expected, atol=1e-5)
    assert (z[:, [0, 2, 4, 5, 6, 7, 9]] == -torch.inf).all()
    assert teacher.trained().known == (1, 3, 8)
    assert build("a", EstimatorConfig("gaussian_nb"), digits, 0).known is None


def test_a_share_without_a_class_makes_a_teacher_that_does_not_know_it(digits):
    y = torch.where(digits.teacher_y == 4, -1, digits.teacher_y)
    teacher = build("a", EstimatorConfig("gaussian_nb"), dataclasses.replace(digits, teacher_y=y), 0)
    assert teacher.known == (0, 1, 2, 3, 5, 6, 7, 8, 9)
    by_name = EstimatorTeacher("a", GaussianNB().fit(np.eye(2), ["dog", "ape"]), 3, ("ape", "cat", "dog"))
    assert by_name.known == (0, 2)
