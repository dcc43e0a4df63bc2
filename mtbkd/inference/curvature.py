"""The curvature of a log-density at a point: the exact Hessian, or a generalised Gauss-Newton.

    G = sum_i J_i' H_i J_i,    J_i = d f(x_i) / d theta  [K, D],    H_i = -d^2 log p(row i) / d f(x_i)^2  [K, K]

G is the Hessian of the rows' terms with the network linearised (Schraudolph 2002; Martens 2020, section 8): exact where
the logits f are linear in theta, and never indefinite where H_i is not. Sums are in float64.
"""

from collections.abc import Callable
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor
from torch.func import grad, jacrev, vjp, vmap

from mtbkd.density import Batch, Density
from mtbkd.forward_mode import pushforward


@runtime_checkable
class HasLogits(Protocol):
    """A Pyro model whose rows depend on its latents through logits alone: what a Gauss-Newton needs to know of it.

    logits: of inputs `[n, ...]`, a pure function of the latents by site -> `[n, K]`; behind them may stand whatever
        else the rows' terms depend on, as what a student's layers give
    logit_precision: logits and the model's tensors behind the inputs -> H, `[n, K, K]`, symmetric and >= 0
    weight_precision: minus the second derivative of the latents' own log-density, by site, `[*shape]`
    """

    def logits(self, weights: dict[str, Tensor], x: Tensor) -> Tensor: ...

    def logit_precision(self, logits: Tensor, *tensors: Tensor) -> Tensor: ...

    def weight_precision(self, x: Tensor) -> dict[str, Tensor]: ...


def has_gauss_newton(density: Density) -> bool:
    """Whether the density's model tells its logits, its rows can be taken apart, and no site is transformed."""
    real = all(site.transform is None for site in density.sites)
    return isinstance(density.model, HasLogits) and density.takes_batches and real


def logits_of(density: Density, x: Tensor) -> Callable[[Tensor], Tensor]:
    """The logits of inputs `[n, ...]` as a function of the flat vector `[D]` -> `[n, K]`."""
    model = cast(HasLogits, density.model)
    return lambda theta: model.logits(density.unflatten(theta), x)


def weight_precision(density: Density) -> Tensor:
    """The weight prior's precision `[D]`, float64."""
    model = cast(HasLogits, density.model)
    return density.flatten(model.weight_precision(density.tensors[0][:1])).double()


def weighted_jacobians(density: Density, theta: Tensor, rows: Batch, loop: bool) -> tuple[Tensor, Tensor]:
    """J_i and H_i J_i of the given rows, each `[n, K, D]`; loop: one row after the other, as convolutions want it."""
    x, *others = rows
    model = cast(HasLogits, density.model)
    precision = model.logit_precision(logits_of(density, x)(theta), *others)

    def one(row: Tensor, together: int | None = None) -> Tensor:
        return cast(Tensor, jacrev(logits_of(density, row[None]), chunk_size=together)(theta))[0]

    try:
        jacobians = torch.stack([one(row) for row in x]) if loop else vmap(one)(x)
    except (
        RuntimeError
    ):  # torch cannot batch every layer (recurrent ones); any other error comes up again below
        jacobians = torch.stack([one(row, together=1) for row in x])
    return jacobians, precision @ jacobians


def gauss_newton_diagonal(density: Density, theta: Tensor, rows: Batch, loop: bool = False) -> Tensor:
    """The diagonal of the given rows' G at theta `[D]`: `[D]`."""
    jacobians, weighted = weighted_jacobians(density, theta, rows, loop)
    return (jacobians * weighted).sum((0, 1)).double()


def gauss_newton(density: Density, theta: Tensor, rows: Batch, loop: bool = False) -> Tensor:
    """The given rows' G at theta `[D]`: `[D, D]`."""
    jacobians, weighted = weighted_jacobians(density, theta, rows, loop)
    return (jacobians.flatten(0, 1).T @ weighted.flatten(0, 1)).double()


def gauss_newton_products(
    density: Density, theta: Tensor, rows: Batch, directions: Tensor, loop: bool = False
) -> Tensor:
    """The given rows' G at theta `[D]` times directions `[D, R]`: `[D, R]`, without any J.

    loop: one direction after the other, where batching does not pay (convolutions on a CPU)
    """
    x, *others = rows
    function = logits_of(density, x)
    logits, backwards, *_ = vjp(function, theta)
    precision = cast(HasLogits, density.model).logit_precision(logits, *others)

    def product(direction: Tensor) -> Tensor:
        _, change = pushforward(function, theta, direction)
        return cast(Tensor, backwards((precision @ change[..., None]).squeeze(-1))[0])

    columns = directions.to(theta.dtype).T
    done = torch.stack([product(one) for one in columns]) if loop else vmap(product)(columns)
    return done.T.double().contiguous()


def hessian_rows(density: Density, theta: Tensor, first: int, last: int) -> Tensor:
    """Rows `first` to `last` of minus the log-density's Hessian at theta `[D]`: `[last - first, D]`."""

    def value(point: Tensor) -> Tensor:
        return density.log_joint(point, density.full, density.held)

    _, backwards, *_ = vjp(grad(value), theta)
    chosen = torch.eye(density.dim, dtype=theta.dtype, device=theta.device)[first:last]
    return -cast(Tensor, vmap(lambda one: backwards(one)[0])(chosen)).double()
