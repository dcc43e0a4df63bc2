"""Nested R-hat: whether many chains agree that are each too short for R-hat.

The chains from one start are a superchain. What a superchain still knows of its start is the spread between
superchains, which chains of a few draws show when each superchain has enough of them:

    nR = sqrt(1 + B / W)
    B = var_k(mean of superchain k)
    W = mean_k(var_m(mean of its chain m) + mean_m(var_s(draws of its chain m)))

Variances divide by one less than their number; that of one chain, or of one draw, is 0. Chains that have converged
give about sqrt(1 + 1 / (M n + M)), M chains a superchain of n > 1 effective draws each: near 1 for many chains,
however short.

Source: Margossian, Hoffman, Sountsov, Riou-Durand, Vehtari and Gelman 2024.
"""

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.errors import InputError


def nested_rhat(draws: ArrayLike, superchains: int) -> np.ndarray:
    """Nested R-hat of each quantity; NaN for constants, one superchain, or single draws of single chains.

    draws: `[C, S, ...]`; superchains: K distinct starts, each of C / K successive chains
    returns: `[...]`, infinite where chains do not move and stand apart
    raises: InputError for draws without chains, and for chains that K does not divide
    """
    x = np.asarray(draws, np.float64)
    if x.ndim < 2:
        raise InputError(f"draws have shape {list(x.shape)}; chains and draws first, [C, S, ...], are needed")
    c, s = x.shape[:2]
    if superchains < 1 or c % superchains:
        raise InputError(
            f"{c} chains cannot be {superchains} superchains of equal size; give a divisor of {c}"
        )
    m = c // superchains
    if superchains == 1 or (m == 1 and s == 1):
        return np.full(x.shape[2:], np.nan)
    nested = x.reshape(superchains, m, *x.shape[1:])  # [K, M, S, ...]
    means = nested.mean(2)  # [K, M, ...]
    between = means.mean(1).var(0, ddof=1)
    within = np.zeros_like(between)
    if m > 1:
        within = within + means.var(1, ddof=1).mean(0)
    if s > 1:
        within = within + nested.var(2, ddof=1).mean((0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.sqrt(1 + between / within)
    return np.where(np.ptp(x, axis=(0, 1)) == 0, np.nan, found)
