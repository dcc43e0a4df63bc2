"""Which classes are told well? Confusion matrix, and support, precision, recall, F1 and calibration of each class."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from mtbkd.evaluation import calibration
from mtbkd.evaluation.labelled import Labelled, Predicted


@dataclass(frozen=True)
class PerClass:
    """What a prediction is worth in each of K classes; `[K]` but for the confusion matrix.

    confusion: `[K, K]` inputs by true class (row) and most probable class (column)
    support: labelled inputs of the class; named: inputs at which it is the most probable
    precision: share of `named` that are right, NaN where it is never named
    recall: share of `support` that are named rightly, NaN where there is none
    f1: 2 right / (support + named), NaN where it neither occurs nor is named
    ece: calibration error of p_k against 1[y = k], 15 bins of equal width; their mean is `ece_classwise`
    """

    confusion: np.ndarray
    support: np.ndarray
    named: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    ece: np.ndarray


def per_class(predicted: Predicted, y: Tensor) -> PerClass:
    """Scores of each class.

    predicted: a Prediction, or its summary, or probabilities `[N, K]`, or draws of them `[S, N, K]`
    y: `[N]` class indices; rows with -1 are ignored
    raises: as `evaluate`
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    given = Labelled.of(predicted, y, "scores of classes")
    named, classes = given.probs.argmax(1), np.arange(given.probs.shape[1])
    confusion = confusion_matrix(given.y, named, labels=classes)
    precision, recall, f1, support = precision_recall_fscore_support(
        given.y, named, labels=classes, zero_division=np.nan
    )
    return PerClass(
        confusion=confusion,
        support=support,
        named=confusion.sum(0),
        precision=precision,
        recall=recall,
        f1=f1,
        ece=calibration.ece_of_classes(given.probs, given.y),
    )
