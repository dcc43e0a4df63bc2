"""The product of posteriors that share one prior, as one normal."""

from collections.abc import Sequence

import torch

from mtbkd.errors import InputError
from mtbkd.students.posterior_moments import Moments, informed, warn_apart
from mtbkd.students.skeleton import Skeleton
from mtbkd.students.weight_prior import NormalWeights


def product(found: Sequence[Moments], prior: NormalWeights, skeleton: Skeleton) -> Moments:
    """prod_m N_m / N_0^(M - 1): precisions add, and so do precisions times means.

    Warns where posteriors are of other modes. Raises `InputError` where a precision is not positive, naming the
    posterior that is widest there.
    """
    base = prior.distributions(skeleton, torch.zeros(1, dtype=torch.float64))
    prior_variance = {name: normal.variance for name, normal in base.items()}
    warn_apart("weight prior: posteriors that are to be multiplied", found, informed(found, prior_variance))
    again = len(found) - 1
    mean, variance = {}, {}
    for name in skeleton.shapes:
        precisions = torch.stack([one.variance[name].reciprocal() for one in found])
        of_prior = prior_variance[name].reciprocal()
        total = precisions.sum(0) - again * of_prior
        if bool(bad := int((~(total > 0)).sum())):
            first = int((~(total > 0)).flatten().nonzero()[0])
            widest = found[int(precisions.flatten(1)[:, first].argmin())]
            raise InputError(
                f"weight prior: the product of {len(found)} posteriors has a precision that is not positive for {bad} "
                f"of {total.numel()} weights of parameter '{name}': posterior '{widest.name}' has a variance of "
                f"{float(widest.variance[name].flatten()[first]):.4g} there and the prior "
                f"{float(of_prior.flatten()[first].reciprocal()):.4g}; keep more draws, see that prior= is the "
                "prior of those fits, multiply fewer, or use the pool 'mixture'"
            )
        weighted = (precisions * torch.stack([one.mean[name] for one in found])).sum(0)
        variance[name] = total.reciprocal()
        mean[name] = (weighted - again * of_prior * base[name].mean) * variance[name]
    return Moments("product", mean, variance)


def prior_of(found: Sequence[Moments], given: NormalWeights | None = None) -> NormalWeights:
    """The normal prior that all of the fits had, by their records or, of those without one, as it is given.

    Raises `InputError` where it is not known, not one and the same, or not a normal but earlier posteriors.
    """
    stated = {} if given is None else given.record()
    records = [dict(one.weight_prior) or stated for one in found]
    for one, record in zip(found, records, strict=True):
        if not record:
            raise InputError(
                f"weight prior: that of posterior '{one.name}' was not kept with it; a product counts the prior of its "
                "posteriors once, so give it (prior=NormalWeights(scale, kind)), or use the pool 'mixture'"
            )
        if NormalWeights.of_record(record) is None:
            raise InputError(
                f"weight prior: posterior '{one.name}' was itself fitted with {record}, and holds what those know: "
                "give the latest alone, multiply posteriors of one normal prior, or use the pool 'mixture'"
            )
        if record != (stated or records[0]):
            other = "prior= is" if stated else f"posterior '{found[0].name}' was fitted with"
            raise InputError(
                f"weight prior: {other} {stated or records[0]}, and posterior '{one.name}' was fitted with {record}; "
                "a product is of posteriors with one prior: fit them alike, or use the pool 'mixture'"
            )
    return NormalWeights(records[0]["scale"], records[0]["kind"])
