"""What a student says before it has heard labels or teachers: its weight prior, pushed through the network."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.func import vmap

from mtbkd.errors import InputError, require_at_least
from mtbkd.posterior import Posterior
from mtbkd.students.weight_prior import WeightPrior

DRAWS = 400
MOST_NUMBERS = 200_000_000  # drawn of all draws together: one number costs 10 ns
FEWEST = 50
CHUNK_NUMBERS = 10_000_000  # held at once


@dataclass(frozen=True)
class PriorDraws:
    """Independent draws of a weight prior at Q inputs.

    log_prior: `[S]` log-density of the weights, in nats; probs: `[S, Q, K]` class probabilities
    """

    log_prior: Tensor
    probs: Tensor


def prior_draws(
    posterior: Posterior, weight_prior: WeightPrior, x: Tensor, draws: int, generator: torch.Generator
) -> PriorDraws:
    """Class probabilities of the posterior's own network at inputs `x [Q, ...]`, under draws of its weight prior.

    The teachers' factor and the labels are left out. Weights that the posterior holds at their MAP stay there, as they
    do in its own draws; of a linearised posterior it is the network itself.
    Raises `InputError` for a posterior of no student, and for less than one draw.
    """
    require_at_least(1, draws=draws)
    skeleton = posterior.skeleton
    if skeleton is None:
        raise InputError("this posterior is of a Pyro model without a network; its prior is your model's own")
    drawn = [name for name in skeleton.shapes if name not in posterior.held]
    dtype = next(iter(posterior.values.values())).dtype
    densities, probs = [], []
    for some in torch.arange(draws).split(max(1, CHUNK_NUMBERS // skeleton.num_weights)):
        each = [weight_prior.draw(skeleton, generator) for _ in some]
        values = {name: torch.stack([one[name] for one in each]).to(dtype)[None] for name in drawn}
        before = replace(posterior, values=values, log_density=torch.zeros(1, len(each)), centre=None)
        densities.append(log_prior(before, weight_prior)[0])
        probs.append(before.predict(x).probs)
    return PriorDraws(torch.cat(densities), torch.cat(probs))


def log_prior(posterior: Posterior, weight_prior: WeightPrior) -> Tensor:
    """Log-density of the weight prior at each draw of a student's posterior, `[C, S]` nats; held weights at their
    MAP."""
    skeleton = posterior.skeleton
    assert skeleton is not None
    held = posterior.of_network(posterior.held)
    drawn = posterior.of_network(posterior.values)
    like = next(iter(drawn.values())).flatten()[:1].clone()

    def one(weights: dict[str, Tensor]) -> Tensor:
        return weight_prior.log_prob(skeleton, {**held, **weights}, like)

    chains = [{name: v[c] for name, v in drawn.items()} for c in range(posterior.num_chains)]
    at_once = max(1, CHUNK_NUMBERS // skeleton.num_weights)
    with torch.no_grad():
        return torch.stack([vmap(one, chunk_size=at_once)(chain) for chain in chains])


def affordable_draws(num_weights: int) -> int:
    """`DRAWS`, and fewer of large networks."""
    return max(FEWEST, min(DRAWS, MOST_NUMBERS // num_weights))
