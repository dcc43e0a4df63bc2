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
from mtbkd.students.posterior_moments import Moments, distance, moments, moments_of

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
    assert distance(one, other) == pytest.approx((2 / 3) ** 0.5)
    assert distance(one, one) == 0


def test_estimates_of_the_same_weights_are_one_apart():
    """Means drawn round one truth with their own standard deviations: 1 in expectation."""
    generator = torch.Generator().manual_seed(0)
    sd = 0.1 + torch.rand(2, 20_000, generator=generator).double()
    truth = torch.randn(20_000, generator=generator).double()
    mean = truth + sd * torch.randn(2, 20_000, generator=generator).double()
    one, other = (Moments(str(m), {"w": mean[m]}, {"w": sd[m] ** 2}) for m in range(2))
    assert distance(one, other) == pytest.approx(1, abs=5 * 0.5 / 20_000**0.5 * 2)


def test_chains_in_other_modes_are_told():
    mean, sd = random_moments(NETWORK, 0)
    two = drawn(NETWORK, mean, sd, chains=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moments_of("a", two)
    apart = {"weight": two.values["weight"] * torch.tensor([1.0, -1.0]).double().view(2, 1, 1, 1)}
    apart["weight"][1] += 9
    with pytest.warns(
        UserWarning, match=r"chains of posterior 'a' are [0-9.]+ standard deviations apart.*from one start"
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
