"""What a weight prior keeps of an earlier posterior: mean and variance of every weight, over all of its draws."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Protocol

import torch
from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.students.skeleton import Skeleton

# How many times as far apart as one mode explains (mean square) two posteriors are of two modes. Measured on halves of
# scikit-learn's digits (2,410 weights, SVI, two widths of the prior): .3 and 2.1 from one start, 3.6 and 6.4 from two.
APART = 3.0

# Below it two posteriors are their prior, and what is left of their distance is noise of the draws.
LEAST_EXPECTED = 0.05

ONE_START = (
    "hidden units of networks that were trained from other starts do not correspond, and what is between two modes is "
    "none; fit them from one start (fit(..., start=first_fit))"
)


class DrawnWeights(Protocol):
    """What is needed of a posterior (`mtbkd.Posterior` has it): draws `[C, S, *shape]` by parameter, and its record."""

    @property
    def values(self) -> dict[str, Tensor]: ...

    @property
    def held(self) -> dict[str, Tensor]: ...

    @property
    def meta(self) -> dict[str, Any]: ...

    @property
    def skeleton(self) -> Skeleton | None: ...


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each weight, `[*shape]` float64 by parameter; weight_prior: the record of that fit's own."""

    name: str
    mean: dict[str, Tensor]
    variance: dict[str, Tensor]
    weight_prior: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of each parameter."""
        return {name: tuple(mean.shape) for name, mean in self.mean.items()}


def moments_of(name: str, posterior: DrawnWeights) -> Moments:
    """Moments over all chains and draws, the variance with S - 1.

    Warns where chains are in other modes. Raises `InputError` for a posterior that is not a student's, has one draw a
    chain (a MAP, an ensemble), holds weights at their MAP, or never moved one.
    """
    if posterior.skeleton is None:
        raise InputError(
            f"posterior '{name}' is of a Pyro model without a network; a weight prior needs a student's posterior"
        )
    sites = posterior.skeleton.shapes  # a posterior may have others, such as projectors of features
    if held := [site for site in sites if site in posterior.held]:
        raise InputError(
            f"posterior '{name}' holds parameter '{held[0]}' at its MAP, which has no variance; fit it with "
            "bayesian='all'"
        )
    draws = {site: posterior.values[site].detach().cpu().double() for site in sites}
    if next(iter(draws.values())).shape[1] < 2:
        engine = posterior.meta.get("engine", "unknown engine")
        raise InputError(
            f"posterior '{name}' ({engine}) has one draw a chain, which has no variance; fit it by svi, laplace, hmc "
            "or another engine that draws"
        )
    record = posterior.meta.get("weight_prior") or {}
    chains = [
        moments(f"{name}, chain {c}", {site: value[c] for site, value in draws.items()})
        for c in range(len(next(iter(draws.values()))))
    ]
    found = moments(name, {site: value.flatten(0, 1) for site, value in draws.items()}, record)
    for site, variance in found.variance.items():
        if bool(bad := int((~(variance > 0)).sum())):
            raise InputError(
                f"posterior '{name}': {bad} of {variance.numel()} weights of parameter '{site}' have the same value in "
                "all draws, which a prior would fix for ever; fit it by another engine, or longer"
            )
    warn_apart(f"weight prior: chains of posterior '{name}'", chains)
    return found


def moments(name: str, draws: Mapping[str, Tensor], record: Mapping[str, Any] | None = None) -> Moments:
    """Of draws `[S, *shape]` by parameter."""
    mean = {site: value.mean(0) for site, value in draws.items()}
    variance = {site: value.var(0, correction=1) for site, value in draws.items()}
    return Moments(name, mean, variance, record or {})


def distance(one: Moments, other: Moments) -> float:
    """How far two posteriors' means are apart, the mean square in variances of their difference:

        mean_j (mu_1j - mu_2j)^2 / (s_1j^2 + s_2j^2)

    Of estimates of the same weights from disjoint data: 1 in expectation; `informed` where they share a prior.
    """
    squares = count = 0.0
    for site, mean in one.mean.items():
        spread = one.variance[site] + other.variance[site]
        squares += float(((mean - other.mean[site]).square() / spread.clamp(min=1e-300)).sum())
        count += mean.numel()
    return squares / count


def informed(found: Sequence[Moments], prior_variance: Mapping[str, Tensor]) -> float:
    """Share of the weights that the data tell of, mean_j (1 - s_j^2 / sigma_j^2), as MacKay (1992) counts them.

    Where weights are N(0, sigma^2) and a posterior is N(mu, s^2) by data of precision 1 / s^2 - 1 / sigma^2, two of
    them are (mu_1 - mu_2)^2 / 2 s^2 = 1 - s^2 / sigma^2 apart in expectation.
    """
    shares = [
        (1 - one.variance[site] / variance).clamp(min=0).flatten()
        for one in found
        for site, variance in prior_variance.items()
    ]
    return float(torch.cat(shares).mean())


def warn_apart(what: str, found: Sequence[Moments], expected: float = 1.0) -> None:
    """Warn where two of them are of other modes: what is between them is then of no use.

    expected: the `distance` within a mode
    """
    worst = max(((distance(a, b), a.name, b.name) for a, b in combinations(found, 2)), default=(0.0, "", ""))
    ratio = worst[0] / max(expected, LEAST_EXPECTED)
    if ratio > APART:
        warnings.warn(
            f"{what} are {ratio:.1f} times as far apart as one mode explains ('{worst[1]}' and '{worst[2]}', mean "
            f"square over weights in variances): {ONE_START}",
            stacklevel=2,
        )
