"""Pyro's own NUTS on the Pyro model itself: an oracle for the engines, one chain after the other, not resumable."""

from dataclasses import dataclass

import pyro
import torch
from pyro.infer import MCMC, NUTS
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import InputError, require_at_least, require_positive
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws, check_start, log_density_of
from mtbkd.progress import Progress


@dataclass(frozen=True)
class NUTSConfig:
    """num_chains, warmup, draws as in HMC; max_tree_depth: a trajectory has at most 2^depth leapfrogs."""

    name: str = "nuts"
    num_chains: int = 2
    warmup: int = 200
    draws: int = 200
    max_tree_depth: int = 7
    accept: float = 0.8
    warm_start: int = 1500
    warm_start_rate: float = 0.01

    def __post_init__(self) -> None:
        numbers = ("num_chains", "warmup", "draws", "max_tree_depth")
        require_positive(**{f"inference.{n}": getattr(self, n) for n in (*numbers, "warm_start_rate")})
        require_at_least(0, **{"inference.warm_start": self.warm_start})
        if not 0 < self.accept < 1:
            raise InputError(f"inference.accept is {self.accept}; it must lie between 0 and 1")

    @property
    def resumable(self) -> bool:
        """No: Pyro's own keeps nothing to go on from."""
        return False

    @property
    def evaluations(self) -> int:
        """None of them on the traced density."""
        return 0


def sample(
    density: Density,
    config: NUTSConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Run Pyro's MCMC from `start [C, D]`; the draws are brought to the flat vector."""
    check_start(start, density, config.num_chains)
    model = density.held_model()
    chains = []
    diverging = torch.zeros(config.num_chains, config.draws, dtype=torch.bool)
    steps = config.warmup + config.draws
    with (
        torch.random.fork_rng(),
        pyro.poutine.block(),
        progress.stage("Pyro NUTS", steps * config.num_chains) as advance,
    ):
        for c in range(config.num_chains):
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            kernel = NUTS(
                model,
                max_tree_depth=config.max_tree_depth,
                target_accept_prob=config.accept,
                jit_compile=False,
            )

            def heard(kernel: NUTS, _: object, stage: str, __: int, chain: int = c) -> None:
                advance()
                if (
                    stage == "Sample"
                ):  # the kernel forgets when it ends, and Pyro's summary takes an R-hat a weight
                    diverging[chain, kernel.diagnostics()["divergences"]] = True

            first = None if start is None else density.unconstrained(start[c])
            mcmc = MCMC(
                kernel,
                num_samples=config.draws,
                warmup_steps=config.warmup,
                initial_params=first,
                disable_progbar=True,
                hook_fn=heard,
            )
            mcmc.run(*density.arguments)
            chains.append(density.flatten(mcmc.get_samples()))
    theta = torch.stack(chains)
    return Draws(theta, log_density_of(density, theta), stats={"diverging": diverging})
