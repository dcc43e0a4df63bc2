"""Class labels as a scikit-learn user holds them: any numbers or texts, -1 where a row is unlabelled."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtbkd.errors import InputError, nearest


def is_labelled(y: np.ndarray) -> np.ndarray:
    """`[N]` bool: the rows whose label is not the number -1.

    Raises `InputError` for the text '-1', which NumPy makes of the number among texts.
    """
    objects = y.astype(object)
    texts = np.flatnonzero(objects == "-1")
    if len(texts):
        raise InputError(
            f"y: label '-1' at row {texts[0]} is text; unlabelled rows among texts need "
            "np.array(y, dtype=object) with the number -1"
        )
    return np.asarray(objects != -1)


def labels_of(y: np.ndarray) -> np.ndarray:
    """Labels `[n]` of one kind, texts or numbers, in an array of that kind.

    Raises `InputError` for a missing label or a mixture, and scikit-learn's ValueError for what are no classes.
    """
    if not len(y):
        return y
    values = y.tolist()
    if None in values:
        raise InputError("y: a label is None; mark unlabelled rows by -1, in an array of dtype object")
    one_kind("y", values)
    labels = np.array(values) if y.dtype == object else y
    from sklearn.utils.multiclass import check_classification_targets

    check_classification_targets(labels)
    return labels


def all_classes(labels: np.ndarray, taught: Mapping[str, Sequence[Any]], classes: Any = None) -> np.ndarray:
    """The sorted classes `[K]`: `classes` where given, else those of the labels and those the teachers know.

    taught: class labels by teacher
    Raises `InputError` for fewer than 2, for one named twice, and for texts beside numbers.
    """
    known = set(labels.tolist())
    for name, theirs in taught.items():
        one_kind(f"y and teacher '{name}'", [*known, *theirs])
        known |= set(theirs)
    if classes is not None:
        listed = np.asarray(classes).tolist()
        one_kind("y and classes", [*known, *listed])
        if len(set(listed)) < len(listed):
            raise InputError(f"classes is {listed}, which names a class twice; list each once")
        known = set(listed)
    if len(known) < 2:
        shown = f"1 class, {next(iter(known))!r}" if known else "0 classes"
        raise InputError(
            f"y and the teachers show {shown}; at least 2 are needed: list all of them in `classes`, and "
            "where -1 is a class and does not mean unlabelled, call it otherwise"
        )
    return np.unique(labels) if known == set(labels.tolist()) else np.array(sorted(known))


def class_indices(labels: np.ndarray, rows: np.ndarray, classes: np.ndarray, what: str = "y") -> Tensor:
    """Places of the labels in `classes`, `[n]` int64; raises `InputError` naming the row of one that is not there."""
    position = {label: k for k, label in enumerate(classes.tolist())}
    for row, label in zip(rows, labels.tolist(), strict=True):
        if label not in position:
            raise InputError(
                f"{what}: label {label!r} at row {row} is not among `classes`; {nearest(label, position)}"
            )
    return torch.tensor([position[label] for label in labels.tolist()], dtype=torch.int64)


def class_codes(y: np.ndarray, classes: np.ndarray, what: str = "y") -> Tensor:
    """Labels `[N]` as places in `classes`, int64, -1 where unlabelled; raises as `class_indices` and `labels_of`."""
    labelled = is_labelled(y)
    codes = torch.full((len(y),), -1)
    codes[labelled] = class_indices(labels_of(y[labelled]), np.flatnonzero(labelled), classes, what)
    return codes


def one_kind(what: str, labels: Sequence[Any]) -> None:
    """Raise `InputError` for texts beside numbers, which no order and no equality holds together."""
    texts = [label for label in labels if isinstance(label, str)]
    others = [label for label in labels if not isinstance(label, str)]
    if texts and others:
        raise InputError(
            f"{what}: class {texts[0]!r} is text and {others[0]!r} is of type {type(others[0]).__name__}; "
            "write all classes in one way"
        )
