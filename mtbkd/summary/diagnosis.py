"""Which diagnosis fits a posterior: by what its engine left, so that a new engine needs no entry here."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mtbkd.evaluation.chain_diagnostics import diagnose_chains, diagnose_stochastic_gradient
from mtbkd.evaluation.diagnostics import Diagnostics, Kind
from mtbkd.evaluation.fit_diagnostics import diagnose_laplace, diagnose_point, diagnose_variational
from mtbkd.posterior import Posterior
from mtbkd.prediction import Prediction

# Schedules by which SVI's learning rate falls to 0 whatever its ELBO does; Pyro's own has one and no choice.
FALLING = ("cosine", "one_cycle")

# What comes nearer to the posterior than SVI's guides and Laplace's normals.
RICHER = {
    "guide": {"diagonal": "low_rank or full", "low_rank": "full", "full": "flow"},
    "structure": {"diagonal": "low_rank or full", "low_rank": "full"},
}


def kind_of(posterior: Posterior) -> Kind:
    """What an engine gave, by what it left.

    one draw: a point; an ELBO: a fitted guide; acceptances or divergences: a sampler with an acceptance test; densities
    of the draws `log_q` alone: Laplace's; one draw a chain: an ensemble; other chains: stochastic gradients.
    """
    if posterior.num_chains * posterior.num_draws == 1:
        return "point"
    if "elbo" in posterior.trace:
        return "variational"
    if "accept" in posterior.stats or "diverging" in posterior.stats:
        return "exact"
    if "log_q" in posterior.stats:
        return "laplace"
    return "ensemble" if posterior.num_draws == 1 else "stochastic gradient"


def superchains_of(posterior: Posterior) -> int:
    """Distinct starts of the chains: `meta['superchains']` where `fit` has told them; else one where layers that are
    not Bayesian are held at one MAP, and as many as there are chains where none are."""
    told = posterior.meta.get("superchains")
    if isinstance(told, int) and told > 0 and posterior.num_chains % told == 0:
        return told
    return 1 if posterior.held else posterior.num_chains


def richer(config: Mapping[str, Any]) -> str | None:
    """The setting of an engine that would bring its approximation nearer, None where there is none."""
    for setting, better in RICHER.items():
        if (found := better.get(config.get(setting, ""))) is not None:
            return f"inference.{setting}={found}"
    return None


def successive_energies(posterior: Posterior) -> np.ndarray | None:
    """Energies `[C, S]` of iterations that follow each other: None where there are none, or where draws were thinned,
    as kept ones are then further apart than one new momentum."""
    energy = posterior.stats.get("energy")
    if energy is None or energy.shape[1] < 2 or posterior.meta.get("config", {}).get("thin", 1) != 1:
        return None
    return energy.numpy()


def diagnose(posterior: Posterior, held_out: Prediction) -> Diagnostics:
    """Whether the engine converged, by what is identifiable.

    held_out: the posterior's predictions at a few held-out inputs
    """
    kind = kind_of(posterior)
    stats, config = posterior.stats, posterior.meta.get("config", {})
    if kind in ("point", "ensemble"):
        losses = posterior.trace.get("loss")
        return diagnose_point(None if losses is None else losses.numpy(), posterior.num_chains)
    if kind in ("variational", "laplace"):
        log_q = stats.get("log_q")
        weights = None if log_q is None else (posterior.log_density.double() - log_q.double()).numpy()
        if kind == "laplace":
            return diagnose_laplace(weights, linearised=posterior.centre is not None, richer=richer(config))
        elbo, schedule = posterior.trace["elbo"].numpy(), config.get("schedule", "cosine")
        at_most = config.get("steps", 0)
        return diagnose_variational(
            elbo,
            weights,
            rate_fell=schedule in FALLING,
            reached_plateau=schedule != "plateau" or len(elbo) < at_most,
            richer=richer(config),
        )
    log_density, probs = posterior.log_density.numpy(), held_out.by_chain.flatten(2).numpy()
    starts = superchains_of(posterior)
    if kind == "stochastic gradient":
        heat = posterior.info.get("temperature")
        heat = None if heat is None else heat / posterior.posterior_temperature
        return diagnose_stochastic_gradient(log_density, probs, heat=heat, superchains=starts)
    diverging, accept = stats.get("diverging"), stats.get("accept")
    return diagnose_chains(
        log_density,
        probs,
        None if diverging is None else int(diverging.sum()),
        None if accept is None else float(accept.mean()),
        energy=successive_energies(posterior),
        superchains=starts,
    )
