"""The integrator, the acceptance, the adaptation and the divergences of HMC."""

from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch
from exact import linear, linear_data

from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference import hmc
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws
from mtbkd.inference.hmc import HMCConfig, HMCState
from mtbkd.inference.map import warm_start
from mtbkd.inference.metric import Metric
from mtbkd.progress import Progress


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


COVARIANCE = torch.tensor([[2.0, 0.6, 0.0], [0.6, 0.5, 0.1], [0.0, 0.1, 1.0]], dtype=torch.float64)


def gaussian(covariance: torch.Tensor = COVARIANCE) -> Density:
    def model() -> None:
        pyro.sample("theta", dist.MultivariateNormal(covariance.new_zeros(len(covariance)), covariance))

    return Density(model, (), dtype=torch.float64)


def quartic() -> Density:
    """Not a normal, so that the integrator errs at every order: -(x^4 / 4 + x^2 / 2) in each of two coordinates."""

    def model() -> None:
        x = pyro.sample("x", dist.Normal(torch.zeros(2, dtype=torch.float64), 1.0).to_event(1))
        pyro.factor("quartic", -x.pow(4).sum() / 4)

    return Density(model, (), dtype=torch.float64)


def starts(density: Density, chains: int = 64) -> tuple[HMCState, torch.Tensor]:
    theta = torch.randn(chains, density.dim, generator=generator(1), dtype=torch.float64)
    return hmc.init(density, theta), torch.randn(theta.shape, generator=generator(2), dtype=torch.float64)


def sampled(density: Density, config: HMCConfig, start: torch.Tensor, generator: torch.Generator) -> Draws:
    return hmc.sample(density, config, start, generator, Progress(), Checkpoints(generator))


def collected(density: Density, config: HMCConfig, state: HMCState, step_size: float, seed: int) -> Draws:
    """Draws from this state on with this step and trajectories of mean length 1.5, nothing adapted."""
    random = generator(seed)
    config = replace(config, trajectory=1.5)
    run = hmc.begin(density, config, state.theta, generator())
    averaging = replace(run.averaging, initial=step_size)
    run = replace(run, averaging=averaging, iteration=config.warmup)
    checkpoints = Checkpoints(random)
    kept = hmc.kept_arrays(density, config, checkpoints)
    return hmc.collect(density, config, run, kept, random, Progress(), checkpoints)


def diagonal(scale: torch.Tensor, chains: int = 1) -> Metric:
    return Metric.diagonal(scale.double(), chains)


def energy(state: HMCState, velocity: torch.Tensor) -> torch.Tensor:
    return 0.5 * velocity.square().sum(-1) - state.value


# ---- the integrator --------------------------------------------------------------------------------------------


def test_one_leapfrog_by_hand():
    density = gaussian(torch.eye(1, dtype=torch.float64))  # grad = -theta
    state = hmc.init(density, torch.tensor([[1.0]], dtype=torch.float64))
    velocity = torch.tensor([[0.5]], dtype=torch.float64)
    unit = diagonal(torch.ones(1))
    end, after, met = hmc.leapfrog(state, velocity, density, 0.2, unit, 1, heard=16)
    # half kick .5 - .1 = .4; drift 1.08; half kick .4 - .108 = .292
    assert end.theta.item() == pytest.approx(1.08)
    assert after.item() == pytest.approx(0.292)
    assert end.grad.item() == pytest.approx(-1.08)
    assert [grad.item() for grad in met] == [end.grad.item()]


def test_gradients_are_met_evenly_along_a_trajectory():
    density = quartic()
    state, velocity = starts(density, chains=2)
    unit = diagonal(torch.ones(2), 2)
    _, _, met = hmc.leapfrog(state, velocity, density, 0.1, unit, 50, heard=16)
    assert len(met) == 12  # every fourth of 50
    for number in (1, 3):
        end, _, none = hmc.leapfrog(state, velocity, density, 0.1, unit, 4 * number)
        torch.testing.assert_close(met[number - 1], end.grad)
        assert none == ()


def test_turned_round_it_comes_back():
    density = quartic()
    state, velocity = starts(density)
    metric = diagonal(torch.tensor([0.3, 0.1]))
    end, after, _ = hmc.leapfrog(state, velocity, density, 1.0, metric, 7)
    back, before, _ = hmc.leapfrog(end, -after, density, 1.0, metric, 7)
    assert (end.theta - state.theta).abs().max() > 0.5
    torch.testing.assert_close(back.theta, state.theta, rtol=0, atol=1e-12)
    torch.testing.assert_close(-before, velocity, rtol=0, atol=1e-12)


