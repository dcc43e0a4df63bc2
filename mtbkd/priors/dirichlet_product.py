"""The product pool: one Dirichlet at each row, its pseudo-observations pooled from all teachers.

    Dir(q_i; 1 + sum_m w_m(x_i) s_m(x_i) p_m(x_i))

This is the published distillation losses' own form: -lambda sum_m w_m KL(p_m || q) up to a constant.

Of teachers that know only the classes C_m each speaks of the proportions q_C / Q_C alone, Q_C = sum_{k in C} q_k:

    sum_m w_m s_m (p_m . log q - log Q_{C_m}) + const

Such teachers do not contradict one another, and all are heard here at every row. In the mixture one teacher that agrees
with the student is enough, at an input of a class that it does not know too: optimisation is slower there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import require_at_least, require_choice, require_positive
from mtbkd.priors.dirichlet_mixture import PRECISION, log_normalizer
from mtbkd.priors.prior import TeacherPrior, log_mass, settings_of, teacher_precision
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
        voices = share[..., None] * bank.mean_probs(temperature).transpose(0, 1).double()  # [N, M, K]
        counts = voices.sum(1)
        self.precision = s.float()
        self.share = (share / share.sum(-1, keepdim=True).clamp(min=torch.finfo(share.dtype).tiny)).float()
        self.log_constant = pooled_normalizer(bank, share, temperature)
        strength = torch.ones_like(self.log_constant) if self.scale is None else self.scale.double()
        if paper_scale:
            strength = strength * temperature**2
        self.log_constant = strength * self.log_constant
        self.voices = (strength[:, None, None] * voices).float()
        self.tensors = {"counts": (strength[:, None] * counts).float()}
        if self.log_known is not None:
            self.tensors |= {"pull": (strength[:, None] * share).float(), "log_known": self.log_known}

    def score(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """`counts . log q - sum_m w_m s_m log Q_m`, `[..., n, K]` -> `[..., n]`; Q_m is 1 where all is known."""
        given = self.given(tensors)
        score = (given["counts"] * log_q).sum(-1)
        if "log_known" in given:
            score = score - (given["pull"] * log_mass(log_q, given["log_known"])).sum(-1)
        return score

    def pull(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """`scale w_m s_m`, whatever the student says. `[..., n, K]` -> `[..., n, M]`."""
        pull = self.given(tensors)["pull"]
        return pull.expand(*log_q.shape[:-1], -1)

    def responsibilities(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Proportional to `w_m s_m`, whatever the student says. `[..., n, K]` -> `[..., n, M]`."""
        return self.share[rows].expand(*logits.shape[:-1], -1)

    def influence(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Derivatives in the teachers' precisions, `[..., n, K]` -> `[..., n, M]` (see `TeacherPrior.influence`).

            T_m = scale w_m s_m (p_m . log q - log Q_m) + const

        The constant is the normaliser's part, which does not depend on the student.
        """
        log_q, voices = self.log_q(logits), self.voices[rows]
        influence = (voices @ log_q[..., None]).squeeze(-1)
        if self.log_known is None:
            return influence
        return influence - voices.sum(-1) * log_mass(log_q, self.log_known[rows])


def pooled_normalizer(bank: TeacherBank, share: Tensor, temperature: float) -> Tensor:
    """Log-normaliser `[N]` of the pooled factor, of teachers with `share` `w_m s_m` `[N, M]`.

    Teachers that know the same classes make one Dirichlet of these. The product of several such has a closed form
    where they know the same classes or disjoint ones, as proportions within disjoint classes are independent; where
    they overlap there is none, and the product of their normalisers stands for it. It does not depend on the student.
    """
    counts = share[..., None] * bank.mean_probs(temperature).transpose(0, 1).double()  # [N, M, K]
    if bank.classes is None:
        return log_normalizer(counts.sum(1), "density")
    flat = log_normalizer(torch.zeros_like(counts[:, 0]), "density")
    groups, group_of = bank.classes.unique(dim=0, return_inverse=True)
    normalizers = [
        log_normalizer(counts[:, group_of == g].sum(1), "density", known.sum()) - flat
        for g, known in enumerate(groups)
    ]
    return flat + torch.stack(normalizers).sum(0)


def build(config: DirichletProductConfig, bank: TeacherBank, weights: Tensor | Weights) -> DirichletProduct:
    """The prior that the configuration names."""
    return DirichletProduct(bank, weights, **settings_of(config))
