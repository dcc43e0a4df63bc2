"""A small network says how much each teacher counts at an input; it learns from what the student gets wrong.

    w(x) = softmax MLP([z_1(x), ..., z_M(x), z_student(x)])                            (MMKD, arXiv 2306.06634)

Every few steps, from where the student is, theta:

    theta_1 = theta   - eta grad KD(theta; w)          KD: mean over the batch of sum_m w_m KL(p_m || q)
    theta_2 = theta_1 - eta grad KD(theta_1; w)
    theta_3 = theta_2 - eta grad CE(theta_2)           CE: mean over the labelled rows of the batch

and the network goes down the gradient of the mean CE at theta_3 of a buffer of labelled training inputs that the
student got wrong, differentiated through all three steps. Then the student is put back to theta.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.func import grad
from torch.nn.functional import cross_entropy

from mtbkd.errors import InputError, require_at_least, require_choice, require_positive
from mtbkd.inference import adam
from mtbkd.inference.adam import AdamState
from mtbkd.learning_rules import Batch, Lesson, Training, label_loss, learn
from mtbkd.progress import Progress
from mtbkd.rules import StudentFunction, generator_of
from mtbkd.teachers.bank import TeacherBank
from mtbkd.teachers.standardised import standardised
from mtbkd.weighting.uniform import uniform
from mtbkd.weighting.weights import Weights

RULE = "weighting 'meta'"
INPUTS = ("logits", "logits+features")
LOWEST = -20.0  # log-probabilities that the network is shown: a forest's exact zeros are minus infinity


@dataclass(frozen=True)
class MetaConfig:
    """inputs: what the network is shown; interval: steps of the student to one of the network; buffer_size: the
    misclassified inputs that it learns from; inner_rate: eta; meta_rate, weight_decay: of its Adam; steps, batch_size,
    learning_rate: of the point student that it learns with."""

    inputs: str = "logits"
    interval: int = 5
    buffer_size: int = 256
    inner_rate: float = 0.05
    meta_rate: float = 0.001
    weight_decay: float = 0.0001
    steps: int = 1500
    batch_size: int = 128
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        require_choice("weighting.inputs", self.inputs, INPUTS)
        numbers = ("interval", "buffer_size", "inner_rate", "meta_rate")
        require_positive(**{f"weighting.{name}": getattr(self, name) for name in numbers})
        require_at_least(0, **{"weighting.weight_decay": self.weight_decay})
        Training.checked("weighting", self.steps, self.batch_size, self.learning_rate)


@dataclass(frozen=True)
class MetaState:
    """phi: the network's weights `[P]`; adam: of them; buffer: rows `[at most buffer_size]` that the student got wrong,
    the newest last, none twice; step: of the student."""

    phi: Tensor
    adam: AdamState
    buffer: Tensor
    step: int


@dataclass(frozen=True)
class Teachers:
    """What the teachers say of the pool. probs: `[M, N, K]`, what the student is to learn; shown: `[N, F]`, what the
    network is shown of them, their log-probabilities first."""

    probs: Tensor
    shown: Tensor


def meta(
    bank: TeacherBank,
    labels: Tensor | None = None,
    *,
    student: StudentFunction,
    seed: int = 0,
    progress: Progress | None = None,
    inputs: str = "logits",
    interval: int = 5,
    buffer_size: int = 256,
    inner_rate: float = 0.05,
    meta_rate: float = 0.001,
    weight_decay: float = 0.0001,
    steps: int = 1500,
    batch_size: int = 128,
    learning_rate: float = 0.01,
) -> Weights:
    """Weights `[N, M]`, fixed for all engines: the network's, at the logits of the student that was trained with it.

    In the published method the student that is trained meanwhile is the result; here it is a copy, and the student is
    fitted anew under the weights of its end. Each z is a log-probability at temperature 1, so that teachers who give
    logits and ones who give probabilities look alike; both inner steps use the weights at theta; the network starts
    from equal weights.

    student: a copy of it is trained; found: `course` `[steps, M]`, the mean weights of each mini-batch
    inputs 'logits+features': the network is also shown what the bank holds of teachers' layers, each feature
        standardised; not the student's own
    Raises `InputError` where no row is labelled, where features are asked for and there are none, where the student's
    inputs are of other rows, or its weights do not stay finite.
    """
    config = MetaConfig(
        inputs, interval, buffer_size, inner_rate, meta_rate, weight_decay, steps, batch_size, learning_rate
    )
    lesson = Lesson.of(RULE, bank, labels, student)
    if not bool((lesson.y >= 0).any()):
        raise InputError(f"{RULE}: no row of the pool is labelled; label some, or choose another weighting")
    teachers = teachers_of(bank, config.inputs, student)
    if bank.num_teachers == 1:
        return Weights(uniform(bank))

    def teaching(state: MetaState, batch: Batch) -> tuple[Tensor, Tensor]:
        return weights(state, batch, teachers), teachers.probs[:, batch.rows]

    generator = generator_of(seed)
    learned = learn(
        RULE,
        lesson,
        init(teachers, generator),
        partial(update, lesson=lesson, teachers=teachers, config=config),
        teaching,
        Training(steps, batch_size, learning_rate),
        generator,
        progress or Progress(),
    )
    end = network(learned.state.phi, seen(teachers.shown, lesson.logits(learned.theta)), bank.num_teachers)
    return Weights(end.float(), found={"course": learned.course})


def teachers_of(bank: TeacherBank, inputs: str, student: StudentFunction) -> Teachers:
    """What student and network are told; raises `InputError` where features are asked for and there are none."""
    dtype = student.start.dtype
    probs = bank.mean_probs().to(dtype)
    shown = [said.log().clamp_min(LOWEST) for said in probs]
    if inputs == "logits+features":
        if not any(bank.features.values()):
            raise InputError(
                f"{RULE}: inputs=logits+features, but the teachers give no features; use inputs=logits, "
                "or name their layers (features=hints features.layers=...)"
            )
        for name, layers in bank.features.items():
            told = [standardised(f"{RULE}: teacher '{name}', layer '{at}'", f) for at, f in layers.items()]
            shown += [features.to(dtype) for features in told]
    return Teachers(bank.mean_probs(student.temperature).to(dtype), torch.cat(shown, -1))


def init(teachers: Teachers, generator: torch.Generator) -> MetaState:
    """A network that gives equal weights, and an empty buffer."""
    num_teachers, _, num_classes = teachers.probs.shape
    num_inputs = teachers.shown.shape[1] + num_classes
    hidden = num_inputs // 2
    first = torch.randn(hidden, num_inputs, generator=generator) / num_inputs**0.5
    rest = torch.zeros(hidden + num_teachers * (hidden + 1))
    phi = torch.cat([first.flatten(), rest]).to(teachers.shown.dtype)
    return MetaState(phi, adam.init(phi), torch.empty(0, dtype=torch.int64), 0)


def update(
    state: MetaState,
    theta: Tensor,
    batch: Batch,
    *,
    lesson: Lesson,
    teachers: Teachers,
    config: MetaConfig,
) -> MetaState:
    """Remember what is wrong in this batch, and every `interval` steps let the network learn from the buffer."""
    wrong = batch.rows[(batch.y >= 0) & (batch.logits.argmax(-1) != batch.y)]
    kept = state.buffer[~torch.isin(state.buffer, wrong)]
    buffer = torch.cat([kept, wrong])[-config.buffer_size :]
    phi, moments = state.phi, state.adam
    if state.step % config.interval == 0 and len(buffer):
        slope = grad(outer_loss)(phi, theta, batch, buffer, lesson, teachers, config.inner_rate)
        phi, moments = adam.adam(moments, phi, slope + config.weight_decay * phi, config.meta_rate)
    return MetaState(phi, moments, buffer, state.step + 1)


def weights(state: MetaState, batch: Batch, teachers: Teachers) -> Tensor:
    """The network's weights of the teachers at the rows of a batch, `[n, M]`."""
    return network(state.phi, seen(teachers.shown[batch.rows], batch.logits), len(teachers.probs))


