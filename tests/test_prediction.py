import math

import pytest
import torch

import mtbkd.prediction
from mtbkd.errors import InputError
from mtbkd.prediction import Prediction


def dirichlet_draws(draws: int, inputs: int, classes: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(draws, inputs, classes, generator=generator, dtype=torch.float64)
    return logits.softmax(-1)


def binary_entropy(q: float) -> float:
    return -(q * math.log(q) + (1 - q) * math.log(1 - q))


def test_two_certain_draws_that_disagree_are_all_epistemic():
    opposed = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    p = Prediction(opposed)
    assert p.mean.tolist() == [[0.5, 0.5]]
    assert p.total.item() == pytest.approx(math.log(2))
    assert p.aleatoric.item() == 0
    assert p.epistemic.item() == pytest.approx(math.log(2))
    assert p.deviance.item() == 0


def test_two_flat_draws_are_all_aleatoric():
    p = Prediction(torch.full((2, 3, 4), 0.25))
    assert p.total.tolist() == pytest.approx([math.log(4)] * 3)
    assert p.epistemic.tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert (p.epistemic >= 0).all()
    assert p.deviance.tolist() == pytest.approx([2 * math.log(4)] * 3)


def test_hand_computed_mixed_case():
    p = Prediction(torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]], dtype=torch.float64))
    assert p.total.item() == pytest.approx(binary_entropy(0.7))
    assert p.aleatoric.item() == pytest.approx((binary_entropy(0.9) + binary_entropy(0.5)) / 2)
    assert p.epistemic.item() == pytest.approx(p.total.item() - p.aleatoric.item())
    assert p.labels.tolist() == [0]


def test_epistemic_is_the_mean_divergence_from_the_mean():
    p = Prediction(dirichlet_draws(7, 5, 3))
    divergence = (p.probs * (p.probs.log() - p.mean.log())).sum(-1).mean(0)
    torch.testing.assert_close(p.epistemic, divergence)


def test_one_draw_has_exactly_no_epistemic_uncertainty():
    p = Prediction(dirichlet_draws(1, 1000, 7).float())
    assert p.epistemic.tolist() == [0.0] * 1000


@pytest.mark.parametrize("mass", [0.5, 0.9, 0.95])
def test_interval_agrees_with_torch_quantile(mass):
    p = Prediction(dirichlet_draws(37, 5, 3))
    lower, upper = p.interval(mass)
    torch.testing.assert_close(lower, p.probs.quantile((1 - mass) / 2, 0))
    torch.testing.assert_close(upper, p.probs.quantile((1 + mass) / 2, 0))


def test_chunks_change_nothing(monkeypatch):
    probs = dirichlet_draws(6, 11, 3)
    whole = Prediction(probs)
    expected = whole.aleatoric, *whole.interval(0.8)
    monkeypatch.setattr(mtbkd.prediction, "CHUNK_ELEMENTS", 4 * 18)
    chunked = Prediction(probs)
    assert [s.start for s in chunked._row_chunks()] == [0, 4, 8]
    for a, b in zip(expected, (chunked.aleatoric, *chunked.interval(0.8)), strict=True):
        torch.testing.assert_close(a, b)


def test_chains_come_first():
    probs = dirichlet_draws(6, 2, 3)
    by_chain = Prediction(probs, num_chains=2).by_chain
    assert by_chain.shape == (2, 3, 2, 3)
    assert torch.equal(by_chain[1, 2], probs[1 * 3 + 2])


def test_no_inputs_is_allowed():
    p = Prediction(torch.empty(4, 0, 3))
    assert len(p) == 0
    assert p.total.shape == p.aleatoric.shape == p.epistemic.shape == (0,)
    assert p.interval()[0].shape == (0, 3)


@pytest.mark.parametrize(
    ("probs", "num_chains", "message"),
    [
        (torch.rand(3, 2), 1, r"\[3, 2\].*\[S, N, K\]"),
        (torch.rand(4, 3, 2), 3, "4 draws do not split into 3 chains"),
        (torch.rand(4, 3, 2), 0, "0 chains"),
        (torch.ones(4, 3, 2, dtype=torch.long), 1, "int64"),
    ],
)
def test_bad_shapes_are_refused(probs, num_chains, message):
    with pytest.raises(InputError, match=message):
        Prediction(probs, num_chains)


@pytest.mark.parametrize("mass", [0, 1, 1.2, float("nan")])
def test_bad_mass_is_refused(mass):
    with pytest.raises(InputError, match="mass"):
        Prediction(torch.rand(4, 3, 2)).interval(mass)
