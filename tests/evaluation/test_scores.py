import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score

from mtbkd.errors import InputError
from mtbkd.evaluation.scores import Scores, evaluate
from mtbkd.prediction import Prediction


def draws(s: int = 8, n: int = 60, k: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(s, n, k, generator=torch.Generator().manual_seed(seed)).softmax(-1)


def test_by_hand():
    scores = evaluate(torch.tensor([[0.8, 0.2], [0.6, 0.4]]), torch.tensor([0, 1]))
    assert scores["n"] == 2
    assert scores["accuracy"] == 0.5
    assert scores["nll"] == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2)
    assert scores["brier"] == pytest.approx((2 * 0.04 + 2 * 0.36) / 2)
    assert scores["ece"] == pytest.approx((0.2 + 0.6) / 2)
    assert scores["confidence"] == pytest.approx(0.7)
    assert scores["aurc"] == pytest.approx((0 + 1 / 2) / 2)
    assert scores["epistemic"] is None


def test_draws_and_their_prediction_score_the_same():
    y = torch.arange(60) % 4
    assert evaluate(draws(), y) == evaluate(Prediction(draws(), num_chains=2), y)
    assert evaluate(draws(), y)["nll"] == pytest.approx(evaluate(draws().mean(0), y)["nll"])


def test_uncertainties_add_up():
    scores = evaluate(draws(), torch.zeros(60))
    assert scores["total"] == pytest.approx(scores["aleatoric"] + scores["epistemic"], abs=1e-6)
    assert scores["epistemic"] > 0.01


def test_unlabelled_rows_are_ignored():
    y = torch.arange(60) % 4
    y[::3] = -1
    assert evaluate(draws(), y) == pytest.approx(evaluate(draws()[:, y >= 0], y[y >= 0]))


def test_same_seed_same_scores():
    y = torch.arange(60) % 4
    assert evaluate(draws(), y, seed=3) == evaluate(draws(), y, seed=3)
    assert evaluate(draws(), y, seed=3)["ece_high"] != evaluate(draws(), y, seed=4)["ece_high"]


def test_an_excluded_truth_is_told_not_nan():
    scores = evaluate(torch.tensor([[0.0, 1.0], [0.5, 0.5]]), torch.tensor([0, 0]))
    assert scores["nll"] is None
    assert scores["impossible"] == 0.5
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


@pytest.mark.parametrize(("n", "k"), [(1, 2), (1, 1000), (200, 2), (3, 1000)])
def test_every_score_is_finite_or_none(n, k):
    scores = evaluate(draws(3, n, k), torch.arange(n) % k)
    unknown = {name for name, value in scores.items() if value is None}
    assert unknown == ({"nll_low", "nll_high"} if n == 1 else set())  # one input tells no spread
    known = [value for value in scores.values() if value is not None]
    assert all(type(value) in (int, float) and math.isfinite(value) for value in known)


def test_scores_of_classes_agree_with_sklearn():
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=60)
    named = draws().mean(0).argmax(1)
    scores = evaluate(draws(), torch.tensor(y))
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, named))
    assert scores["macro_f1"] == pytest.approx(f1_score(y, named, average="macro"))


@pytest.mark.filterwarnings("error")
def test_classes_without_labels_or_never_named():
    # True 0, 0, 1; named 0, 2, 2. Recalls 1/2 and 0; F1 of 0 is 2/3, of 1 and 2 none; class 3 does not occur.
    probs = torch.eye(4)[[0, 2, 2]]
    scores = evaluate(probs, torch.tensor([0, 0, 1]))
    assert scores["balanced_accuracy"] == pytest.approx(1 / 4)
    assert scores["macro_f1"] == pytest.approx(2 / 9)


