import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.evaluation.agreement import agreement, total_variation
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary


def test_by_hand():
    a = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    b = torch.tensor([[0.6, 0.4], [0.7, 0.3]])
    assert agreement(a, b) == 0.5
    assert total_variation(a, b) == pytest.approx((0.3 + 0.3) / 2)


def test_extremes():
    a = torch.eye(3)
    assert agreement(a, a) == 1
    assert total_variation(a, a) == 0
    assert total_variation(a, a.roll(1, 0)) == 1


def test_draws_are_compared_by_their_means():
    a = Prediction(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]))
    assert total_variation(a, torch.tensor([[0.5, 0.5]])) == 0


def test_summaries_are_compared_as_their_draws_are():
    a, b = (
        Prediction(torch.randn(5, 9, 4, generator=torch.Generator().manual_seed(i)).softmax(-1))
        for i in (0, 1)
    )
    kept = PredictionSummary.of(a), PredictionSummary.of(b)
    assert agreement(*kept) == agreement(a, b)
    assert total_variation(kept[0], b) == total_variation(a, b)


@pytest.mark.parametrize("other", [torch.ones(2, 3), torch.ones(3, 2, 2)])
def test_other_inputs_are_refused(other):
    with pytest.raises(InputError, match="same inputs"):
        agreement(torch.ones(3, 3), other)


def test_no_inputs_are_refused():
    with pytest.raises(InputError, match="N >= 1"):
        total_variation(torch.ones(0, 3), torch.ones(0, 3))
