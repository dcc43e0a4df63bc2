"""The continuous latents of a Pyro model, and their way to and from one flat, unconstrained vector."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import biject_to
from torch.distributions.transforms import Transform

from mtbkd.errors import InputError


@dataclass(frozen=True)
class Site:
    """One continuous latent of the model: its place in the flat vector and its way there."""

    name: str
    shape: torch.Size
    unconstrained: torch.Size
    transform: Transform | None
    start: int

    @property
    def size(self) -> int:
        """Its entries in the flat vector."""
        return self.unconstrained.numel()

    def constrain(self, theta: Tensor) -> tuple[Tensor, Tensor | None]:
        """This site's value `[..., *shape]` from the flat vector `[..., D]`, and its log-Jacobian `[...]`."""
        return self.constrain_part(theta[..., self.start : self.start + self.size])

    def constrain_part(self, part: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same from this site's part of the flat vector, `[..., size]`."""
        flat = part.unflatten(-1, self.unconstrained or (1,))
        value = flat if self.unconstrained else flat.squeeze(-1)
        if self.transform is None:
            return value, None
        constrained = self.transform(value)
        jacobian = self.transform.log_abs_det_jacobian(value, constrained)
        batch = part.dim() - 1
        return constrained, jacobian.flatten(batch).sum(-1) if jacobian.dim() > batch else jacobian

    def free(self, value: Tensor) -> Tensor:
        """The flat, unconstrained form `[..., size]` of a value `[..., *shape]`."""
        batch = value.dim() - len(self.shape)
        inner = value if self.transform is None else self.transform.inv(value)
        return inner.flatten(batch) if inner.dim() > batch else inner.unsqueeze(-1)


def find_sites(
    model: Callable[..., Any], tensors: tuple[Tensor, ...], fewer: tuple[Tensor, ...]
) -> list[Site]:
    """The continuous latents of a model, from two runs of it, of which the second may have fewer rows.

    Raises `InputError` for latents that are discrete, or that differ between the runs: a traced density has the same
    ones, with the same supports, whatever their values and however many rows it is given.
    """
    with torch.random.fork_rng(), torch.no_grad():
        traces = [poutine.trace(model).get_trace(*rows) for rows in (tensors, fewer)]
    refuse_random_subsampling(traces[0])
    tell_parameters(traces[0])
    sites, again = ([make_site(name, node) for name, node in latents(trace)] for trace in traces)
    if not sites:
        raise InputError(
            "the model has no continuous latent site; declare what is to be inferred by pyro.sample"
        )
    if [site.name for site in sites] != [site.name for site in again]:
        raise InputError(
            "the model has other sites when run again; a traced density has the same ones each time"
        )
    for one, other in zip(sites, again, strict=True):
        refuse_change(one, other)
    return place(sites)


def latents(trace: poutine.Trace) -> list[tuple[str, Any]]:
    """The sites of a run that are neither observed nor a plate's."""
    return [
        (name, node)
        for name, node in trace.nodes.items()
        if node["type"] == "sample" and not node["is_observed"] and not poutine.util.site_is_subsample(node)
    ]


def make_site(name: str, node: Any) -> Site:
    """One latent site, not yet placed; raises `InputError` where it is discrete."""
    distribution, shape = node["fn"], cast(Tensor, node["value"]).shape
    support = distribution.support
    if support.is_discrete:
        raise InputError(
            f"site '{name}' ({type(distribution).__name__}) is discrete; the engines need continuous latents: "
            "sum it out, or use Pyro's own enumeration"
        )
    if is_real(support):
        return Site(name, shape, shape, None, 0)
    transform = biject_to(support)
    return Site(name, shape, torch.Size(transform.inverse_shape(shape)), transform, 0)


def refuse_random_subsampling(trace: poutine.Trace) -> None:
    """Raise `InputError` for a plate that draws some of its rows at random."""
    for node in trace.nodes.values():
        for frame in node.get("cond_indep_stack") or ():
            if frame.full_size is not None and frame.full_size > frame.size:
                raise InputError(
                    f"plate '{frame.name}' subsamples its rows at random, which a traced density cannot; "
                    "write the plate without subsample_size and let the model take `scale` (N / n)"
                )


def refuse_change(one: Site, other: Site) -> None:
    """Raise `InputError` where a site's shape or support is another one in the second run."""
    if one.shape != other.shape:
        raise InputError(
            f"site '{one.name}' has shape {tuple(one.shape)} and, with fewer rows, {tuple(other.shape)}: latents of "
            "single rows do not go with mini-batches; let the model take no `scale`"
        )
    if one.transform is None or other.transform is None:
        same = one.transform is other.transform
    else:
        middle = torch.zeros(one.unconstrained)
        same = torch.equal(one.transform(middle), other.transform(middle))
    if not same:
        raise InputError(
            f"the support of site '{one.name}' depends on other sites; give it a fixed one and transform its value"
        )


def tell_parameters(trace: poutine.Trace) -> None:
    """Warn of what the engines leave as it is: they infer sample sites alone."""
    names = [name for name, node in trace.nodes.items() if node["type"] == "param"]
    if names:
        warnings.warn(
            f"the model's parameters ({', '.join(names[:5])}) are held at their present values; what is to be inferred "
            "is declared by pyro.sample",
            stacklevel=2,
        )


def is_real(support: object) -> bool:
    """Whether a support is all of R^n, so that no transform is needed."""
    while isinstance(support, torch.distributions.constraints.independent):
        support = support.base_constraint
    return support is torch.distributions.constraints.real


def place(sites: Sequence[Site]) -> list[Site]:
    """The same sites, one behind the other in the flat vector."""
    placed = []
    start = 0
    for site in sites:
        placed.append(Site(site.name, site.shape, site.unconstrained, site.transform, start))
        start += site.size
    return placed
