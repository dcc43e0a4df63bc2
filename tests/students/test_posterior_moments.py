"""Moments by hand, how far two posteriors are apart, and which posteriors have none."""

import dataclasses
import warnings

import pytest
import torch
from drawn import drawn, random_moments
from torch import nn

from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference import EnsembleConfig, MAPConfig, SVIConfig
from mtbkd.students import Student, mlp
from mtbkd.students.posterior_moments import Moments, distance, informed, moments, moments_of, warn_apart

NETWORK = nn.Linear(1, 2, bias=False)


def test_moments_by_hand():
    """0, 1, 5: mean 2, variance (4 + 1 + 9) / 2."""
    found = moments("a", {"w": torch.tensor([[0.0], [1.0], [5.0]]).double()})
    assert found.mean["w"].tolist() == [2]
    assert found.variance["w"].tolist() == [7]


def test_chains_are_one_sample():
    """Two chains of -a, a, -a, a round m: 8 draws, variance 8 a^2 / 7 with a^2 = 3/4 sd^2."""
    mean, sd = random_moments(NETWORK, 0)
    found = moments_of("a", drawn(NETWORK, mean, sd, chains=2))
    torch.testing.assert_close(found.mean["weight"], mean["weight"])
    torch.testing.assert_close(found.variance["weight"], sd["weight"] ** 2 * 6 / 7)
    assert found.weight_prior == {"name": "normal", "scale": 1.5, "kind": "fixed"}


def test_the_distance_by_hand():
    """(3^2 / (1 + 8) + 0 + 2^2 / (3 + 1)) / 3 = 2/3."""
    one = Moments(
        "a", {"w": torch.zeros(2), "b": torch.tensor(2.0)}, {"w": torch.ones(2), "b": torch.tensor(3.0)}
    )
    other = Moments(
        "b",
        {"w": torch.tensor([3.0, 0.0]), "b": torch.tensor(0.0)},
        {"w": torch.tensor([8.0, 1.0]), "b": torch.tensor(1.0)},
    )
    assert distance(one, other) == pytest.approx(2 / 3)
    assert distance(one, one) == 0


@pytest.mark.parametrize("sigma", [0.1, 1.0, 30.0])
def test_posteriors_of_one_truth_are_as_far_apart_as_they_are_informed(sigma):
    """Truth from the prior, data of any precision, the exact posteriors: a wide prior gives 1, a narrow one less.

    The distance is a mean of 40,000 chi-squares times shares of at most 1: five standard errors are .04 of it."""
    generator = torch.Generator().manual_seed(0)
    truth = sigma * torch.randn(40_000, generator=generator).double()
    precision = 0.1 + 10 * torch.rand(40_000, generator=generator).double()
    found = []
    for m in range(2):
        seen = truth + precision**-0.5 * torch.randn(40_000, generator=generator).double()
        variance = 1 / (precision + sigma**-2)
        found.append(Moments(str(m), {"w": variance * precision * seen}, {"w": variance}))
    share = informed(found, {"w": torch.full((40_000,), sigma**2).double()})
    assert share == pytest.approx(float((precision / (precision + sigma**-2)).mean()))
    assert distance(*found) == pytest.approx(share, rel=0.05)


def test_only_what_one_mode_cannot_explain_is_told():
    """Distances of 2.9 and 3.1 times what is expected."""
    for shift, told in ((2.9, False), (3.1, True)):
        ends = [
            Moments(str(m), {"w": torch.tensor([m * (shift * 2 * 0.5) ** 0.5])}, {"w": torch.ones(1)})
            for m in range(2)
        ]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_apart("these", ends, expected=0.5)
        assert bool(caught) is told


def test_chains_in_other_modes_are_told():
    mean, sd = random_moments(NETWORK, 0)
    two = drawn(NETWORK, mean, sd, chains=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moments_of("a", two)
    apart = {"weight": two.values["weight"] * torch.tensor([1.0, -1.0]).double().view(2, 1, 1, 1)}
    apart["weight"][1] += 9
    with pytest.warns(
        UserWarning, match=r"chains of posterior 'a' are [0-9.]+ times as far apart.*from one start"
    ):
        moments_of("a", dataclasses.replace(two, values=apart))


X, Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2] * 2)


@pytest.mark.parametrize("config", [MAPConfig(steps=2, num_starts=2), EnsembleConfig(num_members=2, steps=2)])
def test_tops_have_no_variance(config):
    posterior = fit(Student(mlp(2, [3], 3)), (X, Y), config, progress=False)
    with pytest.raises(
        InputError, match=rf"posterior 'old' \({config.name}\) has one draw a chain.*fit it by svi"
    ):
        moments_of("old", posterior)


def test_weights_held_at_their_map_have_no_variance():
    config = SVIConfig(steps=2, warm_start=2, draws=3)
    posterior = fit(Student(mlp(2, [3], 3), bayesian="last"), (X, Y), config, progress=False)
    with pytest.raises(InputError, match=r"posterior 'old' holds parameter '0\.weight'.*bayesian='all'"):
        moments_of("old", posterior)


def test_other_sites_are_left_alone():
    """What a posterior has beside its network's weights, as projectors of features are, drawn or held."""
    mean, sd = random_moments(NETWORK, 0)
    posterior = drawn(NETWORK, mean, sd)
    values = {"projector": torch.zeros(1, 4, 2), **posterior.values}
    more = dataclasses.replace(posterior, values=values, held={"another": torch.zeros(3)})
    assert list(moments_of("a", more).mean) == ["weight"]


def test_a_weight_that_never_moved_is_refused():
    mean, sd = random_moments(NETWORK, 0)
    sd["weight"][1] = 0
    with pytest.raises(
        InputError, match="posterior 'old': 1 of 2 weights of parameter 'weight' have the same value"
    ):
        moments_of("old", drawn(NETWORK, mean, sd))


def test_another_models_posterior_is_refused():
    mean, sd = random_moments(NETWORK, 0)
    with pytest.raises(InputError, match="without a network"):
        moments_of("old", dataclasses.replace(drawn(NETWORK, mean, sd), skeleton=None))
