"""metrics.json: every model's scores and costs, in one shape; None where undefined, never NaN."""

import math
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from statistics import median
from typing import Any, TypeGuard

import torch
from torch import Tensor

from mtbkd.evaluation.agreement import agreement, total_variation
from mtbkd.evaluation.conformal import (
    aps_scores,
    calibration_rows_for,
    conformal_coverage,
    threshold_scores,
)
from mtbkd.evaluation.per_class import per_class
from mtbkd.evaluation.scores import evaluate
from mtbkd.evaluation.teacher_comparison import compare_teachers
from mtbkd.evaluation.uncertainty import ood_scores
from mtbkd.posterior import Posterior
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary
from mtbkd.problem import Problem
from mtbkd.summary.findings import Findings, Models
from mtbkd.summary.known_truth import against_truth
from mtbkd.summary.teaching import teaching
from mtbkd.teachers.bank import TeacherCost

Metrics = dict[str, Any]
STUDENTS = ("student", "kd_student", "label_only_student")
SCORES = ("accuracy", "nll", "brier", "ece")
COSTS = ("parameters", "stored_bytes", "latency_ms")
ALPHAS = (0.1, 0.05, 0.01)  # shares of inputs whose conformal set may miss the class
CONFUSION_CLASSES = 100  # classes up to which the confusion matrix is kept
PACKAGES = ("mtbkd", "torch", "pyro-ppl", "numpy", "arviz", "scikit-learn")


def metrics_of(
    problem: Problem, models: Models, findings: Findings, timing: Mapping[str, float | None]
) -> Metrics:
    """Everything of metrics.json; a model that was not fitted is None."""
    y = problem.data.test.y
    students = {
        name: model_metrics(findings.students[name], y, costs_of(posterior, problem.data.pool.x[:1]))
        | {"truth": against_truth(posterior, problem.data.test)}
        for name, posterior in models.named.items()
    }
    teachers, ensemble = teacher_metrics(problem, findings)
    pool = problem.data.pool
    found = {
        "student": students["student"],
        "teachers": teachers,
        "teacher_ensemble": ensemble,
        "kd_student": students.get("kd_student"),
        "label_only_student": students.get("label_only_student"),
        "per_class": class_metrics(findings.students["student"].get("test"), y, problem.data.class_names),
        "conformal": conformal_metrics(problem.data.validation.y, y, findings),
        "teacher_comparison": comparison_metrics(findings),
        "teaching": teaching(problem, models.student, findings.rows.x),
        "pool": {
            "rows": len(pool),
            "labelled": int((pool.y >= 0).sum()),
            "made_by_augmentation": int(pool.made.sum()),
        },
        "validation": validation_metrics(problem.data.validation.y, findings),
        "diagnostics": asdict(findings.diagnostics),
        # The step that a fit went on from, where one was stopped.
        "timing": {"resumed_from_step": None, **timing},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }
    return {name: without_nan(value) for name, value in found.items()}


def model_metrics(said: Mapping[str, PredictionSummary], y: Tensor, costs: Mapping[str, Any]) -> Metrics:
    """Scores of one model on the test rows, its detection of out-of-distribution inputs, and its costs.

    said: by split; y: `[n]` labels of the test rows, -1 unknown
    """
    test, ood = said.get("test"), said.get("ood")
    detected = None
    if test is not None and ood is not None and test.finite and ood.finite:
        detected = ood_scores(test, ood)
    return {**scores_of(test, y), "ood": detected, **{key: costs.get(key) for key in COSTS}}


def scores_of(said: PredictionSummary | None, y: Tensor) -> Metrics:
    """Scores of what a model says of rows with labels `y [n]`, -1 unknown; None where undefined."""
    if not scorable(said, y):
        return dict.fromkeys(SCORES)
    return dict(evaluate(said, y))


def scorable(said: PredictionSummary | None, y: Tensor) -> TypeGuard[PredictionSummary]:
    """Whether there are predictions, all of them numbers, and a label."""
    return said is not None and said.finite and bool((y >= 0).any())


def validation_metrics(y: Tensor, findings: Findings) -> Metrics | None:
    """Accuracy, NLL, Brier and ECE of each student on the validation rows, by which settings may be chosen.

    y: `[n]` labels of the validation rows, -1 unknown; None where there is no labelled one. Teachers are left out:
    their temperature may have been fitted to these rows.
    """
    if not bool((y >= 0).any()):
        return None
    found: Metrics = dict.fromkeys(STUDENTS)
    for name, said in findings.students.items():
        scores = scores_of(said.get("validation"), y)
        found[name] = {score: scores[score] for score in SCORES}
    return found


