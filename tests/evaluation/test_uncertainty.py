import numpy as np
import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.evaluation.uncertainty import detection_scores, ood_scores
from mtbkd.prediction import Prediction


def test_by_hand():
    # Of the six pairs four are ordered rightly; positives at ranks 1 and 4 give precisions 1 and 2/4.
    scores = detection_scores(inside=[0.1, 0.4, 0.6], outside=[0.9, 0.3])
    assert scores["auroc"] == pytest.approx(4 / 6)
    assert scores["aupr"] == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 4)
    assert scores["fpr95"] == pytest.approx(2 / 3)


def test_auroc_is_the_share_of_ordered_pairs_with_ties_half():
    rng = np.random.default_rng(0)
    inside, outside = rng.integers(0, 6, 40), rng.integers(2, 8, 30)
    difference = outside[:, None] - inside
    pairs = ((difference > 0) + 0.5 * (difference == 0)).mean()
    assert detection_scores(inside, outside)["auroc"] == pytest.approx(pairs)


def test_fpr95_needs_only_95_per_cent():
    outside = np.r_[np.full(19, 5.0), 0.0]  # one in twenty looks like an inside input
    assert detection_scores([1.0, 2.0, 3.0, 6.0], outside)["fpr95"] == 0.25


def test_perfect_and_useless():
    assert detection_scores([0, 1], [2, 3]) == {"auroc": 1, "aupr": 1, "fpr95": 0}
    assert detection_scores([1, 1, 1], [1])["auroc"] == 0.5
    assert detection_scores([1, 1, 1], [1])["fpr95"] == 1


def test_epistemic_sees_disagreement_that_total_does_not():
    disagreeing = Prediction(torch.tensor([[[1.0, 0.0]] * 3, [[0.0, 1.0]] * 3]))
    ambiguous = Prediction(torch.full((2, 3, 2), 0.5))
    scores = ood_scores(inside=ambiguous, outside=disagreeing)
    assert scores["total"]["auroc"] == 0.5
    assert scores["epistemic"]["auroc"] == 1
    # Each draw of the disagreeing is sure of itself, so that aleatoric uncertainty ranks them the wrong way round.
    assert scores["aleatoric"]["auroc"] == 0
    assert scores["max_probability"]["auroc"] == 0.5


def test_max_probability_ranks_by_the_surest_class():
    """(.5, .5, 0) has the smaller entropy than (.6, .2, .2), and the smaller maximum."""
    inside, outside = (Prediction(torch.tensor([[p]])) for p in ([0.6, 0.2, 0.2], [0.5, 0.5, 0.0]))
    scores = ood_scores(inside, outside)
    assert scores["max_probability"]["auroc"] == 1
    assert scores["total"]["auroc"] == 0


def test_one_draw_has_no_epistemic_score():
    p = Prediction(torch.full((1, 3, 2), 0.5))
    found = ood_scores(p, p)
    assert found["epistemic"] is found["aleatoric"] is None
    assert found["total"]["auroc"] == found["max_probability"]["auroc"] == 0.5


@pytest.mark.parametrize("outside", [[], [float("nan")]])
def test_empty_or_broken_scores_are_refused(outside):
    with pytest.raises(InputError, match="outside"):
        detection_scores([0.5], outside)
