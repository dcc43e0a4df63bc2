"""One trajectory: the integrator, the acceptance, the first step, and densities that break."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from small_densities import COVARIANCE, diagonal, gaussian, generator, quartic, starts

from mtbkd.density import Density
from mtbkd.inference import hamiltonian
from mtbkd.inference.hamiltonian import HMCState


def energy(state: HMCState, velocity: torch.Tensor) -> torch.Tensor:
    return 0.5 * velocity.square().sum(-1) - state.value


# ---- the integrator --------------------------------------------------------------------------------------------


def test_one_leapfrog_by_hand():
    density = gaussian(torch.eye(1, dtype=torch.float64))  # grad = -theta
    state = hamiltonian.init(density, torch.tensor([[1.0]], dtype=torch.float64))
    velocity = torch.tensor([[0.5]], dtype=torch.float64)
    unit = diagonal(torch.ones(1))
    end, after, met = hamiltonian.leapfrog(state, velocity, density, 0.2, unit, 1, heard=16)
    # half kick .5 - .1 = .4; drift 1.08; half kick .4 - .108 = .292
    assert end.theta.item() == pytest.approx(1.08)
    assert after.item() == pytest.approx(0.292)
    assert end.grad.item() == pytest.approx(-1.08)
    assert [grad.item() for grad in met] == [end.grad.item()]


def test_gradients_are_met_evenly_along_a_trajectory():
    density = quartic()
    state, velocity = starts(density, chains=2)
    unit = diagonal(torch.ones(2), 2)
    _, _, met = hamiltonian.leapfrog(state, velocity, density, 0.1, unit, 50, heard=16)
    assert len(met) == 12  # every fourth of 50
    for number in (1, 3):
        end, _, none = hamiltonian.leapfrog(state, velocity, density, 0.1, unit, 4 * number)
        torch.testing.assert_close(met[number - 1], end.grad)
        assert none == ()


def test_turned_round_it_comes_back():
    density = quartic()
    state, velocity = starts(density)
    metric = diagonal(torch.tensor([0.3, 0.1]))
    end, after, _ = hamiltonian.leapfrog(state, velocity, density, 1.0, metric, 7)
    back, before, _ = hamiltonian.leapfrog(end, -after, density, 1.0, metric, 7)
    assert (end.theta - state.theta).abs().max() > 0.5
    torch.testing.assert_close(back.theta, state.theta, rtol=0, atol=1e-12)
    torch.testing.assert_close(-before, velocity, rtol=0, atol=1e-12)


def test_it_preserves_volume():
    """The Jacobian of (theta, v) -> (theta', v') has determinant 1."""
    density = quartic()
    metric = diagonal(torch.tensor([0.3, 0.2]))

    def flow(point: torch.Tensor) -> torch.Tensor:
        state = hamiltonian.init(density, point[None, :2])
        end, velocity, _ = hamiltonian.leapfrog(state, point[None, 2:], density, 1.0, metric, 3)
        return torch.cat([end.theta, velocity], -1)[0]

    at = torch.tensor([0.4, -0.8, 1.1, 0.3], dtype=torch.float64)
    step = 1e-5 * torch.eye(4, dtype=torch.float64)
    jacobian = torch.stack([(flow(at + h) - flow(at - h)) / 2e-5 for h in step])
    assert torch.linalg.det(jacobian).abs().item() == pytest.approx(1.0, abs=1e-7)


def test_the_energy_error_is_of_second_order():
    density = quartic()
    state, velocity = starts(density)
    errors = []
    for steps in (10, 20, 40):
        unit = diagonal(torch.ones(2), 64)
        end, after, _ = hamiltonian.leapfrog(state, velocity, density, 1.0 / steps, unit, steps)
        errors.append((energy(end, after) - energy(state, velocity)).abs().mean().item())
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.05)


# ---- acceptance ------------------------------------------------------------------------------------------------


def test_acceptance_is_that_of_the_energies():
    density = quartic()
    state, _ = starts(density, chains=4000)
    metric = diagonal(torch.tensor([0.8, 1.2]), 4000)
    transition = hamiltonian.update(state, density, 0.9, metric, 3, generator(3))
    # The same generator's first numbers are the velocities.
    velocity = torch.randn(state.theta.shape, generator=generator(3), dtype=torch.float64)
    end, after, _ = hamiltonian.leapfrog(state, velocity, density, 0.9, metric, 3)
    error = energy(end, after) - energy(state, velocity)
    torch.testing.assert_close(transition.accept, torch.exp(-error.clamp(min=0)))
    moved = (transition.state.theta != state.theta).any(-1)
    assert torch.equal(moved, (transition.state.theta == end.theta).all(-1))
    # 4,000 Bernoulli draws: the share is known to .008.
    assert 0.3 < moved.double().mean() < 0.95
    assert moved.double().mean().item() == pytest.approx(transition.accept.mean().item(), abs=0.03)
    torch.testing.assert_close(transition.state.value, torch.where(moved, end.value, state.value))
    torch.testing.assert_close(
        transition.energy, torch.where(moved, energy(end, after), energy(state, velocity))
    )


def test_one_transition_leaves_the_target_as_it_is():
    """Exact draws of the normal, moved by rough steps with a wrong scale, are exact draws still."""
    density = gaussian()
    n = 40_000
    exact = (
        torch.randn(n, 3, generator=generator(4), dtype=torch.float64) @ torch.linalg.cholesky(COVARIANCE).T
    )
    state = hamiltonian.init(density, exact)
    metric = diagonal(torch.tensor([1.0, 0.5, 1.5]), n)
    transition = hamiltonian.update(state, density, 0.7, metric, 4, generator(5))
    assert transition.accept.mean() < 0.95  # rough enough for the accept step to matter
    moved = transition.state.theta
    assert moved.mean(0).abs().max() < 5 * (2 / n) ** 0.5
    assert (torch.cov(moved.T) - COVARIANCE).abs().max() < 5 * 2 * (2 / n) ** 0.5


def test_the_first_step_is_accepted_about_half_the_time():
    for factor in (0.01, 1.0, 100.0):
        density = gaussian(factor**2 * torch.eye(4, dtype=torch.float64))
        state = hamiltonian.init(
            density, factor * torch.randn(32, 4, generator=generator(9), dtype=torch.float64)
        )
        step = hamiltonian.find_step_size(state, density, diagonal(torch.ones(4), 32), generator(10))
        # A unit normal's leapfrogs are stable below 2 standard deviations; the search doubles or halves.
        assert 0.3 < step / factor < 4


def test_a_density_that_breaks_is_rejected_not_taken():
    """Beyond 1 the model is not a number; chains stay where it is one."""

    def model() -> None:
        x = pyro.sample("x", dist.Normal(torch.zeros((), dtype=torch.float64), 1.0))
        pyro.factor("edge", (1 - x).log())

    torch.manual_seed(1)  # the density runs the model once, with a draw of its own: .66
    density = Density(model, (), dtype=torch.float64)
    state = hamiltonian.init(density, torch.zeros(50, 1, dtype=torch.float64))
    transition = hamiltonian.update(state, density, 0.8, diagonal(torch.ones(1), 50), 3, generator(14))
    assert transition.diverged.any()
    assert (transition.accept[transition.diverged] == 0).all()
    assert torch.isfinite(transition.state.value).all()
    assert (transition.state.theta < 1).all()