def class_metrics(said: PredictionSummary | None, y: Tensor, names: Sequence[str]) -> Metrics | None:
    """What the student is worth in each class, of the test rows; None where nothing is labelled.

    returns: class_names; support, named, precision, recall, f1, ece: a list over classes; confusion: rows of true
        classes, columns of named ones, None for more than `CONFUSION_CLASSES` (`evaluation.per_class.PerClass`)
    """
    if not scorable(said, y):
        return None
    found: Metrics = {name: values.tolist() for name, values in vars(per_class(said, y)).items()}
    if len(names) > CONFUSION_CLASSES:
        found["confusion"] = None
    return {"class_names": list(names), **found}


def conformal_metrics(y_validation: Tensor, y_test: Tensor, findings: Findings) -> Metrics | None:
    """Conformal sets of each student, of thresholds from the validation rows, on the test rows.

    returns: alphas, those of `ALPHAS` that so many validation rows can promise; calibration_rows, test_rows; student,
        kd_student, label_only_student: {"threshold": [...], "aps": [...]}, an entry for each alpha with what
        `evaluation.conformal.ConformalCoverage` has, None for a student that was not fitted. None where rows of either
        split have no labels, or no alpha is left.
    Validation rows may have been used to fit teachers' temperatures, to choose teachers or settings: then they are not
    quite exchangeable with test rows (see there), and a coverage below `expected_low` tells that it matters.
    """
    rows, asked_rows = (int((y >= 0).sum()) for y in (y_validation, y_test))
    alphas = [alpha for alpha in ALPHAS if rows >= calibration_rows_for(alpha)]
    if not alphas or not asked_rows:
        return None
    found: Metrics = dict.fromkeys(STUDENTS)
    for name, by_split in findings.students.items():
        known, asked = by_split.get("validation"), by_split.get("test")
        if known is not None and known.finite and asked is not None and asked.finite:
            found[name] = {
                kind: [
                    asdict(conformal_coverage(known, y_validation, asked, y_test, score, a)) for a in alphas
                ]
                for kind, score in (("threshold", threshold_scores), ("aps", aps_scores))
            }
    return {"alphas": alphas, "calibration_rows": rows, "test_rows": asked_rows, **found}


def comparison_metrics(findings: Findings) -> Metrics | None:
    """How far teachers are from one another and from the student at the test inputs; None where they were not asked.

    returns: names `[M]`; rows; disagreement, total_variation: M lists of M (`evaluation.teacher_comparison`); student:
        the same two of the student against each teacher, lists of M, None where it gives no numbers
    """
    said = findings.teachers.get("test")
    if not said or not all(one.finite and len(one) for one in said.values()):
        return None
    means = torch.stack([one.mean.cpu() for one in said.values()])
    pairs, student = compare_teachers(means), findings.students["student"]["test"]
    against = {
        "disagreement": [1 - agreement(student, probs) for probs in means],
        "total_variation": [total_variation(student, probs) for probs in means],
    }
    return {
        "names": list(said),
        "rows": means.shape[1],
        "disagreement": pairs.disagreement.tolist(),
        "total_variation": pairs.total_variation.tolist(),
        "student": against if student.finite else None,
    }


def teacher_metrics(problem: Problem, findings: Findings) -> tuple[Metrics, Metrics]:
    """The same of each teacher, and of the mean of their probabilities, which costs what all do together.

    All are scored on the same rows, of classes that a teacher does not know too: there it gives 1 / K to each such
    class (`TeacherBank.completed_probs`), so it names none of them rightly, and its NLL stays finite.
    """
    y, bank = problem.data.test.y, problem.banks["pool"]
    costs = [asdict(cost or TeacherCost()) for cost in bank.costs or [None] * bank.num_teachers]
    teachers = {
        name: model_metrics({split: said[name] for split, said in findings.teachers.items()}, y, cost)
        | {"seconds": cost["seconds"]}
        for name, cost in zip(bank.names, costs, strict=True)
    }
    means = {
        split: PredictionSummary.of(Prediction(problem.banks[split].completed_probs().mean(0)[None]))
        for split in findings.teachers
    }
    known = {key: [cost[key] for cost in costs] for key in COSTS}
    together = {key: None if None in values else sum(values) for key, values in known.items()}
    return teachers, model_metrics(means, y, together)


def costs_of(posterior: Posterior, one: Tensor) -> dict[str, Any]:
    """Size of a posterior, and its time for one input `[1, ...]`."""
    return {
        "parameters": posterior.num_weights,
        "stored_bytes": posterior.stored_bytes,
        "latency_ms": latency(posterior, one),
    }


def latency(posterior: Posterior, one: Tensor, repeats: int = 15) -> float:
    """Median milliseconds to predict one input with all draws, on this machine."""
    posterior.predict(one)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        posterior.predict(one)
        times.append(time.perf_counter() - began)
    return 1000 * median(times)


def without_nan(value: Any) -> Any:
    """The same with None in the place of numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
