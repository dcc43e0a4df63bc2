"""Which rows are pool, validation and test, and which of the pool's labels the student sees."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtbkd.errors import InputError, nearest, require_fraction

_SPLIT, _LABELS, _SUBSET = range(
    3
)  # independent random streams of one seed: changing one choice moves no other


@dataclass(frozen=True)
class Split:
    """Row numbers (int64, ascending, disjoint) of the three parts."""

    pool: np.ndarray
    validation: np.ndarray
    test: np.ndarray


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
    rng = np.random.default_rng([seed, _SPLIT])
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


def subset(y: np.ndarray, size: int | None, seed: int, what: str) -> np.ndarray:
    """Rows of a stratified subset of `size`; all rows where it is None."""
    if size is None:
        return np.arange(len(y))
    if not 0 < size <= len(y):
        raise InputError(f"{what} is {size}, but there are {len(y)} rows; choose 1..{len(y)} or null for all")
    return stratified_sample(y, size, np.random.default_rng([seed, _SUBSET]))


def visible_labels(y: np.ndarray, fraction: float, class_names: Sequence[str], seed: int) -> np.ndarray:
    """`y` `[n]` with a stratified share `fraction` of the known labels kept, the others set to -1.

    Above 0 at least one label is kept, and one of each class where the number kept allows it. Warns of
    classes that keep none, unless no label at all is kept (pure distillation).
    """
    require_fraction(labelled_fraction=fraction)
    known = np.flatnonzero(y >= 0)
    kept = np.empty(0, np.int64)
    if fraction > 0 and len(known):
        size = max(1, round(fraction * len(known)))
        kept = known[
            stratified_sample(y[known], size, np.random.default_rng([seed, _LABELS]), every_class=True)
        ]
    visible = np.full_like(y, -1)
    visible[kept] = y[kept]
    warn_missing_classes(visible, class_names)
    return visible


def warn_missing_classes(y: np.ndarray, class_names: Sequence[str]) -> None:
    """Warn of the classes without a labelled example in `y` `[n]`; silent where nothing is labelled."""
    seen = np.unique(y[y >= 0])
    missing = [name for k, name in enumerate(class_names) if k not in set(seen.tolist())]
    if len(seen) and missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        warnings.warn(
            f"{len(missing)} of {len(class_names)} classes have no labelled example in the pool: {shown}; "
            "only the teachers can teach them",
            stacklevel=3,
        )


def standardise(pool: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
    """`pool` `[n, D]` and `others` with the pool's column means removed, over the pool's deviations, float32.

    A column that is constant in the pool is only centred.
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(np.asarray(pool, np.float64))
    return tuple(
        scaler.transform(np.asarray(x, np.float64)).astype(np.float32) if len(x) else x.astype(np.float32)
        for x in (pool, *others)
    )


def encode_labels(
    labels: Sequence[object] | np.ndarray, class_names: Sequence[str] | None = None, what: str = "label"
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class indices `[n]` int64 (-1 for None and NaN) and the class names.

    Without `class_names` the names are the distinct labels, numbers in numerical order, else alphabetical.
    With them a label is one of the names or, where all labels are whole numbers and none is a name, an index.
    Raises `InputError` for a label that is neither, naming row and value.
    """
    values = [_plain(v) for v in (labels.tolist() if isinstance(labels, np.ndarray) else labels)]
    known = {v for v in values if v is not None}
    all_numbers = all(isinstance(v, int) for v in known)
    if class_names is None:
        ordered = sorted(known, key=None if all_numbers else str)
        rank = {v: k for k, v in enumerate(ordered)}
        return _indices(values, rank), tuple(str(v) for v in ordered)
    names = tuple(str(name) for name in class_names)
    if len(set(names)) < len(names):
        raise InputError(f"class names hold a name twice: {', '.join(names)}; each class needs its own")
    position: dict[int | str, int]
    if all_numbers and not known & {int(name) for name in names if name.isdigit()}:
        position = {-1: -1, **{k: k for k in range(len(names))}}
    else:
        position = {v: names.index(str(v)) for v in known if str(v) in names}
    for row, value in enumerate(values):
        if value is not None and value not in position:
            raise InputError(f"{what} '{value}' at row {row} is none of the classes; {nearest(value, names)}")
    return _indices(values, position), names


def _indices(values: list[int | str | None], position: dict[int | str, int]) -> np.ndarray:
    return np.array([-1 if v is None else position[v] for v in values], np.int64)


def _plain(value: object) -> int | str | None:
    """A label as int or str; None where it is missing. A column of ints with gaps arrives as floats."""
    if value is None or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value)
    return value.decode() if isinstance(value, bytes) else str(value)
