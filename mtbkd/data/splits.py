"""Which rows are pool, validation and test."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mtbkd.errors import InputError, nearest, require_fraction

# Independent random streams of one seed, so that changing one choice moves no other.
_SPLIT_STREAM, _SUBSET_STREAM = 0, 1


@dataclass(frozen=True)
class Split:
    """Row numbers (int64, disjoint) of the parts; raises `InputError` for an empty pool."""

    pool: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    ood: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        if not len(self.pool):
            raise InputError("the distillation pool is empty; give at least one row to learn from")


def stratified_quotas(sizes: np.ndarray, total: int, offset: int) -> np.ndarray:
    """How many rows each class gives to a sample of `total`: its exact share rounded up or down.

        quota_k = floor((C_k total + offset) / n) - floor((C_{k-1} total + offset) / n),   C = cumsum(sizes)

    sizes: `[K]`; offset: 0..n-1 decides which classes are rounded up. The quotas sum to `total` and never
    exceed `sizes`, for any number of classes; scikit-learn's stratified splitters refuse classes of one row
    and samples smaller than the number of classes.
    """
    steps = (np.concatenate([[0], np.cumsum(sizes)]) * total + offset) // int(sizes.sum())
    return np.diff(steps)


def stratified_sample(
    y: np.ndarray, total: int, rng: np.random.Generator, every_class: bool = False
) -> np.ndarray:
    """Ascending positions of `total` rows of `y` `[n]`, each class in proportion.

    every_class: each class gives at least one row where `total` allows it, taken from the largest quotas.
    """
    if not len(y):
        return np.empty(0, np.int64)
    _, inverse, sizes = np.unique(y, return_inverse=True, return_counts=True)
    quotas = stratified_quotas(sizes, total, int(rng.integers(len(y))))
    if every_class and total >= len(sizes):
        for missing in np.flatnonzero(quotas == 0):
            quotas[quotas.argmax()] -= 1
            quotas[missing] = 1
    shuffled = rng.permutation(len(y))
    grouped = shuffled[np.argsort(inverse[shuffled], kind="stable")]
    starts = np.cumsum(sizes) - sizes
    chosen = [grouped[start : start + quota] for start, quota in zip(starts, quotas, strict=True)]
    return np.sort(np.concatenate(chosen))


def stratified_split(y: np.ndarray, validation: float, test: float, seed: int) -> Split:
    """Pool, validation and test rows of `y` `[n]`, stratified by class; unlabelled rows (-1) go to the pool.

    validation, test: shares of the labelled rows, rounded; at least one row stays in the pool.
    """
    require_fraction(validation=validation, test=test)
    if validation + test >= 1:
        raise InputError(
            f"validation {validation:g} and test {test:g} leave no pool; their sum must be less than 1"
        )
    rng = np.random.default_rng([seed, _SPLIT_STREAM])
    rest = np.flatnonzero(y >= 0)
    n = len(rest)
    parts = []
    for share in (test, validation):
        size = min(round(share * n), max(len(rest) - 1, 0))
        position = stratified_sample(y[rest], size, rng)
        parts.append(rest[position])
        rest = np.delete(rest, position)
    pool = np.sort(np.concatenate([rest, np.flatnonzero(y < 0)]))
    return Split(pool=pool, validation=parts[1], test=parts[0])


def named_split(values: Sequence[object] | np.ndarray, what: str) -> Split:
    """The parts that a column names: each value is pool (or train), validation, test or ood."""
    column = np.array([str(v).strip().lower() for v in values])
    column[column == "train"] = "pool"
    parts = ("pool", "validation", "test", "ood")
    for row in np.flatnonzero(~np.isin(column, parts)):
        raise InputError(f"{what}: '{column[row]}' at row {row} is no split; {nearest(column[row], parts)}")
    return Split(*(np.flatnonzero(column == part) for part in parts))


def subset(y: np.ndarray, size: int | None, seed: int, what: str) -> np.ndarray:
    """Rows of a stratified subset of `size`; all rows where it is None."""
    if size is None:
        return np.arange(len(y))
    if not 0 < size <= len(y):
        raise InputError(f"{what} is {size}, but there are {len(y)} rows; choose 1..{len(y)} or null for all")
    return stratified_sample(y, size, np.random.default_rng([seed, _SUBSET_STREAM]))
