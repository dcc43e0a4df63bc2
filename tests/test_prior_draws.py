"""A weight prior pushed through a network, against its own formula."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from drawn import drawn
from torch import Tensor, nn

from mtbkd import prior_draws
from mtbkd.errors import InputError
from mtbkd.posterior import Posterior
from mtbkd.prior_draws import affordable_draws, log_prior
from mtbkd.students.posterior_prior import PosteriorWeights
from mtbkd.students.weight_prior import NormalWeights

SD = 1.5
ONE = torch.ones(1, 1)


def two_classes() -> nn.Linear:
    return nn.Linear(1, 2, bias=False)


def posterior(network: nn.Module) -> Posterior:
    shapes = {name: p.shape for name, p in network.named_parameters()}
    zeros, ones = (
        {name: value.expand(s) for name, s in shapes.items()} for value in torch.tensor([0.0, 1.0])
    )
    return drawn(network, zeros, ones)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def share_above(probs: Tensor, p: float) -> float:
    return float((probs[:, 0, 0] > p).double().mean())


def test_probabilities_are_those_of_a_logistic_of_a_normal():
    # log p_0 / p_1 = w_0 - w_1 ~ N(0, 2 SD^2): P(p_0 > t) = P(z > logit(t) / (SD sqrt 2))
    n = 2000
    found = prior_draws.prior_draws(posterior(two_classes()), NormalWeights(SD, "fixed"), ONE, n, seeded())
    assert found.probs.shape == (n, 1, 2)
    assert found.log_prior.shape == (n,)
    for t in (0.1, 0.5, 0.9):
        exact = 0.5 * math.erfc(math.log(t / (1 - t)) / (SD * math.sqrt(2)) / math.sqrt(2))
        assert share_above(found.probs, t) == pytest.approx(exact, abs=4 * math.sqrt(0.25 / n))
    # log density of D = 2 normals at their own draws: -D/2 - D log(SD sqrt(2 pi)), variance D/2 = 1
    mean = -1 - 2 * math.log(SD * math.sqrt(2 * math.pi))
    assert float(found.log_prior.mean()) == pytest.approx(mean, abs=4 / math.sqrt(n))


def test_a_mixture_is_drawn_by_its_shares():
    # logits (a, -a) with a = +-3, sd .1: p_0 is near .9975 or .0025, three to one
    ends = [
        drawn(two_classes(), {"weight": torch.tensor([[a], [-a]])}, {"weight": torch.full((2, 1), 0.1)})
        for a in (3.0, -3.0)
    ]
    mixture = PosteriorWeights(ends, "mixture", shares=[0.75, 0.25])
    found = prior_draws.prior_draws(posterior(two_classes()), mixture, ONE, 2000, seeded())
    assert share_above(found.probs, 0.9) == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 2000))
    assert share_above(found.probs, 0.1) == share_above(found.probs, 0.9)


def test_held_weights_stay_where_they_are():
    network = nn.Linear(1, 2)
    whole = posterior(network)
    bias = torch.tensor([1.0, -2.0])
    partly = Posterior(
        {"weight": whole.values["weight"]}, whole.log_density, {"bias": bias}, skeleton=whole.skeleton
    )
    found = prior_draws.prior_draws(
        partly, NormalWeights(SD, "fixed"), torch.tensor([[0.0], [1.0]]), 5, seeded()
    )
    # at x = 0 the bias alone decides
    torch.testing.assert_close(found.probs[:, 0], torch.softmax(bias, 0).double().expand(5, 2))
    assert found.probs[:, 1, 0].std() > 0.01


def test_log_prior_of_draws_is_the_formula():
    own = posterior(two_classes())
    w = own.values["weight"]
    expected = -w.square().sum((-1, -2)) / (2 * SD**2) - 2 * math.log(SD * math.sqrt(2 * math.pi))
    torch.testing.assert_close(log_prior(own, NormalWeights(SD, "fixed")), expected)


def test_of_heated_draws_the_prior_counts_less():
    """Draws of p^(1/T): raising the prior to alpha multiplies their density by prior^((alpha - 1) / T)."""
    own = posterior(two_classes())
    heated = dataclasses.replace(own, meta={**own.meta, "config": {"posterior_temperature": 4.0}})
    plain, cooler = (
        one.to_arviz(ONE, weight_prior=NormalWeights(SD, "fixed")).log_prior["weights"].values
        for one in (own, heated)
    )
    np.testing.assert_allclose(cooler, plain / 4)


def test_chunks_change_nothing(monkeypatch):
    def made() -> prior_draws.PriorDraws:
        return prior_draws.prior_draws(posterior(two_classes()), NormalWeights(), ONE, 7, seeded())

    whole = made()
    monkeypatch.setattr(prior_draws, "CHUNK_NUMBERS", 4)
    parts = made()
    torch.testing.assert_close(parts.probs, whole.probs)
    torch.testing.assert_close(parts.log_prior, whole.log_prior)
    assert whole.probs[:, 0, 0].unique().numel() == 7


def test_the_global_generator_is_left_alone():
    own = posterior(two_classes())
    before = torch.random.get_rng_state()
    prior_draws.prior_draws(own, NormalWeights(), ONE, 3, seeded())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_large_networks_get_fewer_draws():
    assert [affordable_draws(n) for n in (100, 1_000_000, 10**9)] == [400, 200, 50]


def test_what_has_no_network_is_refused():
    plain = Posterior({"scale": torch.ones(1, 4)}, torch.zeros(1, 4))
    with pytest.raises(InputError, match="without a network"):
        prior_draws.prior_draws(plain, NormalWeights(), ONE, 3, seeded())
    with pytest.raises(InputError, match="draws is 0"):
        prior_draws.prior_draws(posterior(two_classes()), NormalWeights(), ONE, 0, seeded())
