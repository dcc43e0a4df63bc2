"""Predictions and their labels, checked: what every score of this folder starts from."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtbkd.data.distillation import check_labels
from mtbkd.errors import InputError
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary

Predicted = Prediction | PredictionSummary | Tensor

# How far a row may be from summing to 1: half precision rounds by as much.
SUM_TOLERANCE = 5e-3


@dataclass(frozen=True)
class Labelled:
    """The labelled rows of a prediction.

    prediction: of all N inputs; rows: `[n]` those with a label
    probs: `[n, K]` float64 mean probabilities there; y: `[n]` class indices
    """

    prediction: Prediction | PredictionSummary
    rows: Tensor
    probs: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, predicted: Predicted, y: Tensor, name: str) -> "Labelled":
        """Check probabilities against their labels.

        predicted: a Prediction, or its summary, or probabilities `[N, K]`, or draws of them `[S, N, K]`
        y: `[N]` class indices, -1 where unknown; name: of who asks, for errors
        raises: InputError for no labelled row, shapes that do not fit, labels outside -1..K-1, rows that are not
            probabilities
        """
        prediction, labels = as_prediction(predicted), torch.as_tensor(y).detach().cpu().long()
        n, k = prediction.mean.shape
        if labels.shape != (n,):
            raise InputError(f"{name}: labels of shape {list(labels.shape)} for {n} inputs; give [{n}]")
        check_labels(name, labels, k)
        if not bool((labels >= 0).any()):
            raise InputError(f"{name}: none of {n} inputs has a label; give at least one with y >= 0")
        check_probabilities(prediction, name)
        rows = (labels >= 0).nonzero().flatten()
        probs = prediction.mean[rows.to(prediction.mean.device)].detach().double().cpu().numpy()
        return cls(prediction, rows.to(prediction.mean.device), probs, labels[rows].numpy())


def as_prediction(predicted: Predicted) -> Prediction | PredictionSummary:
    """Probabilities `[N, K]`, or draws of them `[S, N, K]`, as a Prediction."""
    if isinstance(predicted, Prediction | PredictionSummary):
        return predicted
    draws = torch.as_tensor(predicted).detach()
    return Prediction(draws[None] if draws.dim() == 2 else draws)


def check_probabilities(prediction: Prediction | PredictionSummary, name: str) -> None:
    """Raises `InputError` where a row does not sum to 1 or a probability is negative."""
    off = (prediction.mean.sum(-1) - 1).abs()
    bad = ~(off < SUM_TOLERANCE)  # a NaN is bad too
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        value = float(prediction.mean[row].sum())
        raise InputError(f"{name}: row {row} sums to {value:.4g}, not 1; give probabilities, not logits")
    probs = prediction.probs if isinstance(prediction, Prediction) else prediction.mean
    if len(prediction) and float(probs.min()) < 0:
        raise InputError(f"{name}: a probability is {float(probs.min()):.4g}; apply softmax first")
