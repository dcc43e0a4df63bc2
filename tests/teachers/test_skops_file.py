"""Models in skops files: every family of scikit-learn that the run trains, and nothing that could run code."""

import operator
import sys
import types

import pytest
import skops.io
import torch
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mtbkd.errors import InputError
from mtbkd.teachers import EstimatorTeacher
from mtbkd.teachers.estimator import ESTIMATORS, EstimatorConfig, _calibrated_svc, _unfitted
from mtbkd.teachers.skops_file import SkopsFileConfig, build, load_skops


def shout(x):
    return x


def saved(estimator, folder, x, y):
    skops.io.dump(estimator.fit(x, y), folder / "model.skops")
    return str(folder / "model.skops")


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("family", [*ESTIMATORS, "pipeline"])
def test_what_the_run_can_train_can_be_brought(family, digits, tmp_path):
    y = digits.teacher_y[:300]
    if family == "pipeline":
        parts = [("a", GaussianNB()), ("b", LogisticRegression(max_iter=500))]
        estimator = make_pipeline(StandardScaler(), VotingClassifier(parts, voting="soft"))
    else:
        small = {"n_estimators": 5} if family in ("random_forest", "extra_trees") else {}
        small = {"max_iter": 2} if family in ("gradient_boosting", "mlp") else small
        estimator = _unfitted("a", EstimatorConfig(family, small), 0)
        if family == "svc":
            estimator = _calibrated_svc("a", estimator, y, digits.class_names)
    path = saved(estimator, tmp_path, digits.pool.x[:300].numpy(), y.numpy())
    teacher = build("mine", SkopsFileConfig(path), digits, 0)
    expected = EstimatorTeacher("mine", estimator, 10).predict(digits.test)
    torch.testing.assert_close(teacher.predict(digits.test), expected)


def test_a_function_is_refused_by_name_unless_it_is_trusted(digits, tmp_path):
    model = make_pipeline(FunctionTransformer(shout), GaussianNB(var_smoothing=0.1))
    path = saved(model, tmp_path, digits.pool.x.numpy(), digits.teacher_y.numpy())
    with pytest.raises(InputError, match=r"not trusted: .*test_skops_file\.shout.*teachers\.trusted"):
        build("mine", SkopsFileConfig(path), digits, 0)
    trusted = SkopsFileConfig(path, trusted=[f"{shout.__module__}.shout"])
    assert build("mine", trusted, digits, 0).predict(digits.test).shape == (len(digits.test), 10)


def test_an_operator_is_refused(digits, tmp_path):
    """What could call a method that the file names is never among the trusted types."""
    model = make_pipeline(FunctionTransformer(operator.methodcaller("copy")), GaussianNB(var_smoothing=0.1))
    path = saved(model, tmp_path, digits.pool.x.numpy(), digits.teacher_y.numpy())
    with pytest.raises(InputError, match=r"not trusted: operator\.methodcaller"):
        build("mine", SkopsFileConfig(path), digits, 0)


def test_class_names_or_indices(digits, tmp_path):
    x, y = digits.pool.x.numpy(), digits.teacher_y.numpy()
    path = saved(GaussianNB(var_smoothing=0.1), tmp_path, x, y + 100)
    with pytest.raises(InputError, match="its class '100' is not among the data's classes"):
        build("mine", SkopsFileConfig(path), digits, 0)
    with pytest.raises(InputError, match=r"fit it to class indices 0\.\.9"):
        build("mine", SkopsFileConfig(path, classes="indices"), digits, 0)


def test_files_that_are_no_models(digits, tmp_path):
    x, y = digits.pool.x.numpy(), digits.teacher_y.numpy()
    with pytest.raises(InputError, match="no file"):
        build("mine", SkopsFileConfig(str(tmp_path / "none.skops")), digits, 0)
    path = saved(GaussianNB(), tmp_path, x, y)
    cut = tmp_path / "cut.skops"
    with open(path, "rb") as file:
        cut.write_bytes(file.read()[:1000])
    with pytest.raises(InputError, match="not a skops file, or truncated"):
        load_skops(cut, [])
    skops.io.dump(GaussianNB(), tmp_path / "unfitted.skops")
    with pytest.raises(InputError, match="GaussianNB is not fitted"):
        build("mine", SkopsFileConfig(str(tmp_path / "unfitted.skops")), digits, 0)
    skops.io.dump({"a": 1}, tmp_path / "dict.skops")
    with pytest.raises(InputError, match="dict is not fitted"):
        build("mine", SkopsFileConfig(str(tmp_path / "dict.skops")), digits, 0)
    path = saved(GaussianNB(), tmp_path, x[:, :5], y)
    with pytest.raises(InputError, match="fitted to 5 features, the inputs have 64"):
        build("mine", SkopsFileConfig(path), digits, 0)


def test_a_trusted_type_of_a_package_that_is_not_installed_is_told(tmp_path, monkeypatch):
    package = types.ModuleType("their_package")
    package.shout = types.FunctionType(shout.__code__, {}, "shout")
    package.shout.__module__ = "their_package"
    monkeypatch.setitem(sys.modules, "their_package", package)
    skops.io.dump(FunctionTransformer(package.shout), tmp_path / "model.skops")
    trusted = ["their_package.shout"]
    assert load_skops(tmp_path / "model.skops", trusted).func is package.shout
    del package.shout
    with pytest.raises(InputError, match=r"model\.skops: .*'shout'.*scikit-learn 1\.\d+.*skops 0\.\d+"):
        load_skops(tmp_path / "model.skops", trusted)
    monkeypatch.delitem(sys.modules, "their_package")
    with pytest.raises(InputError, match=r"model\.skops: .*No module named 'their_package'.*install"):
        load_skops(tmp_path / "model.skops", trusted)


@pytest.mark.parametrize("fields", [{"classes": "name"}, {"inputs": "row"}])
def test_configurations_are_checked(fields):
    with pytest.raises(InputError, match="did you mean"):
        SkopsFileConfig("m.skops", **fields)
