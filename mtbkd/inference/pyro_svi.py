"""Pyro's own SVI on the Pyro model itself, with its AutoDiagonalNormal: an oracle for `svi`, not resumable."""

from dataclasses import dataclass

import pyro
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoDiagonalNormal, init_to_value
from pyro.optim import PyroLRScheduler
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import require_at_least, require_positive
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws, check_start, log_density_of
from mtbkd.inference.map import rate
from mtbkd.progress import Progress


@dataclass(frozen=True)
class PyroSVIConfig:
    """steps of Adam with a cosine schedule on all rows; draws: posterior draws kept."""

    name: str = "pyro_svi"
    steps: int = 2000
    learning_rate: float = 0.01
    particles: int = 1
    init_scale: float = 0.01
    warm_start: int = 1500
    warm_start_rate: float = 0.01
    draws: int = 200

    def __post_init__(self) -> None:
        numbers = ("steps", "learning_rate", "particles", "init_scale", "draws")
        require_positive(**{f"inference.{n}": getattr(self, n) for n in (*numbers, "warm_start_rate")})
        require_at_least(0, **{"inference.warm_start": self.warm_start})

    @property
    def num_chains(self) -> int:
        """One: a variational posterior has no chains."""
        return 1

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
    config: PyroSVIConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Run Pyro's SVI from `start [1, D]`; the guide's draws are brought to the flat vector."""
    check_start(start, density, 1)
    model = density.held_model()
    elbos = torch.empty(config.steps)
    with torch.random.fork_rng(), progress.stage("Pyro SVI", config.steps) as advance:
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        with pyro.get_param_store().scope():
            values = {} if start is None else density.unflatten(start[0])
            guide = AutoDiagonalNormal(
                model, init_loc_fn=init_to_value(values=values), init_scale=config.init_scale
            )
            schedule = PyroLRScheduler(
                torch.optim.lr_scheduler.LambdaLR,
                {
                    "optimizer": torch.optim.Adam,
                    "optim_args": {"lr": config.learning_rate},
                    "lr_lambda": lambda step: rate("cosine", step, config.steps),
                },
            )
            svi = SVI(model, guide, schedule, Trace_ELBO(num_particles=config.particles))
            for step in range(config.steps):
                elbos[step] = -svi.step(*density.arguments) / density.num_rows
                schedule.step()
                advance(elbo=elbos[step])
            with torch.no_grad():
                flat = guide.get_posterior().sample((config.draws,))
                theta = density.flatten(dict(unpacked(guide, flat)))[None]
    return Draws(theta, log_density_of(density, theta), trace={"elbo": elbos})


def unpacked(guide: AutoDiagonalNormal, flat: Tensor) -> list[tuple[str, Tensor]]:
    """The guide's flat draws `[S, D]` as constrained values by site, `[S, *shape]`."""
    values = []
    for site, value in guide._unpack_latent(flat):
        transform = torch.distributions.biject_to(site["fn"].support)
        values.append((site["name"], transform(value)))
    return values
