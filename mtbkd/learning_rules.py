"""A point student that learns by mini-batches while a rule of listening learns with it (mtbkd.rules: `student`).

    loss(theta) = 1 / n sum_{i in batch} [ CE(y_i, f(x_i)) + influence sum_m w_m(x_i) KL(p_m(x_i) || q_i) ]
                  - log_prior(theta) / N,                    q_i = softmax(f(x_i) / temperature)

a label counts where there is one. Adam goes down this loss; the rate falls to 0 on a cosine. The rule is a state and
two functions, `Update` and `Teaching`: before each step of the student it sees the batch, and then says what the
student hears. The student is left behind in the end: what a rule has learned is handed to all engines, whose students
are fitted anew.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mtbkd.data.distillation import check_labels
from mtbkd.errors import InputError, require_positive
from mtbkd.inference import adam
from mtbkd.inference.map import rate
from mtbkd.progress import Progress
from mtbkd.rules import StudentFunction
from mtbkd.teachers.bank import TeacherBank

State = TypeVar("State")


@dataclass(frozen=True)
class Batch:
    """Rows of the pool as a rule sees them: indices `[n]`, inputs `[n, ...]`, labels `[n]` with -1 where unlabelled,
    and the logits `[n, K]` that the student gives now."""

    rows: Tensor
    x: Tensor
    y: Tensor
    logits: Tensor


# What a rule learns of a batch, before the student at `theta [D]` takes its step.
Update = Callable[[State, Tensor, Batch], State]
# What the student hears at a batch: the teachers' weights `[n, M]` and probabilities `[M, n, K]`.
Teaching = Callable[[State, Batch], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Training:
    """How long and how fast the point student learns: Adam steps, rows a step, the rate that it begins with."""

    steps: int
    batch_size: int
    learning_rate: float

    @classmethod
    def checked(cls, group: str, steps: int, batch_size: int, learning_rate: float) -> "Training":
        """Raises `InputError` naming the setting of `group` that is not above 0."""
        numbers = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate}
        require_positive(**{f"{group}.{name}": value for name, value in numbers.items()})
        return cls(steps, batch_size, learning_rate)


@dataclass(frozen=True)
class Lesson:
    """What the point student learns from: itself as a function, the pool's labels `[N]`, and the classes that each
    teacher knows, `[M, K]` bool or None."""

    student: StudentFunction
    y: Tensor
    classes: Tensor | None = None

    @classmethod
    def of(cls, rule: str, bank: TeacherBank, labels: Tensor | None, student: StudentFunction) -> "Lesson":
        """Raises `InputError` unless bank, labels and the student's inputs are of the same rows."""
        y = torch.full((bank.num_rows,), -1) if labels is None else labels
        if not len(student.x) == bank.num_rows == len(y):
            raise InputError(
                f"{rule}: {bank.num_rows} rows of teachers, {len(y)} labels and {len(student.x)} inputs of the "
                "student; give the same rows"
            )
        check_labels(rule, y, bank.num_classes)
        return cls(student, y, bank.classes)

    def logits(self, theta: Tensor, rows_at_once: int = 1024) -> Tensor:
        """The student's logits at the whole pool, `[N, K]`."""
        with torch.no_grad():
            parts = [self.student.logits(theta, x) for x in self.student.x.split(rows_at_once)]
        return torch.cat(parts)

    def loss(self, logits: Tensor, y: Tensor, weights: Tensor, probs: Tensor) -> Tensor:
        """What labels and teachers cost a row, without the prior: the mean over a batch, `[]`.

        logits: `[n, K]`; y: `[n]`, -1 where unlabelled; weights: `[n, M]`; probs: `[M, n, K]`
        """
        heard = self.student.influence * (weights * self.divergences(probs, logits)).sum()
        return (label_loss(logits, y) + heard) / len(y)

    def divergences(self, probs: Tensor, logits: Tensor) -> Tensor:
        """`KL(p_m || q)` of each teacher, `[M, n, K]` and the student's logits `[n, K]` -> `[n, M]`."""
        log_q = own_log_probs(logits / self.student.temperature, self.classes)
        if self.classes is not None:
            log_q = log_q.masked_fill(~self.classes[:, None], 0.0)
        return (-torch.special.entr(probs) - probs * log_q).sum(-1).T


@dataclass(frozen=True)
class Learned(Generic[State]):
    """The student at its end `[D]`, what the rule knows then, and the mean weights of every step `[steps, M]`."""

    theta: Tensor
    state: State
    course: Tensor


def learn(
    name: str,
    lesson: Lesson,
    state: State,
    update: Update[State],
    teaching: Teaching[State],
    training: Training,
    generator: torch.Generator,
    progress: Progress,
) -> Learned[State]:
    """Train the student from its start, the rule with it; name: of the rule, in progress and errors.

    Raises `InputError` where the student's weights do not stay finite.
    """
    student, total = lesson.student, training.steps
    theta, moments = student.start, adam.init(student.start)
    course = []
    with progress.stage(name, total) as advance:
        for step, rows in zip(
            range(total), batches(len(lesson.y), training.batch_size, generator), strict=False
        ):
            place = theta.detach().requires_grad_()
            x, y = student.x[rows], lesson.y[rows]
            logits = student.logits(place, x)
            batch = Batch(rows, x, y, logits.detach())
            state = update(state, theta, batch)
            weights, probs = teaching(state, batch)
            loss = lesson.loss(logits, y, weights, probs) - student.log_prior(place) / len(lesson.y)
            (gradient,) = torch.autograd.grad(loss, place)
            learning_rate = training.learning_rate * rate("cosine", step, total)
            theta, moments = adam.adam(moments, theta, gradient, learning_rate)
            course.append(weights.mean(0))
            advance(loss=loss.detach())
    if not bool(torch.isfinite(theta).all()):
        raise InputError(
            f"{name}: the student's weights are not finite after {total} steps; "
            f"lower its learning_rate ({training.learning_rate:g})"
        )
    return Learned(theta, state, torch.stack(course))


def label_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of the labels, the sum over the labelled rows: `[n, K]`, `[n]` -> `[]`."""
    return cross_entropy(logits, y, ignore_index=-1, reduction="sum")


def own_log_probs(logits: Tensor, classes: Tensor | None) -> Tensor:
    """The student's log-probabilities over the classes that each teacher knows, -inf for the others.

    logits: `[n, K]`; classes: `[M, K]` bool. Returns `[M, n, K]`, and `[1, n, K]` where all know all.
    """
    if classes is None:
        return torch.log_softmax(logits, -1)[None]
    return torch.log_softmax(logits.masked_fill(~classes[:, None], -torch.inf), -1)


def batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of mini-batches of one size, without end: a new order each epoch, whose rest is left out."""
    size = min(size, count)
    while True:
        order = torch.randperm(count, generator=generator)
        yield from order[: count - count % size].split(size)


def steps_per_epoch(count: int, size: int) -> int:
    """Mini-batches of one epoch of `batches`."""
    return count // min(size, count)
