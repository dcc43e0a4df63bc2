"""Stacking weights against closed forms and a general optimiser."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mtbkd.errors import InputError
from mtbkd.teachers.stacked import mixture_scores, stack


def test_two_teachers_that_split_the_rows_share_the_weight_by_what_each_gets_right():
    # 3 of 4 rows only the first teacher thinks possible, 1 only the second: l = 3/4 log w + 1/4 log (1 - w).
    p = torch.tensor([[0.5, 0.0]] * 3 + [[0.0, 0.2]])
    torch.testing.assert_close(stack(p.log()), torch.tensor([0.75, 0.25], dtype=torch.float64))


def test_interior_optimum_of_two_teachers_in_closed_form():
    # Rows (a, b) and (b, a), n1 and n2 times: dl/dw = 0 gives w = (n1 a - n2 b) / ((n1 + n2)(a - b)).
    a, b, n1, n2 = 0.8, 0.1, 3, 2
    p = torch.tensor([[a, b]] * n1 + [[b, a]] * n2)
    expected = (n1 * a - n2 * b) / ((n1 + n2) * (a - b))
    assert float(stack(p.log(), tolerance=1e-12)[0]) == pytest.approx(expected, abs=1e-6)


def test_four_teachers_against_a_general_optimiser():
    rng = np.random.default_rng(0)
    p = rng.beta(2, 1.5, (200, 4)) * [1, 1, 0.9, 0.5]
    found = stack(torch.from_numpy(p).log())

    def loss(free: np.ndarray) -> float:
        w = np.exp(free - np.logaddexp.reduce(free))
        return -float(np.log(p @ w).mean())

    best = minimize(loss, np.zeros(4), method="BFGS").fun
    reached = -float(np.log(p @ found.numpy()).mean())
    assert reached <= best + 2e-6
    assert float(found.sum()) == pytest.approx(1)
    assert bool((found >= 0).all())


def test_duplicates_share_and_a_dominated_teacher_gets_nothing():
    torch.manual_seed(0)
    good = -torch.rand(50)
    w = stack(torch.stack([good, good, good - 3], 1))
    torch.testing.assert_close(w, torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64), atol=1e-4, rtol=0)


def test_one_teacher_has_all_the_weight():
    assert stack(torch.tensor([[-1.0], [-2.0]])).tolist() == [1.0]


def test_scores_far_below_zero_do_not_underflow():
    near, far = torch.tensor([[-1.0, -2.0], [-2.0, -1.5]]), torch.tensor([[-5000.0], [-9000.0]])
    torch.testing.assert_close(stack(near + far), stack(near))


def test_rows_that_nobody_thought_possible_are_left_out():
    s = torch.tensor([[-1.0, -2.0], [-2.0, -1.5]])
    more = torch.cat([s, torch.full((3, 2), -torch.inf)])
    torch.testing.assert_close(stack(more), stack(s))
    with pytest.raises(InputError, match="no row whose label"):
        stack(more[2:])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_log_probability_is_refused(value):
    with pytest.raises(InputError, match="NaN or \\+inf"):
        stack(torch.tensor([[value, -1.0]]))


def test_scores_of_the_mixture_by_hand():
    s = torch.tensor([[0.5, 0.1], [0.2, 0.9]], dtype=torch.float64).log()
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    torch.testing.assert_close(mixture_scores(s, weights).exp(), torch.tensor([0.2, 0.725]).double())
    torch.testing.assert_close(mixture_scores(s, torch.tensor([0.0, 1.0]).double()), s[:, 1])
