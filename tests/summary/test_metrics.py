import math
from types import SimpleNamespace

import pytest
import torch

from mtbkd.evaluation.scores import evaluate
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary
from mtbkd.summary.findings import of_teachers
from mtbkd.summary.metrics import (
    COSTS,
    SCORES,
    class_metrics,
    comparison_metrics,
    conformal_metrics,
    model_metrics,
    teacher_metrics,
    validation_metrics,
    without_nan,
)
from mtbkd.teachers import TeacherBank


def said(rows) -> PredictionSummary:
    return PredictionSummary.of(Prediction(torch.tensor([rows])))


SURE = said([[0.9, 0.1], [0.2, 0.8]])
UNSURE = said([[0.5, 0.5], [0.6, 0.4], [0.5, 0.5]])
COST = {"parameters": 7, "stored_bytes": 28, "latency_ms": 0.5, "seconds": 1.0}


def test_scores_detection_and_costs_of_one_model():
    found = model_metrics({"test": SURE, "ood": UNSURE}, torch.tensor([0, 1]), COST)
    assert found["accuracy"] == 1
    assert found["nll"] == pytest.approx(-(math.log(0.9) + math.log(0.8)) / 2, rel=1e-6)
    assert found["brier"] == pytest.approx((2 * 0.01 + 2 * 0.04) / 2, rel=1e-6)
    # Every outsider is less sure than every test input.
    assert found["ood"]["total"]["auroc"] == 1
    assert found["ood"]["epistemic"] is None
    assert {key: found[key] for key in COSTS} == {key: COST[key] for key in COSTS}
    assert found.keys() >= evaluate(SURE, torch.tensor([0, 1])).keys()


@pytest.mark.parametrize(
    ("splits", "y"),
    [
        ({}, []),
        ({"test": SURE}, [-1, -1]),
        ({"test": said([[float("nan")] * 2] * 2)}, [0, 1]),
    ],
    ids=["no test rows", "no labels", "no numbers"],
)
def test_undefined_scores_are_none(splits, y):
    found = model_metrics({**splits, "ood": UNSURE}, torch.tensor(y, dtype=torch.int64), {})
    assert {found[key] for key in (*SCORES, *COSTS)} == {None}
    assert (found["ood"] is None) == ("test" not in splits or not splits["test"].finite)


def test_detection_needs_no_labels():
    found = model_metrics({"test": SURE, "ood": UNSURE}, torch.tensor([-1, -1]), {})
    assert found["ood"]["total"]["auroc"] == 1


def test_students_are_scored_on_labelled_validation_rows():
    astray = said([[float("nan")] * 2] * 2)
    students = {"student": {"test": UNSURE, "validation": SURE}, "kd_student": {"validation": astray}}
    found = validation_metrics(torch.tensor([0, -1]), SimpleNamespace(students=students))
    nll, brier, ece = -math.log(0.9), 2 * 0.01, 0.1
    assert found["student"] == pytest.approx(
        {"accuracy": 1, "nll": nll, "brier": brier, "ece": ece}, rel=1e-5
    )
    assert found["kd_student"] == dict.fromkeys(SCORES)
    assert found["label_only_student"] is None


@pytest.mark.parametrize("y", [[], [-1, -1]], ids=["no rows", "no labels"])
def test_without_labelled_validation_rows_there_are_no_validation_scores(y):
    students = {"student": {"validation": SURE} if y else {}}
    findings = SimpleNamespace(students=students)
    assert validation_metrics(torch.tensor(y, dtype=torch.int64), findings) is None


def test_each_class_has_its_scores():
    found = class_metrics(SURE, torch.tensor([0, 1]), ("cat", "dog"))
    assert found["class_names"] == ["cat", "dog"]
    assert found["confusion"] == [[1, 0], [0, 1]]
    assert found["support"] == found["named"] == [1, 1]
    # Of each class .9 and .2, or .1 and .8, against 1 and 0, or 0 and 1.
    assert found["ece"] == pytest.approx([0.15, 0.15])
    many = said(torch.eye(101)[:2].tolist())
    names = [str(k) for k in range(101)]
    assert class_metrics(many, torch.tensor([0, 1]), names)["confusion"] is None
    assert class_metrics(SURE, torch.tensor([-1, -1]), ("cat", "dog")) is None
    assert class_metrics(None, torch.tensor([], dtype=torch.int64), ("cat", "dog")) is None


