"""One sampler's run on the digits posterior, in a process of its own: what hmc.py starts, one after the other.

    python -m experiments.benchmarks.hmc_samplers NAME --problem digits.npz --start maps --out run.npz ...

The clock runs from before the density is built until all draws are there: compilation and warm-up count. Importing
libraries, the check against our density, and predictions do not; the seconds of the common starts are added by hmc.py.
Written: `probs [C, S, Q]`, each draw's probability of the true class at Q held-out inputs; `seconds`; `figures`.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

import mtbkd
from experiments.benchmarks.by_hand import checked_jax, jax_log_density
from experiments.benchmarks.problem import Problem
from mtbkd.density import Density
from mtbkd.inference.hmc import HMCConfig
from mtbkd.inference.map import warm_start
from mtbkd.posterior import Posterior, by_site
from mtbkd.students.student import Student

HIDDEN = (16, 16)

Figures = dict[str, float]


@dataclass(frozen=True)
class Task:
    """What a sampler is asked for: iterations of every chain from the starts of `start [C, D]`."""

    problem: Problem
    student: Student
    density: Density
    posterior_at_start: Posterior
    start: Tensor
    warmup: int
    draws: int
    seed: int
    device: str

    def numpy_start(self) -> np.ndarray:
        """The starts for JAX."""
        return self.start.cpu().numpy()


@dataclass(frozen=True)
class Run:
    """Draws `[C, S, D]`, the seconds they took, and what the sampler tells of itself."""

    theta: Tensor
    seconds: float
    figures: Figures


def ours(task: Task) -> Run:
    """`mtbkd.fit` with `hmc` at its defaults."""
    config = HMCConfig(num_chains=len(task.start), warmup=task.warmup, draws=task.draws)
    data = (task.problem.x, task.problem.y)
    began = time.perf_counter()
    posterior = mtbkd.fit(
        task.student,
        data,
        config,
        seed=task.seed,
        device=task.device,
        start=task.posterior_at_start,
        progress=False,
    )
    seconds = time.perf_counter() - began
    return Run(task.density.flatten(posterior.values), seconds, dict(posterior.info))


def numpyro_nuts(task: Task) -> Run:
    """NumPyro's NUTS at its defaults on the potential, chains vectorised, no progress bar."""
    import jax
    from numpyro.infer import MCMC, NUTS

    checked_jax(task.student, task.density)
    key = jax.random.PRNGKey(task.seed)
    start = jax.device_put(task.numpy_start())
    began = time.perf_counter()
    log_density = jax_log_density(task.student, task.density)
    sampler = MCMC(
        NUTS(potential_fn=lambda theta: -log_density(theta)),
        num_warmup=task.warmup,
        num_samples=task.draws,
        num_chains=len(start),
        chain_method="vectorized",
        progress_bar=False,
    )
    sampler.run(key, init_params=start, extra_fields=("num_steps", "diverging"))
    theta = np.asarray(sampler.get_samples(group_by_chain=True))
    seconds = time.perf_counter() - began
    extra = sampler.get_extra_fields(group_by_chain=True)
    figures = {
        "leapfrogs_median": float(np.median(extra["num_steps"])),
        "divergences": float(np.sum(extra["diverging"])),
    }
    return Run(torch.from_numpy(theta.copy()), seconds, figures)


def blackjax_chees(mass: str | None) -> Callable[[Task], Run]:
    """BlackJAX's ChEES-HMC as its documentation has it, optimiser by the paper (Adam, .025, b1 0, b2 .95).

    mass: None as by default (identity), or 'diagonal', which it offers besides
    """

    def sample(task: Task) -> Run:
        import blackjax
        import jax
        import optax
        from blackjax.adaptation.base import get_filter_adapt_info_fn

        checked_jax(task.student, task.density)
        chains = len(task.start)
        warm, draw = jax.random.split(jax.random.key(task.seed))
        start = jax.device_put(task.numpy_start())
        began = time.perf_counter()
        log_density = jax_log_density(task.student, task.density)
        adaptation = blackjax.chees_adaptation(
            log_density,
            num_chains=chains,
            mass_matrix_estimation=mass,
            adaptation_info_fn=get_filter_adapt_info_fn(),
        )
        (states, parameters), _ = adaptation.run(
            warm,
            start,
            0.1,
            optax.adam(0.025, b1=0.0, b2=0.95),
            task.warmup,
            max_sampling_steps=task.draws,
        )
        kernel = jax.vmap(blackjax.dynamic_hmc(log_density, **parameters).step)

        def step(states: Any, key: Any) -> tuple[Any, Any]:
            states, info = kernel(jax.random.split(key, chains), states)
            return states, (states.position, info.num_integration_steps)

        _, (theta, leapfrogs) = jax.jit(lambda s, keys: jax.lax.scan(step, s, keys))(
            states, jax.random.split(draw, task.draws)
        )
        theta = np.asarray(theta).swapaxes(0, 1)
        seconds = time.perf_counter() - began
        figures = {
            "leapfrogs_median": float(np.median(leapfrogs)),
            "step_size": float(parameters["step_size"]),
        }
        return Run(torch.from_numpy(theta.copy()), seconds, figures)

    return sample