def outer_loss(
    phi: Tensor,
    theta: Tensor,
    batch: Batch,
    buffer: Tensor,
    lesson: Lesson,
    teachers: Teachers,
    inner_rate: float,
) -> Tensor:
    """Mean cross-entropy of the buffer's labels at theta_3 of the equations above, a function of phi `[P]`."""
    student = lesson.student
    heard = network(phi, seen(teachers.shown[batch.rows], batch.logits), len(teachers.probs))
    probs = teachers.probs[:, batch.rows]
    labelled = (batch.y >= 0).sum().clamp(min=1)

    def distillation(place: Tensor) -> Tensor:
        return (heard * lesson.divergences(probs, student.logits(place, batch.x))).sum() / len(batch.rows)

    def labels(place: Tensor) -> Tensor:
        return label_loss(student.logits(place, batch.x), batch.y) / labelled

    place = theta
    for loss in (distillation, distillation, labels):
        place = place - inner_rate * grad(loss)(place)
    return cross_entropy(student.logits(place, student.x[buffer]), lesson.y[buffer])


def seen(shown: Tensor, logits: Tensor) -> Tensor:
    """The network's inputs: of the teachers `[n, F]`, and of the student by its logits `[n, K]` -> `[n, F + K]`."""
    return torch.cat([shown, torch.log_softmax(logits, -1).clamp_min(LOWEST)], -1)


def network(phi: Tensor, inputs: Tensor, num_teachers: int) -> Tensor:
    """`softmax(V relu(U x + b) + c)`, half as many hidden units as inputs: `[P]`, `[n, I]` -> `[n, M]`.

    phi holds U, b, V and c, one after the other.
    """
    num_inputs = inputs.shape[-1]
    hidden = num_inputs // 2
    u, b, v, c = phi.split([hidden * num_inputs, hidden, num_teachers * hidden, num_teachers])
    units = torch.relu(inputs @ u.view(hidden, num_inputs).T + b)
    return torch.softmax(units @ v.view(num_teachers, hidden).T + c, -1)
