import dataclasses

import numpy as np
import pytest

from mtbkd.evaluation.chain_diagnostics import diagnose_chains
from mtbkd.report.content import (
    ChainTraces,
    Opinion,
    OutOfDistribution,
    ReportContent,
    TeacherVoices,
    TestedModel,
    TestPredictions,
    UnsureInput,
)
from mtbkd.report.page import render

CLASSES = tuple(f"digit {k}" for k in range(10))
TEACHERS = ("ensemble of five", "random forest", "support vectors")


def model(accuracy, nll, brier, ece, parameters, stored_bytes, latency_ms, **more):
    return locals() | more | {"n": 360}


def example_metrics():
    band = {"ece_band_low": 0.020, "ece_band_high": 0.056}
    return {
        "teachers": {
            "ensemble of five": model(0.956, 0.152, 0.066, 0.031, 25_450, 101_800, 0.34, **band),
            "random forest": model(0.950, None, 0.131, 0.183, None, 2_404_133, 5.21, impossible=0.0028, **band),
            "support vectors": model(0.967, 0.121, 0.052, 0.019, None, 310_442, 1.13, **band),
        },
        "teacher_ensemble": model(0.972, 0.143, 0.056, 0.071, None, None, 6.9, **band),
        "label_only_student": model(0.914, 0.301, 0.131, 0.033, 2410, 482_000, 0.42, **band),
        "kd_student": model(0.936, 0.219, 0.098, 0.039, 2410, 9_640, 0.08, **band),
        "student": model(
            0.947, 0.188, 0.083, 0.028, 2410, 482_000, 0.42, ece_low=0.0, ece_high=0.031, ece_adaptive=0.024,
            ece_classwise=0.011, confidence=0.94, accuracy_at_80=0.993, accuracy_at_90=0.981, **band,
        ),
        "conformal": conformal_metrics(),
        "timing": {"teachers_s": 4.21, "student_s": 9.87, "resumed_from_step": None},
        "versions": {"mtbkd": "0.1.0", "torch": "2.13.0", "pyro": "1.9.2"},
    }  # fmt: skip


def conformal_metrics():
    sets = {
        "alpha": 0.1, "threshold": 0.8, "calibration_rows": 200, "test_rows": 360, "coverage": 0.911,
        "expected_low": 0.847, "expected_high": 0.944, "mean_size": 1.25, "empty": 0.0, "single": 0.8,
        "coverage_by_class": [0.9] * 9 + [None], "size_by_class": [1.0 + 0.1 * k for k in range(9)] + [None],
    }  # fmt: skip
    return {
        "alphas": [0.1],
        "calibration_rows": 200,
        "test_rows": 360,
        "student": {"threshold": [sets], "aps": [sets | {"coverage": 0.897, "mean_size": 1.62}]},
        "kd_student": {"threshold": [sets | {"mean_size": 1.41}], "aps": [sets]},
        "label_only_student": None,
    }


def probabilities(rng, *shape, sharpness=4.0):
    e = np.exp(sharpness * rng.standard_normal((*shape, 10)))
    return e / e.sum(-1, keepdims=True)


def entropy(p):
    return -(p * np.log(p)).sum(-1)


def unsure_input(rng, i):
    p = probabilities(rng, sharpness=1.5)
    return UnsureInput(
        id=f"row {i}",
        value=rng.integers(0, 256, (8, 8), dtype=np.uint8),
        student=Opinion("student", p, np.clip(p - 0.15, 0, 1), np.clip(p + 0.15, 0, 1)),
        teachers=tuple(Opinion(name, probabilities(rng, sharpness=2.5)) for name in TEACHERS),
        total=float(entropy(p)),
        epistemic=0.3 * float(entropy(p)),
        truth=int(rng.integers(10)),
    )


@pytest.fixture
def content():
    return example_content()


@pytest.fixture(scope="session")
def rendered_content():
    """The example, not to be changed."""
    return example_content()


@pytest.fixture(scope="session")
def rendered(rendered_content):
    """The page of the example: drawn once, read by many tests."""
    return render(rendered_content)


def example_content():
    rng = np.random.default_rng(0)
    probs = probabilities(rng, 360)
    y = (probs.cumsum(1) > rng.random((360, 1))).argmax(1)
    far = probabilities(rng, 300, sharpness=1.2)
    energy = -200 + rng.standard_normal((4, 250))
    chains = rng.beta(2, 5, (4, 250, 6))
    weights = rng.dirichlet([30, 20, 30], 500)
    responsibilities = rng.dirichlet([3, 0.6, 4], 500)
    return ReportContent(
        title="digits, entropy weights, HMC",
        metrics=example_metrics(),
        class_names=CLASSES,
        command="mtbkd data=digits inference=hmc seed=0",
        config="data:\n  name: digits\n  labelled_fraction: 0.2\nseed: 0\n",
        facts={"data": "digits", "labelled": "230 of 1,149", "engine": "hmc", "prior": "Dirichlet mixture"},
        test=TestPredictions(probs, y, entropy(probs), 0.25 * entropy(probs) * rng.random(360)),
        models=(
            *(TestedModel(name, "teacher", probabilities(rng, 360)) for name in TEACHERS),
            TestedModel("Teacher ensemble", "ensemble", probabilities(rng, 360, sharpness=2.0)),
            TestedModel("Student, labels only", "label_only", probabilities(rng, 360)),
            TestedModel("Student, plain KD", "kd", probabilities(rng, 360)),
        ),
        ood=OutOfDistribution(
            "scrambled digits",
            entropy(far),
            0.4 * entropy(far),
            {
                "total": {"auroc": 0.943, "aupr": 0.921, "fpr95": 0.214},
                "epistemic": {"auroc": 0.968, "aupr": 0.957, "fpr95": 0.121},
            },
        ),
        voices=TeacherVoices(TEACHERS, weights, responsibilities),
        diagnostics=diagnose_chains(energy, chains, divergences=0, acceptance=0.71),
        traces=ChainTraces(energy, chains, tuple(f"digit 1 at row {i}" for i in range(6)), 700 - energy),
        losses=1 + np.exp(-np.arange(4000) / 400) + 0.05 * rng.standard_normal(4000),
        least_sure=tuple(unsure_input(rng, i) for i in range(6)),
        created="2026-01-31 12:00 UTC",
    )


@pytest.fixture
def bare():
    """A run that has nothing optional."""
    return dataclasses.replace(
        example_content(),
        metrics={"student": {"accuracy": 0.9}},
        facts={},
        test=None,
        models=(),
        ood=None,
        voices=None,
        diagnostics=None,
        traces=None,
        losses=None,
        least_sure=None,
        created=None,
    )
