"""Variational families as pure functions of one flat parameter vector and the noise that a draw is made of.

    diagonal   theta = loc + s e                          e ~ N(0, I)
    low_rank   theta = loc + s (e + W' e')                W [r, D]: Ong, Nott and Smith 2018
    full       theta = loc + s (L e)                      L lower triangular with unit diagonal
    flow       theta = loc + s (m(e) + exp(a(e)) e)       m, a autoregressive, Pyro's: Kingma et al. 2016

with `phi = (loc, log s, the rest)`. The flow's network has skip connections, so that it holds the full normal; at its
start it is the diagonal one. No guide draws anything itself: the same phi and noise are the same draws.
"""

import math
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from pyro.distributions.transforms.utils import clamp_preserve_gradients
from pyro.nn import AutoRegressiveNN
from torch import Tensor
from torch.func import functional_call, vjp

from mtbkd.errors import InputError
from mtbkd.graphs import Graph, trace_graph

GUIDES = ("diagonal", "low_rank", "full", "flow")

# Numbers in phi above which a guide is refused: with Adam's moments and gradients some 1.5 GB.
MOST_NUMBERS = 50_000_000

# Bounds of a flow's log scales: Pyro's.
CLIP = (-5.0, 3.0)

# Draws by which the deviations of a flow, which has no closed form, are told.
TOLD_BY = 512