def test_conformal_sets_of_each_student():
    """Nine validation rows are just enough for alpha .1, not for .05: the threshold is their largest score."""
    known = said([[0.9, 0.1]] * 8 + [[0.4, 0.6]])
    students = {"student": {"validation": known, "test": UNSURE}, "kd_student": {"test": UNSURE}}
    findings = SimpleNamespace(students=students)
    zeros, y = torch.zeros(9, dtype=torch.int64), torch.tensor([0, 1, -1])
    found = conformal_metrics(zeros, y, findings)
    assert (found["alphas"], found["calibration_rows"], found["test_rows"]) == ([0.1], 9, 2)
    (by_threshold,), (adaptive,) = found["student"]["threshold"], found["student"]["aps"]
    # 1 - .4 = .6: both classes of (.5, .5) and of (.6, .4).
    assert by_threshold["threshold"] == pytest.approx(0.6)
    assert (by_threshold["alpha"], by_threshold["mean_size"]) == (0.1, 2)
    assert adaptive.keys() == by_threshold.keys()
    assert found["kd_student"] is found["label_only_student"] is None
    assert conformal_metrics(zeros[1:], y, findings) is None
    assert conformal_metrics(zeros, torch.tensor([-1, -1, -1]), findings) is None


def test_teachers_are_compared_with_each_other_and_with_the_student():
    teachers = {"a": SURE, "b": said([[0.1, 0.9], [0.2, 0.8]])}
    findings = SimpleNamespace(teachers={"test": teachers}, students={"student": {"test": teachers["b"]}})
    found = comparison_metrics(findings)
    assert (found["names"], found["rows"]) == (["a", "b"], 2)
    assert found["disagreement"] == [[0, 0.5], [0.5, 0]]
    assert found["total_variation"][0] == pytest.approx([0, 0.4])
    assert found["student"]["disagreement"] == [0.5, 0]
    assert found["student"]["total_variation"] == pytest.approx([0.4, 0])
    assert comparison_metrics(SimpleNamespace(teachers={}, students={"student": {}})) is None


def test_what_is_no_number_becomes_none():
    assert without_nan({"a": [1.5, float("nan")], "b": {"c": float("inf")}, "d": (2, "x")}) == {
        "a": [1.5, None],
        "b": {"c": None},
        "d": [2, "x"],
    }


def test_teachers_are_scored_on_the_same_rows_also_where_they_do_not_know_the_class():
    """Of two classes told 3 : 1 in two thirds, and a third for the one that is not known."""
    said_of = {"part": torch.tensor([[0.75, 0.25]] * 2), "whole": torch.tensor([[0.2, 0.3, 0.5]] * 2)}
    bank = TeacherBank.from_probs(said_of, classes={"part": [0, 1]})
    problem = SimpleNamespace(
        data=SimpleNamespace(test=SimpleNamespace(y=torch.tensor([0, 2]))), banks={"pool": bank, "test": bank}
    )
    teachers, ensemble = teacher_metrics(problem, SimpleNamespace(teachers={"test": of_teachers(bank)}))
    assert teachers["part"]["nll"] == pytest.approx(-(math.log(1 / 2) + math.log(1 / 3)) / 2, rel=1e-5)
    assert teachers["part"]["accuracy"] == 0.5
    assert teachers["whole"]["nll"] == pytest.approx(-(math.log(0.2) + math.log(0.5)) / 2, rel=1e-5)
    mixed = (1 / 2 + 0.2) / 2, (1 / 3 + 0.5) / 2
    assert ensemble["nll"] == pytest.approx(-sum(map(math.log, mixed)) / 2, rel=1e-5)
