"""What is kept of predictions at many inputs, where all draws `[S, N, K]` at once would not fit into memory."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.posterior import Posterior
from mtbkd.prediction import Prediction

# Bytes that the draws at a chunk of inputs may take.
MEMORY = 2.5e8
# Inputs whose entropies are taken at a time.
ROWS = 65_536


@dataclass(frozen=True)
class PredictionSummary:
    """A `Prediction` without its draws.

    mean: `[N, K]` posterior predictive probabilities; total, aleatoric: `[N]` uncertainties in nats
    num_draws: how many draws they were taken over
    """

    mean: Tensor
    total: Tensor
    aleatoric: Tensor
    num_draws: int

    @classmethod
    def of(cls, prediction: Prediction) -> "PredictionSummary":
        """The summary of draws."""
        return cls(prediction.mean, prediction.total, prediction.aleatoric, prediction.num_draws)

    @classmethod
    def of_rows(cls, parts: Iterable[Prediction]) -> "PredictionSummary":
        """The summary of predictions `[S, n, K]` at chunks of the inputs, one after the other, all of S draws.

        parts: at least one; an iterator holds one at a time
        raises: InputError where there is none, or they differ in draws or classes
        """
        found = [cls.of(part) for part in parts]
        kinds = {(one.num_draws, one.mean.shape[1]) for one in found}
        if len(kinds) != 1:
            raise InputError(
                f"prediction summary: chunks of rows with (draws, classes) {sorted(kinds)}; give at least one chunk, "
                "all of the same draws and classes"
            )
        return cls(
            torch.cat([one.mean for one in found]),
            torch.cat([one.total for one in found]),
            torch.cat([one.aleatoric for one in found]),
            found[0].num_draws,
        )

    @classmethod
    def of_draws(cls, chunks: Iterable[Tensor]) -> "PredictionSummary":
        """The summary of draws that come in chunks, each `[s, N, K]` of the same N inputs, or one draw `[N, K]`.

        Running sums in float64, rounded to the draws' precision at the end, so that memory is that of one chunk and
        of two means, whatever the number of draws.

        chunks: at least one; an iterator holds one at a time
        raises: InputError where there is none, or they differ in inputs or classes
        """
        sums: tuple[Tensor, Tensor] | None = None
        draws, dtype = 0, torch.float32
        for chunk in chunks:
            for draw in Prediction(chunk[None] if chunk.dim() == 2 else chunk).probs.detach():
                if sums is None:
                    dtype, zero = draw.dtype, torch.zeros_like(draw, dtype=torch.float64)
                    sums = zero, zero.new_zeros(len(draw))
                if draw.shape != sums[0].shape:
                    raise InputError(
                        f"prediction summary: draw {draws} is of shape {list(draw.shape)}, those before it of "
                        f"{list(sums[0].shape)}; give draws at the same inputs"
                    )
                sums[0].add_(draw)
                sums[1].add_(_entropy(draw))
                draws += 1
        if sums is None:
            raise InputError("prediction summary: no draws; give at least one chunk [s, N, K]")
        mean, aleatoric = (total.div_(draws) for total in sums)
        return cls(mean.to(dtype), _entropy(mean).to(dtype), aleatoric.to(dtype), draws)

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def labels(self) -> Tensor:
        """The most probable class under the mean, `[N]` int64."""
        return self.mean.argmax(-1)

    @property
    def epistemic(self) -> Tensor:
        """Epistemic uncertainty `[N]` in nats, total less aleatoric, >= 0; 0 for one draw."""
        if self.num_draws == 1:
            return torch.zeros_like(self.total)
        return (self.total - self.aleatoric).clamp_min(0)

    @property
    def finite(self) -> bool:
        """Whether every probability is a number."""
        return bool(torch.isfinite(self.mean).all())


def summarise(posterior: Posterior, x: Tensor, num_classes: int, memory: float = MEMORY) -> PredictionSummary:
    """Predict at inputs `[N, ...]`, N >= 1, a chunk of rows at a time.

    memory: bytes that the draws `[S, n, K]` of one chunk may take
    """
    chunks = chunks_of_rows(posterior, len(x), num_classes, memory)
    return PredictionSummary.of_rows(posterior.predict(x[rows]) for rows in chunks)


def chunks_of_rows(
    posterior: Posterior, n: int, num_classes: int, memory: float = MEMORY
) -> tuple[Tensor, ...]:
    """The numbers of n rows, in chunks `[m]` at which all draws `[S, m, K]` keep within `memory` bytes."""
    row = posterior.num_chains * posterior.num_draws * num_classes * posterior.log_density.element_size()
    return torch.arange(n).split(max(1, int(memory // row)))


def _entropy(probs: Tensor) -> Tensor:
    """`[N]` nats in float64 of `[N, K]`."""
    return torch.cat([torch.special.entr(rows.double()).sum(-1) for rows in probs.split(ROWS)])
