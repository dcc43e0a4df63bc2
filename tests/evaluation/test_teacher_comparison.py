import numpy as np
import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.evaluation.teacher_comparison import compare_teachers


def test_by_hand():
    probs = torch.tensor(
        [
            [[0.9, 0.1], [0.4, 0.6]],
            [[0.6, 0.4], [0.7, 0.3]],
            [[0.2, 0.8], [0.4, 0.6]],
        ]
    )
    found = compare_teachers(probs)
    assert found.disagreement == pytest.approx(np.array([[0, 0.5, 0.5], [0.5, 0, 1], [0.5, 1, 0]]))
    expected = np.array([[0, 0.3, 0.35], [0.3, 0, 0.35], [0.35, 0.35, 0]])
    assert found.total_variation == pytest.approx(expected, abs=1e-6)


def test_agrees_with_all_pairs_at_once():
    probs = torch.randn(4, 50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(-1)
    found = compare_teachers(probs)
    named = probs.argmax(-1)
    assert found.disagreement == pytest.approx((named[:, None] != named).double().mean(-1).numpy())
    # Half the L1 distance, by torch's own pairwise distances at each input.
    halves = torch.cdist(probs.transpose(0, 1), probs.transpose(0, 1), p=1).mean(0) / 2
    assert found.total_variation == pytest.approx(halves.numpy())


def test_one_teacher_agrees_with_itself():
    found = compare_teachers(torch.full((1, 3, 2), 0.5))
    assert found.disagreement.tolist() == found.total_variation.tolist() == [[0]]


@pytest.mark.parametrize("shape", [(3, 2), (2, 0, 3), (0, 4, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match=r"give \[M, N, K\]"):
        compare_teachers(torch.zeros(shape))
