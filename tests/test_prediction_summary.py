import pytest
import torch

from mtbkd.evaluation.scores import evaluate
from mtbkd.evaluation.uncertainty import ood_scores
from mtbkd.fitting import fit
from mtbkd.inference.svi import SVIConfig
from mtbkd.posterior import Posterior
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary, summarise
from mtbkd.students.mlp import mlp
from mtbkd.students.student import Student


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 2, generator=generator)
    config = SVIConfig(steps=30, warm_start=0, draws=7)
    return fit(Student(mlp(2, [3], 4)), (x, torch.arange(40) % 4), config, compiled="never", progress=False)


@pytest.mark.parametrize("memory", [1.0, 7 * 4 * 4 * 3, 1e9])
def test_chunks_of_rows_change_nothing(posterior, memory):
    x = torch.randn(11, 2, generator=torch.Generator().manual_seed(1))
    whole, summary = posterior.predict(x), summarise(posterior, x, 4, memory)
    torch.testing.assert_close(summary.mean, whole.mean)
    torch.testing.assert_close(summary.total, whole.total)
    torch.testing.assert_close(summary.aleatoric, whole.aleatoric)
    torch.testing.assert_close(summary.epistemic, whole.epistemic, atol=1e-6, rtol=0)
    assert torch.equal(summary.labels, whole.labels)
    assert (len(summary), summary.num_draws, summary.finite) == (11, 7, True)


def test_memory_bounds_the_draws_held_at_once(posterior, monkeypatch):
    asked = []
    predict = Posterior.predict
    monkeypatch.setattr(Posterior, "predict", lambda self, x: asked.append(len(x)) or predict(self, x))
    # 7 draws of 4 classes in float32 take 112 bytes a row.
    summarise(posterior, torch.zeros(10, 2), 4, memory=112 * 3)
    assert asked == [3, 3, 3, 1]


def test_scores_are_those_of_the_draws(posterior):
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(2))
    y = torch.arange(30) % 4
    whole, summary = posterior.predict(x), summarise(posterior, x, 4)
    assert evaluate(summary, y) == pytest.approx(evaluate(whole, y), rel=1e-5)
    apart = ood_scores(summary, summarise(posterior, 5 * x, 4))
    assert apart["total"] == pytest.approx(ood_scores(whole, posterior.predict(5 * x))["total"])


def test_one_draw_has_no_epistemic_part():
    summary = PredictionSummary.of(Prediction(torch.tensor([[[0.5, 0.5], [1.0, 0.0]]])))
    assert summary.epistemic.tolist() == [0, 0]
    torch.testing.assert_close(summary.total, torch.tensor([2.0, 1.0]).log())


def test_a_prediction_that_is_no_number_is_told():
    broken = PredictionSummary(torch.full((1, 2), float("nan")), torch.zeros(1), torch.zeros(1), 1)
    assert not broken.finite
