"""Posteriors whose draws have stated moments exactly: for tests of what is made of saved posteriors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtbkd.posterior import Posterior
from mtbkd.students.skeleton import Skeleton

NORMAL = {"name": "normal", "scale": 1.5, "kind": "fixed"}


def drawn(
    network: nn.Module,
    mean: Mapping[str, Tensor],
    sd: Mapping[str, Tensor],
    weight_prior: Mapping[str, object] | None = NORMAL,
    chains: int = 1,
) -> Posterior:
    """Four draws, mean -a, +a, -a, +a with a = sd sqrt(3) / 2: their variance with S - 1 is sd^2. More chains repeat
    them, which makes the variance of all smaller by 3 C / (4 C - 1)."""
    signs = torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=torch.float64)
    values = {}
    for name, centre in mean.items():
        step = signs.view(4, *[1] * centre.dim()) * sd[name].double() * 3**0.5 / 2
        values[name] = (centre.double() + step).expand(chains, *[-1] * (centre.dim() + 1)).clone()
    meta = {"engine": "svi", "config": {}} | ({} if weight_prior is None else {"weight_prior": weight_prior})
    return Posterior(values, torch.zeros(chains, 4), meta=meta, skeleton=Skeleton(network))


def random_moments(
    network: nn.Module, seed: int, spread: float = 0.5
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Means N(0, spread^2) and standard deviations in .2 to 1.2, by parameter."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: p.shape for name, p in network.named_parameters()}
    mean = {n: spread * torch.randn(s, generator=generator, dtype=torch.float64) for n, s in shapes.items()}
    sd = {n: 0.2 + torch.rand(s, generator=generator, dtype=torch.float64) for n, s in shapes.items()}
    return mean, sd
