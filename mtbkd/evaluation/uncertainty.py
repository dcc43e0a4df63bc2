"""Does the student know what it does not know? Uncertainty as a detector of out-of-distribution inputs."""

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.errors import InputError
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary

DetectionScores = dict[str, float]


def detection_scores(inside: ArrayLike, outside: ArrayLike) -> DetectionScores:
    """How well a score that should be larger outside tells outside (the positive class) from inside.

    inside, outside: `[n]`, `[m]` scores of in- and out-of-distribution inputs, n, m >= 1
    returns: auroc; aupr (average precision); fpr95, the share of in-distribution inputs flagged when at
        least 95 % of the out-of-distribution ones are
    raises: InputError for an empty or non-finite side
    """
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    sides = {"inside": np.asarray(inside, np.float64), "outside": np.asarray(outside, np.float64)}
    for name, values in sides.items():
        if len(values) == 0 or not np.isfinite(values).all():
            raise InputError(f"detection scores: '{name}' must be a non-empty list of finite scores")
    score = np.concatenate(list(sides.values()))
    positive = np.repeat([0, 1], [len(values) for values in sides.values()])
    false_positive, true_positive, _ = roc_curve(positive, score, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(positive, score)),
        "aupr": float(average_precision_score(positive, score)),
        "fpr95": float(false_positive[true_positive >= 0.95].min()),
    }


def ood_scores(
    inside: Prediction | PredictionSummary, outside: Prediction | PredictionSummary
) -> dict[str, DetectionScores | None]:
    """Detection of out-of-distribution inputs by each uncertainty.

    returns: by what is taken as the score, {auroc, aupr, fpr95}:
        "total", "aleatoric", "epistemic": the uncertainties in nats; the latter two None where a prediction has one
        draw, which does not tell them apart
        "max_probability": 1 - max_k p_k of the mean, the baseline of Hendrycks and Gimpel 2017
    raises: InputError where either has no input
    """
    drawn = min(inside.num_draws, outside.num_draws) > 1
    return {
        "total": detection_scores(inside.total.cpu(), outside.total.cpu()),
        "aleatoric": detection_scores(inside.aleatoric.cpu(), outside.aleatoric.cpu()) if drawn else None,
        "epistemic": detection_scores(inside.epistemic.cpu(), outside.epistemic.cpu()) if drawn else None,
        "max_probability": detection_scores(*(1 - said.mean.cpu().amax(1) for said in (inside, outside))),
    }
