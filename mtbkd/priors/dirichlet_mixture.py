"""The teacher-informed prior of MT-BKD: a mixture of Dirichlets, one a teacher.

    log sum_m w_m(x_i) Dir(q_i; 1 + s_m(x_i) p_m(x_i))           (arXiv 2605.27967)

s_m is the concentration lambda for a point teacher and, for a Bayesian one, the precision of a Dirichlet with the
moments of its draws. `normalize` says what each component is divided by:

    density   its own integral (the paper); where s_m differ, the only fair comparison of teachers
    peak      its maximum: exp(-s_m KL(p_m || q)), fit alone decides
    none      nothing: exp(-s_m CE(p_m, q)), favours sharp teachers

A teacher that knows only the classes C speaks of their proportions q_C / Q_C, Q_C = sum_{k in C} q_k, and of nothing
else: these are Dirichlet(1 + s p), while Q_C and the other classes are as under the flat Dirichlet. On the simplex:

    log component = log Gamma(K) - log Gamma(|C|) + log Gamma(|C| + s) - sum_{k in C} log Gamma(1 + s p_k)
                    + s p . log q - s log Q_C

Its gradient is that of -s CE(p, q_C / Q_C), which does not move Q_C; `peak` and `none` are its KL and its CE.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import require_at_least, require_choice, require_positive
from mtbkd.priors.prior import TeacherPrior, log_mass, settings_of, teacher_precision
from mtbkd.row_layout import with_rows_innermost
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.weights import Weights

NORMALIZE = ("density", "peak", "none")
PRECISION = ("moments", "fixed")


@dataclass(frozen=True)
class DirichletMixtureConfig:
    """concentration: pseudo-observations a point teacher is worth at one input; strength: power on the whole
    teacher factor; precision: a Bayesian teacher's concentration 'moments' of its draws or 'fixed'."""

    name: str = "dirichlet_mixture"
    concentration: float = 5.0
    strength: float = 1.0
    temperature: float = 1.0
    normalize: str = "density"
    precision: str = "moments"
    min_precision: float = 0.5
    max_precision: float = 20.0

    def __post_init__(self) -> None:
        require_at_least(
            0, concentration=self.concentration, strength=self.strength, min_precision=self.min_precision
        )
        require_positive(temperature=self.temperature, max_precision=self.max_precision)
        require_choice("prior.normalize", self.normalize, NORMALIZE)
        require_choice("prior.precision", self.precision, PRECISION)


