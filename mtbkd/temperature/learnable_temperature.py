"""Each teacher at a temperature that learns to make the student's task hard (CTKD, Li et al., AAAI 2023; ATMKD).

    tau_m = lower + span sigmoid(a_m),   a_m <- a_m + rate c(t) d/da_m mean_i 1 / M sum_m KL(p_m(x_i; tau_m) || q_i)
    c(t) = (1 - cos(pi min(t, 1))) / 2,  t the share of the curriculum's epochs that has passed

The student goes down the same loss, so that a's gradient is the student's with its sign reversed; c lets the teachers
begin mildly. Of the teacher only: one q for all, else the teachers' densities live in different spaces.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.func import grad

from mtbkd.errors import require_positive
from mtbkd.learning_rules import Batch, Lesson, Training, learn, own_log_probs, steps_per_epoch
from mtbkd.progress import Progress
from mtbkd.rules import StudentFunction, generator_of
from mtbkd.teachers.bank import TeacherBank

RULE = "temperature 'learnable_temperature'"
START = 1.0  # every a_m, as CTKD's released code begins


@dataclass(frozen=True)
class LearnableTemperatureConfig:
    """lower, span: temperatures lie between lower and lower + span; rate: of their steps; epochs: until these are full;
    steps, batch_size, learning_rate: of the point student that they are learned with."""

    lower: float = 1.0
    span: float = 20.0
    rate: float = 0.5
    epochs: float = 10.0
    steps: int = 1500
    batch_size: int = 128
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        names = ("lower", "span", "rate", "epochs")
        require_positive(**{f"temperature.{name}": getattr(self, name) for name in names})
        Training.checked("temperature", self.steps, self.batch_size, self.learning_rate)


@dataclass(frozen=True)
class LearnableState:
    """a: `[M]`, where each temperature is between its bounds; step: of the student."""

    a: Tensor
    step: int


def learnable_temperature(
    bank: TeacherBank,
    labels: Tensor | None = None,
    *,
    student: StudentFunction,
    seed: int = 0,
    progress: Progress | None = None,
    lower: float = 1.0,
    span: float = 20.0,
    rate: float = 0.5,
    epochs: float = 10.0,
    steps: int = 1500,
    batch_size: int = 128,
    learning_rate: float = 0.01,
) -> Tensor:
    """Temperatures `[M]`, fixed for all engines: those at the end of a training in which a copy of the student hears
    all teachers alike.

    CTKD has one temperature for teacher and student, multiplies the loss by its square, and the student that is trained
    meanwhile is its result; here each teacher has its own, no student has one, and the student is fitted anew. Plain
    steps of rate .5 go as far as CTKD's of .05 with momentum .9. The student's own temperature multiplies tau_m here as
    it does in the prior. What makes the task hard is to sharpen a teacher with whom the student disagrees: one whose
    labels are wrong ends near `lower`, with the others far above.

    student: a copy of it is trained
    Raises `InputError` where the student's inputs are of other rows, or its weights do not stay finite.
    """
    config = LearnableTemperatureConfig(lower, span, rate, epochs, steps, batch_size, learning_rate)
    lesson = Lesson.of(RULE, bank, labels, student)
    predictions = tuple(z.to(student.start.dtype) for z in bank.predictions)
    ramp = epochs * steps_per_epoch(bank.num_rows, batch_size)

    def teaching(state: LearnableState, batch: Batch) -> tuple[Tensor, Tensor]:
        tau = temperatures(state.a, config) * student.temperature
        even = torch.full((len(batch.rows), len(tau)), 1 / len(tau), dtype=tau.dtype)
        return even, tempered_probs(predictions, batch.rows, tau)

    learned = learn(
        RULE,
        lesson,
        init(bank.num_teachers, student.start.dtype),
        partial(update, lesson=lesson, predictions=predictions, ramp=ramp, config=config),
        teaching,
        Training(steps, batch_size, learning_rate),
        generator_of(seed),
        progress or Progress(),
    )
    return temperatures(learned.state.a, config).float()


def init(num_teachers: int, dtype: torch.dtype = torch.float32) -> LearnableState:
    """All teachers alike."""
    return LearnableState(torch.full((num_teachers,), START, dtype=dtype), 0)


def update(
    state: LearnableState,
    theta: Tensor,
    batch: Batch,
    *,
    lesson: Lesson,
    predictions: tuple[Tensor, ...],
    ramp: float,
    config: LearnableTemperatureConfig,
) -> LearnableState:
    """One step up the loss that the student goes down; its place `theta` is not used, its logits are in the batch."""
    uphill = grad(task)(state.a, batch, lesson, predictions, config)
    step = config.rate * strength(state.step / ramp)
    return LearnableState(state.a + step * uphill, state.step + 1)


def task(
    a: Tensor,
    batch: Batch,
    lesson: Lesson,
    predictions: tuple[Tensor, ...],
    config: LearnableTemperatureConfig,
) -> Tensor:
    """`mean_i 1 / M sum_m KL(p_m(x_i; tau_m) || q_i)`, a function of a `[M]`, smooth where a probability is 0."""
    tau = temperatures(a, config) * lesson.student.temperature
    probs = tempered_probs(predictions, batch.rows, tau)
    log_q = own_log_probs(batch.logits / lesson.student.temperature, lesson.classes).expand_as(probs)
    some = probs > 0
    log_p = torch.where(some, probs, 1.0).log()
    terms = torch.where(some, probs * (log_p - torch.where(some, log_q, 0.0)), 0.0)
    return terms.sum(-1).mean()


def temperatures(a: Tensor, config: LearnableTemperatureConfig) -> Tensor:
    """`lower + span sigmoid(a)`, `[M]`."""
    return config.lower + config.span * torch.sigmoid(a)


def tempered_probs(predictions: tuple[Tensor, ...], rows: Tensor, tau: Tensor) -> Tensor:
    """Means of the tempered draws of teachers' logits, `[S_m, N, K]` each and temperatures `[M]` -> `[M, n, K]`."""
    means = []
    for logits, one in zip(predictions, tau, strict=True):
        z = logits[:, rows]
        # Minus infinity divided by tau has the derivative infinity: it is put in afterwards.
        impossible = z == -torch.inf
        scaled = z.masked_fill(impossible, 0.0) / one
        means.append(torch.softmax(scaled.masked_fill(impossible, -torch.inf), -1).mean(0))
    return torch.stack(means)


def strength(progress: float) -> float:
    """c of the equations above: 0 at the start, 1 from the curriculum's end on."""
    return (1 - math.cos(math.pi * min(progress, 1.0))) / 2
