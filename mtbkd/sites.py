"""The continuous latents of a Pyro model, and their way to and from one flat, unconstrained vector."""

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
        flat = theta[..., self.start : self.start + self.size].unflatten(-1, self.unconstrained or (1,))
        value = flat if self.unconstrained else flat.squeeze(-1)
        if self.transform is None:
            return value, None
        constrained = self.transform(value)
        jacobian = self.transform.log_abs_det_jacobian(value, constrained)
        batch = theta.dim() - 1
        return constrained, jacobian.flatten(batch).sum(-1) if jacobian.dim() > batch else jacobian

    def free(self, value: Tensor) -> Tensor:
        """The flat, unconstrained form `[..., size]` of a value `[..., *shape]`."""
        batch = value.dim() - len(self.shape)
        inner = value if self.transform is None else self.transform.inv(value)
        return inner.flatten(batch) if inner.dim() > batch else inner.unsqueeze(-1)


def find_sites(model: Callable[..., Any], tensors: tuple[Tensor, ...]) -> list[Site]:
    """The continuous latents of one run of the model."""
    with torch.random.fork_rng(), torch.no_grad():
        trace = poutine.trace(model).get_trace(*tensors)
    refuse_random_subsampling(trace)
    sites = []
    for name, node in trace.nodes.items():
        if node["type"] != "sample" or node["is_observed"] or poutine.util.site_is_subsample(node):
            continue
        sites.append(make_site(name, node["fn"], cast(Tensor, node["value"]).shape))
    if not sites:
        raise InputError(
            "the model has no continuous latent site; declare what is to be inferred by pyro.sample"
        )
    return place(sites)


def make_site(name: str, distribution: Any, shape: torch.Size) -> Site:
    """One latent site, not yet placed; raises `InputError` where it is discrete."""
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
