"""Labels under probabilities that are normalised already."""

import pyro.distributions as dist
import torch
from torch import Tensor


class NormalizedCategorical(dist.Categorical):
    """`Categorical(logits=log_probs)` of logits that are normalised already, `[n, K]`: they are not normalised again,
    which on a few classes costs as much as the rest of the likelihood."""

    def __init__(self, log_probs: Tensor) -> None:
        self._param = self.logits = log_probs
        self._num_events = log_probs.shape[-1]
        torch.distributions.Distribution.__init__(self, log_probs.shape[:-1], validate_args=False)

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> "NormalizedCategorical":
        """The same for a larger batch."""
        return NormalizedCategorical(self.logits.expand(*batch_shape, self._num_events))
