"""Temperatures that learn against the student: where they start, which way they go, and when."""

import math

import numpy as np
import pytest
import torch
from torch.func import grad

from mtbkd import temperature
from mtbkd.errors import InputError
from mtbkd.learning_rules import Batch, Lesson
from mtbkd.registry import default_config, find
from mtbkd.rules import Offer, StudentFunction
from mtbkd.teachers import TeacherBank

learnable = find("temperature", "learnable_temperature")
CONFIG = learnable.LearnableTemperatureConfig()
N, K = 6, 3


def linear_student(tau: float = 1.0) -> StudentFunction:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, 4, generator=generator)
    start = torch.randn(4 * K, generator=generator)
    return StudentFunction(
        x,
        lambda theta, rows: rows @ theta.view(4, K),
        lambda theta: -theta.square().sum() / 20,
        start,
        1.0,
        tau,
    )


def small_bank() -> TeacherBank:
    generator = torch.Generator().manual_seed(1)
    return TeacherBank.from_logits({name: 3 * torch.randn(N, K, generator=generator) for name in ("a", "b")})


def whole_batch(student: StudentFunction) -> Batch:
    return Batch(torch.arange(N), student.x, torch.full((N,), -1), student.logits(student.start, student.x))


def test_it_starts_where_ctkd_does():
    # 1 + 20 / (1 + 1/e) = 15.62.
    state = learnable.init(3)
    expected = torch.full((3,), 1 + 20 / (1 + math.exp(-1)))
    torch.testing.assert_close(learnable.temperatures(state.a, CONFIG), expected)
    assert float(expected[0]) == pytest.approx(15.62, abs=0.01)


def test_the_strength_by_hand():
    found = [learnable.strength(share) for share in (0.0, 1 / 3, 0.5, 2 / 3, 1.0, 5.0)]
    assert found == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0, 1.0])


@pytest.mark.parametrize("tau", [1.0, 2.0])
def test_the_task_is_the_mean_divergence_at_these_temperatures(tau):
    student, bank = linear_student(tau), small_bank()
    lesson, a = Lesson.of("rule", bank, None, student), torch.tensor([-1.0, 0.5])
    found = learnable.task(a, whole_batch(student), lesson, bank.predictions, CONFIG)
    q = torch.softmax(student.logits(student.start, student.x).double() / tau, -1)
    total = 0.0
    for logits, one in zip(bank.logits.double(), 1 + 20 * torch.sigmoid(a.double()), strict=True):
        p = torch.softmax(logits / (one * tau), -1)
        total += float((p * (p / q).log()).sum(-1).mean()) / 2
    assert float(found) == pytest.approx(total, rel=1e-5)


def test_the_student_goes_down_what_the_temperatures_go_up():
    student, bank = linear_student(), small_bank()
    lesson, batch = Lesson.of("rule", bank, None, student), whole_batch(student)
    arguments = {"lesson": lesson, "predictions": bank.predictions, "ramp": 10.0, "config": CONFIG}
    first = learnable.init(2)
    still = learnable.update(first, student.start, batch, **arguments)
    torch.testing.assert_close(still.a, first.a, rtol=0, atol=0)  # strength 0

    late = learnable.LearnableState(first.a, 10)  # strength 1
    after = learnable.update(late, student.start, batch, **arguments)
    slope = grad(learnable.task)(first.a, batch, lesson, bank.predictions, CONFIG)
    assert float(slope.abs().min()) > 0
    torch.testing.assert_close(after.a, first.a + 0.5 * slope)
    half = learnable.update(learnable.LearnableState(first.a, 5), student.start, batch, **arguments)
    torch.testing.assert_close(half.a - first.a, (after.a - first.a) / 2)
    assert after.step == 11

    def task(a, logits):
        return float(learnable.task(a, batch.__class__(batch.rows, batch.x, batch.y, logits), *rest))

    rest = (lesson, bank.predictions, CONFIG)
    assert task(after.a, batch.logits) > task(first.a, batch.logits)
    probs = learnable.tempered_probs(bank.predictions, batch.rows, learnable.temperatures(first.a, CONFIG))
    weights = torch.full((N, 2), 0.5)
    down = grad(lambda theta: lesson.loss(student.logits(theta, student.x), batch.y, weights, probs))(
        student.start
    )
    closer = student.logits(student.start - 0.01 * down, student.x)
    assert task(first.a, closer) < task(first.a, batch.logits)


