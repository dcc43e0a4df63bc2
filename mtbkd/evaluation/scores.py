"""One call that scores a prediction against labels: `evaluate`."""

import math

import numpy as np
import torch
from torch import Tensor

from mtbkd.data.distillation import check_labels
from mtbkd.errors import InputError
from mtbkd.evaluation import calibration, selective
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary

# How far a row may be from summing to 1: half precision rounds by as much.
SUM_TOLERANCE = 5e-3


class Scores(dict[str, float | int | None]):
    """Scores by name, plain numbers, None where undefined; prints as a table.

    n: labelled inputs; accuracy; brier: summed over classes
    nll: nats per input; None where infinite, which `impossible` explains
    impossible: share of inputs whose true class was given probability exactly 0
    ece, ece_adaptive, ece_classwise: calibration errors, 15 bins
    ece_low, ece_high: 95 % bootstrap interval of the ECE
    ece_band_low, ece_band_high: where 95 % of ECEs fall for a perfectly calibrated student on these inputs
    confidence: mean of the largest probability; above accuracy means overconfident
    aurc, aurc_excess: area under the risk-coverage curve, and above the oracle's
    accuracy_at_80, accuracy_at_90: accuracy where only the surest 80 %, 90 % are answered
    total, aleatoric, epistemic: mean uncertainties in nats; one draw has no aleatoric and epistemic parts
    """

    def __str__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:<{width}}  {_shown(value):>8}" for name, value in self.items())


def evaluate(predicted: Prediction | PredictionSummary | Tensor, y: Tensor, seed: int = 0) -> Scores:
    """Score class probabilities against labels.

    predicted: a Prediction, or its summary, or probabilities `[N, K]`, or draws of them `[S, N, K]`
    y: `[N]` class indices; rows with -1 are ignored
    seed: of the bootstrap and of the simulated calibration band
    raises: InputError for no labelled row, shapes that do not fit, labels outside -1..K-1, rows that are not
        probabilities
    """
    prediction, labels = _checked(predicted, y)
    rng = np.random.default_rng(seed)
    rows = (labels >= 0).nonzero().flatten().to(prediction.mean.device)
    probs = prediction.mean[rows].double().cpu().numpy()
    truth = labels[labels >= 0].numpy()
    confidence, correct = probs.max(1), probs.argmax(1) == truth
    loss = calibration.nll(probs, truth)
    low, high = calibration.ece_interval(probs, truth, rng)
    band_low, band_high = calibration.ece_band(probs, rng)
    parts = prediction.num_draws > 1
    return Scores(
        n=len(truth),
        accuracy=float(correct.mean()),
        nll=loss if math.isfinite(loss) else None,
        impossible=float((probs[np.arange(len(truth)), truth] == 0).mean()),
        brier=calibration.brier(probs, truth),
        ece=calibration.ece(probs, truth),
        ece_low=low,
        ece_high=high,
        ece_band_low=band_low,
        ece_band_high=band_high,
        ece_adaptive=calibration.ece_adaptive(probs, truth),
        ece_classwise=calibration.ece_classwise(probs, truth),
        confidence=float(confidence.mean()),
        aurc=selective.aurc(confidence, correct),
        aurc_excess=selective.excess_aurc(confidence, correct),
        accuracy_at_80=selective.accuracy_at_coverage(confidence, correct, 0.8),
        accuracy_at_90=selective.accuracy_at_coverage(confidence, correct, 0.9),
        total=float(prediction.total[rows].double().mean()),
        aleatoric=float(prediction.aleatoric[rows].double().mean()) if parts else None,
        epistemic=float(prediction.epistemic[rows].double().mean()) if parts else None,
    )


def _checked(
    predicted: Prediction | PredictionSummary | Tensor, y: Tensor
) -> tuple[Prediction | PredictionSummary, Tensor]:
    prediction: Prediction | PredictionSummary
    if isinstance(predicted, Prediction | PredictionSummary):
        prediction = predicted
    else:
        draws = torch.as_tensor(predicted).detach()
        prediction = Prediction(draws[None] if draws.dim() == 2 else draws)
    labels = torch.as_tensor(y).detach().cpu().long()
    n, k = prediction.mean.shape
    if labels.shape != (n,):
        raise InputError(f"evaluate: labels of shape {list(labels.shape)} for {n} inputs; give [{n}]")
    check_labels("evaluate", labels, k)
    if not bool((labels >= 0).any()):
        raise InputError(f"evaluate: none of {n} inputs has a label; give at least one with y >= 0")
    off = (prediction.mean.sum(-1) - 1).abs()
    bad = ~(off < SUM_TOLERANCE)  # a NaN is bad too
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        value = float(prediction.mean[row].sum())
        raise InputError(f"evaluate: row {row} sums to {value:.4g}, not 1; give probabilities, not logits")
    lowest = float((prediction.probs if isinstance(prediction, Prediction) else prediction.mean).min())
    if lowest < 0:
        raise InputError(f"evaluate: a probability is {lowest:.4g}; apply softmax first")
    return prediction, labels


def _shown(value: float | int | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
