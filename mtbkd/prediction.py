"""What a posterior says about inputs: draws of class probabilities, and what is read off them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mtbkd.errors import InputError

# Elements of an intermediate: 32 MB in float64, whatever the number of inputs.
CHUNK_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class Prediction:
    """The predictive distribution of a student at N inputs, as S posterior draws.

    probs: `[S, N, K]` class probabilities, chains first: draw s of chain c is row `c * (S // num_chains) + s`
    num_chains: number of chains that the draws came from
    """

    probs: Tensor
    num_chains: int = 1

    def __post_init__(self) -> None:
        if self.probs.dim() != 3:
            raise InputError(
                f"prediction: probs has shape {list(self.probs.shape)}; draws [S, N, K] are needed"
            )
        if not self.probs.is_floating_point():
            raise InputError(f"prediction: probs is {self.probs.dtype}; use probabilities in floating point")
        if self.num_chains < 1 or self.num_draws < 1 or self.num_draws % self.num_chains:
            raise InputError(
                f"prediction: {self.num_draws} draws do not split into {self.num_chains} chains; "
                "give num_chains >= 1 that divides the number of draws"
            )

    @property
    def num_draws(self) -> int:
        """Draws of all chains together, S."""
        return self.probs.shape[0]

    @property
    def by_chain(self) -> Tensor:
        """The draws with chains apart, `[C, S // C, N, K]`, as ArviZ has them."""
        return self.probs.unflatten(0, (self.num_chains, -1))

    def __len__(self) -> int:
        return self.probs.shape[1]

    @cached_property
    def mean(self) -> Tensor:
        """Posterior predictive probabilities `[N, K]`: the mean over draws."""
        return self.probs.mean(0)

    @property
    def labels(self) -> Tensor:
        """The most probable class under the mean, `[N]` int64."""
        return self.mean.argmax(-1)

    @cached_property
    def total(self) -> Tensor:
        """Total uncertainty `[N]` in nats: the entropy of the mean, H[E p]."""
        return torch.special.entr(self.mean).sum(-1)

    @cached_property
    def aleatoric(self) -> Tensor:
        """Aleatoric uncertainty `[N]` in nats: the mean of the entropies, E H[p]."""
        parts = [torch.special.entr(self.probs[:, rows]).sum(-1).mean(0) for rows in self._row_chunks()]
        return torch.cat(parts) if parts else self.probs.new_zeros(0)

    @cached_property
    def epistemic(self) -> Tensor:
        """Epistemic uncertainty `[N]` in nats, H[E p] - E H[p] >= 0: what the weights would tell."""
        if self.num_draws == 1:  # exactly nothing to learn; rounding would otherwise rank the inputs
            return torch.zeros_like(self.total)
        return (self.total - self.aleatoric).clamp_min(0)

    @property
    def deviance(self) -> Tensor:
        """The "mean deviance" of the released MT-BKD code, `[N]`: 2 E H[p], twice the aleatoric part."""
        return 2 * self.aleatoric

    def interval(self, mass: float = 0.9) -> tuple[Tensor, Tensor]:
        """Central credible interval of each class probability.

        mass: posterior probability between the bounds, in (0, 1)
        returns: lower and upper bound, each `[N, K]`: quantiles (1 - mass)/2 and (1 + mass)/2, interpolated
        raises: InputError for a mass outside (0, 1)
        """
        if not 0 < mass < 1:
            raise InputError(f"interval: mass is {mass}; it must lie strictly between 0 and 1")
        lower, upper = (self.probs.new_empty(self.probs.shape[1:]) for _ in range(2))
        for rows in self._row_chunks():
            ordered = self.probs[:, rows].sort(0).values
            lower[rows] = _quantile_of_sorted(ordered, (1 - mass) / 2)
            upper[rows] = _quantile_of_sorted(ordered, (1 + mass) / 2)
        return lower, upper

    def _row_chunks(self) -> Iterator[slice]:
        size = max(1, CHUNK_ELEMENTS // max(1, self.num_draws * self.probs.shape[2]))
        for start in range(0, len(self), size):
            yield slice(start, start + size)


def _quantile_of_sorted(ordered: Tensor, q: float) -> Tensor:
    # torch.quantile refuses more than 16 million elements
    position = q * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return torch.lerp(ordered[below], ordered[above], position - below)
