"""The student's log density written by hand, as users of the peers would: in JAX, and in plain torch for `posteriors`.

    log N(theta; 0, s^2) + sum_i log sum_m exp(offset_im + counts_im . log q_i) + sum_{i labelled} log q_i[y_i]

Before anything is timed each is compared with ours, value and gradient, at random points: `require_equal`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtbkd.density import Batch, Density
from mtbkd.students.student import Student

# Relative to the largest entry; float32 sums over 1,437 rows in another order differ by some 1e-6.
TOLERANCE = 1e-4

Weights = dict[str, Tensor]


class Unequal(RuntimeError):
    """A peer's density is not ours: no timing would mean anything."""


def prior_scales(student: Student) -> dict[str, float]:
    """Standard deviation of the weight prior, one a parameter (all its weights have the same)."""
    like = torch.zeros(())
    normals = student.weight_prior.distributions(student.skeleton, like)
    return {name: float(normal.stddev.flatten()[0]) for name, normal in normals.items()}


def require_equal(
    name: str, density: Density, other: Callable[[Tensor], tuple[Tensor, Tensor]], points: int = 3
) -> None:
    """Raise `Unequal` where another log density `[C, D] -> [C], [C, D]` differs from ours by more than 1e-4.

    Compared in the same precision, at points as wide as an initial network.
    """
    rng = torch.Generator().manual_seed(0)
    theta = (0.2 * torch.randn(points, density.dim, generator=rng)).to(density.device, density.dtype)
    value, grad = density.with_execution(type(density.execution)()).value_and_grad(theta)
    theirs = other(theta)
    for what, mine, its in (("value", value, theirs[0]), ("gradient", grad, theirs[1])):
        error = float((mine - its).abs().max() / mine.abs().max())
        if not error <= TOLERANCE:
            raise Unequal(f"{name}: its {what} differs from ours by {error:.1e} (at most {TOLERANCE:g})")


# ---- JAX ---------------------------------------------------------------------------------------------------------


def jax_log_density(student: Student, density: Density) -> Callable[[Any], Any]:
    """`theta [D] -> log p`, of an MLP student, in JAX's numpy on all rows; data are closed over."""
    import jax
    import jax.numpy as jnp

    x, y, offset, counts = (jnp.asarray(t.cpu().numpy()) for t in density.tensors)
    labelled = jnp.asarray((density.tensors[1] >= 0).cpu().numpy())
    chosen = jnp.maximum(y, 0)
    scales = prior_scales(student)
    sites = [(s.name, s.start, s.size, tuple(s.shape)) for s in density.sites]
    sigma = jnp.asarray(np.concatenate([np.full(size, scales[name]) for name, _, size, _ in sites]), x.dtype)
    activation = {"tanh": jnp.tanh, "relu": jax.nn.relu, "silu": jax.nn.silu, "gelu": jax.nn.gelu}[
        activation_of(student)
    ]

    def log_density(theta: Any) -> Any:
        values = [theta[start : start + size].reshape(shape) for _, start, size, shape in sites]
        layers = list(zip(values[::2], values[1::2], strict=True))
        h = x
        for i, (weight, bias) in enumerate(layers):
            h = h @ weight.T + bias
            h = activation(h) if i < len(layers) - 1 else h
        log_q = jax.nn.log_softmax(h)
        teachers = jax.nn.logsumexp(offset + jnp.einsum("nmk,nk->nm", counts, log_q), axis=-1)
        labels = jnp.where(labelled, jnp.take_along_axis(log_q, chosen[:, None], 1)[:, 0], 0.0)
        return jax.scipy.stats.norm.logpdf(theta, 0.0, sigma).sum() + teachers.sum() + labels.sum()

    return log_density


def activation_of(student: Student) -> str:
    """Name of an MLP student's activation."""
    kinds = {torch.nn.Tanh: "tanh", torch.nn.ReLU: "relu", torch.nn.SiLU: "silu", torch.nn.GELU: "gelu"}
    return next(kinds[type(part)] for part in student.skeleton.module if type(part) in kinds)  # type: ignore[attr-defined]


def checked_jax(student: Student, density: Density) -> Callable[[Any], Any]:
    """The JAX log density, once it was found equal to ours."""
    import jax

    log_density = jax_log_density(student, density)
    both = jax.jit(jax.vmap(jax.value_and_grad(log_density)))

    def as_tensors(theta: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = (torch.from_numpy(np.array(part)) for part in both(theta.cpu().numpy()))
        return value.to(theta.device), grad.to(theta.device)

    require_equal("JAX", density, as_tensors)
    return log_density


# ---- plain torch -------------------------------------------------------------------------------------------------


def log_posterior(student: Student, num_rows: int, device: torch.device) -> Callable[[Weights, Batch], Any]:
    """`(weights by name, (x, y, offset, counts)) -> (mean log posterior a row, logits)`: the form that `posteriors`
    asks for, to be used with temperature 1 / N."""
    network = student.skeleton.module.to(device)
    scales = prior_scales(student)

    def one(weights: Weights, batch: Batch) -> tuple[Tensor, Tensor]:
        x, y, offset, counts = batch
        logits = torch.func.functional_call(network, weights, (x,))
        log_q = torch.log_softmax(logits, -1)
        teachers = torch.logsumexp(offset + (counts @ log_q[..., None]).squeeze(-1), -1).mean()
        labels = F.nll_loss(log_q, y, ignore_index=-1, reduction="sum") / -len(x)
        prior = sum(-0.5 * (w / scales[name]).square().sum() for name, w in weights.items())
        return teachers + labels + prior / num_rows, logits

    return one


def checked_log_posterior(student: Student, density: Density) -> Callable[[Weights, Batch], Any]:
    """The same in plain torch, once it was found equal to ours (but for the prior's constant)."""
    one = log_posterior(student, density.num_rows, density.device)
    zero = torch.zeros(density.dim, device=density.device, dtype=density.dtype)
    # The normal prior's constant, which posteriors' users leave out: ours at theta = 0, less theirs.
    constant = (
        density.log_prob(zero[None])[0] - density.num_rows * one(density.unflatten(zero), density.tensors)[0]
    )

    def both(theta: Tensor) -> tuple[Tensor, Tensor]:
        def value(row: Tensor) -> Tensor:
            return density.num_rows * one(density.unflatten(row), density.tensors)[0] + constant

        rows = [torch.func.grad_and_value(value)(row) for row in theta]
        return torch.stack([v for _, v in rows]), torch.stack([g for g, _ in rows])

    require_equal("plain torch", density, both)
    return one
