"""Which way a score or a cost is better, by its name in metrics.json."""

from typing import Literal

Better = Literal["larger", "smaller"]

LARGER = ("accuracy", "f1", "auroc", "aupr", "resolution")
SMALLER = (
    *("nll", "brier", "ece", "mce", "aurc", "fpr95", "impossible", "deviance", "reliability", "error"),
    *("latency", "parameters", "stored", "fit"),
)


def better(score: str) -> Better | None:
    """Which way it is better, None where that cannot be said of it."""
    words = score.replace(".", "_").split("_")
    if any(word in LARGER for word in words):
        return "larger"
    return "smaller" if any(word in SMALLER for word in words) else None