def test_it_preserves_volume():
    """The Jacobian of (theta, v) -> (theta', v') has determinant 1."""
    density = quartic()
    metric = diagonal(torch.tensor([0.3, 0.2]))

    def flow(point: torch.Tensor) -> torch.Tensor:
        state = hmc.init(density, point[None, :2])
        end, velocity, _ = hmc.leapfrog(state, point[None, 2:], density, 1.0, metric, 3)
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
        end, after, _ = hmc.leapfrog(state, velocity, density, 1.0 / steps, unit, steps)
        errors.append((energy(end, after) - energy(state, velocity)).abs().mean().item())
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.05)


# ---- acceptance ------------------------------------------------------------------------------------------------


def test_acceptance_is_that_of_the_energies():
    density = quartic()
    state, _ = starts(density, chains=4000)
    metric = diagonal(torch.tensor([0.8, 1.2]), 4000)
    transition = hmc.update(state, density, 0.9, metric, 3, generator(3))
    # The same generator's first numbers are the velocities.
    velocity = torch.randn(state.theta.shape, generator=generator(3), dtype=torch.float64)
    end, after, _ = hmc.leapfrog(state, velocity, density, 0.9, metric, 3)
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
    state = hmc.init(density, exact)
    metric = diagonal(torch.tensor([1.0, 0.5, 1.5]), n)
    transition = hmc.update(state, density, 0.7, metric, 4, generator(5))
    assert transition.accept.mean() < 0.95  # rough enough for the accept step to matter
    moved = transition.state.theta
    assert moved.mean(0).abs().max() < 5 * (2 / n) ** 0.5
    assert (torch.cov(moved.T) - COVARIANCE).abs().max() < 5 * 2 * (2 / n) ** 0.5


# ---- adaptation ------------------------------------------------------------------------------------------------


def test_adaptation_reaches_its_acceptance_in_fifty_dimensions():
    d = 50
    basis = torch.linalg.qr(torch.randn(d, d, generator=generator(6), dtype=torch.float64)).Q
    eigen = torch.logspace(-1, 1, d, dtype=torch.float64)
    covariance = (basis * eigen) @ basis.T * torch.outer(*[torch.logspace(-1, 1, d).double()] * 2)
    for accept in (0.65, 0.9):
        config = HMCConfig(
            num_chains=8, warmup=300, draws=60, trajectory=0.8, accept=accept, warm_start=0, dtype="float64"
        )
        start = 0.1 * torch.randn(8, d, generator=generator(7), dtype=torch.float64)
        draws = sampled(gaussian(covariance), config, start, generator(8))
        reached = 1 / (1 / draws.stats["accept"].clamp(min=1e-3)).mean(0)
        assert reached.mean().item() == pytest.approx(accept, abs=0.06)
        assert not draws.stats["diverging"].any()


def test_trajectories_are_jittered_and_bounded():
    config = HMCConfig(max_leapfrogs=12)
    lengths = [hmc.leapfrogs_of(config, 1.0, 0.101, i) for i in range(1, 9)]
    # Halton 1/4, 3/4, 1/8, 5/8, 3/8, 7/8, 1/16, 9/16 -> (.2 + 1.6 h) / .101 = 5.9, 13.9, 4.0, 11.9, 7.9, 15.8, 3.0,
    # 10.9 steps, rounded, 12 at most: rounded up they would be longer than asked, by half a step each.
    assert lengths == [6, 12, 4, 12, 8, 12, 3, 11]
    assert hmc.leapfrogs_of(config, 1.0, 10.0, 0) == 1


def test_the_first_step_is_accepted_about_half_the_time():
    for factor in (0.01, 1.0, 100.0):
        density = gaussian(factor**2 * torch.eye(4, dtype=torch.float64))
        state = hmc.init(density, factor * torch.randn(32, 4, generator=generator(9), dtype=torch.float64))
        step = hmc.find_step_size(state, density, diagonal(torch.ones(4), 32), generator(10))
        # A single leapfrog of a unit normal is accepted half the time somewhat above 1 standard deviation.
        assert 0.3 < step / factor < 4


