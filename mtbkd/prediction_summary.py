"""What is kept of predictions at many inputs, where all draws `[S, N, K]` at once would not fit into memory."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.posterior import Posterior
from mtbkd.prediction import Prediction

# Bytes that the draws at a chunk of inputs may take.
MEMORY = 2.5e8


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
    row = posterior.num_chains * posterior.num_draws * num_classes * posterior.log_density.element_size()
    parts = [
        PredictionSummary.of(posterior.predict(x[rows]))
        for rows in torch.arange(len(x)).split(max(1, int(memory // row)))
    ]
    return PredictionSummary(
        torch.cat([part.mean for part in parts]),
        torch.cat([part.total for part in parts]),
        torch.cat([part.aleatoric for part in parts]),
        parts[0].num_draws,
    )
