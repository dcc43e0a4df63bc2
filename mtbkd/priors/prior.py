"""What a teacher-informed prior is: a log-density on the student's class probabilities, row by row of the pool."""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.func import grad

from mtbkd.errors import InputError, require_at_least, require_positive
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.weights import Weights


class TeacherPrior(ABC):
    """A density of `q_i = softmax(f_i / temperature)` at each row i of the pool, informed by the teachers.

    tensors: what the density needs of the teachers, each `[N, ...]`: inputs of the compiled graph, never
        constants in it, so that one graph serves every mini-batch
    log_constant: `[N]`, what was left out of `log_prob` because it does not depend on the student: adding it
        gives the normalised log-density (METHOD fact 3: kept in, it costs float32 energies their digits)
    layer: path of the student's layer whose outputs are meant wherever `logits` are asked for; None: its logits
    """

    layer: str | None = None

    def __init__(self, bank: TeacherBank, weights: Tensor | Weights, temperature: float) -> None:
        require_positive(temperature=temperature)
        heard = Weights.of(weights)
        check_weights(bank, heard)
        self.names = bank.names
        self.rows_hash = bank.rows_hash
        self.num_classes = bank.num_classes
        self.temperature = temperature
        self.weights = heard.teachers
        self.scale = heard.scale
        self.tensors: dict[str, Tensor] = {}
        self.log_constant: Tensor = torch.zeros(bank.num_rows)
        self.num_known: Tensor | None = None  # [M], how many classes each teacher knows; None: all know all
        self.log_known: Tensor | None = None  # [N, M, K], 0 for a class that a teacher knows, else -inf
        if bank.classes is not None:
            self.num_known = bank.classes.sum(-1)
            log_known = torch.zeros(bank.classes.shape).masked_fill(~bank.classes, -torch.inf)
            self.log_known = log_known.expand(bank.num_rows, -1, -1)

    @property
    def num_rows(self) -> int:
        """Rows of the pool, N."""
        return len(self.log_constant)

    @property
    def num_outputs(self) -> int:
        """Numbers that the student's `layer` gives an input, K where it is its logits."""
        return self.num_classes

    @abstractmethod
    def score(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """Log-density up to `log_constant`, `[..., n, K]` and the rows' tensors -> `[..., n]`."""

    @abstractmethod
    def responsibilities(self, logits: Tensor, rows: Tensor) -> Tensor:
        """How much each teacher weighs in the gradient at the given rows, `[..., n, K]` -> `[..., n, M]`."""

    @abstractmethod
    def influence(self, logits: Tensor, rows: Tensor) -> Tensor:
        """What a little more of each teacher does to the log-density, T_m, by which its sensitivity is told.

            T_m = d / d alpha_m [log_prob + log_constant] at alpha = 1,    s_m -> alpha_m s_m

        The weights w, the scale and the other teachers' precisions stay as they are; a constant in the student may be
        left out. `[..., n, K]` and pool rows `[n]` -> `[..., n, M]`
        """

    @abstractmethod
    def pull(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """Pseudo-observations of each teacher in the gradient, `scale r_m s_m`; asked only where a teacher does not
        know all classes. `[..., n, K]` and the rows' tensors -> `[..., n, M]`."""

    def given(self, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """The rows' tensors by their names."""
        return dict(zip(self.tensors, tensors, strict=True))

    def log_q(self, logits: Tensor) -> Tensor:
        """Log of the student's tempered probabilities."""
        return torch.log_softmax(logits / self.temperature, -1)

    def log_prob(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Log-density of student logits `[..., n, K]` at pool rows `[n]`, up to `log_constant[rows]` -> `[..., n]`."""
        return self.score(self.log_q(logits), *self.at(rows))

    def logit_precision(self, logits: Tensor, *tensors: Tensor) -> Tensor:
        """What the factor adds to the precision of the logits, `[n, K]` and the rows' tensors -> `[n, K, K]`, >= 0.

            c / temperature^2 (diag q - q q'),   c = sum_k d score / d log q_k = sum_m r_m s_m

        Minus the Hessian of `score` with the responsibilities r held fixed: exact where they do not depend on the
        student (one teacher, the product pool). A mixture's own has another term, -Cov_r of the teachers' gradients,
        left out because with it the precision is indefinite where teachers disagree (METHOD: Laplace).

        Where teachers know only some classes each has its own `q'_m = softmax` of the logits of those, 0 elsewhere:

            1 / temperature^2 sum_m r_m s_m (diag q'_m - q'_m q'_m')
        """
        log_q = self.log_q(logits)
        if self.log_known is not None:
            pull = self.pull(log_q, *tensors)[..., None, None]
            own = categorical_precision(
                torch.log_softmax(log_q[:, None] + self.given(tensors)["log_known"], -1)
            )
            return (pull * own).sum(1) / self.temperature**2
        counts = grad(lambda given: self.score(given, *tensors).sum())(log_q)
        return counts.sum(-1)[:, None, None] / self.temperature**2 * categorical_precision(log_q)

    def at(self, rows: Tensor) -> tuple[Tensor, ...]:
        """The prior's tensors at the given rows."""
        return tuple(tensor[rows] for tensor in self.tensors.values())


def categorical_precision(log_q: Tensor) -> Tensor:
    """`diag q - q q'`, minus the Hessian of any log q_k in its logits: `[..., K]` -> `[..., K, K]`."""
    q = log_q.exp()
    return torch.diag_embed(q) - q[..., :, None] * q[..., None, :]


def log_mass(log_q: Tensor, log_known: Tensor) -> Tensor:
    """`log Q_m`, the student's log-probability of the classes that each teacher knows.

    log_q: `[..., n, K]`; log_known: `[n, M, K]`, 0 for a class that it knows, else -inf. Returns `[..., n, M]`.
    """
    return torch.logsumexp(log_q[..., None, :] + log_known, -1)


def check_weights(bank: TeacherBank, heard: Weights) -> None:
    """Raise `InputError` unless the weights are `[N, M]`, not negative, with rows that sum to 1, and the scale, where
    there is one, `[N]` and not negative."""
    weights, scale = heard.teachers, heard.scale
    expected = (bank.num_rows, bank.num_teachers)
    if tuple(weights.shape) != expected:
        raise InputError(
            f"weights have shape {tuple(weights.shape)}; the bank's rows and teachers ask for {expected}"
        )
    bad = (~torch.isfinite(weights) | (weights < 0)).any(-1) | ((weights.sum(-1) - 1).abs() > 1e-4)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        raise InputError(f"weights: row {row} is {weights[row].tolist()}; give numbers >= 0 that sum to 1")
    if scale is None:
        return
    if tuple(scale.shape) != expected[:1]:
        raise InputError(
            f"the weights' scale has shape {tuple(scale.shape)}; one number a row {expected[:1]} is needed"
        )
    if bool((bad := ~torch.isfinite(scale) | (scale < 0)).any()):
        row = int(bad.nonzero()[0])
        raise InputError(f"the weights' scale is {float(scale[row])} at row {row}; give finite numbers >= 0")


def dirichlet_precision(probs: Tensor, minimum: float, maximum: float) -> Tensor:
    """Precision of a Dirichlet with the draws' moments, clipped.

        s = sum_k mean_k (1 - mean_k) / sum_k Var_k - 1

    probs: `[S, N, K]` draws, S >= 2; variances with S - 1. Returns `[N]`. Exact for Dirichlet draws as S grows,
    some 6 % high at S = 10. Where all draws agree the precision is `maximum`.
    """
    mean = probs.mean(0)
    spread = probs.var(0, correction=1).sum(-1)
    ceiling = (mean * (1 - mean)).sum(-1)
    # Draws that agree on certainty leave 0 / 0: they agree.
    precision = torch.where(spread > 0, ceiling / spread - 1, torch.inf)
    return precision.clamp(minimum, maximum)


def teacher_precision(
    bank: TeacherBank,
    concentration: float,
    precision: str,
    minimum: float,
    maximum: float,
    temperature: float,
) -> Tensor:
    """Pseudo-observations `s_m(x_i)`, `[N, M]`: `concentration` for a point teacher, and by moments for a
    Bayesian one where `precision` is 'moments'."""
    require_at_least(0, concentration=concentration, min_precision=minimum)
    require_positive(max_precision=maximum)
    if maximum < minimum:
        raise InputError(f"max_precision {maximum} is below min_precision {minimum}; swap them")
    columns = []
    for m in range(bank.num_teachers):
        if precision == "moments" and bool(bank.bayesian[m]):
            columns.append(dirichlet_precision(bank.draw_probs(m, temperature).double(), minimum, maximum))
        else:
            columns.append(torch.full((bank.num_rows,), float(concentration), dtype=torch.float64))
    return torch.stack(columns, -1)


def settings_of(config: Any) -> dict[str, Any]:
    """A configuration's fields as a prior's own arguments; `strength` is the student's."""
    own = (field.name for field in dataclasses.fields(config) if field.name not in ("name", "strength"))
    return {name: getattr(config, name) for name in own}