def test_thinning_keeps_every_nth_state():
    density = gaussian()
    state, _ = starts(density, chains=3)
    config = HMCConfig(num_chains=3, draws=12, dtype="float64")
    every = collected(density, config, state, 0.3, 11)
    third = collected(density, replace(config, draws=4, thin=3), state, 0.3, 11)
    assert torch.equal(every.theta[:, 2::3], third.theta)
    assert torch.equal(every.log_density[:, 2::3], third.log_density)


# ---- divergences -----------------------------------------------------------------------------------------------


def funnel() -> None:
    v = pyro.sample("v", dist.Normal(torch.tensor(0.0, dtype=torch.float64), 3.0))
    pyro.sample("x", dist.Normal(torch.zeros(9, dtype=torch.float64), (v / 2).exp()).to_event(1))


def test_divergences_of_a_funnel_are_recorded():
    density = Density(funnel, (), dtype=torch.float64)
    theta = torch.randn(16, 10, generator=generator(12), dtype=torch.float64)
    theta[:, 0] = -4.0
    state = hmc.init(density, theta)
    config = HMCConfig(num_chains=16, draws=20, dtype="float64")
    rough, fine = (collected(density, config, state, step, 13) for step in (1.0, 0.01))
    assert rough.stats["diverging"].dtype == torch.bool
    assert rough.stats["diverging"].any(1).double().mean() > 0.5
    assert not fine.stats["diverging"].any()
    # What diverged is not taken: every draw is finite and has the density it says.
    assert torch.isfinite(rough.theta).all()
    torch.testing.assert_close(density.log_prob(rough.theta[:, -1]), rough.log_density[:, -1])


def test_a_density_that_breaks_is_rejected_not_taken():
    """Beyond 1 the model is not a number; chains stay where it is one."""

    def model() -> None:
        x = pyro.sample("x", dist.Normal(torch.zeros((), dtype=torch.float64), 1.0))
        pyro.factor("edge", (1 - x).log())

    torch.manual_seed(1)  # the density runs the model once, with a draw of its own: .66
    density = Density(model, (), dtype=torch.float64)
    state = hmc.init(density, torch.zeros(50, 1, dtype=torch.float64))
    transition = hmc.update(state, density, 0.8, diagonal(torch.ones(1), 50), 3, generator(14))
    assert transition.diverged.any()
    assert (transition.accept[transition.diverged] == 0).all()
    assert torch.isfinite(transition.state.value).all()
    assert (transition.state.theta < 1).all()


# ---- the door --------------------------------------------------------------------------------------------------


def test_a_start_outside_the_support_is_refused_by_chain():
    density = gaussian()
    theta = torch.zeros(3, 3, dtype=torch.float64)
    theta[1, 2] = float("nan")
    with pytest.raises(InputError, match="chain 1 starts where"):
        hmc.init(density, theta)
    config = HMCConfig(num_chains=3, dtype="float64")
    with pytest.raises(InputError, match="not finite"):
        sampled(density, config, theta, generator())
    with pytest.raises(InputError, match=r"shape \(2, 3\); \(3, 3\)"):
        sampled(density, config, theta[:2], generator())


def test_what_a_run_reports():
    config = HMCConfig(num_chains=2, warmup=20, draws=5, warm_start=0)
    posterior = fit(linear, linear_data(), config, progress=False)
    assert set(posterior.stats) == {"accept", "energy", "diverging", "leapfrogs"}
    assert all(v.shape == (2, 5) for v in posterior.stats.values())
    assert posterior.info["step_size"] > 0
    assert posterior.info["leapfrogs_median"] == posterior.stats["leapfrogs"].median()


def test_mini_batches_are_refused_with_the_reason():
    with pytest.raises(InputError, match=r"batch_size is 128; HMC's energy .* all rows .* chunks"):
        HMCConfig(batch_size=128)


def test_the_warm_start_has_batches_of_its_own():
    assert warm_start(HMCConfig()).batch_size == 256
    assert warm_start(HMCConfig(warm_start_batch_size=None)).batch_size is None


def test_energy_keeps_the_digits_of_a_large_one():
    """Its changes are what E-BFMI is made of; float32 has steps of 2 at 2e7."""
    state, _ = starts(quartic(), chains=3)
    draws = collected(quartic(), HMCConfig(num_chains=3, draws=5, dtype="float64"), state, 0.3, 15)
    assert draws.stats["energy"].dtype == torch.float64
    # Of a state, energy is kinetic less log-density: above what the state itself has, by chi-square's half.
    assert (draws.stats["energy"] > -draws.log_density).all()
