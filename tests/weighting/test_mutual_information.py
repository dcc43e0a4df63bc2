"""Mutual information by hand: what draws disagree on counts, what all of them leave open does not."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy as shannon

from mtbkd import weighting
from mtbkd.errors import InputError
from mtbkd.registry import default_config
from mtbkd.teachers import TeacherBank

OPPOSED = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])  # each draw is sure, their mean is flat: I = ln 2
FLAT = np.full((2, 1, 2), 0.5)  # both draws leave it open: I = 0
HALF = np.array([[[1.0, 0.0]], [[0.5, 0.5]]])  # H[(3/4, 1/4)] - ln(2) / 2


def test_noise_is_no_ignorance():
    bank = TeacherBank.from_probs({"opposed": OPPOSED, "flat": FLAT})
    assert weighting.mutual_information(bank).tolist() == [[0.0, 1.0]]
    assert weighting.entropy(bank).tolist() == [[0.5, 0.5]], "which entropy cannot tell apart"


def test_three_teachers_by_hand():
    bank = TeacherBank.from_probs({"opposed": OPPOSED, "flat": FLAT, "half": HALF})
    i = np.array([math.log(2), 0.0, shannon([0.75, 0.25]) - math.log(2) / 2])
    expected = torch.tensor((1 - i / i.sum()) / 2, dtype=torch.float32)[None]
    torch.testing.assert_close(weighting.mutual_information(bank), expected)
    config = default_config("weighting", "mutual_information")
    torch.testing.assert_close(weighting.weigh(config, bank).teachers, expected)


def test_draws_that_agree_but_for_rounding_leave_the_weights_uniform():
    z = torch.randn(1, 50, 7, generator=torch.Generator().manual_seed(0))
    bank = TeacherBank.from_logits({"three": z.repeat(3, 1, 1), "seven": z.flip(2).repeat(7, 1, 1)})
    torch.testing.assert_close(weighting.mutual_information(bank), torch.full((50, 2), 0.5))


def test_one_bayesian_teacher_counts_one():
    assert weighting.mutual_information(TeacherBank.from_probs({"a": OPPOSED})).tolist() == [[1.0]]


@pytest.mark.parametrize("beside", [{}, {"drawn": OPPOSED}])
def test_point_teachers_are_refused_by_name(beside):
    bank = TeacherBank.from_probs(beside | {"forest": FLAT[0], "boosting": FLAT[0]})
    told = (
        "weighting 'mutual_information': no draws of a posterior from point teachers 'forest', 'boosting'; "
        "give teachers that have draws, leave these out, or choose weighting 'entropy'"
    )
    with pytest.raises(InputError) as raised:
        weighting.mutual_information(bank)
    assert str(raised.value) == told
