"""Which teacher a posterior hangs on: how its predictions change when one teacher is heard a little more.

    d E[g] / d alpha_j = Cov(g, T_j),    T_j = d log p(theta | labels, teachers) / d alpha_j  at alpha = 1

alpha_j multiplies teacher j's precision s_j at every row (`TeacherPrior.influence`). The posterior has no additive term
a teacher, but T_j takes the place of one: to first order, alpha_j multiplies the density by exp((alpha_j - 1) T_j). So
it is given to `psens` as the log prior of teacher j. Draws are reweighted, nothing is fitted again: this is of small
changes only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.draw_statistics import MIN_WEIGHTS, ess, pareto_khat, power_scaling
from mtbkd.errors import InputError

DELTA = 0.01  # as Kallioinen et al. 2024 have it, and less where the weights would differ by more than so many nats
LARGEST = 0.1
SHIFTS = 4  # pairings of draws with other draws' T, by which chance is told


@dataclass(frozen=True)
class Sensitivity:
    """By teacher, of Q predictions.

    psens: `[M, Q]` as `power_scaling`; by_chance: `[M]` what it is, averaged over Q, where T and predictions are paired
        at random: few draws give much of it
    change: `[M, Q]` d E[g] / d alpha_j; mean_change, mean_change_error: `[M]` of the mean over Q, and its Monte Carlo
        standard error
    khat: `[M]` of the importance weights; above 0.7 few draws tell most of what is told of this teacher
    """

    psens: np.ndarray
    by_chance: np.ndarray
    change: np.ndarray
    mean_change: np.ndarray
    mean_change_error: np.ndarray
    khat: np.ndarray


def sensitivity(influence: ArrayLike, predictions: ArrayLike, seed: int = 0) -> Sensitivity:
    """How predictions change with each teacher's precision.

    influence: `[C, S, M]`, T_j of each draw, summed over the pool's rows; predictions: `[C, S, Q]`, such as
        probabilities at held-out inputs, of the same draws
    seed: of the random pairings
    Raises `InputError` for other shapes and for fewer than `MIN_WEIGHTS` draws.
    """
    t, g = (np.asarray(values, dtype=np.float64) for values in (influence, predictions))
    if t.ndim != 3 or g.ndim != 3 or t.shape[:2] != g.shape[:2] or t.shape[0] * t.shape[1] < MIN_WEIGHTS:
        raise InputError(
            f"sensitivity: influence {list(t.shape)} and predictions {list(g.shape)}; give [C, S, M] and [C, S, Q] of "
            f"the same draws, at least {MIN_WEIGHTS} of all chains"
        )
    rng = np.random.default_rng(seed)
    change, mean_change, error = changes(t, g)
    columns = [t[..., j] for j in range(t.shape[2])]
    deltas = [step_of(one) for one in columns]
    return Sensitivity(
        psens=np.stack([power_scaling(one, g, d) for one, d in zip(columns, deltas, strict=True)]),
        by_chance=np.array([chance(one, g, rng) for one in columns]),
        change=change,
        mean_change=mean_change,
        mean_change_error=error,
        khat=np.array(
            [
                max(pareto_khat(sign * d * one.ravel()) for sign in (1, -1))
                for one, d in zip(columns, deltas, strict=True)
            ]
        ),
    )


def step_of(influence: np.ndarray) -> float:
    """delta of one teacher, `[C, S]`: small enough for a derivative. On a student of thousands of weights T differs by
    a hundred nats between draws, and at .01 the weights of a few draws would be all."""
    spread = float(influence.std())
    return DELTA if spread * DELTA <= LARGEST else LARGEST / spread


def changes(influence: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`change [M, Q]`, `mean_change [M]` and its Monte Carlo standard error `[M]`; influence `[C, S, M]`, predictions
    `[C, S, Q]`."""
    number = influence.shape[0] * influence.shape[1]
    centred, around = influence - influence.mean((0, 1)), predictions - predictions.mean((0, 1))
    change = np.einsum("csj,csq->jq", centred, around) / (number - 1)
    products = centred * around.mean(2)[..., None]
    return change, change.mean(1), products.std((0, 1)) / np.sqrt(ess(products))


def chance(influence: np.ndarray, predictions: np.ndarray, rng: np.random.Generator) -> float:
    """`psens`, averaged, of predictions that do not depend on the teacher: paired with the T of other draws.

    influence: `[C, S]`; predictions: `[C, S, Q]`. Chains are exchanged and turned round by a random number of draws, so
    that each keeps its own autocorrelation.
    """
    chains, draws = influence.shape
    found = []
    for _ in range(SHIFTS):
        order, turns = rng.permutation(chains), rng.integers(draws, size=(chains,))
        paired = np.stack([np.roll(influence[c], k) for c, k in zip(order, turns, strict=True)])
        found.append(power_scaling(paired, predictions, step_of(influence)))
    return mean_of_known(np.stack(found))


def beyond_chance(psens: float, by_chance: float) -> float:
    """What of a mean `psens` is not chance, `sqrt(psens^2 - by_chance^2)`, 0 where chance is more.

    Near alpha = 1 the distance is about proportional to the difference of two distribution functions, and noise adds
    to it as independent errors do, in squares. It is much: of a teacher whose T has standard deviation 10 some 0.15
    with 400 draws, whatever the truth.
    """
    return max(psens**2 - by_chance**2, 0.0) ** 0.5


def mean_of_known(values: np.ndarray) -> float:
    """The mean of those that are not NaN, as a prediction is that is the same in all draws; NaN where there is none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
