"""Two teachers that know half of the digits each: what a student learns of both, and what as many zeros would teach."""

import dataclasses
import json

import numpy as np
import pytest
import tiny_runs
import torch
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB
from torch import nn

from mtbkd import MTBKDClassifier
from mtbkd.data.digits import DigitsConfig, load
from mtbkd.fitting import fit
from mtbkd.inference import MAPConfig
from mtbkd.pipeline import run
from mtbkd.priors import DirichletMixture
from mtbkd.run_directory import RunDirectory
from mtbkd.students.mlp import mlp
from mtbkd.students.student import Student
from mtbkd.teachers import BankCache, TeachersConfig, TorchTeacher, ask_all, build_teachers
from mtbkd.teachers.coverage import Columns
from mtbkd.weighting import entropy


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """The digits with 29 labels, and the banks of the two teachers."""
    data = load(DigitsConfig(labelled_fraction=0.02, ood="none"), 0)
    of = {"low": [str(k) for k in range(5)], "high": [str(k) for k in range(5, 10)]}
    recipe = {"kind": "estimator", "estimator": "logistic_regression"}
    config = TeachersConfig(members={name: recipe | {"classes": own} for name, own in of.items()})
    cache = BankCache(tmp_path_factory.mktemp("cache"))
    banks, _ = ask_all(build_teachers(config, data, 0), {"pool": data.pool, "test": data.test}, cache)
    return data, banks


def accuracy_of_student(data, bank):
    prior = None if bank is None else DirichletMixture(bank, entropy(bank), 10.0)
    student = Student(mlp(64, [32], 10), prior)
    engine = MAPConfig(steps=300, learning_rate=0.02)
    posterior = fit(student, data, engine, seed=0, progress=False, compiled="never")
    return (posterior.predict(data.test.x).probs.mean(0).argmax(-1) == data.test.y).float().mean().item()


def test_a_student_of_two_halves_knows_all_digits(halves):
    data, banks = halves
    assert int((data.pool.y >= 0).sum()) == 29
    assert banks["pool"].classes.tolist() == [[True] * 5 + [False] * 5, [False] * 5 + [True] * 5]
    alone = (banks["test"].completed_probs().argmax(-1) == data.test.y).float().mean(-1)
    assert (alone < 0.52).all()
    assert accuracy_of_student(data, banks["pool"]) > 0.87


@pytest.mark.slow
def test_the_same_teachers_with_zeros_in_the_place_of_what_they_do_not_know_mislead_it(halves):
    data, banks = halves
    labels_alone = accuracy_of_student(data, None)
    zeros = accuracy_of_student(data, dataclasses.replace(banks["pool"], classes=None))
    assert zeros < labels_alone < accuracy_of_student(data, banks["pool"]) - 0.1


# ---- from Python ---------------------------------------------------------------------------------------------------
def test_the_classifier_hears_of_a_teacher_what_its_labels_are():
    x, y = load_digits(return_X_y=True)
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])[y]
    own = np.isin(names, ["two", "nine", "four"])
    torch.manual_seed(0)
    net = TorchTeacher(
        "net", nn.Linear(64, 2), columns=Columns.named("net", ["six", "one"], sorted(set(names)))
    )
    teachers = {"three": GaussianNB().fit(x[own], names[own]), "all": GaussianNB(), "net": net}
    engine = MAPConfig(steps=5)
    classifier = MTBKDClassifier(teachers, hidden=(), inference=engine, random_state=0).fit(x, names)
    known = [set(classifier.classes_[row]) for row in classifier.bank_.classes.numpy()]
    assert known == [{"two", "nine", "four"}, set(names), {"six", "one"}]
    whole = MTBKDClassifier([GaussianNB()], hidden=(), inference=engine, random_state=0).fit(x, names)
    assert whole.bank_.classes is None


@pytest.mark.filterwarnings("ignore:1 of 10 classes have no labelled")
def test_a_classifier_fitted_to_labels_that_lack_a_class_does_not_know_it():
    x, y = load_digits(return_X_y=True)
    seen = np.where(y == 8, -1, y)
    taught = GaussianNB().fit(x[y >= 8], y[y >= 8])
    teachers = {"eight-nine": taught, "fitted here": GaussianNB()}
    engine = MAPConfig(steps=5)
    classifier = MTBKDClassifier(teachers, hidden=(), inference=engine, random_state=0).fit(x, seen)
    assert classifier.bank_.classes.tolist() == [[False] * 8 + [True] * 2, [k != 8 for k in range(10)]]


# ---- a run ---------------------------------------------------------------------------------------------------------
def test_a_run_completes_what_a_teacher_does_not_know_and_scores_all_on_the_same_rows(tmp_path):
    words = [word for word in tiny_runs.tiny_overrides(tmp_path) if "teachers" not in word]
    member = "teachers.members.forest"
    quick = ["report=none", "~teachers.members.boosting", f"{member}.params.n_estimators=5"]
    chosen = [f"{member}.classes=[ant,cow]", f"{member}.view=size", "+data.views.size=[length]"]
    config = tiny_runs.resolved(*words, "teachers=table_trio", f"teachers.cache={tmp_path}", *quick, *chosen)
    run(config, RunDirectory(tmp_path / "run"), "mtbkd")
    said = np.load(tmp_path / "run" / "predictions.npz")
    forest = said["test_teachers"][0]
    np.testing.assert_allclose(forest[:, 1], 1 / 3, atol=1e-6)
    np.testing.assert_allclose(forest.sum(-1), 1, atol=1e-5)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    own = forest[np.arange(len(forest)), said["test_y"]]
    assert (said["test_y"] == 1).any()
    assert metrics["teachers"]["forest"]["nll"] == pytest.approx(-np.log(own).mean(), rel=1e-4)
    mixed = said["test_teachers"].mean(0)[np.arange(len(forest)), said["test_y"]]
    assert metrics["teacher_ensemble"]["nll"] == pytest.approx(-np.log(mixed).mean(), rel=1e-4)
