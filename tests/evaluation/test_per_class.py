import numpy as np
import pytest
import torch
from sklearn.metrics import precision_score, recall_score
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
)

from mtbkd.errors import InputError
from mtbkd.evaluation.per_class import per_class
from mtbkd.evaluation.scores import evaluate
from tests.calibrated import calibrated


def test_by_hand():
    # True 0 0 1 2, named 0 1 1 1: class 2 is never named, class 3 neither occurs nor is named.
    probs = torch.eye(4)[[0, 1, 1, 1]]
    found = per_class(probs, torch.tensor([0, 0, 1, 2]))
    assert found.confusion.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert found.support.tolist() == [2, 1, 1, 0]
    assert found.named.tolist() == [1, 3, 0, 0]
    assert found.precision == pytest.approx([1, 1 / 3, np.nan, np.nan], nan_ok=True)
    assert found.recall == pytest.approx([1 / 2, 1, 0, np.nan], nan_ok=True)
    assert found.f1 == pytest.approx([2 / 3, 1 / 2, 0, np.nan], nan_ok=True)
    # Class 0: claimed 0 where it is one in three inputs. Class 1: claimed 1 of three, of which one is.
    assert found.ece == pytest.approx([1 / 4, 2 / 4, 1 / 4, 0])


def test_agrees_with_other_libraries():
    probs, y = calibrated(300, k=5, seed=4)
    said, truth = torch.tensor(probs), torch.tensor(y)
    found = per_class(said, truth)
    named = probs.argmax(1)
    assert found.confusion.tolist() == multiclass_confusion_matrix(said, truth, 5).tolist()
    assert found.precision == pytest.approx(precision_score(y, named, average=None))
    assert found.recall == pytest.approx(recall_score(y, named, average=None))
    assert found.f1 == pytest.approx(multiclass_f1_score(said, truth, 5, average="none").numpy(), rel=1e-5)
    other = [float(binary_calibration_error(said[:, k], truth == k, n_bins=15)) for k in range(5)]
    assert found.ece == pytest.approx(other, abs=1e-6)


def test_classes_average_to_the_scores_of_all():
    probs, y = calibrated(300, k=5, seed=4)
    found, scores = (
        per_class(torch.tensor(probs), torch.tensor(y)),
        evaluate(torch.tensor(probs), torch.tensor(y)),
    )
    assert found.recall.mean() == pytest.approx(scores["balanced_accuracy"])
    assert found.f1.mean() == pytest.approx(scores["macro_f1"])
    assert found.ece.mean() == pytest.approx(scores["ece_classwise"])


def test_unlabelled_rows_are_ignored():
    found = per_class(torch.eye(2), torch.tensor([0, -1]))
    assert found.confusion.tolist() == [[1, 0], [0, 0]]
    with pytest.raises(InputError, match="none of 2 inputs has a label"):
        per_class(torch.eye(2), torch.tensor([-1, -1]))
