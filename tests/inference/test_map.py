"""Schedules by hand, and MAP as plain distillation."""

import math

import pytest
import torch
from exact import linear, linear_data
from torch import nn

from mtbkd.fitting import fit
from mtbkd.inference.map import MAPConfig, rate, warm_start
from mtbkd.inference.svi import SVIConfig
from mtbkd.priors import DirichletMixture
from mtbkd.students import NormalWeights, Student, mlp
from mtbkd.teachers.bank import TeacherBank


def test_schedules_by_hand():
    assert [rate("constant", step, 10) for step in (0, 9)] == [1.0, 1.0]
    assert rate("cosine", 0, 10) == 1.0
    assert rate("cosine", 5, 10) == pytest.approx(0.5)
    assert rate("cosine", 10, 10) == pytest.approx(0.0)
    assert rate("one_cycle", 0, 10) == pytest.approx(0.05)
    assert rate("one_cycle", 1, 10) == pytest.approx(0.525)
    assert rate("one_cycle", 2, 10) == 1.0
    assert rate("one_cycle", 6, 10) == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))


def test_the_map_is_the_distilled_student():
    """METHOD fact 1: plain torch on CE + lambda CE(p, q) + weight decay ends at the same logits."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 3, generator=generator)
    y = torch.tensor([0, 1, 2, -1, -1, -1, 0, 1, -1, -1, -1, 2])
    p = torch.softmax(torch.randn(12, 3, generator=generator), -1)
    prior = DirichletMixture(TeacherBank.from_probs({"t": p}, inputs=x), torch.ones(12, 1), 4.0)
    network = mlp(3, [], 3)  # softmax regression: one optimum
    student = Student(network, prior, weight_prior=NormalWeights(2.0, "fixed"))
    config = MAPConfig(steps=1500, learning_rate=0.05, num_starts=2)
    logits = fit(student, (x, y), config, progress=False).predict(x).probs.log()
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-3, atol=1e-3)
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        f = network(x)
        value = nn.functional.cross_entropy(f, y, ignore_index=-1, reduction="sum")
        value = value + 4.0 * nn.functional.cross_entropy(f, p, reduction="sum")
        value = value + sum(w.square().sum() for w in network.parameters()) / (2 * 2.0**2)
        value.backward()
        return value

    optimizer.step(loss)
    torch.testing.assert_close(logits[0], torch.log_softmax(network(x), -1).detach(), rtol=2e-3, atol=2e-3)


def test_the_loss_is_per_datum_and_falls():
    data = linear_data()
    posterior = fit(linear, data, MAPConfig(steps=400, learning_rate=0.05, batch_size=None), progress=False)
    loss = posterior.trace["loss"]
    assert loss.shape == (400,)
    assert loss[-1] < loss[0]
    assert loss[-1].item() == pytest.approx(-posterior.log_density.item() / 32, rel=1e-3)


def test_a_warm_start_is_the_engines():
    config = SVIConfig(warm_start=7, warm_start_rate=0.3, batch_size=5)
    assert warm_start(config) == MAPConfig(steps=7, learning_rate=0.3, batch_size=5, num_starts=1)
