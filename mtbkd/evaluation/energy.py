"""Energies of Hamiltonian chains: whether each iteration's fresh momentum reaches all the energies there are.

A trajectory keeps its energy; only a new momentum changes it. Where that change is small beside the spread of the
energies, a chain wanders slowly from low to high ones, and its tails are seldom visited (Betancourt 2016).
"""

import numpy as np
from numpy.typing import ArrayLike

MIN_TRANSITIONS = 3  # below them their mean square says nothing


def energy_changes(energy: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """What E-BFMI compares: energies about each chain's mean `[C, S]`, and their changes `[C, S - 1]`.

    energy: `[C, S]` of successive iterations, in nats
    """
    e = np.asarray(energy, np.float64)
    return e - e.mean(1, keepdims=True), np.diff(e, axis=1)


def bfmi(energy: ArrayLike) -> np.ndarray:
    """Estimated Bayesian fraction of missing information of each chain; NaN for a constant or short one.

        E-BFMI = mean_s (E_s - E_s-1)^2 / var_s(E_s)

    About 2 for energies that are independent, near 0 for chains that wander.
    energy: `[C, S]` of successive iterations: thinned ones make it too large
    returns: `[C]`
    Source: Betancourt 2016
    """
    centred, changes = energy_changes(energy)
    if changes.shape[1] < MIN_TRANSITIONS:
        return np.full(len(centred), np.nan)
    spread = centred.var(1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, np.square(changes).mean(1) / spread, np.nan)
