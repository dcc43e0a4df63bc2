import copy
import dataclasses
import math

import numpy as np
import pytest

from mtbkd.evaluation.diagnostics import Diagnostics
from mtbkd.evaluation.fit_diagnostics import POINT, diagnose_point
from mtbkd.report.content import TestedModel, TestPredictions
from mtbkd.report.gains import gain
from mtbkd.report.lead import calibration_verdict
from mtbkd.report.verdict import answer


def with_student(content, **changed):
    metrics = copy.deepcopy(dict(content.metrics))
    metrics["student"] |= changed
    return dataclasses.replace(content, metrics=metrics)


def text(content):
    return " ".join(finding.text for finding in answer(content).findings)


def test_the_answer_carries_its_numbers(content):
    found = answer(content)
    assert (
        found.headline
        == "The student is right on 94.7% of test inputs, and its probabilities can be taken at their word"
    )
    said = text(content)
    assert (
        "On 360 test inputs the Bayesian student is right on 94.7%, its teachers together on 97.2%." in said
    )
    assert "2,410 weights, 482.0 kB with all posterior draws, and answers one input in 0.42 ms" in said
    assert "told apart well: AUROC 0.943 by total uncertainty and 0.968 by epistemic uncertainty" in said
    assert [tile.value for tile in found.tiles] == ["94.7%", "0.188", "0.028", "0.943", "converged"]


def test_gains_are_paired(content):
    # right at 0 to 5 of 10 inputs against right at 0 to 3: the difference is 0, ..., 0, 1, 1: mean .2, sd .4216
    y = np.zeros(10, int)
    right, wrong = [0.8, 0.2], [0.4, 0.6]
    student = TestPredictions(np.array([right] * 6 + [wrong] * 4), y, np.zeros(10))
    other = TestedModel("x", "label_only", np.array([right] * 4 + [wrong] * 6))
    found = gain(student, other)
    half = 2.262157 * math.sqrt(8 / 45 / 10)
    assert found.accuracy.mean == pytest.approx(0.2)
    assert found.accuracy.half == pytest.approx(half, rel=1e-6)
    assert found.nll.mean == pytest.approx(-0.2 * math.log(2))
    said = text(dataclasses.replace(content, test=student, models=(other,)))
    assert "Against the same student without teachers: +20.0 points of accuracy (−10.2 to +50.2)" in said
    assert "10 test inputs cannot tell the two apart." in said


@pytest.mark.parametrize(("better", "tone"), [(True, "good"), (False, "bad")])
def test_a_clear_gain_is_judged(content, better, tone):
    y = np.zeros(100, int)
    sure, unsure = np.tile([0.9, 0.1], (100, 1)), np.tile([0.45, 0.55], (100, 1))
    unsure[0] = [0.5, 0.5]  # without any spread there would be no interval to speak of
    mine, other = (sure, unsure) if better else (unsure, sure)
    changed = dataclasses.replace(
        content, test=TestPredictions(mine, y, np.zeros(100)), models=(TestedModel("x", "kd", other),)
    )
    finding = next(f for f in answer(changed).findings if "plain distillation" in f.text)
    assert finding.tone == tone


def test_a_model_that_excluded_a_class_has_no_nll_to_compare(content):
    test = TestPredictions(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, -1]), np.zeros(2))
    found = gain(test, TestedModel("x", "kd", np.array([[0.0, 1.0], [0.5, 0.5]])))
    assert found.nll is None
    assert found.accuracy.mean == 1
    assert gain(dataclasses.replace(test, y=np.array([-1, -1])), TestedModel("x", "kd", test.probs)) is None


