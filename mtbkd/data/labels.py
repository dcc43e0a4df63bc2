"""Labels as class indices, and which of them the student sees."""

import warnings
from collections.abc import Sequence

import numpy as np

from mtbkd.data.splits import stratified_sample
from mtbkd.errors import InputError, nearest, require_fraction

_LABEL_STREAM = 2  # after the streams of splits.py


def encode_labels(
    labels: Sequence[object] | np.ndarray, class_names: Sequence[str] | None = None, what: str = "label"
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class indices `[n]` int64 (-1 for None and NaN) and the class names.

    Without `class_names` the names are the distinct labels, numbers in numerical order, else alphabetical.
    With them a label is one of the names or, where all labels are whole numbers and none is a name, an index;
    the number -1 is unlabelled unless it is a name.
    Raises `InputError` for a label that is neither, for a fraction, and without names for the number -1.
    """
    values = [_plain(v, what) for v in (labels.tolist() if isinstance(labels, np.ndarray) else labels)]
    known = {v for v in values if v is not None}
    all_numbers = all(isinstance(v, int) for v in known)
    if class_names is None:
        if all_numbers and -1 in known:
            raise InputError(
                f"{what} -1 at row {values.index(-1)} may be a class or mean unlabelled; leave unlabelled ones "
                "empty, or give the class names, with -1 among them if it is a class"
            )
        ordered = sorted(known, key=None if all_numbers else str)
        rank = {v: k for k, v in enumerate(ordered)}
        return _indices(values, rank), tuple(str(v) for v in ordered)
    names = tuple(str(name) for name in class_names)
    if len(set(names)) < len(names):
        raise InputError(f"class names hold a name twice: {', '.join(names)}; each class needs its own")
    position: dict[int | str, int]
    if all_numbers and not known & {int(name) for name in names if name.isdigit()}:
        position = {k: k for k in range(len(names))}
    else:
        position = {v: names.index(str(v)) for v in known if str(v) in names}
    if all_numbers:
        position.setdefault(-1, -1)
    for row, value in enumerate(values):
        if value is not None and value not in position:
            raise InputError(f"{what} '{value}' at row {row} is none of the classes; {nearest(value, names)}")
    return _indices(values, position), names


def check_is_classes(labels: Sequence[object], what: str) -> None:
    """Raise `InputError` for what is rather a quantity or an id: over 20 values that come less than twice on average.

    labels: `[n]`, None where missing
    """
    known = [label for label in labels if label is not None]
    different = len({str(label) for label in known})
    if different > 20 and len(known) < 2 * different:
        raise InputError(
            f"{what}: {different} different values in {len(known)} rows; a class comes more often, so this is rather a "
            "quantity or an id: bin a quantity into classes (pandas.qcut), or name another column by data.target"
        )


def label_name(value: object) -> str:
    """A class label as class names have it: 1.0, of whole numbers with gaps, is 1."""
    return str(_plain(value, "label"))


def _indices(values: list[int | str | None], position: dict[int | str, int]) -> np.ndarray:
    return np.array([-1 if v is None else position[v] for v in values], np.int64)


def _plain(value: object, what: str) -> int | str | None:
    """A label as int or str; None where it is missing. A column of ints with gaps arrives as floats."""
    if value is None or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if not float(value).is_integer():
            raise InputError(
                f"{what} {value} is no class; use names or whole numbers: a quantity is binned first (pandas.qcut)"
            )
        return int(value)
    return value.decode() if isinstance(value, bytes) else str(value)


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
            stratified_sample(y[known], size, np.random.default_rng([seed, _LABEL_STREAM]), every_class=True)
        ]
    visible = np.full_like(y, -1)
    visible[kept] = y[kept]
    warn_missing_classes(visible, class_names)
    return visible


def warn_missing_classes(y: np.ndarray, class_names: Sequence[str]) -> None:
    """Warn of the classes without a labelled example in `y` `[n]`; silent where nothing is labelled."""
    seen = np.bincount(y[y >= 0], minlength=len(class_names))
    missing = [name for name, count in zip(class_names, seen, strict=True) if not count]
    if seen.any() and missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        warnings.warn(
            f"{len(missing)} of {len(class_names)} classes have no labelled example in the pool: {shown}; "
            "only the teachers can teach them",
            stacklevel=3,
        )