class DirichletMixture(TeacherPrior):
    """Mixture of the teachers' Dirichlets at each row (METHOD: MT-BKD).

    bank: teachers on the pool's rows; weights: `[N, M]`, rows sum to 1, may be exactly 0. Raises `InputError` for
    weights of another shape, negative concentration, unknown `normalize` or `precision`.
    """

    def __init__(
        self,
        bank: TeacherBank,
        weights: Tensor | Weights,
        concentration: float = 5.0,
        temperature: float = 1.0,
        normalize: str = "density",
        precision: str = "moments",
        min_precision: float = 0.5,
        max_precision: float = 20.0,
    ) -> None:
        super().__init__(bank, weights, temperature)
        require_choice("normalize", normalize, NORMALIZE)
        require_choice("precision", precision, PRECISION)
        s = teacher_precision(bank, concentration, precision, min_precision, max_precision, temperature)
        probs = bank.mean_probs(temperature).transpose(0, 1).double()  # [N, M, K]
        counts = s[..., None] * probs
        offset = self.weights.double().log() + log_normalizer(counts, normalize, self.num_known)  # [N, M]
        self.precision = s.float()
        self.slope = normalizer_slope(counts, normalize, self.num_known).float()
        largest = offset.max(-1).values
        self.tensors = {
            "offset": (offset - largest[:, None]).float(),
            "counts": with_rows_innermost(counts.float()),
        }
        self.log_constant = largest
        if self.scale is not None:
            self.tensors["scale"] = self.scale.float()
            self.log_constant = largest * self.scale
        if self.log_known is not None:
            self.tensors["log_known"] = self.log_known

    def fit(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """`s_m p_m . log q`, less `s_m log Q_m` where not all classes are known: how well each teacher agrees with the
        student, `[..., n, M]`."""
        given = self.given(tensors)
        counts = given["counts"]
        fit = (counts * log_q[..., None, :]).sum(
            -1
        )  # one loop with the rest, where a product would be a call
        if "log_known" in given:
            fit = fit - counts.sum(-1) * log_mass(log_q, given["log_known"])
        return fit

    def components(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """Log of each weighted component, `[..., n, M]`."""
        return self.given(tensors)["offset"] + self.fit(log_q, *tensors)

    def score(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """`scale * log sum_m exp(components)`, `[..., n, K]` -> `[..., n]`."""
        total = torch.logsumexp(self.components(log_q, *tensors), -1)
        scale = self.given(tensors).get("scale")
        return total if scale is None else scale * total

    def pull(self, log_q: Tensor, *tensors: Tensor) -> Tensor:
        """`scale r_m s_m`, `[..., n, K]` -> `[..., n, M]`."""
        given = self.given(tensors)
        pull = torch.softmax(self.components(log_q, *tensors), -1) * given["counts"].sum(-1)
        return given["scale"][:, None] * pull if "scale" in given else pull

    def responsibilities(self, logits: Tensor, rows: Tensor) -> Tensor:
        """`r_m = softmax_m(log w_m - log B(1 + s_m p_m) + s_m p_m . log q)`: r, not w, weights the teachers in the
        gradient. `[..., n, K]` -> `[..., n, M]`."""
        return torch.softmax(self.components(self.log_q(logits), *self.at(rows)), -1)

    def influence(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Derivatives in the teachers' precisions, `[..., n, K]` -> `[..., n, M]` (see `TeacherPrior.influence`).

            density   T_m = r_m s_m sum_k p_mk (log q_k - psi(1 + s_m p_mk) + psi(K + s_m))
            peak      T_m = -r_m s_m KL(p_m || q)
            none      T_m = -r_m s_m CE(p_m, q)

        times the row's scale; of |C| in place of K classes, and of q_C / Q_C, where a teacher knows only C.
        """
        log_q, tensors = self.log_q(logits), self.at(rows)
        fit = self.fit(log_q, *tensors)
        given = self.given(tensors)
        influence = torch.softmax(given["offset"] + fit, -1) * (fit + self.slope[rows])
        return given["scale"][:, None] * influence if "scale" in given else influence


def log_normalizer(counts: Tensor, normalize: str, num_known: Tensor | None = None) -> Tensor:
    """What is added to `counts . log q` (less `s log Q_C`) to normalise a component, `[..., K]` -> `[...]`.

    density: -log B(1 + counts), of a Dirichlet of the `num_known` classes `[...]` that it speaks of, None: of all K,
        with the rest flat; peak: the entropy term -sum_k counts_k log(counts_k / s); none: 0.
    """
    if normalize == "density":
        k = torch.tensor(counts.shape[-1], dtype=counts.dtype)
        known = k if num_known is None else num_known.to(counts.dtype)
        flat = torch.lgamma(k) - torch.lgamma(known)  # exactly 0 where all are known
        return flat + torch.lgamma(known + counts.sum(-1)) - torch.lgamma(1 + counts).sum(-1)
    if normalize == "peak":
        total = counts.sum(-1, keepdim=True)
        share = counts / total.clamp(min=torch.finfo(counts.dtype).tiny)
        return (total * torch.special.entr(share)).sum(-1)
    return torch.zeros_like(counts[..., 0])


def normalizer_slope(counts: Tensor, normalize: str, num_known: Tensor | None = None) -> Tensor:
    """Derivative of `log_normalizer(alpha counts)` in alpha at 1, `[..., K]` -> `[...]`.

    density: s psi(|C| + s) - sum_k counts_k psi(1 + counts_k); the others are proportional to s.
    """
    if normalize != "density":
        return log_normalizer(counts, normalize, num_known)
    total = counts.sum(-1)
    known = counts.shape[-1] if num_known is None else num_known
    return total * torch.digamma(known + total) - (counts * torch.digamma(1 + counts)).sum(-1)


def build(config: DirichletMixtureConfig, bank: TeacherBank, weights: Tensor | Weights) -> DirichletMixture:
    """The prior that the configuration names."""
    return DirichletMixture(bank, weights, **settings_of(config))
