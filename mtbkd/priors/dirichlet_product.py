"""The product pool: one Dirichlet at each row, its pseudo-observations pooled from all teachers.

    Dir(q_i; 1 + sum_m w_m(x_i) s_m(x_i) p_m(x_i))

This is the published distillation losses' own form: -lambda sum_m w_m KL(p_m || q) up to a constant.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import require_at_least, require_choice, require_positive
from mtbkd.priors.dirichlet_mixture import PRECISION, log_normalizer
from mtbkd.priors.prior import TeacherPrior, teacher_precision
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.weights import Weights


@dataclass(frozen=True)
class DirichletProductConfig:
    """As the mixture's, without `normalize`: a single Dirichlet's normaliser is a constant. paper_scale: multiply the
    factor by temperature^2, as the published losses do; else its strength does not depend on the temperature."""

    name: str = "dirichlet_product"
    concentration: float = 5.0
    strength: float = 1.0
    temperature: float = 1.0
    precision: str = "moments"
    min_precision: float = 0.5
    max_precision: float = 20.0
    paper_scale: bool = False

    def __post_init__(self) -> None:
        require_at_least(
            0, concentration=self.concentration, strength=self.strength, min_precision=self.min_precision
        )
        require_positive(temperature=self.temperature, max_precision=self.max_precision)
        require_choice("prior.precision", self.precision, PRECISION)


class DirichletProduct(TeacherPrior):
    """One Dirichlet a row with pooled pseudo-observations (METHOD: pools). Raises as `DirichletMixture` does."""

    def __init__(
        self,
        bank: TeacherBank,
        weights: Tensor | Weights,
        concentration: float = 5.0,
        temperature: float = 1.0,
        precision: str = "moments",
        min_precision: float = 0.5,
        max_precision: float = 20.0,
        paper_scale: bool = False,
    ) -> None:
        super().__init__(bank, weights, temperature)
        require_choice("precision", precision, PRECISION)
        s = teacher_precision(bank, concentration, precision, min_precision, max_precision, temperature)
        share = self.weights.double() * s  # [N, M]
        counts = (share[..., None] * bank.mean_probs(temperature).transpose(0, 1).double()).sum(1)
        self.precision = s.float()
        self.share = (share / share.sum(-1, keepdim=True).clamp(min=torch.finfo(share.dtype).tiny)).float()
        self.log_constant = log_normalizer(counts, "density")
        strength = torch.ones_like(self.log_constant) if self.scale is None else self.scale.double()
        if paper_scale:
            strength = strength * temperature**2
        self.log_constant = strength * self.log_constant
        self.tensors = {"counts": (strength[:, None] * counts).float()}

    def score(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """`counts . log q`, `[..., n, K]` -> `[..., n]`."""
        (counts,) = tensors
        return (counts * log_q).sum(-1)

    def responsibilities(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Proportional to `w_m s_m`, whatever the student says. `[..., n, K]` -> `[..., n, M]`."""
        return self.share[rows].expand(*logits.shape[:-1], -1)


def build(config: DirichletProductConfig, bank: TeacherBank, weights: Tensor | Weights) -> DirichletProduct:
    """The prior that the configuration names."""
    return DirichletProduct(
        bank,
        weights,
        concentration=config.concentration,
        temperature=config.temperature,
        precision=config.precision,
        min_precision=config.min_precision,
        max_precision=config.max_precision,
        paper_scale=config.paper_scale,
    )
