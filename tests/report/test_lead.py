import copy
import dataclasses

import numpy as np
import pytest

from mtbkd.evaluation.diagnostics import Diagnostics
from mtbkd.evaluation.fit_diagnostics import diagnose_point
from mtbkd.report.content import TeacherVoices
from mtbkd.report.lead import lead


def with_metrics(content, **changed):
    metrics = copy.deepcopy(dict(content.metrics)) | changed
    return dataclasses.replace(content, metrics=metrics)


def voices(*shares):
    return TeacherVoices(
        ("a", "b", "c")[: len(shares)], np.tile(1 / len(shares), (4, len(shares))), np.tile(shares, (4, 1))
    )


def sensitive(**beyond):
    return {
        "sensitivity": {"teachers": {name: {"psens_beyond_chance": value} for name, value in beyond.items()}}
    }


def test_two_sentences(content):
    found = dataclasses.replace(content, voices=voices(0.2, 0.7, 0.1))
    assert list(lead(with_metrics(found, teaching=sensitive(a=0.01, b=0.3, c=0.06)))) == [
        "The Bayesian student is calibrated as far as 360 test inputs can tell (ECE 0.028; chance alone gives 0.020 to "
        "0.056), and its chains agree.",
        "Of its 3 teachers, b mattered most, with 70% of the responsibility for what it believes, c least, with 10%; "
        "its answers hang on the precision of b and c.",
    ]


@pytest.mark.parametrize(
    ("kind", "verdict", "words"),
    [
        ("exact", "converged", "its chains agree"),
        ("exact", "not converged", "its chains do not agree"),
        ("stochastic gradient", "doubtful", "whether its chains agree is in doubt"),
        ("variational", "converged", "its ELBO has settled"),
        ("laplace", "not applicable", "it is a normal at the mode, without chains that could agree"),
        (None, "not converged", "inference did not converge"),
    ],
)
def test_what_became_of_inference(content, kind, verdict, words):
    found = dataclasses.replace(content, diagnostics=Diagnostics(verdict, ["..."], kind=kind))
    joined = "and" if verdict in ("converged", "not applicable") else "but"
    assert next(lead(found)).endswith(f", {joined} {words}.")


def test_a_mode_has_no_chains(content):
    assert "it is one mode" in next(lead(dataclasses.replace(content, diagnostics=diagnose_point(None))))


def test_an_overconfident_student_is_called_so(content):
    student = content.metrics["student"] | {"ece": 0.1, "confidence": 0.99}
    assert next(lead(with_metrics(content, student=student))).startswith(
        "The Bayesian student is overconfident (ECE 0.100; chance alone gives at most 0.056)"
    )


@pytest.mark.parametrize(
    ("beyond", "words"),
    [
        ({"a": 0.1, "b": 0.1, "c": 0.1}, "hang on the precision of all of them."),
        ({"a": 0.1, "b": 0.0, "c": None}, "hang on the precision of a."),
        ({"a": 0.01, "b": 0.0, "c": 0.05}, "hang on no single one of them."),
        ({"a": None, "b": None, "c": None}, "c least, with 10%."),  # constant answers
        ({"a": 0.01, "b": 0.0, "c": None}, "c least, with 10%."),
    ],
)
def test_what_the_answers_hang_on(content, beyond, words):
    found = with_metrics(
        dataclasses.replace(content, voices=voices(0.2, 0.7, 0.1)), teaching=sensitive(**beyond)
    )
    assert list(lead(found))[1].endswith(words)


def test_one_teacher_is_named_and_none_is_not(content):
    assert list(lead(dataclasses.replace(content, voices=voices(1.0))))[1] == "Its one teacher is a."
    assert len(list(lead(dataclasses.replace(content, voices=None)))) == 1


def test_a_run_without_anything_says_nothing(bare):
    assert list(lead(bare)) == []
