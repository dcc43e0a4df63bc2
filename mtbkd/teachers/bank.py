"""What the student hears: every teacher's logits at the same rows, checked at the door."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mtbkd.data.distillation import hash_inputs
from mtbkd.errors import InputError, nearest
from mtbkd.teachers.coverage import Labels, coverage, partial, placed
from mtbkd.teachers.values import check_agreement, check_features, check_logits, logits_of_probs

Values = Mapping[str, Tensor | np.ndarray]


@dataclass(frozen=True)
class TeacherCost:
    """What a teacher costs; None where it cannot be known.

    parameters: number of learned numbers; stored_bytes: bytes on disk
    latency_ms: median milliseconds for one input; seconds: of prediction, with training where the run trained it
    """

    parameters: int | None = None
    stored_bytes: int | None = None
    latency_ms: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class TeacherBank:
    """Logits of M teachers at the same N rows.

    names: M names
    predictions: one tensor a teacher, logits `[S_m, N, K]` float32, S_m = 1 for a point teacher; -inf is
        an exact zero of a teacher that gave probabilities
    rows_hash: hash of the inputs, None where unknown
    costs: one a teacher, None where unknown
    classes: `[M, K]` bool, which classes each teacher knows, None: all know all. A class that a teacher does not know
        is -inf in its predictions too, but means that it says nothing of it: only `classes` tells the two apart
    features: what layers of teachers give at the rows, `{teacher: {layer: [N, F]}}`, of those that were asked
    """

    names: tuple[str, ...]
    predictions: tuple[Tensor, ...]
    rows_hash: str | None = None
    costs: tuple[TeacherCost, ...] | None = None
    classes: Tensor | None = None
    features: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)

    @classmethod
    def from_logits(
        cls,
        logits: Values,
        inputs: Tensor | np.ndarray | None = None,
        *,
        classes: Labels | None = None,
        class_names: Sequence[str] | None = None,
    ) -> "TeacherBank":
        """A bank of logits `[N, K]`, or draws `[S, N, K]`, a teacher.

        inputs: `[N, ...]`, by whose hash the bank later refuses other inputs or another order.
        classes: what the columns of a teacher are that does not know all classes, or has them in another order:
            `{teacher: [its columns' classes]}`, by name, or by index where there are no `class_names` (all K, in order)
        Raises `InputError` naming teacher and row for NaN, infinities, shapes that differ, or unknown classes.
        """
        return cls._checked({n: check_logits(n, z) for n, z in logits.items()}, inputs, classes, class_names)

    @classmethod
    def from_probs(
        cls,
        probs: Values,
        inputs: Tensor | np.ndarray | None = None,
        *,
        classes: Labels | None = None,
        class_names: Sequence[str] | None = None,
    ) -> "TeacherBank":
        """A bank of probabilities `[N, K]`, or draws `[S, N, K]`, a teacher; z = log p, zeros allowed.

        classes, class_names: as in `from_logits`
        Raises `InputError` naming teacher and row for NaN, negative values, rows that do not sum to 1
        (within 1e-3; they are renormalised), shapes that differ, or unknown classes.
        """
        return cls._checked(
            {n: logits_of_probs(n, p) for n, p in probs.items()}, inputs, classes, class_names
        )

    @classmethod
    def from_predictions(
        cls,
        predictions: Values,
        rows_hash: str | None = None,
        costs: Sequence[TeacherCost] | None = None,
        classes: Tensor | None = None,
    ) -> "TeacherBank":
        """A bank of what `Teacher.predict` returned: logits in which single classes may be -inf.

        classes: `[M, K]` bool, which each teacher knows; what a teacher says of the others is set to -inf
        """
        checked = {name: check_logits(name, z, zeros=True) for name, z in predictions.items()}
        check_agreement(checked)
        known = coverage(classes, checked)
        if known is not None:
            own = zip(checked.items(), known, strict=True)
            masked = {name: z.masked_fill(~mask, -torch.inf) for (name, z), mask in own}
            checked = {name: check_logits(name, z, zeros=True) for name, z in masked.items()}
        costs = None if costs is None else tuple(costs)
        return cls(tuple(checked), tuple(checked.values()), rows_hash, costs, known)

    @classmethod
    def _checked(
        cls,
        columns: dict[str, Tensor],
        inputs: Tensor | np.ndarray | None,
        classes: Labels | None,
        class_names: Sequence[str] | None,
    ) -> "TeacherBank":
        predictions, known = placed(columns, classes or {}, class_names)
        check_agreement(predictions)
        bank = cls(tuple(predictions), tuple(predictions.values()), classes=known)
        if inputs is None:
            return bank
        if len(inputs) != bank.num_rows:
            raise InputError(
                f"inputs have {len(inputs)} rows, teacher '{bank.names[0]}' has {bank.num_rows}; "
                "pass the rows that the teachers were asked about"
            )
        return dataclasses.replace(bank, rows_hash=_hash(inputs))

    @property
    def num_teachers(self) -> int:
        """Teachers, M."""
        return len(self.names)

    @property
    def num_rows(self) -> int:
        """Rows, N."""
        return self.predictions[0].shape[1]

    @property
    def num_classes(self) -> int:
        """Classes, K."""
        return self.predictions[0].shape[2]

    @property
    def bayesian(self) -> Tensor:
        """`[M]` bool: the teachers that came as draws."""
        return torch.tensor([len(z) > 1 for z in self.predictions])

    @cached_property
    def logits(self) -> Tensor:
        """`[M, N, K]`, or `[M, S, N, K]` where a teacher has draws (point teachers repeated).

        Raises `InputError` where teachers have different numbers of draws; `draw_probs` serves those.
        """
        counts = {len(z): name for name, z in zip(self.names, self.predictions, strict=True) if len(z) > 1}
        if not counts:
            return torch.cat(self.predictions)
        if len(counts) > 1:
            (s, first), (t, second) = list(counts.items())[:2]
            raise InputError(
                f"teacher '{first}' has {s} draws, teacher '{second}' {t}: they do not fit one tensor; "
                "use draw_probs(m) for each teacher, or mean_probs()"
            )
        draws = next(iter(counts))
        return torch.stack([z.expand(draws, -1, -1) for z in self.predictions])

    @cached_property
    def probs(self) -> Tensor:
        """softmax of `logits` over the classes, at temperature 1."""
        return torch.softmax(self.logits, -1)

    def draw_probs(self, teacher: int, temperature: float = 1.0) -> Tensor:
        """`[S_m, N, K]` probabilities of one teacher's draws, each softmax(z / temperature)."""
        _check_temperature(torch.tensor(temperature))
        return torch.softmax(self.predictions[teacher] / temperature, -1)

    def mean_probs(self, temperature: float = 1.0) -> Tensor:
        """`[M, N, K]` probabilities: each draw is tempered, then the draws are averaged."""
        return torch.stack([self.draw_probs(m, temperature).mean(0) for m in range(self.num_teachers)])

    def completed_draws(self, teacher: int, temperature: float = 1.0) -> Tensor:
        """`[S_m, N, K]` probabilities of one teacher's draws over all classes, those it does not know among them.

            (|C| / K) p_k for a class k of the set C that it knows,    1 / K for every other

        The mean of the class probabilities under its part of the prior as s grows: flat, but for the proportions
        within C. Equal to `draw_probs` where it knows all.
        """
        probs = self.draw_probs(teacher, temperature)
        if self.classes is None:
            return probs
        own = self.classes[teacher]
        return torch.where(own, probs * own.sum() / self.num_classes, 1 / self.num_classes)

    def completed_probs(self, temperature: float = 1.0) -> Tensor:
        """`[M, N, K]`: `mean_probs` over all classes, where a teacher gives each class that it does not know 1 / K."""
        return torch.stack([self.completed_draws(m, temperature).mean(0) for m in range(self.num_teachers)])

    def tempered(self, temperatures: Tensor) -> "TeacherBank":
        """The bank of z_m / tau_m, for temperatures `[M]` or `[M, N]`; -inf stays -inf."""
        expected = [(self.num_teachers,), (self.num_teachers, self.num_rows)]
        if tuple(temperatures.shape) not in expected:
            raise InputError(
                f"temperatures have shape {tuple(temperatures.shape)}; "
                f"give one a teacher {expected[0]} or one a teacher and row {expected[1]}"
            )
        _check_temperature(temperatures)
        tau = temperatures.to(torch.float32).reshape(self.num_teachers, -1, 1)
        divided = tuple(z / t for z, t in zip(self.predictions, tau, strict=True))
        return dataclasses.replace(self, predictions=divided)

    def take(self, rows: Tensor) -> "TeacherBank":
        """The bank of the given rows (`[n]` int64), in that order; the inputs' hash is no longer known."""
        taken = tuple(z[:, rows] for z in self.predictions)
        features = {name: {at: f[rows] for at, f in of.items()} for name, of in self.features.items()}
        return dataclasses.replace(self, predictions=taken, rows_hash=None, features=features)

    def with_features(self, features: Mapping[str, Mapping[str, Tensor]]) -> "TeacherBank":
        """The same bank with what layers of its teachers give, `{teacher: {layer: [N, F]}}`.

        Raises `InputError` naming teacher and layer for other teachers, other rows, and values that are not finite.
        """
        for name, layers in features.items():
            if name not in self.names:
                raise InputError(
                    f"features of teacher '{name}': not in the bank; {nearest(name, self.names)}"
                )
            for layer, values in layers.items():
                check_features(f"teacher '{name}', layer '{layer}'", values, self.num_rows)
        return dataclasses.replace(self, features=features)

    def select(self, names: Sequence[str]) -> "TeacherBank":
        """The bank of the named teachers, in that order."""
        if not names:
            raise InputError(f"no teacher is selected; {nearest('', self.names)}")
        for name in names:
            if name not in self.names:
                raise InputError(f"teacher '{name}' is not in the bank; {nearest(name, self.names)}")
        at = [self.names.index(name) for name in names]
        costs = None if self.costs is None else tuple(self.costs[m] for m in at)
        predictions = tuple(self.predictions[m] for m in at)
        classes = None if self.classes is None else partial(self.classes[at])
        features = {name: self.features[name] for name in names if name in self.features}
        return TeacherBank(tuple(names), predictions, self.rows_hash, costs, classes, features)

    def check(self, x: Tensor | np.ndarray) -> None:
        """Raise `InputError` unless `x` `[N, ...]` are the inputs, in the order, that the bank belongs to."""
        if len(x) != self.num_rows:
            raise InputError(
                f"the teachers' bank has {self.num_rows} rows, the inputs {len(x)}; "
                "ask the teachers about these inputs, or take() the rows that are used"
            )
        if self.rows_hash is not None and (found := _hash(x)) != self.rows_hash:
            raise InputError(
                f"the inputs (hash {found[:8]}) are not those the teachers were asked about (hash "
                f"{self.rows_hash[:8]}): rows in another order, or values changed by augmentation or "
                "scaling; pass the same inputs in the same order, with random augmentation off"
            )


def _hash(x: Tensor | np.ndarray) -> str:
    # One precision, so that the same numbers as float64 or bytes from NumPy and float32 from torch are the same rows.
    return hash_inputs(torch.as_tensor(x).float())


def _check_temperature(temperature: Tensor) -> None:
    bad = ~((temperature > 0) & torch.isfinite(temperature))
    if bool(bad.any()):
        value = temperature[bad].flatten()[0].item()
        raise InputError(f"temperature is {value:g}; it must be a finite number greater than 0")
