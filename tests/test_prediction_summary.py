import pytest
import torch

from mtbkd.errors import InputError
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


# ---- a chunk at a time ---------------------------------------------------------------------------------------------
def some_draws(dtype=torch.float64) -> torch.Tensor:
    return torch.randn(7, 11, 4, generator=torch.Generator().manual_seed(3), dtype=dtype).softmax(-1)


@pytest.mark.parametrize("sizes", [[7], [1] * 7, [2, 5]], ids=["all", "one by one", "uneven"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_in_chunks_are_summarised_as_all_at_once(sizes, dtype, monkeypatch):
    monkeypatch.setattr("mtbkd.prediction_summary.ROWS", 3)
    whole = Prediction(some_draws(dtype))
    found = PredictionSummary.of_draws(iter(whole.probs.split(sizes)))
    assert (found.num_draws, found.mean.dtype, found.total.dtype) == (7, dtype, dtype)
    torch.testing.assert_close(found.mean, whole.mean)
    torch.testing.assert_close(found.total, whole.total)
    torch.testing.assert_close(found.aleatoric, whole.aleatoric)
    torch.testing.assert_close(found.epistemic, whole.epistemic, atol=1e-6, rtol=0)


def test_single_draws_without_their_axis_are_draws_too():
    draws = some_draws()
    torch.testing.assert_close(PredictionSummary.of_draws(list(draws)).mean, draws.mean(0))


def test_draws_by_hand_and_as_they_were_given():
    """Sure of one class, then of the other: all is epistemic. The draws are not written to."""
    draws = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    found = PredictionSummary.of_draws(draws.split(1))
    assert found.mean.tolist() == [[0.5, 0.5]]
    assert found.aleatoric.tolist() == [0]
    assert found.epistemic.item() == pytest.approx(0.6931472)
    assert draws.tolist() == [[[1, 0]], [[0, 1]]]


def test_rows_in_chunks_are_summarised_as_all_at_once():
    whole = Prediction(some_draws())
    found = PredictionSummary.of_rows(Prediction(part) for part in whole.probs.split(4, dim=1))
    torch.testing.assert_close(found.mean, whole.mean)
    torch.testing.assert_close(found.epistemic, whole.epistemic)
    assert (len(found), found.num_draws) == (11, 7)


def test_chunks_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"draw 7 is of shape \[10, 4\], those before it of \[11, 4\]"):
        PredictionSummary.of_draws([some_draws(), some_draws()[:, 1:]])
    with pytest.raises(InputError, match="no draws"):
        PredictionSummary.of_draws([])
    with pytest.raises(InputError, match=r"\(draws, classes\) \[\(6, 4\), \(7, 4\)\]"):
        PredictionSummary.of_rows([Prediction(some_draws()), Prediction(some_draws()[1:])])
    with pytest.raises(InputError, match="at least one chunk"):
        PredictionSummary.of_rows([])
