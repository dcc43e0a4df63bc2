"""Uniform weights."""

import pytest
import torch

from mtbkd import weighting
from mtbkd.registry import default_config
from mtbkd.teachers import TeacherBank


@pytest.mark.parametrize("m", [1, 3, 20])
def test_every_teacher_has_one_in_m(m):
    bank = TeacherBank.from_logits({f"t{i}": torch.zeros(4, 2) for i in range(m)})
    expected = torch.full((4, m), 1 / m)
    torch.testing.assert_close(weighting.uniform(bank), expected)
    torch.testing.assert_close(
        weighting.weigh(default_config("weighting", "uniform"), bank).teachers, expected
    )
