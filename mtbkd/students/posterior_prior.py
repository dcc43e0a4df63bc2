"""Yesterday's posterior as today's prior: normals over the weights, pooled from saved posteriors."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyro
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from mtbkd.errors import InputError, require_at_least, require_choice
from mtbkd.students.elementwise_normal import ElementwiseNormal
from mtbkd.students.posterior_moments import DrawnWeights, moments_of
from mtbkd.students.posterior_product import prior_of, product
from mtbkd.students.skeleton import Skeleton
from mtbkd.students.weight_prior import NormalWeights, WeightPrior, sample_weights

POOLS = ("product", "mixture")


class PosteriorWeights(WeightPrior):
    """What earlier students of the same shape know, in place of `N(0, sigma_w^2)`: N_m = N(mu_m, diag s_m^2).

        product   prod_m N_m(theta) / N(theta; 0, sigma_w^2)^(M - 1)     learned from disjoint data, the prior once
        mixture   sum_m pi_m N_m(theta)                                  alternatives: one of them, for all weights

    posteriors: by name, or a list, as `fit` or `Posterior.load` gave them; mu_m and s_m are the moments of their draws,
        all chains together, computed once
    widen: a factor >= 1 on the standard deviations of what was pooled. A mean-field posterior is too narrow, and what
        is learned from task to task with widen > 1 fades: a posterior k tasks old counts as 1 / widen^(2k) of itself
    shares: pi, of a mixture, >= 0 with sum 1; equal where left out
    prior: sigma_w, the prior that all of the fits had, for posteriors without a record of it. Only a product of several
        needs it. A posterior is expected to be of temperature 1, and to have heard of data,
        labels and teachers, what no other one has.

    One posterior is the same either way: continual learning. A normal in place of a posterior loses its correlations.
    Noise of few draws: S of them give 1 / s^2 some 2 / S too high, with a relative error of sqrt(2 / S).

    The hidden units of a network have no order, so weights of networks from independent starts do not correspond, and
    the product of their posteriors is of no use however good each is. Only those fitted from one start (or after one
    another) may be multiplied. Only predictions on data could tell for sure; of weights alone, a warning is given where
    means are `posterior_moments.APART` times as far apart as posteriors of one mode are. A mixture may be of any modes,
    and a chain then stays near one.

    Raises `InputError` naming posterior and parameter for one without a variance (MAP, weights held at their MAP), for
    shapes that differ, an unknown sigma_w, and a product whose precision is not positive.
    """

    def __init__(
        self,
        posteriors: Mapping[str, DrawnWeights] | Sequence[DrawnWeights],
        pool: str = "product",
        *,
        widen: float = 1.0,
        shares: Sequence[float] | None = None,
        prior: NormalWeights | None = None,
    ) -> None:
        require_choice("prior_pool", pool, POOLS)
        require_at_least(1, prior_widen=widen)
        if not isinstance(posteriors, Mapping):
            posteriors = {str(m): posterior for m, posterior in enumerate(posteriors)}
        if shares is not None and pool != "mixture":
            raise InputError(
                f"weight prior: a {pool} has no shares; leave them out, or use the pool 'mixture'"
            )
        if not posteriors:
            raise InputError("a weight prior was made from no posterior; give at least one")
        found = [moments_of(name, posterior) for name, posterior in posteriors.items()]
        for other in found[1:]:
            check_shapes(found[0].shapes, f"posterior '{found[0].name}'", other.shapes, f"'{other.name}'")
        self.pool = pool
        self.widen = widen
        self.names = tuple(posteriors)
        self.log_shares = [math.log(share) if share else -math.inf for share in shares_of(shares, len(found))]
        if pool == "product" and len(found) > 1:
            skeleton = next(iter(posteriors.values())).skeleton
            assert skeleton is not None
            found, self.log_shares = [product(found, prior_of(found, prior), skeleton)], [0.0]
        self.components = found
        self._placed: dict[tuple[torch.dtype, torch.device], list[dict[str, ElementwiseNormal]]] = {}

    def record(self) -> dict[str, Any]:
        """What it was pooled from."""
        return {"name": "posterior", "pool": self.pool, "widen": self.widen, "posteriors": list(self.names)}

    def check(self, skeleton: Skeleton) -> None:
        """Raise `InputError` naming the first parameter whose shape is another one in the student."""
        shapes = {name: tuple(shape) for name, shape in skeleton.shapes.items()}
        check_shapes(self.components[0].shapes, f"posterior '{self.names[0]}'", shapes, "the student")

    def normals(self, like: Tensor) -> list[dict[str, ElementwiseNormal]]:
        """The components, by parameter, in the dtype and on the device of `like`; made once:
        a student asks when it is made, and `Density` runs a model before it traces it."""
        key = (like.dtype, like.device)
        if key not in self._placed:
            self._placed[key] = [
                {
                    name: ElementwiseNormal(
                        mean.to(like.device, like.dtype),
                        (self.widen * one.variance[name].sqrt()).to(like.device, like.dtype),
                    )
                    for name, mean in one.mean.items()
                }
                for one in self.components
            ]
        return self._placed[key]

    def distributions(self, skeleton: Skeleton, like: Tensor) -> dict[str, TorchDistributionMixin]:
        """One normal a parameter. For several components the first's, masked: its sites have density 1, and `sample`
        adds the mixture's as a factor (a ratio to one component would lose float32's digits far away from it)."""
        self.check(skeleton)
        components = self.normals(like)
        several = len(components) > 1
        return {
            name: components[0][name].mask(False) if several else components[0][name]
            for name in skeleton.shapes
        }

    def sample(self, skeleton: Skeleton, like: Tensor) -> dict[str, Tensor]:
        """Declare every weight, and for a mixture the factor `weight_prior`. (Its sites' own draws are of the first
        component; engines use the density alone.)"""
        weights = sample_weights(self.distributions(skeleton, like))
        if len(self.components) > 1:
            pyro.factor("weight_prior", self.log_prob(skeleton, weights, like))
        return weights

    def log_prob(self, skeleton: Skeleton, weights: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """logsumexp_m (log pi_m + sum_j log N(theta_j; mu_mj, s_mj^2)), a scalar."""
        terms = [
            torch.stack([normals[name].log_prob(weights[name]) for name in skeleton.shapes]).sum() + log_share
            for normals, log_share in zip(self.normals(like), self.log_shares, strict=True)
        ]
        return terms[0] if len(terms) == 1 else torch.logsumexp(torch.stack(terms), 0)

    def precision(self, skeleton: Skeleton, like: Tensor) -> dict[str, Tensor]:
        """1 / (widen s)^2; raises `InputError` for a mixture, whose curvature changes sign between its components."""
        if len(self.components) > 1:
            raise InputError(
                f"a mixture of {len(self.components)} posteriors as weight prior has no one precision, which Laplace "
                "needs; use prior_pool=product, or another engine (svi, hmc)"
            )
        return super().precision(skeleton, like)

    def initial(self, skeleton: Skeleton, generator: torch.Generator) -> dict[str, Tensor]:
        """A draw."""
        return self.draw(skeleton, generator)

    def draw(self, skeleton: Skeleton, generator: torch.Generator) -> dict[str, Tensor]:
        """One draw: of a component by its share, then of its normals."""
        self.check(skeleton)
        shares = torch.tensor(self.log_shares, dtype=torch.float64).exp()
        chosen = self.components[int(torch.multinomial(shares, 1, generator=generator))]
        start = {}
        for name in skeleton.shapes:
            mean, variance = chosen.mean[name], chosen.variance[name]
            noise = torch.randn(mean.shape, generator=generator, dtype=torch.float64)
            start[name] = (mean + self.widen * variance.sqrt() * noise).float()
        return start


def shares_of(shares: Sequence[float] | None, count: int) -> list[float]:
    """pi of `count` components; raises `InputError` unless as many numbers >= 0 that sum to 1."""
    if shares is None:
        return [1 / count] * count
    if len(shares) != count or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise InputError(f"weight prior: shares are {list(shares)}; give {count} numbers >= 0 that sum to 1")
    return list(shares)


def check_shapes(
    shapes: Mapping[str, tuple[int, ...]], what: str, others: Mapping[str, tuple[int, ...]], where: str
) -> None:
    """Raise `InputError` naming the first parameter that differs."""
    for name in dict.fromkeys([*shapes, *others]):
        if shapes.get(name) != others.get(name):
            raise InputError(
                f"weight prior: parameter '{name}' is {shapes.get(name, 'absent')} in {what} and "
                f"{others.get(name, 'absent')} in {where}; give posteriors of the student's own network"
            )
