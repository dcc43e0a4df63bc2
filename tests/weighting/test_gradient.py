"""AE-KD's weights against closed forms at students whose gradient is known."""

import numpy as np
import pytest
import torch
from torch.func import grad

from mtbkd import weighting
from mtbkd.errors import InputError
from mtbkd.learning_rules import Lesson
from mtbkd.registry import default_config, find
from mtbkd.rules import Offer, StudentFunction
from mtbkd.teachers import TeacherBank

gradient = find("weighting", "gradient")
N, K = 8, 3


def deaf_student(logits: torch.Tensor, temperature: float = 1.0) -> StudentFunction:
    """A student that always gives these logits `[N, K]`, whatever it is taught."""
    return StudentFunction(
        x=logits,
        logits=lambda theta, x: x + 0 * theta.sum(),
        log_prior=lambda theta: -theta.square().sum(),
        start=torch.zeros(2),
        influence=1.0,
        temperature=temperature,
    )


def linear_student(x: torch.Tensor) -> StudentFunction:
    d = x.shape[1]
    start = 0.1 * torch.randn(d * K, generator=torch.Generator().manual_seed(0))
    return StudentFunction(
        x, lambda theta, rows: rows @ theta.view(d, K), lambda theta: -theta.square().sum() / 2, start, 5.0
    )


def random_bank(num_teachers: int, seed: int = 0, sharpness: float = 2.0) -> TeacherBank:
    generator = torch.Generator().manual_seed(seed)
    logits = {f"t{m}": sharpness * torch.randn(N, K, generator=generator) for m in range(num_teachers)}
    return TeacherBank.from_logits(logits)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_two_teachers_in_closed_form(temperature):
    # g_m = mean q - mean p_m, and a_1 = g_2 (g_2 - g_1) / |g_1 - g_2|^2, cut at .4 and .6.
    found = []
    for share in (0.0, 0.3, 0.45, 0.5, 0.55, 1.0):
        bank = random_bank(2)
        logits = share * bank.logits[0] + (1 - share) * bank.logits[1]
        student = deaf_student(logits, temperature)
        weights = weighting.gradient(bank, student=student, steps=3, batch_size=4).teachers
        g, h = torch.softmax(logits / temperature, -1).mean(0) - bank.mean_probs(temperature).mean(1)
        first = float((h @ (h - g) / (g - h).square().sum()).clamp(0.4, 0.6))
        np.testing.assert_allclose(weights, np.tile([first, 1 - first], (N, 1)), atol=1e-4)
        found.append(first)
    assert (found[0], found[-1]) == (pytest.approx(0.4), pytest.approx(0.6)), (
        "the cap binds for some students"
    )
    assert any(0.41 < first < 0.59 for first in found), "and not for others"


def test_without_a_cap_a_teacher_who_agrees_with_the_student_is_all():
    logits = 2 * torch.randn(N, K, generator=torch.Generator().manual_seed(1))
    agrees = TeacherBank.from_logits({"same": logits, "other": random_bank(1).logits[0]})
    student = deaf_student(logits)
    free = weighting.gradient(agrees, student=student, tolerance=1.0, steps=2)
    torch.testing.assert_close(free.teachers, torch.tensor([1.0, 0.0]).repeat(N, 1), atol=1e-5, rtol=0)
    capped = weighting.gradient(agrees, student=student, steps=2)
    torch.testing.assert_close(capped.teachers, torch.tensor([0.6, 0.4]).repeat(N, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_gradients_are_those_of_the_divergences(temperature):
    bank = TeacherBank.from_predictions(
        {"a": random_bank(1).logits[0], "b": random_bank(1, 1).logits[0]},
        classes=torch.tensor([[True, True, True], [False, True, True]]),
    )
    logits = torch.randn(N, K, generator=torch.Generator().manual_seed(2))
    lesson = Lesson.of("rule", bank, None, deaf_student(logits, temperature))
    probs = bank.mean_probs(temperature)
    found = gradient.logit_gradients(lesson, probs, logits)
    for m in range(2):
        slope = grad(lambda z, m=m: lesson.divergences(probs, z)[:, m].sum())(logits)
        torch.testing.assert_close(found[m], slope.mean(0))


def test_each_mini_batch_has_its_weights_and_the_end_has_one():
    # The same seed gives the same, each mini-batch has weights of its own, and all rows have those of the end.
    x = torch.randn(N, 4, generator=torch.Generator().manual_seed(3))
    bank, student = random_bank(3), linear_student(x)
    labels = torch.tensor([0, 1, 2, -1, -1, -1, -1, -1])
    config = gradient.GradientConfig(steps=300, batch_size=4)
    found = weighting.weigh(config, bank, labels, Offer(student=lambda: student, seed=1))
    again = weighting.weigh(config, bank, labels, Offer(student=lambda: student, seed=1))
    torch.testing.assert_close(found.teachers, again.teachers, rtol=0, atol=0)
    course = found.found["course"]
    assert course.shape == (300, 3)
    torch.testing.assert_close(course.sum(-1), torch.ones(300))
    assert float(course.min()) >= 0
    assert float(course.max()) <= 0.6 + 1e-6
    assert float(course.std(0).min()) > 0.01
    assert bool((found.teachers == found.teachers[0]).all())

    other = weighting.weigh(config, bank, labels, Offer(student=lambda: student, seed=2))
    assert not torch.equal(other.found["course"], course)


@pytest.mark.parametrize(("num_teachers", "tolerance"), [(1, 0.6), (1, 1.0), (2, 0.5), (3, 0.2)])
def test_equal_weights_where_nothing_is_to_be_chosen(num_teachers, tolerance):
    bank, student = random_bank(num_teachers), deaf_student(torch.zeros(N, K))
    found = weighting.gradient(bank, student=student, tolerance=tolerance, steps=2).teachers
    torch.testing.assert_close(found, torch.full((N, num_teachers), 1 / num_teachers))


def test_a_forests_zeros_and_draws():
    sure = np.eye(K)[np.arange(N) % K]
    draws = np.random.default_rng(0).dirichlet(np.ones(K), size=(5, N))
    bank = TeacherBank.from_probs({"sure": sure, "draws": draws, "flat": np.full((N, K), 1 / K)})
    found = weighting.gradient(bank, student=linear_student(torch.randn(N, 4)), steps=5, batch_size=4)
    assert bool(torch.isfinite(found.teachers).all())
    torch.testing.assert_close(found.teachers.sum(-1), torch.ones(N))


def test_what_it_needs():
    bank = random_bank(3)
    with pytest.raises(InputError, match=r"weighting 'gradient' learns with the student"):
        weighting.weigh(default_config("weighting", "gradient"), bank)
    with pytest.raises(InputError, match=r"8 rows of teachers, 8 labels and 3 inputs"):
        weighting.gradient(bank, student=deaf_student(torch.zeros(3, K)))
    for wrong in (0.0, 1.5, -1.0):
        with pytest.raises(InputError, match=r"weighting.tolerance is"):
            gradient.GradientConfig(tolerance=wrong)
