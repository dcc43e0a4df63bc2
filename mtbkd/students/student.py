"""The student: one Pyro model of the labels and of what the teachers say.

log p(theta | labels, teachers) = log N(theta; 0, sigma_w^2 I)                            weight prior
    + strength * sum_{i in pool}     log sum_m w_m(x_i) Dir(q_i; 1 + s_m p_m(x_i))        teachers
    +            sum_{i in labelled} log Cat(y_i; softmax f_theta(x_i))                   labels
    +            sum_m log N(P_m) - alpha / 2 sum_{i in pool} ||P_m h_m(x_i) - f_m(x_i)||^2 / F_m      hints, if any
"""

from typing import cast

import pyro
import torch
from pyro import poutine
from pyro.nn import PyroModule
from torch import Tensor, nn

from mtbkd.block_diagonal import block_diagonal
from mtbkd.data.distillation import DistillationData, check_finite, check_labels, hash_inputs
from mtbkd.data.labels import warn_missing_classes
from mtbkd.errors import InputError, require_at_least
from mtbkd.features.transfer import FeatureTransfer
from mtbkd.priors.prior import TeacherPrior, categorical_precision
from mtbkd.students import projectors
from mtbkd.students.normalized_categorical import NormalizedCategorical
from mtbkd.students.skeleton import Skeleton, check_output
from mtbkd.students.weight_prior import NormalWeights, WeightPrior, sample_weights


