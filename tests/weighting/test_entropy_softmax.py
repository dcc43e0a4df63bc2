"""Softmax of entropies by hand, and its two ends."""

import math

import pytest
import torch

from mtbkd import weighting
from mtbkd.errors import InputError
from mtbkd.teachers import TeacherBank
from mtbkd.weighting.entropy_softmax import EntropySoftmaxConfig

PROBS = {
    "sure": torch.tensor([[1.0, 0, 0, 0]]),
    "two": torch.tensor([[0.5, 0.5, 0, 0]]),
    "flat": torch.full((1, 4), 0.25),
}
BANK = TeacherBank.from_probs(PROBS)


def test_three_teachers_by_hand():
    # H / log K is 0, 1/2, 1: weights 1, e^-1, e^-2 at c = 2.
    raw = torch.tensor([[1.0, math.exp(-1), math.exp(-2)]])
    torch.testing.assert_close(weighting.entropy_softmax(BANK, sharpness=2.0), raw / raw.sum())
    heard = weighting.weigh(EntropySoftmaxConfig(sharpness=2.0), BANK)
    torch.testing.assert_close(heard.teachers, raw / raw.sum())


def test_its_ends_are_uniform_and_the_surest_teacher():
    torch.testing.assert_close(weighting.entropy_softmax(BANK, sharpness=0.0), torch.full((1, 3), 1 / 3))
    one = torch.tensor([[1.0, 0.0, 0.0]])
    torch.testing.assert_close(weighting.entropy_softmax(BANK, sharpness=1e6), one)


def test_a_teacher_that_knows_some_classes_is_as_sure_as_it_is_of_these():
    # "of two" splits its classes evenly, H = log 2, of at most log 3; "of three" is certain.
    said = torch.tensor([[0.5, 0.5, 0.0]]).log(), torch.tensor([[1.0, 0.0, 0.0]]).log()
    known = torch.tensor([[True, True, False], [True, True, True]])
    bank = TeacherBank.from_predictions({"of two": said[0], "of three": said[1]}, classes=known)
    expected = 1 / (1 + math.exp(3 * math.log(2) / math.log(3)))
    assert weighting.entropy_softmax(bank, sharpness=3.0)[0, 0].item() == pytest.approx(expected)


@pytest.mark.parametrize("sharpness", [-1.0, math.inf, math.nan])
def test_a_sharpness_that_cannot_be(sharpness):
    with pytest.raises(InputError, match=r"weighting\.sharpness is"):
        EntropySoftmaxConfig(sharpness=sharpness)
    with pytest.raises(InputError, match="sharpness is"):
        weighting.entropy_softmax(BANK, sharpness=sharpness)
