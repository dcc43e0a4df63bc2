"""Each label's log-likelihood by draw, and leaving labels out by it against exact leave-one-out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mtbkd import label_terms
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.errors import InputError
from mtbkd.label_terms import LOWEST
from mtbkd.posterior import Posterior
from mtbkd.students.skeleton import Skeleton

az = pytest.importorskip("arviz")

SD = 2.0
X = torch.tensor([[-2.0], [-1.5], [-1.0], [-0.4], [0.3], [0.5], [1.1], [1.6], [2.2], [0.8]])
Y = torch.tensor([1, 1, 0, 1, 1, 0, 0, 0, 0, -1])


def posterior_of(weights: torch.Tensor, chains: int = 1) -> Posterior:
    """Of a network of two logits w_k x without bias; weights `[S, 2]`."""
    values = weights.reshape(chains, -1, 2, 1)
    return Posterior(
        {"weight": values}, torch.zeros(values.shape[:2]), skeleton=Skeleton(nn.Linear(1, 2, bias=False))
    )


def exact(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By quadrature over d = w_0 - w_1 ~ N(0, 2 SD^2), on which the labels alone depend: log p(y_i | y without i), the
    grid, and the posterior's mass on it."""
    d = np.linspace(-40, 40, 40_001)
    log_terms = -np.log1p(np.exp(np.where(y[:, None] == 0, -1, 1) * x[:, None] * d))
    log_joint = log_terms.sum(0) - d**2 / (4 * SD**2)
    evidence = np.logaddexp.reduce(log_joint)
    without = np.logaddexp.reduce(log_joint - log_terms, axis=1)
    return evidence - without, d, np.exp(log_joint - evidence)


def exact_draws(count: int, chains: int) -> Posterior:
    """Independent draws of the posterior, by inverting its distribution function."""
    known = (Y >= 0).numpy()
    _, d, mass = exact(X.double().numpy()[known, 0], Y.numpy()[known])
    drawn = np.interp(np.random.default_rng(0).random(count), mass.cumsum(), d)
    half = torch.tensor(drawn)[:, None] / 2
    return posterior_of(torch.cat([half, -half], 1), chains)


def test_leave_one_out_is_exact_up_to_monte_carlo_error():
    known = (Y >= 0).numpy()
    by_quadrature, _, _ = exact(X.double().numpy()[known, 0], Y.numpy()[known])
    data = exact_draws(8000, chains=4).to_arviz(X, fitted_to=(X, Y))
    found = az.loo(data, pointwise=True)
    assert found.n_data_points == 9
    assert float(found.pareto_k.max()) < 0.7
    # a term's ratio to its mean has a standard deviation of about 1: 1 / sqrt(8000) of each, times four
    np.testing.assert_allclose(found.loo_i.values, by_quadrature, atol=0.045)
    assert float(found.elpd_loo) == pytest.approx(by_quadrature.sum(), abs=0.1)
    assert float(found.p_loo) == pytest.approx(1, abs=0.6)  # one number is learned, from nine labels


def test_terms_are_logarithms_of_predictions_at_labelled_rows():
    own = posterior_of(torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), chains=2)
    found = label_terms.label_terms(own, (X, Y))
    said = own.predict(X).probs
    assert found.log_likelihood.shape == (2, 3, 9)
    assert found.ids == [str(i) for i in range(9)]
    assert found.log_likelihood[1, 2, 3].exp() == pytest.approx(float(said[5, 3, Y[3]]), rel=1e-5)
    assert found.y.tolist() == Y[:9].tolist()


def test_chunks_change_nothing(monkeypatch):
    own = posterior_of(torch.randn(6, 2, generator=torch.Generator().manual_seed(0)))
    whole = label_terms.label_terms(own, (X, Y)).log_likelihood
    monkeypatch.setattr(label_terms, "CHUNK_ELEMENTS", 30)  # two rows of 6 draws and 2 classes
    torch.testing.assert_close(label_terms.label_terms(own, (X, Y)).log_likelihood, whole)


def test_an_impossible_label_has_a_finite_term():
    own = posterior_of(torch.tensor([[500.0, -500.0]]))
    found = label_terms.label_terms(own, (torch.ones(1, 1), torch.tensor([1])))
    assert found.log_likelihood.item() == pytest.approx(np.log(LOWEST))


def test_names_are_the_data_own():
    ids = np.array([f"cell {i}" for i in range(10)])
    data = pool_of(ids, torch.arange(10))
    own = posterior_of(torch.zeros(3, 2))
    assert label_terms.label_terms(own, data).ids == ids[:9].tolist()


def test_labels_that_cannot_be_left_out_alone_are_refused():
    own = posterior_of(torch.zeros(3, 2))
    made = pool_of(np.arange(10).astype(str), torch.tensor([*range(8), -1, -1]))
    with pytest.raises(InputError, match=r"augmentation\.labels=drop"):
        label_terms.label_terms(own, made)
    with pytest.raises(InputError, match="no row has a label"):
        label_terms.label_terms(own, (X, torch.full((10,), -1)))


def pool_of(ids: np.ndarray, index: torch.Tensor) -> DistillationData:
    rows = Rows(X, Y, ids, index)
    none = rows.take(torch.arange(0))
    return DistillationData("ten", rows, none, none, ("left", "right"), Y)


@pytest.mark.parametrize("heat", [0.5, 2.0])
def test_draws_of_another_density_have_no_terms(heat):
    own = exact_draws(40, chains=2)
    tempered = replace(own, meta={"config": {"posterior_temperature": heat}})
    with pytest.raises(InputError, match=f"posterior_temperature={heat:g}"):
        tempered.to_arviz(X, fitted_to=(X, Y))
    assert "log_likelihood" not in tempered.to_arviz(X).groups()
    untempered = replace(own, meta={"config": {"posterior_temperature": 1}})
    assert "log_likelihood" in untempered.to_arviz(X, fitted_to=(X, Y)).groups()