class Student(PyroModule):
    """A Bayesian student of several teachers (arXiv 2605.27967, the equation above).

    network: any `nn.Module` from inputs `[n, ...]` to logits `[n, K]`, without BatchNorm and dropout
    prior: what the teachers say, or None: labels only
    strength: beta, the power on the teacher factor (0 leaves the teachers out)
    weight_prior: prior on the weights, by default normal with standard deviation 3 / sqrt(fan-in); `PosteriorWeights`
        is what earlier students know
    bayesian: which layers get a posterior, 'all', 'last' or module paths; the others are held at their MAP, and so are
        the hints' projectors unless all layers are Bayesian
    hints: which of its layers are drawn to which of the teachers', or None

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
        hints: FeatureTransfer | None = None,
    ) -> None:
        super().__init__()
        require_at_least(0, strength=strength)
        self.skeleton = Skeleton(network)
        self.prior = prior
        self.strength = strength
        self.weight_prior = weight_prior or NormalWeights()
        self.weight_prior.distributions(self.skeleton, torch.zeros(1))  # refuses another network's
        self.bayesian = self.skeleton.parameters_of(bayesian)
        self.hints = hints if hints is not None and hints.strength > 0 else None
        if self.hints is not None:
            sites = [hint.projector for hint in self.hints.hints]
            if taken := [site for site in sites if site in self.skeleton.shapes]:
                raise InputError(f"network has a parameter '{taken[0]}', as a projector is called; rename it")
            self.bayesian += sites if len(self.bayesian) == len(self.skeleton.shapes) else []

    def forward(self, x: Tensor, y: Tensor, *teachers: Tensor, scale: Tensor | None = None) -> Tensor:
        """Sample weights, observe teachers and labels; returns the logits `[n, K]`.

        x: `[n, ...]`; y: `[n]`, -1 where unlabelled; teachers: the prior's tensors and the hints' at these rows;
        scale: N / n where the n rows are a mini-batch of the pool's N.
        """
        said, targets = self.split(teachers)
        weights = self.weight_prior.sample(self.skeleton, x)
        logits, layers = self.skeleton.with_layers(weights, x, self.captured)
        log_probs = torch.log_softmax(logits, -1)
        hinted = self.sample_projections(layers, x)
        with pyro.plate("rows", len(x)), poutine.scale(scale=1.0 if scale is None else scale):
            if (prior := self.heard) is not None:
                spoken_of = logits if prior.layer is None else layers[prior.layer]
                log_q = (
                    log_probs if spoken_of is logits and prior.temperature == 1 else prior.log_q(spoken_of)
                )
                pyro.factor("teachers", self.strength * prior.score(log_q, *said))
            for (site, projection), target in zip(hinted.items(), targets, strict=True):
                pyro.factor(site, cast(FeatureTransfer, self.hints).score(projection, target))
            with poutine.mask(mask=cast(torch.BoolTensor, y >= 0)):
                pyro.sample("labels", NormalizedCategorical(log_probs), obs=y.clamp(min=0))
        return logits

    @property
    def heard(self) -> TeacherPrior | None:
        """The prior where it counts for something."""
        return self.prior if self.strength > 0 else None

    @property
    def captured(self) -> tuple[str, ...]:
        """Layers whose outputs the model needs besides the logits."""
        of_prior = None if self.heard is None else self.heard.layer
        of_hints = () if self.hints is None else self.hints.student_layers
        return tuple(dict.fromkeys((*(() if of_prior is None else (of_prior,)), *of_hints)))

    def split(self, teachers: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The teachers' tensors as the prior's and the hints'."""
        last = len(self.heard.tensors) if self.heard is not None else 0
        return teachers[:last], teachers[last:]

    def sample_projections(self, layers: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
        """Sample the projectors; what they make of the layers, `[n, F]` by the site of its factor."""
        if self.hints is None:
            return {}
        widths = {path: features.shape[-1] for path, features in layers.items()}
        values = sample_weights(projectors.distributions(self.hints, widths, x))
        made = projectors.projected(self.hints, values, layers)
        return {hint.factor: one for hint, one in zip(self.hints.hints, made, strict=True)}

    # ---- for curvature: what a generalised Gauss-Newton asks (mtbkd.inference.curvature.HasLogits) -----------------
    def logits(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        """All that the rows' terms depend on, of inputs `[n, ...]`, a pure function of the latents by site: the logits
        `[n, K]` and, behind them, the layer that the prior speaks of and the projected features, if any."""
        if not self.captured:
            return self.skeleton(weights, x)
        own = {name: weights[name] for name in self.skeleton.shapes}
        logits, layers = self.skeleton.with_layers(own, x, self.captured)
        parts = [logits]
        if self.heard is not None and self.heard.layer is not None:
            parts.append(layers[self.heard.layer])
        if self.hints is not None:
            parts += projectors.projected(self.hints, weights, layers)
        return torch.cat(parts, -1)

    def logit_precision(self, logits: Tensor, y: Tensor, *teachers: Tensor) -> Tensor:
        """Minus the Hessian of each row's terms in what `logits` gives, `[n, R]` -> `[n, R, R]`, >= 0.

        A label's is diag q - q q' whatever it says, none where y is -1; the teachers' is multiplied by `strength` and
        leaves out what a mixture's responsibilities would add (see `TeacherPrior.logit_precision`); a hint's is
        alpha / F. With hints a Gauss-Newton is exact in the projectors and in what the layer is linear in, given the
        other; it leaves out what the residuals would add in both.
        """
        prior, (said, targets) = self.heard, self.split(teachers)
        own = [prior.num_outputs] if prior is not None and prior.layer is not None else []
        own += [target.shape[-1] for target in targets]
        outputs, *others = logits.split([logits.shape[-1] - sum(own), *own], -1)
        labelled = (y >= 0).to(logits.dtype)[:, None, None]
        blocks = [labelled * categorical_precision(torch.log_softmax(outputs, -1))]
        if prior is not None:
            spoken_of = outputs if prior.layer is None else others.pop(0)
            precision = self.strength * prior.logit_precision(spoken_of, *said)
            blocks = [blocks[0] + precision] if prior.layer is None else [*blocks, precision]
        for projection in others:
            identity = torch.eye(projection.shape[-1], dtype=logits.dtype, device=logits.device)
            alpha = cast(FeatureTransfer, self.hints).strength
            blocks.append((alpha / len(identity) * identity).expand(len(logits), -1, -1))
        return blocks[0] if len(blocks) == 1 else block_diagonal(blocks)

    def weight_precision(self, x: Tensor) -> dict[str, Tensor]:
        """One over the prior variance of weights and projectors, `[*shape]` by site, with the dtype and device of `x`.

        Raises `InputError` for a weight prior without one, a mixture."""
        precision = self.weight_prior.precision(self.skeleton, x)
        if self.hints is not None:
            widths = self.skeleton.widths(x, self.hints.student_layers)
            priors = projectors.distributions(self.hints, widths, x)
            precision |= {site: prior.variance.reciprocal() for site, prior in priors.items()}
        return precision

    def rows(self, data: "DistillationData | tuple[Tensor, Tensor]") -> tuple[Tensor, ...]:
        """The model's tensors for a pool, each `[N, ...]`: inputs, labels, what prior and hints need of the teachers.

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
        for said in (self.prior, self.hints):
            if said is not None:
                check_belongs(said, x)
        teachers = [] if self.heard is None else list(self.heard.tensors.values())
        teachers += [] if self.hints is None else list(self.hints.tensors.values())
        spoken_of = None if self.prior is None else self.prior.num_classes
        num_classes = check_output(self.skeleton, x, spoken_of)
        self.check_layers(x)
        check_labels("pool", y, num_classes)
        if not isinstance(data, DistillationData):  # whose sources have told already, by name
            warn_missing_classes(y.cpu().numpy(), [str(k) for k in range(num_classes)])
        return (x, y, *teachers)

    def check_layers(self, x: Tensor) -> None:
        """Raise `InputError` unless the network has the layers that prior and hints speak of, as wide as they need."""
        widths = self.skeleton.widths(x[:2], self.captured)
        if self.heard is not None and self.heard.layer is not None:
            check_width(
                self.heard.layer, widths[self.heard.layer], len(self.heard.names), self.heard.num_classes
            )

    def initial(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Weights to start an optimisation from."""
        return self.weight_prior.initial(self.skeleton, generator)


def check_belongs(said: TeacherPrior | FeatureTransfer, x: Tensor) -> None:
    """Raise `InputError` unless what the teachers said is of these inputs, in this order."""
    if said.num_rows != len(x):
        raise InputError(
            f"the teachers speak of {said.num_rows} rows, the pool has {len(x)}; build the bank on the pool's rows"
        )
    if said.rows_hash is not None and said.rows_hash != hash_inputs(x.float()):
        raise InputError(
            "the teachers' rows are not the pool's: same number, other inputs or another order (hash differs); "
            "ask the teachers on exactly the inputs the student is fitted to"
        )


def check_width(layer: str, width: int, num_teachers: int, num_classes: int) -> None:
    """Raise `InputError` unless a layer gives K logits a teacher."""
    if width != num_teachers * num_classes:
        raise InputError(
            f"the student's layer '{layer}' gives {width} numbers an input; {num_teachers} teachers of {num_classes} "
            f"classes need {num_teachers * num_classes}: a head for each, student=heads student.heads={num_teachers}"
        )


def whole_labels(y: Tensor) -> Tensor:
    """Labels as int64; raises `InputError` naming the row of one that is no whole number."""
    if y.is_floating_point() and len(bad := (y != y.round()).nonzero()):
        row = int(bad[0, 0])
        raise InputError(
            f"pool: label {y[row].tolist()} at row {row} is no class index; use 0, 1, ..., -1 for unlabelled"
        )
    return y.long()
