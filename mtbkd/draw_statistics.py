"""Statistics of draws, ArviZ's own: R-hat, effective sample size, Pareto k-hat, psens.

Draws are `[C, S, ...]`, chains first.
"""

import warnings
from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.arviz_import import arviz
from mtbkd.errors import InputError

# R-hat and ESS split each chain in halves; ArviZ refuses fewer draws.
MIN_DRAWS = 4

# The tail that Pareto's law is fitted to is the largest fifth, of more than four.
MIN_WEIGHTS = 25


def rhat(draws: ArrayLike) -> np.ndarray:
    """Rank-normalised split R-hat of each quantity; NaN for constants, one chain or under 4 draws.

    draws: `[C, S, ...]`
    returns: `[...]`
    Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021.
    """
    x = _draws(draws)
    if x.shape[0] < 2 or x.shape[1] < MIN_DRAWS:
        return np.full(x.shape[2:], np.nan)
    az = arviz()
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.asarray(az.rhat(_dataset(az, x), method="rank")["x"].values)
    return np.where(_constant(x), np.nan, found)


def ess(draws: ArrayLike, method: Literal["bulk", "tail"] = "bulk") -> np.ndarray:
    """Effective number of draws of each quantity, of all chains together; NaN for constants or under 4 draws.

    draws: `[C, S, ...]`
    method: "bulk" for means, "tail" for the 5 % and 95 % quantiles (the smaller of the two)
    returns: `[...]`
    Source: Vehtari et al. 2021.
    """
    x = _draws(draws)
    if x.shape[1] < MIN_DRAWS:
        return np.full(x.shape[2:], np.nan)
    az = arviz()
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.asarray(az.ess(_dataset(az, x), method=method)["x"].values)
    return np.where(_constant(x), np.nan, found)


def pareto_khat(log_weights: ArrayLike) -> float:
    """Shape k-hat of the tail of importance weights: their moments exist up to order 1 / k.

    log_weights: `[S]` log p(theta) - log q(theta) of independent draws of q; constants in theta do not matter
    returns: 0 for equal weights, infinity where one draw has nearly all weight, NaN for under `MIN_WEIGHTS` draws or
        weights that are not finite
    Source: Vehtari, Simpson, Gelman, Yao and Gabry 2024; for approximations Yao, Vehtari, Simpson and Gelman 2018.
    """
    x = np.array(log_weights, dtype=np.float64)  # a copy, which ArviZ works in
    if x.ndim != 1:
        raise InputError(f"importance weights have shape {list(x.shape)}; one a draw, [S], is needed")
    if len(x) < MIN_WEIGHTS or not np.isfinite(x).all():
        return float("nan")
    if np.ptp(x) == 0:
        return 0.0
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return float(arviz().psislw(x)[1])


def power_scaling(log_factor: ArrayLike, draws: ArrayLike, delta: float = 0.01) -> np.ndarray:
    """How fast each quantity's posterior changes as one factor of the density is raised to a power; ArviZ's `psens`.

        d CJS(p, p_alpha) / d log2 alpha at alpha = 1,    p_alpha ∝ p * factor^(alpha - 1)

    CJS is the normalised cumulative Jensen-Shannon distance, in [0, 1], p_alpha the draws reweighted by Pareto-smoothed
    importance weights at alpha = 1 + delta and 1 / (1 + delta). Above 0.05 counts as sensitive.
    log_factor: `[C, S]` of each draw; a constant does not matter
    draws: `[C, S, ...]`
    returns: `[...]`, NaN for constants and under `MIN_WEIGHTS` draws of all chains
    Source: Kallioinen, Paananen, Bürkner and Vehtari 2023.
    """
    x, component = _draws(draws), np.asarray(log_factor, dtype=np.float64)
    if component.shape != x.shape[:2]:
        raise InputError(
            f"log_factor has shape {list(component.shape)}; the draws ask for {list(x.shape[:2])}"
        )
    if component.size < MIN_WEIGHTS or not np.isfinite(component).all():
        return np.full(x.shape[2:], np.nan)
    az = arviz()
    data = az.InferenceData(posterior=_dataset(az, x), log_prior=_dataset(az, component - component.mean()))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.asarray(az.psens(data, component="prior", delta=delta)["x"].values)
    return np.where(_constant(x), np.nan, found)


def _draws(draws: ArrayLike) -> np.ndarray:
    x = np.asarray(draws, dtype=np.float64)
    if x.ndim < 2:
        raise InputError(f"draws have shape {list(x.shape)}; chains and draws first, [C, S, ...], are needed")
    return x


def _dataset(az: ModuleType, x: np.ndarray):  # type: ignore[no-untyped-def]  # xarray comes with arviz
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="More chains")
        return az.convert_to_dataset({"x": x})


def _constant(x: np.ndarray) -> np.ndarray:
    return np.ptp(x, axis=(0, 1)) == 0
