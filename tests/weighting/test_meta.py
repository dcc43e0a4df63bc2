"""MMKD's network: its gradient against finite differences, what it remembers, and whom it comes to trust."""

import dataclasses

import numpy as np
import pytest
import tiny_runs
import torch
from torch import nn
from torch.func import grad
from torch.nn.functional import cross_entropy, kl_div

from mtbkd import weighting
from mtbkd.errors import InputError
from mtbkd.learning_rules import Batch, Learned, Lesson
from mtbkd.problem import ask, prepare
from mtbkd.progress import Progress
from mtbkd.registry import default_config, find
from mtbkd.rules import Offer, StudentFunction
from mtbkd.teachers import TeacherBank

meta = find("weighting", "meta")
N, D, K, M = 24, 3, 3, 2
H = 4  # hidden units of the student


def small_student(dtype=torch.float64, temperature: float = 1.0, seed: int = 0) -> StudentFunction:
    """One hidden layer, smooth, on random inputs."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(N, D, generator=generator, dtype=dtype)
    start = 0.5 * torch.randn(D * H + H * K, generator=generator, dtype=dtype)

    def logits(theta, rows):
        u, v = theta.split([D * H, H * K])
        return torch.tanh(rows @ u.view(D, H)) @ v.view(H, K)

    return StudentFunction(x, logits, lambda theta: -theta.square().sum() / 20, start, 2.0, temperature)


def small_bank(seed: int = 0, num_teachers: int = M) -> TeacherBank:
    generator = torch.Generator().manual_seed(seed)
    return TeacherBank.from_logits(
        {f"t{m}": 2 * torch.randn(N, K, generator=generator) for m in range(num_teachers)}
    )


LABELS = torch.arange(N) % K


def pieces(temperature: float = 1.0):
    """A problem in float64 with a network away from its start, whose units are not at their corner."""
    bank, student = small_bank(), small_student(temperature=temperature)
    lesson = Lesson.of("rule", bank, LABELS.masked_fill(torch.arange(N) % 4 == 0, -1), student)
    teachers = meta.teachers_of(bank, "logits", student)
    generator = torch.Generator().manual_seed(5)
    state = meta.init(teachers, generator)
    phi = state.phi + 0.3 * torch.randn(state.phi.shape, generator=generator, dtype=torch.float64)
    rows = torch.arange(0, N, 2)
    batch = Batch(rows, student.x[rows], lesson.y[rows], student.logits(student.start, student.x[rows]))
    return bank, student, lesson, teachers, phi, batch


def test_the_gradient_is_that_of_the_unrolled_loss():
    _, student, lesson, teachers, phi, batch = pieces()
    buffer = torch.tensor([1, 3, 5, 7, 9])

    def loss(at):
        return meta.outer_loss(at, student.start, batch, buffer, lesson, teachers, 0.5)

    slope = grad(loss)(phi)
    assert float(slope.abs().max()) > 1e-4, "the weights reach the outer loss"
    step = 1e-6
    for at in range(0, len(phi), 9):
        nudge = torch.zeros_like(phi)
        nudge[at] = step
        difference = float(loss(phi + nudge) - loss(phi - nudge)) / (2 * step)
        assert float(slope[at]) == pytest.approx(difference, abs=1e-8, rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_unrolled_loss_by_plain_steps(temperature):
    # Two steps of distillation, one of labels, by autograd's own bookkeeping and torch's losses.
    bank, student, lesson, teachers, phi, batch = pieces(temperature)
    buffer, eta = torch.tensor([1, 3, 5]), 0.5
    heard = meta.network(phi, meta.seen(teachers.shown[batch.rows], batch.logits), M)
    targets = torch.softmax(bank.logits[:, batch.rows].double() / temperature, -1)
    theta = student.start.clone()
    for kind in ("distillation", "distillation", "labels"):
        theta = theta.detach().requires_grad_()
        z = student.logits(theta, batch.x)
        if kind == "labels":
            loss = cross_entropy(z[batch.y >= 0], batch.y[batch.y >= 0])
        else:
            log_q = torch.log_softmax(z / temperature, -1)
            rows = torch.stack([kl_div(log_q, p, reduction="none").sum(-1) for p in targets], -1)
            loss = (heard * rows).sum(-1).mean()
        loss.backward()
        theta = theta - eta * theta.grad
    expected = cross_entropy(student.logits(theta.detach(), student.x[buffer]), LABELS[buffer])
    found = meta.outer_loss(phi, student.start, batch, buffer, lesson, teachers, eta)
    assert float(found) == pytest.approx(float(expected), rel=1e-8)  # of float32 probabilities


def test_the_network_is_a_perceptron_with_half_as_many_units():
    inputs = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    layers = nn.Sequential(nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 2), nn.Softmax(-1))
    phi = torch.cat([p.flatten() for p in layers.parameters()])
    torch.testing.assert_close(meta.network(phi, inputs, 2), layers(inputs))


def test_it_starts_from_equal_weights_and_its_first_step_is_downhill():
    _, student, lesson, teachers, _, batch = pieces()
    state = meta.init(teachers, torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        meta.weights(state, batch, teachers), torch.full((len(batch.rows), M), 0.5, dtype=torch.float64)
    )
    config = meta.MetaConfig(meta_rate=1e-3, weight_decay=0.0, inner_rate=0.5)
    after = meta.update(state, student.start, batch, lesson=lesson, teachers=teachers, config=config)
    assert len(after.buffer)
    losses = [
        float(meta.outer_loss(phi, student.start, batch, after.buffer, lesson, teachers, 0.5))
        for phi in (state.phi, after.phi)
    ]
    assert losses[1] < losses[0]
    # Weight decay is part of the slope: where nothing else pulls, Adam's first step is its rate towards 0.
    still = dataclasses.replace(config, weight_decay=1e6)
    shrunk = meta.update(state, student.start, batch, lesson=lesson, teachers=teachers, config=still)
    moved = state.phi != 0
    expected = state.phi - 1e-3 * state.phi.sign()
    torch.testing.assert_close(shrunk.phi[moved], expected[moved], atol=1e-8, rtol=0)


def test_the_buffer_by_hand():
    _, student, lesson, teachers, _, _ = pieces()
    lesson = dataclasses.replace(lesson, y=torch.tensor([0, 1, 2, -1, 1, 0] + [-1] * (N - 6)))
    config = meta.MetaConfig(buffer_size=3, interval=2)

    def see(state, rows, said):
        rows, said = torch.tensor(rows), torch.eye(K, dtype=torch.float64)[torch.tensor(said)]
        batch = Batch(rows, student.x[rows], lesson.y[rows], said)
        return meta.update(state, student.start, batch, lesson=lesson, teachers=teachers, config=config)

    first = meta.init(teachers, torch.Generator().manual_seed(0))
    state = see(first, [0, 1, 3], [0, 1, 2])  # right, right, unlabelled
    assert state.buffer.tolist() == []
    assert torch.equal(state.phi, first.phi), "nothing to learn from"
    state = see(state, [0, 1, 2, 3], [1, 0, 2, 0])
    assert state.buffer.tolist() == [0, 1]
    assert torch.equal(state.phi, first.phi), "an odd step"
    state = see(state, [4, 0], [2, 2])
    assert state.buffer.tolist() == [1, 4, 0], "the newest last, none twice"
    assert not torch.equal(state.phi, first.phi)
    state = see(state, [5], [2])
    assert state.buffer.tolist() == [4, 0, 5], "no more than there is room for"
    assert (state.step, state.adam.count) == (4, 1)


@pytest.fixture(scope="module")
def clusters():
    """Three classes on a line with room, a student that can learn them, and teachers."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(90) % K
    x = torch.randn(90, 2, generator=generator) + 2.5 * y[:, None] * torch.tensor([1.0, -1.0])
    x = torch.cat([x, torch.ones(90, 1)], 1)
    start = torch.zeros(3 * K)
    student = StudentFunction(
        x, lambda theta, rows: rows @ theta.view(3, K), lambda theta: -theta.square().sum() / 200, start, 1.0
    )
    permuted = torch.tensor([1, 2, 0])

    def teacher(labels: torch.Tensor) -> torch.Tensor:
        return 4 * torch.eye(K)[labels] + 0.3 * torch.randn(90, K, generator=generator)

    return student, y, teacher(y), teacher(permuted[y])


