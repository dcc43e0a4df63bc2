"""The adaptation and the divergences of HMC."""

from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch
from exact import linear, linear_data
from small_densities import gaussian, generator, quartic, starts

from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference import hamiltonian, hmc
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws
from mtbkd.inference.hamiltonian import HMCState
from mtbkd.inference.hmc import HMCConfig
from mtbkd.inference.map import warm_start
from mtbkd.progress import Progress


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
    state = hamiltonian.init(density, theta)
    config = HMCConfig(num_chains=16, draws=20, dtype="float64")
    rough, fine = (collected(density, config, state, step, 13) for step in (1.0, 0.01))
    assert rough.stats["diverging"].dtype == torch.bool
    assert rough.stats["diverging"].any(1).double().mean() > 0.5
    assert not fine.stats["diverging"].any()
    # What diverged is not taken: every draw is finite and has the density it says.
    assert torch.isfinite(rough.theta).all()
    torch.testing.assert_close(density.log_prob(rough.theta[:, -1]), rough.log_density[:, -1])


# ---- the door --------------------------------------------------------------------------------------------------


def test_a_start_outside_the_support_is_refused_by_chain():
    density = gaussian()
    theta = torch.zeros(3, 3, dtype=torch.float64)
    theta[1, 2] = float("nan")
    with pytest.raises(InputError, match="chain 1 starts where"):
        hamiltonian.init(density, theta)
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
