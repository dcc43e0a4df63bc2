"""Teachers count as they pull the student together: the step that hurts none much (AE-KD, Du et al., NeurIPS 2020).

w = argmin_a || sum_m a_m g_m ||^2,   sum_m a_m = 1,   0 <= a_m <= max(C, 1 / M)
g_m = mean_i grad_z KL(p_m(x_i) || softmax(z_i / tau)),   z the student's logits
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mtbkd.errors import require_fraction, require_positive
from mtbkd.learning_rules import Batch, Lesson, Training, learn, own_log_probs
from mtbkd.progress import Progress
from mtbkd.rules import StudentFunction, generator_of
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.min_norm import min_norm
from mtbkd.weighting.uniform import uniform
from mtbkd.weighting.weights import Weights

RULE = "weighting 'gradient'"


@dataclass(frozen=True)
class GradientConfig:
    """tolerance: C, the most that one teacher may count; steps, batch_size, learning_rate: of the point student that
    the weights are found with."""

    tolerance: float = 0.6
    steps: int = 1500
    batch_size: int = 128
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        tolerance = {"weighting.tolerance": self.tolerance}
        require_positive(**tolerance)
        require_fraction(**tolerance)
        Training.checked("weighting", self.steps, self.batch_size, self.learning_rate)


@dataclass(frozen=True)
class GradientState:
    """The teachers' weights at the last mini-batch, `[M]`."""

    weights: Tensor


def gradient(
    bank: TeacherBank,
    labels: Tensor | None = None,
    *,
    student: StudentFunction,
    seed: int = 0,
    progress: Progress | None = None,
    tolerance: float = 0.6,
    steps: int = 1500,
    batch_size: int = 128,
    learning_rate: float = 0.01,
) -> Weights:
    """Weights `[N, M]`, the same at every row, fixed for all engines: w by g_m over the whole pool, at a student that
    was trained with g_m over each mini-batch.

    In the published method that student is the result; here it is a copy, and the student is fitted anew under the
    weights of its end.

    student: a copy of it is trained; found: `course` `[steps, M]`, the weights of each mini-batch
    Raises `InputError` where the student's inputs are of other rows, or its weights do not stay finite.
    """
    config = GradientConfig(tolerance, steps, batch_size, learning_rate)
    lesson = Lesson.of(RULE, bank, labels, student)
    cap = max(config.tolerance, 1 / bank.num_teachers)
    if cap * bank.num_teachers <= 1:
        return Weights(uniform(bank))
    probs = bank.mean_probs(student.temperature).to(student.start.dtype)

    def teaching(state: GradientState, batch: Batch) -> tuple[Tensor, Tensor]:
        return weights(state, batch), probs[:, batch.rows]

    learned = learn(
        RULE,
        lesson,
        init(probs),
        partial(update, lesson=lesson, probs=probs, cap=cap),
        teaching,
        Training(steps, batch_size, learning_rate),
        generator_of(seed),
        progress or Progress(),
    )
    whole = min_norm(logit_gradients(lesson, probs, lesson.logits(learned.theta)), cap)
    return Weights(whole.float().repeat(bank.num_rows, 1), found={"course": learned.course})


def init(probs: Tensor) -> GradientState:
    """Equal weights, of teachers' probabilities `[M, N, K]`."""
    return GradientState(torch.full((len(probs),), 1 / len(probs), dtype=probs.dtype))


def update(
    state: GradientState, theta: Tensor, batch: Batch, *, lesson: Lesson, probs: Tensor, cap: float
) -> GradientState:
    """The weights by this batch alone; state and the student's place `theta` are not used."""
    found = min_norm(logit_gradients(lesson, probs[:, batch.rows], batch.logits), cap)
    return GradientState(found.to(probs.dtype))


def weights(state: GradientState, batch: Batch) -> Tensor:
    """The same weights at each row of the batch, `[n, M]`."""
    return state.weights.expand(len(batch.rows), -1)


def logit_gradients(lesson: Lesson, probs: Tensor, logits: Tensor) -> Tensor:
    """`g_m = mean_i (q_i - p_m(x_i)) / tau` of probabilities `[M, n, K]` and the student's logits `[n, K]`: `[M, K]`.

    q is over the classes that the teacher knows.
    """
    tau = lesson.student.temperature
    q = own_log_probs(logits / tau, lesson.classes).exp()
    return (q - probs).mean(1) / tau