def test_a_teacher_of_permuted_labels_loses(clusters):
    student, y, good, bad = clusters
    labels = y.masked_fill(torch.arange(90) % 5 > 1, -1)
    config = meta.MetaConfig(steps=100, batch_size=30, interval=1, meta_rate=0.02)
    for logits, better in (({"good": good, "bad": bad}, 0), ({"bad": bad, "good": good}, 1)):
        bank = TeacherBank.from_logits(logits)
        found = weighting.weigh(config, bank, labels, Offer(student=lambda: student))
        assert float(found.teachers[:, better].mean()) > 0.8
        course = found.found["course"]
        assert course.shape == (100, 2)
        assert float(course[0, better]) < 0.6 < float(course[-1, better])


def test_the_weights_handed_over_are_the_networks_at_the_final_student(clusters, monkeypatch):
    student, y, good, bad = clusters
    kept: list[Learned] = []
    learn = meta.learn
    monkeypatch.setattr(meta, "learn", lambda *arguments: kept.append(learn(*arguments)) or kept[-1])
    found = weighting.meta(
        TeacherBank.from_logits({"a": good, "b": bad}), y, student=student, steps=40, batch_size=30
    )
    layers = nn.Sequential(nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 2), nn.Softmax(-1))
    nn.utils.vector_to_parameters(kept[0].state.phi, layers.parameters())
    said = [good, bad, student.logits(kept[0].theta, student.x)]
    with torch.no_grad():
        expected = layers(torch.cat([torch.log_softmax(z, -1) for z in said], 1))
    torch.testing.assert_close(found.teachers, expected)
    assert float(found.teachers.std(0).min()) > 1e-4, "each row its own"


