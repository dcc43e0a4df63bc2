"""How a score is called, and to how many places it is told."""

import math
from collections.abc import Iterable

from mtbkd.evaluation.directions import better

DEFAULT = ("accuracy", "nll", "ece")
# What quality is bought with.
COSTS = ("latency_ms", "stored_bytes")
HEADINGS = {
    "accuracy": "Accuracy",
    "nll": "NLL",
    "brier": "Brier",
    "ece": "ECE",
    "validation_nll": "Validation NLL",
    "parameters": "Parameters",
    "stored_bytes": "Stored",
    "latency_ms": "Latency, ms",
    "fit_s": "Fit, s",
}


def heading(score: str) -> str:
    """What a score is called."""
    return HEADINGS.get(score) or score.replace("_", " ").replace(".", " ")


def loss(score: str, value: float) -> float:
    """The value so that smaller is better."""
    return -value if better(score) == "larger" else value


def decimals(values: Iterable[float]) -> int:
    """Places behind the point that tell values of this size apart: 3 for scores, none for bytes."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return 3 if largest < 10 else 1 if largest < 1000 else 0
