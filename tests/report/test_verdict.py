import copy
import dataclasses

import pytest

from mtbkd.evaluation.diagnostics import Diagnostics
from mtbkd.evaluation.fit_diagnostics import POINT, diagnose_point
from mtbkd.report.verdict import answer, calibration_verdict


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
    assert "Against the same student without teachers: +3.3 points of accuracy, NLL 0.188 for 0.301" in said
    assert "2,410 weights, 482.0 kB with all posterior draws, and answers one input in 0.42 ms" in said
    assert "told apart well: AUROC 0.943 by total uncertainty and 0.968 by epistemic uncertainty" in said
    assert [tile.value for tile in found.tiles] == ["94.7%", "0.188", "0.028", "0.943", "converged"]


def test_a_difference_within_chance_is_said_to_be_one(content):
    # sqrt(.947 * .053 / 360 + .914 * .086 / 360) = 1.89 points: 3.3 is less than twice that
    assert "360 test inputs cannot tell accuracies less than 3.8 points apart" in text(content)
    clear = next(
        f for f in answer(with_student(content, accuracy=0.99)).findings if "without teachers" in f.text
    )
    assert clear.tone == "good"
    worse = next(
        f for f in answer(with_student(content, accuracy=0.7)).findings if "without teachers" in f.text
    )
    assert worse.tone == "bad"
    assert "-21.4 points" in worse.text


@pytest.mark.parametrize(
    ("changed", "tone"),
    [
        ({}, "calibrated"),
        ({"ece": 0.1, "confidence": 0.99}, "overconfident"),
        ({"ece": 0.1, "confidence": 0.80}, "underconfident"),
        ({"ece": 0.01}, "calibrated"),
        ({"ece_band_high": None}, "unknown"),
    ],
)
def test_calibration_is_judged_against_its_band(content, changed, tone):
    changed = with_student(content, **changed)
    assert calibration_verdict(changed.metrics["student"]) == tone
    if tone.endswith("confident"):
        assert tone in answer(changed).headline
        assert f"It is {tone}: it claims {changed.metrics['student']['confidence']:.1%}" in text(changed)


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