def test_features_are_shown_standardised():
    bank, student = small_bank(), small_student()
    generator = torch.Generator().manual_seed(1)
    features = {"t1": {"body": 50 + 7 * torch.randn(N, 5, generator=generator), "neck": torch.randn(N, 2)}}
    shown = meta.teachers_of(bank.with_features(features), "logits+features", student).shown
    assert shown.shape == (N, M * K + 7)
    torch.testing.assert_close(shown[:, :3], bank.probs[0].log().double())
    body = features["t1"]["body"].numpy().astype(np.float64)
    np.testing.assert_allclose(shown[:, 6:11], (body - body.mean(0)) / body.std(0), atol=1e-5)
    found = weighting.meta(
        bank.with_features(features), LABELS, student=student, inputs="logits+features", steps=6
    )
    torch.testing.assert_close(found.teachers.sum(-1), torch.ones(N))


def test_a_run_shows_the_layers_that_hints_are_of(tmp_path):
    nets = "+teachers.members.nets={kind: ensemble, members: 2, hidden: [5], epochs: 1}"
    words = [*tiny_runs.tiny_overrides(tmp_path), nets, "weighting=meta", "weighting.steps=2"]
    words.append("weighting.inputs=logits+features")
    without = tiny_runs.resolved(*words)
    with pytest.raises(InputError, match=r"give no features; use inputs=logits, or name their layers"):
        ask(without, prepare(without), Progress())
    config = tiny_runs.resolved(*words, "features=hints", "features.layers={nets:{2:1}}")
    weights = ask(config, prepare(config), Progress()).weights.teachers
    assert weights.shape[1] == 3
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(weights)))


def test_zeros_draws_and_one_teacher():
    student = small_student(torch.float32)
    sure = np.eye(K)[np.arange(N) % K]
    draws = np.random.default_rng(0).dirichlet(np.ones(K), size=(4, N))
    bank = TeacherBank.from_probs({"sure": sure, "draws": draws})
    found = weighting.meta(bank, LABELS, student=student, steps=12, batch_size=8)
    assert bool(torch.isfinite(found.teachers).all())
    torch.testing.assert_close(found.teachers.sum(-1), torch.ones(N))
    assert float(meta.teachers_of(bank, "logits", student).shown.min()) == meta.LOWEST
    one = weighting.meta(small_bank(num_teachers=1), LABELS, student=student, steps=1)
    assert one.teachers.tolist() == [[1.0]] * N


def test_what_it_needs():
    bank, student = small_bank(), small_student()
    for labels in (None, torch.full((N,), -1)):
        with pytest.raises(InputError, match=r"weighting 'meta': no row of the pool is labelled; label some"):
            weighting.meta(bank, labels, student=student)
    with pytest.raises(InputError, match=r"the teachers give no features; use inputs=logits"):
        weighting.meta(bank, LABELS, student=student, inputs="logits+features")
    with pytest.raises(InputError, match=r"weighting 'meta' learns with the student"):
        weighting.weigh(default_config("weighting", "meta"), bank, LABELS)
    with pytest.raises(InputError, match=r"weighting.inputs: unknown value 'feature'"):
        meta.MetaConfig(inputs="feature")
    for wrong in ({"interval": 0}, {"buffer_size": 0}, {"meta_rate": -1.0}, {"weight_decay": -1.0}):
        with pytest.raises(InputError, match=f"weighting.{next(iter(wrong))} is"):
            meta.MetaConfig(**wrong)