def test_parts_of_the_brier_score_add_up_where_claims_in_a_bin_are_equal():
    probs = torch.tensor([[0.8, 0.2]] * 4 + [[0.2, 0.8]] * 4)
    scores = evaluate(probs, torch.tensor([0, 0, 0, 1, 0, 1, 1, 1]))
    parts = scores["brier_reliability"] - scores["brier_resolution"] + scores["brier_uncertainty"]
    assert parts == pytest.approx(scores["brier"])
    assert scores["sharpness"] == pytest.approx(0.8**2 + 0.2**2)


def test_deviance_is_that_of_the_prediction():
    scores = evaluate(draws(), torch.zeros(60))
    assert scores["deviance"] == pytest.approx(float(Prediction(draws()).deviance.mean()))
    assert evaluate(draws().mean(0), torch.zeros(60))["deviance"] is None


def test_prints_as_a_table():
    lines = str(Scores(n=3, accuracy=0.5, nll=None)).splitlines()
    assert lines == ["n                3", "accuracy    0.5000", "", "nll              -"]


def test_prints_intervals_beside_what_they_are_of():
    text = str(Scores(ece=0.1, ece_low=0.05, ece_high=0.2, ece_band_low=0.01, ece_band_high=0.03, mce=0.5))
    assert text.splitlines() == [
        "ece    0.1000  95 % interval 0.0500 to 0.2000, if calibrated 0.0100 to 0.0300",
        "mce    0.5000",
    ]


def test_every_score_is_printed_or_the_bound_of_one():
    scores = evaluate(draws(), torch.arange(60) % 4)
    shown = [line.split()[0] for line in str(scores).splitlines() if line]
    rest = {name.removesuffix("_low").removesuffix("_high").removesuffix("_band") for name in scores}
    assert set(shown) == rest


@pytest.mark.parametrize(
    ("probs", "y", "message"),
    [
        (torch.empty(0, 3), torch.empty(0), "none of 0 inputs has a label"),
        (torch.full((2, 2), 0.5), torch.tensor([-1, -1]), "none of 2 inputs has a label"),
        (torch.full((2, 2), 0.5), torch.tensor([0, 1, 1]), r"labels of shape \[3\] for 2 inputs"),
        (torch.full((2, 2), 0.5), torch.tensor([0, 2]), "label 2 at row 1"),
        (torch.tensor([[0.5, 0.5], [2.0, 3.0]]), torch.tensor([0, 1]), "row 1 sums to 5.*not logits"),
        (torch.tensor([[0.5, 0.5], [2.0, -1.0]]), torch.tensor([0, 1]), "probability is -1"),
        (torch.tensor([[float("nan"), 0.5]]), torch.tensor([0]), "row 0 sums to nan"),
        (torch.ones(2), torch.tensor([0, 1]), r"shape \[2\]"),
    ],
)
def test_bad_input_is_refused(probs, y, message):
    with pytest.raises(InputError, match=message):
        evaluate(probs, y)


@pytest.mark.skipif("MTBKD_DATA" not in os.environ, reason="MTBKD_DATA names no folder with the shared data")
@pytest.mark.parametrize(
    ("teacher", "accuracy", "ece", "nll", "brier"),
    [(0, 0.752, 0.0337, 0.8290, 0.3619), (1, 0.761, 0.0495, 0.8459, 0.3614)],
)
def test_deeploc_teachers_score_what_their_data_sheet_says(teacher, accuracy, ece, nll, brier):
    with np.load(Path(os.environ["MTBKD_DATA"]) / "deeploc2_mtbkd.npz", allow_pickle=False) as data:
        logits = torch.tensor(data["test_teacher_logits"][:, teacher])
        y = torch.tensor(data["test_label"])
    scores = evaluate(logits.softmax(-1), y)
    found = [scores[name] for name in ("accuracy", "ece", "nll", "brier")]
    assert found == pytest.approx([accuracy, ece, nll, brier], abs=5.1e-5)
    # At n 1,000 a perfectly calibrated student has an ECE of about .037.
    assert scores["ece_band_low"] < 0.037 < scores["ece_band_high"]
