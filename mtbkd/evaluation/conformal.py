"""Sets of classes that hold the true one with a probability that is promised, whatever the student: split conformal.

Each class k of an input x gets a score s(x, k), smaller where it fits better. Of n labelled calibration rows with
scores s(x_i, y_i) the threshold is the ceil((n + 1) (1 - alpha))-th smallest, and the set of a new input is

    {k : s(x, k) <= threshold},    which holds its class with probability >= 1 - alpha,

if calibration rows and new inputs are exchangeable; <= 1 - alpha + 1 / (n + 1) too where scores have no ties. The
probability is over calibration rows and inputs together, all classes together: single classes may be covered less.

They are exchangeable only if calibration rows were used for nothing else. A student, teacher, temperature or weight
that was fitted to them knows them better than new inputs, and sets become too small: a few temperatures fitted to
hundreds of rows do little, a student trained on them does much. `coverage` on test rows against its expected range
shows how much.

A student that is right more often than 1 - alpha gets empty sets, or it would cover too much: take a smaller alpha.

Source: Vovk, Gammerman and Shafer 2005; Sadinle, Lei and Wasserman 2019 (`threshold_scores`); Romano, Sesia and Candès
2020 (`aps_scores`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.evaluation.labelled import Labelled, Predicted, as_prediction, check_probabilities

# Scores `[n, K]` of probabilities `[n, K]`; randomness, where there is any, from the generator.
ClassScores = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class ConformalCoverage:
    """What conformal sets are worth on test rows.

    alpha: share of inputs whose set may miss the class; threshold: of the scores
    calibration_rows, test_rows: labelled ones
    coverage: share of test rows whose set holds their class
    expected_low, expected_high: where 95 % of such coverages fall for exchangeable rows (beta-binomial, no ties)
    mean_size: classes in a set; empty, single: share of sets with no and with one class
    coverage_by_class, size_by_class: `[K]` over the test rows of each true class; NaN where there is none
    """

    alpha: float
    threshold: float
    calibration_rows: int
    test_rows: int
    coverage: float
    expected_low: float
    expected_high: float
    mean_size: float
    empty: float
    single: float
    coverage_by_class: tuple[float, ...]
    size_by_class: tuple[float, ...]


def threshold_scores(probs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """1 - p_k: the smallest sets on average; some are empty. Least ambiguous classifier (LAC)."""
    return 1 - probs


def aps_scores(probs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """sum of the probabilities larger than p_k, + u p_k with one uniform u an input: adaptive prediction sets.

    Larger sets than by `threshold_scores`, more alike in coverage between easy and difficult inputs. The randomness is
    needed for coverage to be 1 - alpha and no more.
    """
    order = np.argsort(-probs, axis=1, kind="stable")
    ordered = np.take_along_axis(probs, order, axis=1)
    until = np.cumsum(ordered, axis=1) - (1 - rng.random((len(probs), 1))) * ordered
    scores = np.empty_like(until)
    np.put_along_axis(scores, order, until, axis=1)
    return scores


def threshold(scores: np.ndarray, alpha: float) -> float:
    """The ceil((n + 1) (1 - alpha))-th smallest of the calibration rows' scores `[n]`.

    raises: InputError for alpha outside (0, 1), and where n < 1 / alpha - 1: no score is then large enough
    """
    n = len(scores)
    if not 0 < alpha < 1:
        raise InputError(f"conformal sets: alpha is {alpha}; it must lie strictly between 0 and 1")
    rank = _rank(n, alpha)
    if rank > n:
        least = math.ceil(1000 / (n + 1)) / 1000
        mend = f"alpha >= {least:g}, or " if least < 1 else ""
        raise InputError(
            f"conformal sets: alpha {alpha:g} cannot be promised by {n} calibration rows; give {mend}"
            f"{calibration_rows_for(alpha)} labelled rows or more"
        )
    return float(np.partition(scores, rank - 1)[rank - 1])


def calibration_rows_for(alpha: float) -> int:
    """The fewest calibration rows that can promise 1 - alpha: n >= 1 / alpha - 1."""
    return math.ceil(1 / alpha - 1 - 1e-9)


def prediction_sets(
    calibration: Predicted,
    y: Tensor,
    new: Predicted,
    score: ClassScores = aps_scores,
    alpha: float = 0.1,
    seed: int = 0,
) -> Tensor:
    """Sets of classes at new inputs, `[N, K]` bool.

    calibration, y: predictions at calibration rows and their labels `[n]`; rows with -1 are ignored
    new: predictions at the N inputs, which need no labels
    score: `aps_scores` or `threshold_scores`; seed: of its random numbers
    raises: as `threshold`; InputError for what is not probabilities, or of other classes
    """
    known = Labelled.of(calibration, y, "conformal calibration")
    asked = as_prediction(new)
    check_probabilities(asked, "conformal sets")
    _same_classes(known.probs.shape[1], asked.mean.shape[1])
    rng = np.random.default_rng(seed)
    level = threshold(_of_true(known, score, rng), alpha)
    return torch.from_numpy(score(asked.mean.detach().double().cpu().numpy(), rng) <= level)


def conformal_coverage(
    calibration: Predicted,
    y_calibration: Tensor,
    test: Predicted,
    y_test: Tensor,
    score: ClassScores = aps_scores,
    alpha: float = 0.1,
    seed: int = 0,
) -> ConformalCoverage:
    """Coverage and size of the sets at test rows, of a threshold from calibration rows.

    Arguments and what it raises as of `prediction_sets`; rows with label -1 are ignored in both.
    """
    known = Labelled.of(calibration, y_calibration, "conformal calibration")
    asked = Labelled.of(test, y_test, "conformal sets")
    _same_classes(known.probs.shape[1], asked.probs.shape[1])
    rng = np.random.default_rng(seed)
    level = threshold(_of_true(known, score, rng), alpha)
    sets = score(asked.probs, rng) <= level
    held, size = sets[np.arange(len(sets)), asked.y], sets.sum(1)
    low, high = expected_coverage(len(known.y), len(asked.y), alpha)
    return ConformalCoverage(
        alpha=alpha,
        threshold=level,
        calibration_rows=len(known.y),
        test_rows=len(asked.y),
        coverage=float(held.mean()),
        expected_low=low,
        expected_high=high,
        mean_size=float(size.mean()),
        empty=float((size == 0).mean()),
        single=float((size == 1).mean()),
        coverage_by_class=_by_class(held, asked.y, sets.shape[1]),
        size_by_class=_by_class(size, asked.y, sets.shape[1]),
    )


def expected_coverage(n: int, m: int, alpha: float, mass: float = 0.95) -> tuple[float, float]:
    """Central range of the coverage of m exchangeable test rows by a threshold of n calibration rows without ties.

    The number covered is beta-binomial: m trials of a probability that is Beta(r, n + 1 - r), r the threshold's rank.
    Source: Vovk 2012.
    """
    from scipy.stats import betabinom

    rank = _rank(n, alpha)
    covered = betabinom(m, rank, n + 1 - rank)
    return float(covered.ppf((1 - mass) / 2) / m), float(covered.ppf((1 + mass) / 2) / m)


def _rank(n: int, alpha: float) -> int:
    return max(math.ceil((n + 1) * (1 - alpha) - 1e-9), 1)  # .9 of 10 is 9, whatever rounding makes of it


def _of_true(known: Labelled, score: ClassScores, rng: np.random.Generator) -> np.ndarray:
    return score(known.probs, rng)[np.arange(len(known.y)), known.y]


def _same_classes(known: int, asked: int) -> None:
    if known != asked:
        raise InputError(
            f"conformal sets: calibration rows have {known} classes, new inputs {asked}; give predictions of one model"
        )


def _by_class(values: np.ndarray, y: np.ndarray, k: int) -> tuple[float, ...]:
    count = np.bincount(y, minlength=k)
    sums = np.bincount(y, weights=values, minlength=k)
    return tuple(np.divide(sums, count, out=np.full(k, np.nan), where=count > 0).tolist())
