"""One Dirichlet a teacher and row, each on a head of the student's own (Hydra; Tran et al. 2020, arXiv 2001.04694).

    prod_m Dir(q_im; 1 + w_m(x_i) s_m(x_i) p_m(x_i)),    q_im = softmax(head_m(x_i) / temperature)

Up to a constant, -sum_m w_m s_m KL(p_m || q_m): the product pool's strength, with a head in place of the one student
for each teacher. A teacher that knows only some classes speaks of their proportions, as in the mixture.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.block_diagonal import block_diagonal
from mtbkd.errors import require_at_least, require_choice, require_positive
from mtbkd.priors.dirichlet_mixture import PRECISION, log_normalizer
from mtbkd.priors.prior import TeacherPrior, categorical_precision, settings_of, teacher_precision
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.weights import Weights


@dataclass(frozen=True)
class HeadsConfig:
    """As the product's; layer: path of the student's layer that gives all heads' logits, `[n, M * K]`."""

    name: str = "heads"
    concentration: float = 5.0
    strength: float = 1.0
    temperature: float = 1.0
    precision: str = "moments"
    min_precision: float = 0.5
    max_precision: float = 20.0
    layer: str = "heads"

    def __post_init__(self) -> None:
        require_at_least(
            0, concentration=self.concentration, strength=self.strength, min_precision=self.min_precision
        )
        require_positive(temperature=self.temperature, max_precision=self.max_precision)
        require_choice("prior.precision", self.precision, PRECISION)


class HeadsPrior(TeacherPrior):
    """A Dirichlet for each teacher on its own head (above). Raises as `DirichletMixture` does.

    What is called `logits` are all heads', `[..., n, M * K]`, and `log_q` is by head, `[..., n, M, K]`.
    """

    def __init__(
        self,
        bank: TeacherBank,
        weights: Tensor | Weights,
        concentration: float = 5.0,
        temperature: float = 1.0,
        precision: str = "moments",
        min_precision: float = 0.5,
        max_precision: float = 20.0,
        layer: str = "heads",
    ) -> None:
        super().__init__(bank, weights, temperature)
        require_choice("precision", precision, PRECISION)
        s = teacher_precision(bank, concentration, precision, min_precision, max_precision, temperature)
        pull = self.weights.double() * s  # [N, M]
        counts = pull[..., None] * bank.mean_probs(temperature).transpose(0, 1).double()  # [N, M, K]
        strength = torch.ones(bank.num_rows).double() if self.scale is None else self.scale.double()
        self.layer = layer
        self.precision = s.float()
        self.share = (pull / pull.sum(-1, keepdim=True).clamp(min=torch.finfo(pull.dtype).tiny)).float()
        self.log_constant = strength * log_normalizer(counts, "density", self.num_known).sum(-1)
        self.tensors = {"counts": (strength[:, None, None] * counts).float()}
        if self.log_known is not None:
            self.tensors["log_known"] = self.log_known

    @property
    def num_outputs(self) -> int:
        """Numbers of all heads, M * K."""
        return len(self.names) * self.num_classes

    def log_q(self, logits: Tensor) -> Tensor:
        """Log of each head's tempered probabilities, `[..., n, M * K]` -> `[..., n, M, K]`."""
        heads = logits.unflatten(-1, (len(self.names), self.num_classes))
        return torch.log_softmax(heads / self.temperature, -1)

    def score(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """`sum_m w_m s_m (p_m . log q_m - log Q_m)`, Q_m 1 where all classes are known; -> `[..., n]`."""
        return self.by_teacher(log_q, *tensors).sum(-1)

    def by_teacher(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """The summands of the score, `[..., n, M, K]` -> `[..., n, M]`."""
        given = self.given(tensors)
        said = (given["counts"] * log_q).sum(-1)
        if "log_known" not in given:
            return said
        return said - given["counts"].sum(-1) * torch.logsumexp(log_q + given["log_known"], -1)

    def influence(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The same at pool rows: each teacher's part is its own (see `TeacherPrior.influence`). `[..., n, M]`"""
        return self.by_teacher(self.log_q(logits), *self.at(rows))

    def pull(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """`scale w_m s_m`, whatever the student says, `[..., n, M]`."""
        counts = self.given(tensors)["counts"]
        return counts.sum(-1).expand(*log_q.shape[:-1])

    def responsibilities(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Proportional to `w_m s_m`, whatever the student says, and of its logits or its heads': `[..., n, M]`."""
        return self.share[rows].expand(*logits.shape[:-1], -1)

    def logit_precision(self, logits: Tensor, *tensors: Tensor) -> Tensor:
        """`w_m s_m / temperature^2 (diag q'_m - q'_m q'_m')` for each head, q' of the classes that its teacher knows;
        exact. `[n, M * K]` -> `[n, M * K, M * K]`."""
        log_q = self.log_q(logits)
        pull = self.pull(log_q, *tensors)[..., None, None] / self.temperature**2
        if (log_known := self.given(tensors).get("log_known")) is not None:
            log_q = torch.log_softmax(log_q + log_known, -1)
        return block_diagonal((pull * categorical_precision(log_q)).unbind(1))


def build(config: HeadsConfig, bank: TeacherBank, weights: Tensor | Weights) -> HeadsPrior:
    """The prior that the configuration names."""
    return HeadsPrior(bank, weights, **settings_of(config))
