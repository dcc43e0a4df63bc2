"""What a weight prior keeps of an earlier posterior: mean and variance of every weight, over all of its draws."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Protocol

from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.students.skeleton import Skeleton

# Root mean squared distance of two means, in standard deviations of their difference, above which they are of other
# modes. Two posteriors of one mode, from disjoint data, are at most about 1 apart.
APART = 2.0

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
    if posterior.held:
        raise InputError(
            f"posterior '{name}' holds parameter '{next(iter(posterior.held))}' at its MAP, which has no variance; "
            "fit it with bayesian='all'"
        )
    draws = {site: value.detach().cpu().double() for site, value in posterior.values.items()}
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
    """How far two posteriors' means are apart, in standard deviations of their difference:

        sqrt( mean_j (mu_1j - mu_2j)^2 / (s_1j^2 + s_2j^2) )

    1 in expectation for estimates of the same weights from disjoint data; less where both say what their prior says.
    """
    squares = count = 0.0
    for site, mean in one.mean.items():
        spread = one.variance[site] + other.variance[site]
        squares += float(((mean - other.mean[site]).square() / spread.clamp(min=1e-300)).sum())
        count += mean.numel()
    return math.sqrt(squares / count)


def warn_apart(what: str, found: list[Moments]) -> None:
    """Warn where two of them are of other modes: their average is then of no use."""
    worst = max(((distance(a, b), a.name, b.name) for a, b in combinations(found, 2)), default=(0.0, "", ""))
    if worst[0] > APART:
        warnings.warn(
            f"{what} are {worst[0]:.1f} standard deviations apart, root mean squared over weights ('{worst[1]}' and "
            f"'{worst[2]}'; at most about 1 within a mode): {ONE_START}",
            stacklevel=2,
        )
