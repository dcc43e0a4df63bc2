"""The point student that rules learn with: its loss is the posterior's, and it ends where that is highest."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.func import grad

from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.learning_rules import (
    Batch,
    Lesson,
    Training,
    batches,
    label_loss,
    learn,
    own_log_probs,
    steps_per_epoch,
)
from mtbkd.priors import DirichletProduct
from mtbkd.progress import Progress
from mtbkd.rules import StudentFunction
from mtbkd.students.as_function import as_function
from mtbkd.students.mlp import mlp
from mtbkd.students.student import Student
from mtbkd.teachers import TeacherBank

N, K, M = 6, 3, 2


def table_student(influence: float = 1.0, temperature: float = 1.0, rows: int = N) -> StudentFunction:
    """A student with logits of its own for every row, and no prior to speak of."""
    return StudentFunction(
        x=torch.eye(rows),
        logits=lambda theta, x: x @ theta.view(rows, K),
        log_prior=lambda theta: 0.0 * theta.sum(),
        start=torch.zeros(rows * K),
        influence=influence,
        temperature=temperature,
    )


def random_probs(seed: int, *shape: int) -> torch.Tensor:
    return torch.softmax(torch.randn(*shape, K, generator=torch.Generator().manual_seed(seed)), -1)


def test_a_student_that_can_do_all_ends_at_the_mixture_of_labels_and_teachers():
    # Row by row CE(y, q) + lambda sum_m w_m CE(p_m, q) is least at q = (y + lambda sum_m w_m p_m) / (1 + lambda), y as
    # a one-hot vector, and at sum_m w_m p_m where there is no label.
    probs, weights = random_probs(0, M, N), random_probs(1, N)[:, :M]
    weights = weights / weights.sum(-1, keepdim=True)
    y = torch.tensor([0, 2, -1, 1, -1, 0])
    lesson = Lesson(table_student(influence=3.0), y)
    learned = learn(
        "rule",
        lesson,
        None,
        lambda state, theta, batch: state,
        lambda state, batch: (weights[batch.rows], probs[:, batch.rows]),
        Training(steps=1500, batch_size=3, learning_rate=0.1),
        torch.Generator().manual_seed(0),
        Progress(),
    )
    taught = torch.einsum("nm,mnk->nk", weights, probs)
    onehot = torch.nn.functional.one_hot(y.clamp(min=0), K)
    expected = torch.where(y[:, None] >= 0, (onehot + 3 * taught) / 4, taught)
    torch.testing.assert_close(torch.softmax(lesson.logits(learned.theta), -1), expected, atol=2e-3, rtol=0)
    assert learned.course.shape == (1500, M)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("partial", [False, True], ids=["all classes", "some classes"])
def test_the_loss_is_the_posterior_of_the_product_pool(temperature, partial):
    # -N loss = log joint + const under fixed weights: their gradients agree. The density is traced from the Pyro model.
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(N, 2, generator=generator)
    y = torch.tensor([0, 2, -1, 1, -1, 0])
    logits = {name: 2 * torch.randn(N, K, generator=generator) for name in ("a", "b")}
    classes = torch.tensor([[True, True, True], [True, False, True]]) if partial else None
    bank = TeacherBank.from_predictions(logits, classes=classes)
    weights = torch.rand(N, M, generator=generator)
    weights = weights / weights.sum(-1, keepdim=True)
    prior = DirichletProduct(bank, weights, concentration=4.0, temperature=temperature)
    student = Student(mlp(2, [4], K), prior, strength=0.5)
    theta = torch.randn(student.skeleton.num_weights, generator=generator)
    data = (x, y)
    density = Density(student, student.rows(data))
    _, expected = density.value_and_grad(theta[None])

    function = as_function(student, data, influence=0.5 * 4.0, temperature=temperature, seed=0)
    lesson = Lesson.of("rule", bank, y, function)
    probs = bank.mean_probs(temperature)

    def loss(place):
        said = lesson.loss(function.logits(place, x), y, weights, probs)
        return said - function.log_prior(place) / N

    torch.testing.assert_close(-N * grad(loss)(theta), expected[0], rtol=1e-4, atol=1e-4)


def test_divergences_by_hand_with_zeros():
    # KL((1, 0, 0) || (1/2, 1/4, 1/4)) = ln 2; over classes 0 and 1 alone q is (2/3, 1/3): KL = ln(3/2).
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    probs = torch.tensor([[[1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0]]])
    everything = Lesson(table_student(rows=1), torch.tensor([-1]))
    np.testing.assert_allclose(everything.divergences(probs, logits), [[np.log(2), np.log(2)]], rtol=1e-6)
    some = dataclasses.replace(everything, classes=torch.tensor([[True, True, True], [True, True, False]]))
    np.testing.assert_allclose(some.divergences(probs, logits), [[np.log(2), np.log(1.5)]], rtol=1e-6)
    slope = grad(lambda z: some.divergences(probs, z).sum())(logits)
    # q - p for each, q over what it knows.
    torch.testing.assert_close(slope, torch.tensor([[0.5 - 1 + 2 / 3 - 1, 0.25 + 1 / 3, 0.25]]))


def test_own_log_probs_of_classes_that_a_teacher_does_not_know():
    found = own_log_probs(torch.zeros(1, 3), torch.tensor([[True, False, True]]))
    assert found.exp().tolist() == [[[0.5, 0.0, 0.5]]]


def test_labels_that_are_missing_cost_nothing():
    logits = torch.zeros(3, 4)
    assert float(label_loss(logits, torch.tensor([-1, 2, 0]))) == pytest.approx(2 * np.log(4))
    assert float(label_loss(logits, torch.tensor([-1, -1, -1]))) == 0.0


def test_an_epoch_has_every_row_at_most_once():
    stream = batches(7, 3, torch.Generator().manual_seed(0))
    epochs = [torch.cat([next(stream) for _ in range(steps_per_epoch(7, 3))]).tolist() for _ in range(20)]
    assert all(len(epoch) == 6 == len(set(epoch)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 20
    assert set().union(*epochs) == set(range(7))
    assert sorted(next(batches(7, 100, torch.Generator())).tolist()) == list(range(7))


def test_a_rule_sees_the_batch_and_its_state_before_the_step():
    student, y = table_student(), torch.tensor([0, 1, 2, 0, 1, -1])
    seen: list[Batch] = []

    def update(state, theta, batch):
        seen.append(batch)
        torch.testing.assert_close(batch.logits, student.logits(theta, student.x[batch.rows]))
        return state + 1

    def teaching(state, batch):
        assert state == len(seen), "what the rule has learned of this batch is what the student hears"
        return torch.full((len(batch.rows), M), 0.5), torch.full((M, len(batch.rows), K), 1 / K)

    training = Training(steps=5, batch_size=4, learning_rate=0.1)
    before = torch.get_rng_state()
    runs = []
    for _ in range(2):
        seen.clear()
        generator = torch.Generator().manual_seed(7)
        runs.append(learn("r", Lesson(student, y), 0, update, teaching, training, generator, Progress()))
    assert torch.equal(torch.get_rng_state(), before)
    assert runs[0].state == 5
    torch.testing.assert_close(runs[0].theta, runs[1].theta, rtol=0, atol=0)
    assert not bool(runs[0].theta.equal(student.start))
    assert not bool(student.start.any()), "the student that was offered stays as it is"
    for batch in seen:
        assert torch.equal(batch.y, y[batch.rows])
        assert torch.equal(batch.x, student.x[batch.rows])
        assert not batch.logits.requires_grad


def test_bad_input():
    bank = TeacherBank.from_probs({"a": random_probs(0, N), "b": random_probs(1, N)})
    with pytest.raises(InputError, match=r"rule: 6 rows of teachers, 6 labels and 4 inputs of the student"):
        Lesson.of("rule", bank, None, table_student(rows=4))
    with pytest.raises(InputError, match=r"5 labels"):
        Lesson.of("rule", bank, torch.zeros(5, dtype=torch.int64), table_student())
    with pytest.raises(InputError, match=r"rule: label 3 at row 1"):
        Lesson.of("rule", bank, torch.tensor([0, 3, 0, 0, 0, 0]), table_student())
    for wrong in (Training(0, 1, 0.1), Training(1, 0, 0.1), Training(1, 1, float("nan"))):
        with pytest.raises(InputError, match=r"weighting\.(steps|batch_size|learning_rate) is"):
            Training.checked("weighting", **dataclasses.asdict(wrong))


def test_a_student_that_is_lost_is_told():
    student = dataclasses.replace(table_student(), log_prior=lambda theta: theta.sum() * torch.inf)
    with pytest.raises(InputError, match=r"rule: the student's weights are not finite after 3 steps; lower"):
        learn(
            "rule",
            Lesson(student, torch.full((N,), -1)),
            None,
            lambda state, theta, batch: state,
            lambda state, batch: (torch.ones(len(batch.rows), 1), torch.full((1, len(batch.rows), K), 1 / K)),
            Training(3, 4, 0.1),
            torch.Generator(),
            Progress(),
        )
