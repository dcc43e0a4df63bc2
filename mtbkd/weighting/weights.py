"""What a weighting gives: a weight for each teacher at each row, and what it found on its way."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """How much is heard of whom.

    teachers: `[N, M]`, rows sum to 1, may be exactly 0
    scale: `[N]` what the whole teacher factor counts at each row, >= 0; None: 1. Rules keep its mean at 1, so that
        methods are compared at equal strength, unless asked for the scale of their paper
    found: what the rule learned, by name, for reports: `trust` `[S, M]` posterior draws of what each teacher is worth,
        chains first, and `trust_chains` `[]` their number
    """

    teachers: Tensor
    scale: Tensor | None = None
    found: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, weights: "Tensor | Weights") -> "Weights":
        """Weights from what a rule returned: `[N, M]`, or all of it."""
        return weights if isinstance(weights, Weights) else cls(torch.as_tensor(weights))
