"""The student: one Pyro model of the labels and of what the teachers say.

log p(theta | labels, teachers) = log N(theta; 0, sigma_w^2 I)                            weight prior
    + strength * sum_{i in pool}     log sum_m w_m(x_i) Dir(q_i; 1 + s_m p_m(x_i))        teachers
    +            sum_{i in labelled} log Cat(y_i; softmax f_theta(x_i))                   labels
"""

from typing import cast

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.nn import PyroModule
from torch import Tensor, nn

from mtbkd.data.distillation import DistillationData, check_finite, check_labels, hash_inputs
from mtbkd.data.labels import warn_missing_classes
from mtbkd.errors import InputError, require_at_least
from mtbkd.priors.prior import TeacherPrior, categorical_precision
from mtbkd.students.skeleton import Skeleton, check_output
from mtbkd.students.weight_prior import NormalWeights, WeightPrior


class Student(PyroModule):
    """A Bayesian student of several teachers (arXiv 2605.27967, the equation above).

    network: any `nn.Module` from inputs `[n, ...]` to logits `[n, K]`, without BatchNorm and dropout
    prior: what the teachers say, or None: labels only
    strength: beta, the power on the teacher factor (0 leaves the teachers out)
    weight_prior: prior on the weights, by default normal with standard deviation 3 / sqrt(fan-in); `PosteriorWeights`
        is what earlier students know
    bayesian: which layers get a posterior, 'all', 'last' or module paths; the others are held at their MAP

    As a Pyro model it is called with a batch's tensors: `student(x, y, *teacher_tensors, scale=N / n)`.
    Raises `InputError` for a network it cannot use, a negative strength, or an unknown layer.
    """

    def __init__(
        self,
        network: nn.Module,
        prior: TeacherPrior | None = None,
        *,
        strength: float = 1.0,
        weight_prior: WeightPrior | None = None,
        bayesian: str | list[str] = "all",
    ) -> None:
        super().__init__()
        require_at_least(0, strength=strength)
        self.skeleton = Skeleton(network)
        self.prior = prior
        self.strength = strength
        self.weight_prior = weight_prior or NormalWeights()
        self.weight_prior.distributions(self.skeleton, torch.zeros(1))  # refuses another network's
        self.bayesian = self.skeleton.parameters_of(bayesian)

    def forward(self, x: Tensor, y: Tensor, *teachers: Tensor, scale: Tensor | None = None) -> Tensor:
        """Sample weights, observe teachers and labels; returns the logits `[n, K]`.

        x: `[n, ...]`; y: `[n]`, -1 where unlabelled; teachers: the prior's tensors at these rows;
        scale: N / n where the n rows are a mini-batch of the pool's N.
        """
        weights = self.weight_prior.sample(self.skeleton, x)
        logits = self.skeleton(weights, x)
        log_probs = torch.log_softmax(logits, -1)
        with pyro.plate("rows", len(x)), poutine.scale(scale=1.0 if scale is None else scale):
            if self.prior is not None and self.strength > 0:
                log_q = log_probs if self.prior.temperature == 1 else self.prior.log_q(logits)
                pyro.factor("teachers", self.strength * self.prior.score(log_q, *teachers))
            with poutine.mask(mask=cast(torch.BoolTensor, y >= 0)):
                pyro.sample("labels", NormalizedCategorical(log_probs), obs=y.clamp(min=0))
        return logits

    # ---- for curvature: what a generalised Gauss-Newton asks (mtbkd.inference.curvature.HasLogits) -----------------
    def logits(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        """Logits `[n, K]` of inputs `[n, ...]`, a pure function of the weights by name."""
        return self.skeleton(weights, x)

    def logit_precision(self, logits: Tensor, y: Tensor, *teachers: Tensor) -> Tensor:
        """Minus the Hessian of each row's label and teacher terms in its logits, `[n, K]` -> `[n, K, K]`, >= 0.

        A label's is diag q - q q' whatever it says, none where y is -1; the teachers' is multiplied by `strength` and
        leaves out what a mixture's responsibilities would add (see `TeacherPrior.logit_precision`).
        """
        labelled = (y >= 0).to(logits.dtype)[:, None, None]
        precision = labelled * categorical_precision(torch.log_softmax(logits, -1))
        if self.prior is not None and self.strength > 0:
            precision = precision + self.strength * self.prior.logit_precision(logits, *teachers)
        return precision

    def weight_precision(self, x: Tensor) -> dict[str, Tensor]:
        """One over the weight prior's variance, `[*shape]` by parameter, in the dtype and on the device of `x`.

        Raises `InputError` for a weight prior without one, a mixture."""
        return self.weight_prior.precision(self.skeleton, x)

    def rows(self, data: "DistillationData | tuple[Tensor, Tensor]") -> tuple[Tensor, ...]:
        """The model's tensors for a pool, each `[N, ...]`: inputs, labels, what the prior needs of the teachers.

        Raises `InputError` where the data and the network, or the data and the teachers' rows, do not belong together.
        """
        x, y = (data.pool.x, data.pool.y) if isinstance(data, DistillationData) else data
        x, y = torch.as_tensor(x), whole_labels(torch.as_tensor(y))
        if len(x) == 0:
            raise InputError("the distillation pool is empty (0 rows); give at least one row")
        if y.shape != x.shape[:1]:
            raise InputError(
                f"{len(x)} inputs but labels of shape {tuple(y.shape)}; give one label a row, -1 for unlabelled"
            )
        x = x if x.is_floating_point() else x.float()
        check_finite("pool", x)
        teachers: tuple[Tensor, ...] = ()
        if self.prior is not None:
            self.check_belongs(x)
            teachers = tuple(self.prior.tensors.values()) if self.strength > 0 else ()
        spoken_of = None if self.prior is None else self.prior.num_classes
        num_classes = check_output(self.skeleton, x, spoken_of)
        check_labels("pool", y, num_classes)
        if not isinstance(data, DistillationData):  # whose sources have told already, by name
            warn_missing_classes(y.cpu().numpy(), [str(k) for k in range(num_classes)])
        return (x, y, *teachers)

    def check_belongs(self, x: Tensor) -> None:
        """Raise `InputError` unless the prior's rows are these inputs, in this order."""
        assert self.prior is not None
        if self.prior.num_rows != len(x):
            raise InputError(
                f"the teachers speak of {self.prior.num_rows} rows, the pool has {len(x)}; "
                "build the bank on the pool's rows"
            )
        if self.prior.rows_hash is not None and self.prior.rows_hash != hash_inputs(x.float()):
            raise InputError(
                "the teachers' rows are not the pool's: same number, other inputs or another order (hash differs); "
                "ask the teachers on exactly the inputs the student is fitted to"
            )

    def initial(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Weights to start an optimisation from."""
        return self.weight_prior.initial(self.skeleton, generator)


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


def whole_labels(y: Tensor) -> Tensor:
    """Labels as int64; raises `InputError` naming the row of one that is no whole number."""
    if y.is_floating_point() and len(bad := (y != y.round()).nonzero()):
        row = int(bad[0, 0])
        raise InputError(
            f"pool: label {y[row].tolist()} at row {row} is no class index; use 0, 1, ..., -1 for unlabelled"
        )
    return y.long()