def pyro_nuts(task: Task) -> Run:
    """Pyro's NUTS at its defaults on the student itself, chain after chain, validation off."""
    import pyro
    from pyro.infer import MCMC, NUTS

    chains = []
    torch.manual_seed(task.seed)
    began = time.perf_counter()
    with pyro.validation_enabled(False):
        for row in task.start:
            kernel = NUTS(task.student)
            sampler = MCMC(
                kernel,
                num_samples=task.draws,
                warmup_steps=task.warmup,
                initial_params=task.density.unconstrained(row),
                disable_progbar=True,
            )
            sampler.run(*task.density.arguments)
            chains.append(task.density.flatten(sampler.get_samples()))
    seconds = time.perf_counter() - began
    return Run(torch.stack(chains), seconds, {})


SAMPLERS: dict[str, Callable[[Task], Run]] = {
    "ours": ours,
    "numpyro": numpyro_nuts,
    "blackjax": blackjax_chees(None),
    "blackjax_diagonal": blackjax_chees("diagonal"),
    "pyro": pyro_nuts,
}


# ---- as a process ------------------------------------------------------------------------------------------------


def climb(problem: Problem, chains: int, device: str, quick: bool) -> tuple[Posterior, float]:
    """MAP runs from independent starts, one a chain, and their seconds: every sampler starts from them."""
    config = warm_start(HMCConfig(num_chains=chains))
    if quick:
        config = replace(config, steps=20)
    began = time.perf_counter()
    posterior = mtbkd.fit(problem.mlp(HIDDEN), (problem.x, problem.y), config, device=device, progress=False)
    return posterior, time.perf_counter() - began


def task_of(words: argparse.Namespace) -> Task:
    """What the command asks for."""
    problem = Problem.load(words.problem)
    student = problem.mlp(HIDDEN)
    density = Density(student, student.rows((problem.x, problem.y)), device=words.device)
    chosen = slice(words.first, words.first + words.chains)
    posterior = Posterior.load(words.start).chains(chosen)
    start = density.flatten({name: value[:, 0] for name, value in posterior.values.items()})
    return Task(
        problem, student, density, posterior, start, words.warmup, words.draws, words.seed, words.device
    )


def held_out_probs(task: Task, theta: Tensor) -> np.ndarray:
    """Each draw's probability of the true class of the held-out inputs, `[C, S, D]` -> `[C, S, Q]`."""
    chains = []
    truth = task.problem.held_y[None, :, None]
    for one in theta:  # chain by chain: all at once may not fit in memory
        posterior = Posterior(
            by_site(task.density, one[None]), torch.zeros(1, len(one)), skeleton=task.student.skeleton
        )
        probs = posterior.predict(task.problem.held_x).probs
        chains.append(probs.gather(-1, truth.expand(len(probs), -1, 1))[..., 0])
    return torch.stack(chains).double().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description="one sampler's run on the digits posterior")
    parser.add_argument("name", choices=["starts", *SAMPLERS])
    parser.add_argument("--problem", required=True)
    parser.add_argument("--start", required=True, help="folder of the starts, written by NAME starts")
    parser.add_argument("--out", required=True, help="npz to write")
    parser.add_argument("--chains", type=int, required=True)
    parser.add_argument("--first", type=int, default=0, help="the first of the starts to be used")
    parser.add_argument("--warmup", type=int, default=300)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true")
    words = parser.parse_args()
    if words.name == "starts":
        posterior, seconds = climb(Problem.load(words.problem), words.chains, words.device, words.quick)
        posterior.save(words.start)
        np.savez(words.out, seconds=seconds)
        return
    task = task_of(words)
    run = SAMPLERS[words.name](task)
    probs = held_out_probs(task, run.theta)
    np.savez(words.out, probs=probs, seconds=run.seconds, figures=json.dumps(run.figures))


if __name__ == "__main__":
    main()
