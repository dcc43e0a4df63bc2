"""Schedules by hand, when draws are kept, the preconditioner's numbers, and what is refused."""

import math
from dataclasses import replace

import pytest
import torch
from exact import linear, linear_data

from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference import SGHMCConfig, SGLDConfig
from mtbkd.inference.engine import Diverged
from mtbkd.inference.stochastic_gradient import Preconditioner, Timetable

SMALL = SGLDConfig(warmup=10, draws=4, thin=5, step_size=0.3, posterior_temperature=0.5)


def test_constant_steps():
    """Of the mean over 100 rows; a draw after each five steps, the warm-up left out."""
    times = Timetable.of(SMALL, 100)
    assert times.eps == pytest.approx([0.003] * 30)
    assert times.temperature == [0.5] * 30
    assert times.kept == [14, 19, 24, 29]


def test_a_step_for_the_sum_does_not_change_with_the_rows():
    config = replace(SMALL, step_for="sum")
    assert Timetable.of(config, 100) == Timetable.of(config, 1)
    assert Timetable.of(config, 100).eps[0] == 0.3


def test_polynomial_steps_and_draws_at_equal_intervals_of_time():
    config = replace(SMALL, schedule="polynomial", decay=0.5, decay_steps=5, draws=10, thin=100)
    times = Timetable.of(config, 1)
    assert times.eps[:10] == [0.3] * 10
    # (1 + t / 5)^-1/2 at t = 0, 15, 40, 75
    assert [times.eps[10 + t] for t in (0, 15, 40, 75)] == pytest.approx([0.3, 0.15, 0.1, 0.075])
    elapsed = [sum(times.eps[a + 1 : b + 1]) for a, b in zip([9, *times.kept], times.kept, strict=False)]
    # To one step, the first of which is the longest.
    assert elapsed == pytest.approx([sum(times.eps[10:]) / 10] * 10, abs=times.eps[times.kept[0]])
    assert times.kept[-1] == len(times.eps) - 1
    assert times.kept[5] - times.kept[4] > 2 * (times.kept[0] - 9)


def test_cyclical_steps_by_hand():
    """Two cycles of 8 steps: eps / 2 (cos(pi t / 8) + 1); in the first half neither noise nor a draw."""
    config = replace(
        SMALL, schedule="cyclical", cycles=2, explore=0.5, draws=4, thin=4, warmup=0, precondition="none"
    )
    times = Timetable.of(config, 1)
    assert times.eps[8:] == times.eps[:8]
    c, s = math.cos(math.pi / 4), math.cos(math.pi / 8)
    assert times.eps[:5] == pytest.approx([0.3, 0.15 * (s + 1), 0.15 * (c + 1), times.eps[3], 0.15])
    assert times.temperature[:8] == [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5]
    assert [step // 8 for step in times.kept] == [0, 0, 1, 1]
    assert all(step % 8 >= 4 for step in times.kept)


def test_the_preconditioner_by_hand():
    """Mean squares after two gradients (bias-corrected, smoothing .99), then r / (root + r / 100) with their r."""
    found = Preconditioner.start(torch.zeros(1, 2))
    found = found.adapt(torch.tensor([[3.0, 4.0]])).adapt(torch.tensor([[1.0, 2.0]]))
    mean = torch.tensor([(0.99 * 9 + 1) / 1.99, (0.99 * 16 + 4) / 1.99])
    typical = mean.mean().sqrt()
    torch.testing.assert_close(found.scale[0], typical / (mean.sqrt() + 0.01 * typical))
    torch.testing.assert_close(found.root, found.scale.sqrt())


def test_the_preconditioner_does_not_depend_on_the_gradients_unit():
    """Each chain's own: a thousand times the gradient in one chain changes nothing in either."""
    grads = torch.randn(5, 2, 7, generator=torch.Generator().manual_seed(0))
    one = two = Preconditioner.start(torch.zeros(2, 7))
    for grad in grads:
        one, two = one.adapt(grad), two.adapt(grad * torch.tensor([[1000.0], [1.0]]))
    torch.testing.assert_close(one.scale, two.scale)


def test_no_gradient_at_all_is_no_preconditioner_of_nan():
    assert torch.isfinite(Preconditioner.start(torch.zeros(1, 3)).adapt(torch.zeros(1, 3)).scale).all()


@pytest.mark.parametrize("config", [SGLDConfig, SGHMCConfig])
def test_steps_too_long_are_told(config):
    with pytest.raises(
        Diverged, match=r"diverged: a chain is not finite at step \d+; lower inference.step_size"
    ):
        fit(linear, linear_data(), config(step_size=100.0, warm_start=0, batch_size=None), progress=False)


@pytest.mark.parametrize("config", [SGLDConfig, SGHMCConfig])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_chains": 0}, "num_chains"),
        ({"draws": 0}, "draws"),
        ({"thin": 0}, "thin"),
        ({"warmup": -1}, "warmup"),
        ({"step_size": 0.0}, "step_size"),
        ({"step_for": "all"}, "step_for"),
        ({"schedule": "cosine"}, "schedule"),
        ({"decay": -1.0}, "decay"),
        ({"decay_steps": 0}, "decay_steps"),
        ({"cycles": 0}, "cycles"),
        ({"explore": 1.5}, "explore"),
        ({"schedule": "cyclical", "explore": 1.0}, "leaves no step to sample in"),
        ({"schedule": "cyclical", "draws": 2, "thin": 1, "cycles": 2}, "leaves no step to sample in"),
        ({"precondition": "adam"}, "precondition"),
        ({"precondition": "rmsprop", "warmup": 0}, "rmsprop needs steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"posterior_temperature": 0.0}, "posterior_temperature"),
        ({"warm_start": -1}, "warm_start"),
    ],
)
def test_bad_settings_are_refused_by_name(config, changes, told):
    with pytest.raises(InputError, match=told):
        config(**changes)


def test_log_densities_of_a_large_pool_are_of_a_part_of_its_rows(monkeypatch):
    """The same rows for every draw, evenly spread: here every third, whose terms count three times."""
    monkeypatch.setattr("mtbkd.inference.stochastic_gradient.LOG_DENSITY_ROWS", 4)
    x, y = linear_data()
    x, y = x[:12], y[:12]
    config = SGLDConfig(warmup=5, draws=3, thin=2, num_chains=2, batch_size=6, warm_start=0)
    found = fit(linear, (x, y), config, progress=False, compiled="never")
    assert found.info["log_density_rows"] == 4
    density = Density(linear, (x[::3], y[::3]))
    theta = density.flatten({name: v.flatten(0, 1) for name, v in found.values.items()})
    part = (*density.tensors, density.scalar(3.0))
    torch.testing.assert_close(found.log_density.flatten(), density.log_prob(theta, part))