class Guide(Protocol):
    """dim: D; size: F, the numbers in phi; noise: E, the standard normals that one draw takes."""

    @property
    def dim(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def noise(self) -> int: ...

    def begin(self, start: Tensor, scale: float, generator: torch.Generator) -> Tensor:
        """First phi `[F]`: centred at `start [D]`, every standard deviation about `scale`."""
        ...

    def draw(self, phi: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Draws `[P, D]` from noise `[P, E]`, and the guide's entropy: exact, of the flow estimated by these draws."""
        ...

    def log_q(self, phi: Tensor, noise: Tensor) -> Tensor:
        """Log density `[P]` of the draws that this noise gives."""
        ...

    def deviation(self, phi: Tensor) -> Tensor:
        """Standard deviation of each coordinate, `[D]`."""
        ...


def make_guide(name: str, like: Tensor, rank: int = 10) -> Guide:
    """The guide of this name over vectors like `[D]`; in one dimension all of them are the one normal.

    Raises `InputError` where it would have more numbers than memory should be asked for.
    """
    dim = len(like)
    if dim == 1 or name == "diagonal":
        return Diagonal(dim)
    numbers = {"low_rank": dim * (2 + min(rank, dim)), "full": dim * (2 + dim), "flow": dim * (5 + 5 * dim)}
    if numbers[name] > MOST_NUMBERS:
        raise InputError(
            f"inference.guide={name} of {dim:,} weights has {numbers[name]:,} numbers, over {MOST_NUMBERS:,}; "
            "take low_rank with a smaller rank, or diagonal"
        )
    if name == "low_rank":
        return LowRank(dim, min(rank, dim))
    return Full(dim) if name == "full" else Flow.of(like)


def unit_entropy(dim: int) -> float:
    """Entropy of N(0, I)."""
    return 0.5 * dim * (1 + math.log(2 * math.pi))


def unit_log_prob(noise: Tensor) -> Tensor:
    """Log density of N(0, I) at `[P, D]`, `[P]`."""
    return -0.5 * (noise.square().sum(-1) + noise.shape[-1] * math.log(2 * math.pi))


@dataclass(frozen=True)
class Diagonal:
    """Independent normals."""

    dim: int

    @property
    def size(self) -> int:
        return 2 * self.dim

    @property
    def noise(self) -> int:
        return self.dim

    def begin(self, start: Tensor, scale: float, generator: torch.Generator) -> Tensor:
        return torch.cat([start, torch.full_like(start, math.log(scale))])

    def draw(self, phi: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        loc, log_scale = phi.split(self.dim)
        return loc + log_scale.exp() * noise, log_scale.sum() + unit_entropy(self.dim)

    def log_q(self, phi: Tensor, noise: Tensor) -> Tensor:
        return unit_log_prob(noise) - phi[self.dim :].sum()

    def deviation(self, phi: Tensor) -> Tensor:
        return phi[self.dim :].exp()


@dataclass(frozen=True)
class LowRank:
    """N(loc, S (I + W' W) S), S = diag s, W `[r, D]`; noise is `(e [D], e' [r])`."""

    dim: int
    rank: int

    @property
    def size(self) -> int:
        return (2 + self.rank) * self.dim

    @property
    def noise(self) -> int:
        return self.dim + self.rank

    def parts(self, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """loc `[D]`, log s `[D]`, W `[r, D]`."""
        loc, log_scale, factor = phi.split([self.dim, self.dim, self.rank * self.dim])
        return loc, log_scale, factor.view(self.rank, self.dim)

    def begin(self, start: Tensor, scale: float, generator: torch.Generator) -> Tensor:
        # W = 0 is a saddle; half of the first variance is W's.
        factor = torch.randn(self.rank * self.dim, generator=generator) * self.rank**-0.5
        log_scale = torch.full_like(start, math.log(scale * 0.5**0.5))
        return torch.cat([start, log_scale, factor.to(start)])

    def white(self, factor: Tensor, noise: Tensor) -> Tensor:
        """`[P, D]` of covariance I + W' W."""
        return noise[:, : self.dim] + noise[:, self.dim :] @ factor

    def inner(self, factor: Tensor) -> Tensor:
        """Lower Cholesky factor of I + W W', `[r, r]`, which has the determinant of I + W' W."""
        unit = torch.eye(self.rank, dtype=factor.dtype, device=factor.device)
        # Not checked, as that would wait for a GPU: it is positive definite wherever it is finite.
        return torch.linalg.cholesky_ex(unit + factor @ factor.T)[0]

    def draw(self, phi: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        loc, log_scale, factor = self.parts(phi)
        entropy = log_scale.sum() + self.inner(factor).diagonal().log().sum() + unit_entropy(self.dim)
        return loc + log_scale.exp() * self.white(factor, noise), entropy

    def log_q(self, phi: Tensor, noise: Tensor) -> Tensor:
        _, log_scale, factor = self.parts(phi)
        white, inner = self.white(factor, noise), self.inner(factor)
        # Woodbury: u' (I + W' W)^-1 u = u'u - |inner^-1 W u|^2
        explained = torch.linalg.solve_triangular(inner, factor @ white.T, upper=False).square().sum(0)
        return unit_log_prob(white) + 0.5 * explained - inner.diagonal().log().sum() - log_scale.sum()

    def deviation(self, phi: Tensor) -> Tensor:
        _, log_scale, factor = self.parts(phi)
        return log_scale.exp() * (1 + factor.square().sum(0)).sqrt()


@dataclass(frozen=True)
class Full:
    """N(loc, S L L' S), S = diag s."""

    dim: int

    @property
    def size(self) -> int:
        return (2 + self.dim) * self.dim

    @property
    def noise(self) -> int:
        return self.dim

    def parts(self, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """loc `[D]`, log s `[D]`, the part of L below its diagonal `[D, D]`."""
        loc, log_scale, lower = phi.split([self.dim, self.dim, self.dim**2])
        return loc, log_scale, lower.view(self.dim, self.dim).tril(-1)

    def begin(self, start: Tensor, scale: float, generator: torch.Generator) -> Tensor:
        return torch.cat([start, torch.full_like(start, math.log(scale)), start.new_zeros(self.dim**2)])

    def draw(self, phi: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        loc, log_scale, lower = self.parts(phi)
        theta = loc + log_scale.exp() * (noise + noise @ lower.T)
        return theta, log_scale.sum() + unit_entropy(self.dim)

    def log_q(self, phi: Tensor, noise: Tensor) -> Tensor:
        return unit_log_prob(noise) - phi[self.dim : 2 * self.dim].sum()

    def deviation(self, phi: Tensor) -> Tensor:
        _, log_scale, lower = self.parts(phi)
        return log_scale.exp() * (1 + lower.square().sum(1)).sqrt()


@dataclass(frozen=True)
class Flow:
    """An affine autoregressive flow of standard normals, scaled and moved.

    network: shifts and log scales `[P, D]` of noise `[P, D]`, each from the coordinates before its own
    """

    network: AutoRegressiveNN

    @classmethod
    def of(cls, like: Tensor) -> "Flow":
        """One hidden layer of D units; `like [D]` tells dtype and device."""
        dim = len(like)
        # torch's layers begin with the global generator's numbers, which `begin` replaces.
        with torch.random.fork_rng(devices=[]):
            order = cast(torch.LongTensor, torch.arange(dim))
            network = AutoRegressiveNN(dim, [dim], permutation=order, skip_connections=True)
        return cls(network.to(like.device, like.dtype))

    @property
    def dim(self) -> int:
        return int(self.network.input_dim)

    @property
    def shapes(self) -> dict[str, torch.Size]:
        """The network's parameters, in phi's order."""
        return {name: value.shape for name, value in self.network.named_parameters()}

    @property
    def size(self) -> int:
        return 2 * self.dim + sum(shape.numel() for shape in self.shapes.values())

    @property
    def noise(self) -> int:
        return self.dim

    def parts(self, phi: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """loc `[D]`, log s `[D]`, the network's parameters."""
        sizes = [self.dim, self.dim, *(shape.numel() for shape in self.shapes.values())]
        loc, log_scale, *rest = phi.split(sizes)
        named = zip(self.shapes.items(), rest, strict=True)
        return loc, log_scale, {name: value.view(shape) for (name, shape), value in named}

    def begin(self, start: Tensor, scale: float, generator: torch.Generator) -> Tensor:
        """The identity, its hidden layer random: the output layer and the skip connections are 0."""
        parts = [start, torch.full_like(start, math.log(scale))]
        for name, shape in self.shapes.items():
            first = torch.zeros(shape)
            if name.endswith("layers.0.weight"):
                first = (2 * torch.rand(shape, generator=generator) - 1) * self.dim**-0.5
            parts.append(first.flatten().to(start))
        return torch.cat(parts)

    def image(self, phi: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Draws `[P, D]` and the log |Jacobian| of each, `[P]`."""
        loc, log_scale, parameters = self.parts(phi)
        shift, spread = functional_call(self.network, parameters, (noise,))
        # As Pyro's AffineAutoregressive, which itself keeps the last tensors it saw and so cannot be traced.
        spread = clamp_preserve_gradients(spread, *CLIP)
        white = spread.exp() * noise + shift
        return loc + log_scale.exp() * white, spread.sum(-1) + log_scale.sum()

    def draw(self, phi: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        theta, log_det = self.image(phi, noise)
        return theta, log_det.mean() + unit_entropy(self.dim)

    def log_q(self, phi: Tensor, noise: Tensor) -> Tensor:
        return unit_log_prob(noise) - self.image(phi, noise)[1]

    def deviation(self, phi: Tensor) -> Tensor:
        noise = torch.randn(TOLD_BY, self.dim, generator=torch.Generator().manual_seed(0)).to(phi)
        return self.image(phi, noise)[0].std(0)


# ---- as graphs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GuideGraphs:
    """A guide's two halves of a step, traced for P particles.

    draw: `(phi [F], noise [P, E]) -> theta [P, D]`
    pull: `(phi, noise, value [P], grad [P, D]) -> ELBO a datum, gradient [F] of its negative`, from the log density
        and its gradient at theta
    """

    draw: Graph
    pull: Graph


def trace_guide(guide: Guide, phi: Tensor, particles: int, num_rows: int, compiled: bool) -> GuideGraphs:
    """Trace both halves; the ELBO is divided by `num_rows`."""

    def draw(phi: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        return (guide.draw(phi, noise)[0],)

    def pull(phi: Tensor, noise: Tensor, value: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
        # The gradient of E_q[log p] goes back through the draws, without another pass of the density.
        (_, entropy), back = vjp(lambda phi: guide.draw(phi, noise), phi)[:2]
        (slope,) = back((grad / (-num_rows * particles), torch.full_like(entropy, -1 / num_rows)))
        return (value.mean() + entropy) / num_rows, slope

    noise = phi.new_zeros(particles, guide.noise)
    theta = phi.new_zeros(particles, guide.dim)
    return GuideGraphs(
        trace_graph(draw, (phi, noise), compiled),
        trace_graph(pull, (phi, noise, theta[:, 0], theta), compiled),
    )