def test_zeros_and_draws_leave_the_gradient_finite():
    sure = np.eye(K)[np.arange(N) % K]
    half = np.tile([0.0, 0.3, 0.7], (N, 1))
    draws = np.stack([half, sure, half[:, ::-1]])
    bank = TeacherBank.from_probs({"sure": sure, "half": half, "draws": draws})
    student = linear_student()
    lesson, batch = Lesson.of("rule", bank, None, student), whole_batch(student)
    slope = grad(learnable.task)(torch.zeros(3), batch, lesson, bank.predictions, CONFIG)
    assert bool(torch.isfinite(slope).all())
    assert float(slope[0]) == 0, "nothing is left to temper where a teacher is sure"
    assert float(slope[1:].abs().min()) > 1e-5
    # By finite differences, in float64.
    precise = tuple(z.double() for z in bank.predictions)
    a, h = torch.zeros(3, dtype=torch.float64), 1e-6
    for m in range(3):
        nudge = torch.zeros_like(a)
        nudge[m] = h
        sides = [float(learnable.task(a + s * nudge, batch, lesson, precise, CONFIG)) for s in (1, -1)]
        assert float(slope[m]) == pytest.approx((sides[0] - sides[1]) / (2 * h), abs=1e-6)


def test_classes_that_a_teacher_does_not_know_say_nothing():
    # A teacher of two classes of three is heard as one of two classes: p and q over those alone.
    student, logits = linear_student(), small_bank().logits[:1]
    classes = torch.tensor([[True, False, True]])
    bank = TeacherBank.from_predictions({"a": logits[0]}, classes=classes)
    lesson = Lesson.of("rule", bank, None, student)
    a = torch.tensor([-2.0])
    found = learnable.task(a, whole_batch(student), lesson, bank.predictions, CONFIG)
    p = torch.softmax(logits[0][:, [0, 2]] / (1 + 20 * torch.sigmoid(a)), -1)
    q = torch.softmax(student.logits(student.start, student.x)[:, [0, 2]], -1)
    torch.testing.assert_close(found, (p * (p / q).log()).sum(-1).mean())
    assert bool(
        torch.isfinite(grad(learnable.task)(a, whole_batch(student), lesson, bank.predictions, CONFIG)).all()
    )


def test_a_teacher_with_whom_the_student_disagrees_is_sharpened():
    # p = sigmoid(z / tau) of two classes, q = sigmoid(s): the slope of KL(p, q) in z / tau is p (1 - p) (z / tau - s),
    # none where the student agrees; falling in tau for the opposed teacher, whose z and z / tau - s are negative.
    tau = 1 + 20 / (1 + math.exp(-1))
    z = torch.tensor([[0.0, 6.0]])
    bank = TeacherBank.from_logits({"followed": z, "opposed": -z})
    student = StudentFunction(z / tau, lambda theta, x: x, lambda theta: theta.sum(), torch.zeros(1), 1.0)
    lesson, a = Lesson.of("rule", bank, None, student), learnable.init(2).a
    batch = Batch(torch.tensor([0]), student.x, torch.tensor([-1]), student.x)
    slope = grad(learnable.task)(a, batch, lesson, bank.predictions, CONFIG)
    p = 1 / (1 + math.exp(6 / tau))
    in_a = (tau - 1) * (1 - (tau - 1) / 20)  # d tau / d a
    expected = 0.5 * p * (1 - p) * (-12 / tau) * (6 / tau**2) * in_a
    assert slope.tolist() == pytest.approx([0.0, expected], abs=1e-6)


def test_the_whole_rule():
    student, bank = linear_student(), small_bank()
    config = learnable.LearnableTemperatureConfig(steps=60, batch_size=3, epochs=5.0)
    labels = torch.tensor([0, 1, 2, -1, -1, -1])
    found, again = (
        temperature.temperatures(config, bank, labels, Offer(student=lambda: student, seed=3))
        for _ in range(2)
    )
    assert found.shape == (2,)
    torch.testing.assert_close(found, again, rtol=0, atol=0)
    start = 1 + 20 / (1 + math.exp(-1))
    assert float((found - start).abs().min()) > 0.01, "they moved"
    assert float(found.min()) > 1.0
    assert float(found.max()) < 21.0
    banks = {"pool": bank, "test": bank.take(torch.tensor([1, 2]))}
    tempered = temperature.temper(config, banks, found)
    torch.testing.assert_close(tempered["test"].logits, bank.logits[:, [1, 2]] / found[:, None, None])


def test_bad_input():
    with pytest.raises(InputError, match=r"temperature 'learnable_temperature' learns with the student"):
        temperature.temperatures(default_config("temperature", "learnable_temperature"), small_bank())
    for name in ("lower", "span", "rate", "epochs", "steps"):
        with pytest.raises(InputError, match=f"temperature.{name} is 0"):
            learnable.LearnableTemperatureConfig(**{name: 0})
