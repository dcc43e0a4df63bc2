"""Entropy weights against hand computations and the paper's properties."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import entropy as shannon

from mtbkd import weighting
from mtbkd.registry import default_config
from mtbkd.teachers import TeacherBank


def test_three_teachers_by_hand():
    # Entropies 0, ln 2, ln 4 = 2 ln 2: shares 0, 1/3, 2/3, weights (1, 2/3, 1/3) / 2.
    bank = TeacherBank.from_probs(
        {
            "sure": np.array([[1.0, 0, 0, 0]]),
            "two": np.array([[0.5, 0.5, 0, 0]]),
            "flat": np.full((1, 4), 0.25),
        }
    )
    expected = torch.tensor([[1 / 2, 1 / 3, 1 / 6]])
    torch.testing.assert_close(weighting.entropy(bank), expected)
    torch.testing.assert_close(
        weighting.weigh(default_config("weighting", "entropy"), bank).teachers, expected
    )


def test_the_unsure_one_of_two_may_weigh_exactly_nothing():
    bank = TeacherBank.from_probs({"sure": np.array([[0.0, 1.0]]), "flat": np.array([[0.5, 0.5]])})
    assert weighting.entropy(bank).tolist() == [[1.0, 0.0]]


def test_without_any_entropy_the_weights_are_uniform():
    onehot = np.array([[1.0, 0.0]])
    bank = TeacherBank.from_probs({"a": onehot, "b": onehot, "c": onehot[:, ::-1].copy()})
    torch.testing.assert_close(weighting.entropy(bank), torch.full((1, 3), 1 / 3))


def test_draws_count_by_the_entropy_of_their_mean():
    opposed = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])  # each draw is sure, their mean is flat
    bank = TeacherBank.from_probs({"draws": opposed, "point": np.array([[0.9, 0.1]])})
    low = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    total = low + math.log(2)
    torch.testing.assert_close(weighting.entropy(bank), torch.tensor([[low / total, math.log(2) / total]]))


@pytest.mark.parametrize(("m", "n", "k"), [(1, 3, 4), (2, 1, 2), (20, 5, 3), (3, 2, 1000)])
def test_weights_are_a_distribution_bounded_by_one_in_m_minus_one(m, n, k):
    generator = torch.Generator().manual_seed(m)
    bank = TeacherBank.from_logits({f"t{i}": 5 * torch.randn(n, k, generator=generator) for i in range(m)})
    weights = weighting.entropy(bank)
    assert weights.shape == (n, m)
    torch.testing.assert_close(weights.sum(1), torch.ones(n))
    assert bool((weights >= 0).all())
    if m > 1:
        assert weights.max() <= 1 / (m - 1) + 1e-6


def test_the_papers_teachers():
    if "MTBKD_DATA" not in os.environ:
        pytest.skip("MTBKD_DATA is not set: no shared data")
    with np.load(Path(os.environ["MTBKD_DATA"]) / "deeploc2_mtbkd.npz", allow_pickle=False) as file:
        z = file["test_teacher_logits"]
    weights = weighting.entropy(TeacherBank.from_logits({"esm": z[:, 0], "t5": z[:, 1]}))
    exponent = np.exp(z.astype(np.float64))
    entropies = shannon(exponent / exponent.sum(-1, keepdims=True), axis=-1)
    # Of two teachers each gets the other's share of the entropy.
    expected = entropies[:, ::-1] / entropies.sum(1, keepdims=True)
    np.testing.assert_allclose(weights.numpy(), expected, atol=2e-5)
