"""Each teacher counts as much as labels that none was trained on say it is worth: its trust is learned.

    phi ~ Dirichlet(a, ..., a)
    p(y_i | phi) = sum_m w_m(x_i) p_m(y_i),    w_m(x) = phi_m e_m(x) / sum_j phi_j e_j(x)

e are uniform weights, or the entropy weights, and p_m is at temperature 1. Entropy weights come before trust: of two
teachers one that is always certain has all of the weight, whatever the labels say of it, so they are not the default.

phi is sampled first, and its posterior mean plugged into the prior of the student: a cut, through which the teacher
factor never informs phi. Learned inside that factor, phi would measure whom the student already follows, and a teacher
whose labels are permuted can win.
"""

import logging
from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from mtbkd.errors import InputError, require_at_least, require_choice, require_positive
from mtbkd.rules import HeldOut, generator_of, held_out_rows
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.entropy import entropy
from mtbkd.weighting.uniform import uniform
from mtbkd.weighting.weights import Weights

log = logging.getLogger("mtbkd")

RULE = "weighting 'learned'"
BASES = {"uniform": uniform, "entropy": entropy}


@dataclass(frozen=True)
class LearnedConfig:
    """concentration: a, of every teacher; base: e, 'uniform' or 'entropy'; num_chains, warmup, draws: of HMC."""

    concentration: float = 1.0
    base: str = "uniform"
    num_chains: int = 4
    warmup: int = 200
    draws: int = 250

    def __post_init__(self) -> None:
        numbers = ("concentration", "num_chains", "draws")
        require_positive(**{f"weighting.{name}": getattr(self, name) for name in numbers})
        require_at_least(20, **{"weighting.warmup": self.warmup})  # as HMC asks
        require_choice("weighting.base", self.base, BASES)


def learned(
    bank: TeacherBank,
    labels: Tensor | None = None,
    held_out: HeldOut | None = None,
    seed: int = 0,
    concentration: float = 1.0,
    base: str = "uniform",
    num_chains: int = 4,
    warmup: int = 200,
    draws: int = 250,
) -> Weights:
    """Weights `[N, M]`, w_m(x) of the equations above at the posterior mean of phi.

    held_out: the same teachers at rows that none was trained on; the pool's labels are not used
    found: `trust` `[S, M]` draws of phi, chains first, and `trust_chains`, their number; nothing for one teacher,
        whose weight is 1. Of teachers that say the same only the sum of their trusts is known.
    Raises `InputError` where no labelled row is left to which a teacher that counts gives more than 0.
    """
    config = LearnedConfig(concentration, base, num_chains, warmup, draws)
    if bank.num_teachers == 1:
        return Weights(uniform(bank))
    trust = draw_trust(evidence_of(bank, held_out, config), config, seed)
    shares = trust.flatten(0, 1).mean(0) * BASES[base](bank).double()
    weights = shares / shares.sum(-1, keepdim=True)
    found = {"trust": trust.flatten(0, 1).float(), "trust_chains": torch.tensor(num_chains)}
    return Weights(weights.float(), found=found)


def trust_model(evidence: Tensor, base: Tensor, concentration: Tensor) -> None:
    """The Pyro model of phi, by the equations above.

    evidence: `[n, M]`, e_m(x_i) p_m(y_i), each row up to a factor; base: `[n, M]`, e_m(x_i); concentration: `[M]`
    """
    phi = pyro.sample("phi", dist.Dirichlet(concentration))
    pyro.factor("labels", ((evidence @ phi).log() - (base @ phi).log()).sum())


def evidence_of(
    bank: TeacherBank, held_out: HeldOut | None, config: LearnedConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """The tensors of `trust_model`, float64: rows that all who count give 0 are left out, as no phi explains them."""
    rows = held_out_rows(RULE, bank, held_out)
    base = BASES[config.base](rows.bank).double()
    said = rows.bank.completed_probs().double()  # [M, n, K]: a class that a teacher does not know gets 1 / K
    evidence = base * said[:, torch.arange(len(rows.labels)), rows.labels].T
    largest = evidence.max(-1, keepdim=True).values
    possible = largest[:, 0] > 0
    if not bool(possible.any()):
        raise InputError(
            f"{RULE}: all teachers give the label of every held-out row probability 0; "
            "check the order of their classes, or choose another weighting"
        )
    if left_out := int((~possible).sum()):
        log.info("%s: %d held-out rows to which all teachers give 0 are left out", RULE, left_out)
    prior = torch.full((bank.num_teachers,), config.concentration, dtype=torch.float64)
    return (evidence / largest)[possible], base[possible], prior


def draw_trust(tensors: tuple[Tensor, Tensor, Tensor], config: LearnedConfig, seed: int) -> Tensor:
    """Posterior draws of phi, `[C, S, M]`, by HMC from starts that are drawn evenly from the simplex."""
    # Here and not above: an engine is loaded only where one is used.
    from mtbkd.density import Density
    from mtbkd.inference import hmc
    from mtbkd.inference.checkpoints import Checkpoints
    from mtbkd.progress import Progress

    generator = generator_of(seed)
    density = Density(trust_model, tensors, dtype=torch.float64)
    engine = hmc.HMCConfig(
        num_chains=config.num_chains,
        warmup=config.warmup,
        draws=config.draws,
        warm_start=0,
        dtype="float64",
    )
    # Exponentials over their sum: R-hat is told by chains that begin further apart than they end.
    shape = (config.num_chains, len(tensors[-1]))
    spread = torch.rand(shape, generator=generator, dtype=torch.float64)
    spread = -(1 - spread).clamp(min=1e-3, max=1 - 1e-3).log()
    start = density.flatten({"phi": spread / spread.sum(-1, keepdim=True)})
    draws = hmc.sample(density, engine, start, generator, Progress(), Checkpoints(generator))
    return density.unflatten(draws.theta)["phi"]