@pytest.mark.parametrize(
    ("changed", "tone"),
    [
        ({}, "calibrated"),
        ({"ece": 0.1, "confidence": 0.99}, "overconfident"),
        ({"ece": 0.1, "confidence": 0.80}, "underconfident"),
        ({"ece": 0.01}, "calibrated"),
        ({"ece": 0.2, "ece_band_high": 0.4}, "untested"),
        ({"ece": 0.5, "ece_band_high": 0.4, "confidence": 0.5}, "underconfident"),
        ({"ece_high": 0.05}, "calibrated"),
        ({"ece_high": 0.051}, "unrefuted"),
        ({"ece_high": None}, "unrefuted"),
        # a standard error of sqrt(.9 * .1 / 100) = .03 of an accuracy of .9
        ({"ece": 0.1, "accuracy": 0.9, "n": 100, "confidence": 0.959}, "miscalibrated"),
        ({"ece": 0.1, "accuracy": 0.9, "n": 100, "confidence": 0.961}, "overconfident"),
        ({"ece": 0.1, "accuracy": 0.9, "n": 100, "confidence": 0.841}, "miscalibrated"),
        ({"ece": 0.1, "accuracy": 0.9, "n": 100, "confidence": 0.839}, "underconfident"),
        ({"ece": 0.1, "confidence": None}, "miscalibrated"),
        ({"ece_band_high": None}, "unknown"),
    ],
)
def test_calibration_is_judged_against_its_band(content, changed, tone):
    changed = with_student(content, **changed)
    assert calibration_verdict(changed.metrics["student"]) == tone
    if tone.endswith("confident"):
        assert tone in answer(changed).headline
        assert f"It is {tone}: it claims {changed.metrics['student']['confidence']:.1%}" in text(changed)


def test_not_refuted_is_not_confirmed(content):
    # 8 points overconfident on 100 inputs, which chance alone might make
    changed = with_student(
        content, n=100, accuracy=0.82, confidence=0.9, ece=0.105, ece_high=0.16, ece_band_high=0.12
    )
    found = answer(changed)
    assert found.headline.endswith("82.0% of test inputs; no miscalibration shows in 100 test inputs")
    assert found.lead[0].startswith(
        "No miscalibration of the Bayesian student shows in 100 test inputs (ECE 0.105; chance alone gives 0.020 to "
        "0.120)"
    )
    finding = next(one for one in found.findings if "calibration error" in one.text)
    assert finding.text.endswith("the true error may be up to 0.160.")
    tile = next(tile for tile in found.tiles if tile.label == "Calibration error")
    assert (finding.tone, tile.tone) == ("plain", "plain")


def test_errors_in_both_directions_are_called_so(content):
    found = answer(with_student(content, ece=0.1))  # of a mean confidence of 94.0%, right on 94.7%
    assert found.headline.endswith(", but its probabilities are off in both directions")
    assert found.lead[0].startswith(
        "The Bayesian student is miscalibrated in both directions (ECE 0.100; chance alone gives at most 0.056), "
        "but its"
    )
    finding = next(one for one in found.findings if "ECE" in one.text)
    assert finding.text.startswith(
        "It is miscalibrated in both directions: it claims 94.0% on average and is right on 94.7%"
    )
    assert finding.tone == next(t for t in found.tiles if t.label == "Calibration error").tone == "bad"


def test_few_inputs_praise_nobody(content):
    few = with_student(content, n=6, ece=0.2, ece_band_low=0.09, ece_band_high=0.4)
    found = answer(few)
    assert found.headline.endswith("so few inputs do not tell whether its probabilities can be trusted")
    assert found.lead[0].startswith(
        "6 test inputs are too few to tell whether the Bayesian student is calibrated"
    )
    assert next(tile for tile in found.tiles if tile.label == "Calibration error").tone == "plain"


def test_failed_inference_is_in_the_headline(content):
    failed = dataclasses.replace(content, diagnostics=Diagnostics("not converged", ["R-hat is 2."]))
    assert "inference has not converged" in answer(failed).headline
    assert answer(failed).findings[-1].tone == "bad"
    assert answer(failed).findings[-1].text == "Inference: not converged. R-hat is 2."


@pytest.mark.parametrize(
    ("kind", "called", "stored"),
    [
        ("point", "the student is", "482.0 kB, and"),
        ("ensemble", "the ensemble of students is", "482.0 kB with all members, and"),
        ("variational", "the Bayesian student is", "482.0 kB with all posterior draws, and"),
    ],
)
def test_the_student_is_called_what_it_is(content, kind, called, stored):
    metrics = dict(content.metrics) | {"diagnostics": {"kind": kind}}
    said = text(dataclasses.replace(content, metrics=metrics))
    assert f"On 360 test inputs {called} right on 94.7%" in said
    assert stored in said


def test_a_mode_is_told_without_a_verdict(content):
    point = dataclasses.replace(content, diagnostics=diagnose_point(None))
    last = answer(point).findings[-1]
    assert (last.tone, last.text) == ("plain", POINT)
    assert "converged" not in answer(point).headline


def test_without_labels_it_says_so(content):
    unscored = dataclasses.replace(content, metrics={"student": {"accuracy": None, "parameters": 10}})
    assert "no labelled test input" in answer(unscored).headline
    assert answer(unscored).tiles[0].value == "–"
