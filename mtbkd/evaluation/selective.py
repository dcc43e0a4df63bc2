"""Selective prediction: what is gained by answering only where the student is sure."""

import math

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.errors import InputError
from mtbkd.evaluation.ties import mean_over_ties


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The risk-coverage curve: error rate among the most confident, for every number kept.

    confidence: `[n]`, larger is surer (the largest mean probability, or a negative uncertainty)
    correct: `[n]` bool
    returns: coverage `[n]` = 1/n, ..., 1 and risk `[n]`, the expectation over random orders of ties
    Source: El-Yaniv and Wiener 2010.
    """
    sure = np.asarray(confidence, dtype=np.float64)
    error = mean_over_ties(1.0 - np.asarray(correct, dtype=np.float64), sure)
    kept = np.arange(1, len(sure) + 1)
    return kept / len(sure), np.cumsum(error[np.argsort(-sure, kind="stable")]) / kept


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the risk-coverage curve: the mean over n of its risk, ties averaged; lower is better."""
    return float(risk_coverage(confidence, correct)[1].mean())


def excess_aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """AURC above that of the oracle that makes the same errors but ranks them all last, exactly.

    Source: Geifman, Uziel and El-Yaniv 2019 (E-AURC), with the oracle's sum instead of their integral.
    """
    return aurc(confidence, correct) - aurc(correct, correct)


def accuracy_at_coverage(confidence: ArrayLike, correct: ArrayLike, coverage: float) -> float:
    """Accuracy on the most confident inputs, of which at least the share `coverage` in (0, 1] is kept."""
    if not 0 < coverage <= 1:
        raise InputError(f"coverage is {coverage}; it must lie in (0, 1]")
    _, risk = risk_coverage(confidence, correct)
    kept = math.ceil(coverage * len(risk) - 1e-9)  # .7 of 10 is 7, not the 8 that rounding makes of it
    return float(1 - risk[max(kept, 1) - 1])
