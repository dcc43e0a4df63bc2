"""What the tables say of a run: the student's scores on test rows, and what became of the teachers."""

import numpy as np

from experiments.listening.sweeps import Run

HEADINGS = {
    "accuracy": "accuracy",
    "nll": "NLL",
    "ece": "ECE",
    "aupr": "AUPR of the rarer class",
    "ood_auroc": "OOD AUROC",
}


def differences(baseline: str) -> dict[str, str]:
    """Headings of the scores whose difference to a baseline is told."""
    return {"accuracy": f"accuracy − {baseline}", "nll": f"NLL − {baseline}"}


def scores_of(run: Run) -> dict[str, float | None]:
    """accuracy, nll, brier, ece; ood_auroc by total uncertainty; aupr where there are two classes; seconds."""
    metrics = run.metrics
    student = metrics["student"]
    ood = (student.get("ood") or {}).get("total")
    found = {name: student[name] for name in ("accuracy", "nll", "brier", "ece")}
    found["ood_auroc"] = ood["auroc"] if ood else None
    with np.load(run.folder / "predictions.npz", allow_pickle=False) as said:
        found["aupr"] = aupr(said["test_student_mean"], said["test_y"])
    timing = metrics["timing"]
    found["seconds"] = timing["student_s"] + timing.get("kd_student_s", 0.0)
    return found


def aupr(probs: np.ndarray, y: np.ndarray) -> float | None:
    """Average precision of the rarer of two classes, by its probability `[n, 2]`; None for more classes."""
    from sklearn.metrics import average_precision_score

    if probs.shape[1] != 2:
        return None
    rare = int((y == 1).sum() <= (y == 0).sum())
    return float(average_precision_score(y == rare, probs[:, rare]))


def weights_of(run: Run) -> dict[str, float]:
    """Each teacher's mean weight over the pool."""
    found: dict[str, float] = run.metrics["teaching"]["weights"]
    return found


def trust_of(run: Run) -> dict[str, float]:
    """The learned trust in each teacher, its posterior mean; empty where none was learned."""
    trust = run.metrics["teaching"].get("trust") or {}
    return {name: said["mean"] for name, said in trust.items()}
