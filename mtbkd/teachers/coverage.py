"""Which of the data's classes each teacher knows: a class that is missing is not a class of probability zero."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtbkd.errors import InputError, nearest

# What the columns of teachers are; None: a column that is left out.
Labels = Mapping[str, Sequence[str | int | None]]


def places(
    what: str, labels: Sequence[str | int | None], class_names: Sequence[str]
) -> tuple[int | None, ...]:
    """The data's class of each column of what a teacher gives, by name; None where a column is left out.

    labels: the columns' classes, None for one that is left out: the others are then conditional on it not being that
    Raises `InputError` for a class that the data does not have, one that has two columns, and fewer than two classes.
    """
    position = {str(name): k for k, name in enumerate(class_names)}
    for label in labels:
        if label is not None and str(label) not in position:
            raise InputError(
                f"{what}: its class '{label}' is not among the data's classes; name it as there, or put null in its "
                f"place to leave it out; {nearest(label, position)}"
            )
    found = [None if label is None else position[str(label)] for label in labels]
    own = [k for k in found if k is not None]
    if doubled := [class_names[k] for k in own if own.count(k) > 1]:
        raise InputError(f"{what}: class '{doubled[0]}' has two columns; name each class once")
    if len(own) < 2:
        raise InputError(f"{what}: knows {len(own)} of the data's classes; a teacher tells at least 2 apart")
    return tuple(found)


def spread(z: Tensor, columns: Sequence[int | None], num_classes: int) -> Tensor:
    """Logits `[..., C]` of the classes `columns` as `[..., K]`, -inf in those that have no column."""
    kept = [column for column, k in enumerate(columns) if k is not None]
    wide = z.new_full((*z.shape[:-1], num_classes), -torch.inf)
    wide[..., [k for k in columns if k is not None]] = z[..., kept]
    return wide


def known_of(columns: Sequence[int | None], num_classes: int) -> tuple[int, ...] | None:
    """The classes that have a column, in order; None where all have."""
    known = sorted({k for k in columns if k is not None})
    return None if len(known) == num_classes else tuple(known)


def coverage_of(known: Sequence[tuple[int, ...] | None], num_classes: int) -> Tensor | None:
    """Which classes each of M teachers knows, `[M, K]` bool of their indices; None where all know all."""
    classes = torch.ones(len(known), num_classes, dtype=torch.bool)
    for row, own in zip(classes, known, strict=True):
        if own is not None:
            row[:] = False
            row[list(own)] = True
    return partial(classes)


def placed(
    predictions: dict[str, Tensor], classes: Labels, class_names: Sequence[str] | None
) -> tuple[dict[str, Tensor], Tensor | None]:
    """Predictions `[S, N, C]` with their columns in the data's order, `[S, N, K]`, and the coverage `[M, K]`.

    classes: of the teachers that do not have one column for each class in order
    class_names: K names; None: classes are indices, K is what another teacher has columns, else the largest index + 1
    """
    for name in classes:
        if name not in predictions:
            raise InputError(f"classes: there is no teacher '{name}'; {nearest(name, predictions)}")
    if not classes:
        return predictions, None
    names = _indices(predictions, classes) if class_names is None else class_names
    found, known = {}, []
    for name, z in predictions.items():
        what = f"teacher '{name}'"
        columns = places(what, classes.get(name, names), names)
        if len(columns) != z.shape[-1]:
            raise InputError(
                f"{what}: has {z.shape[-1]} columns for {len(columns)} classes; name the class of each column"
            )
        found[name] = spread(z, columns, len(names))
        known.append(known_of(columns, len(names)))
    return found, coverage_of(known, len(names))


def _indices(predictions: dict[str, Tensor], classes: Labels) -> list[str]:
    for name, labels in classes.items():
        if named := [label for label in labels if isinstance(label, str)]:
            raise InputError(
                f"teacher '{name}': its class '{named[0]}' is a name; give all names in order as class_names, or "
                "use indices"
            )
    whole = [z.shape[-1] for name, z in predictions.items() if name not in classes]
    largest = max(int(k) for labels in classes.values() for k in labels if k is not None)
    return [str(k) for k in range(max(whole, default=largest + 1))]


def partial(classes: Tensor) -> Tensor | None:
    """A coverage `[M, K]` bool in its one form: None where every teacher knows every class."""
    return None if bool(classes.all()) else classes


def coverage(classes: Tensor | None, predictions: Mapping[str, Tensor]) -> Tensor | None:
    """`classes` checked against predictions `{teacher: [S, N, K]}`; None where all teachers know all classes.

    Raises `InputError` for another shape or kind, and for a teacher that knows no class.
    """
    if classes is None:
        return None
    expected = (len(predictions), next(iter(predictions.values())).shape[-1])
    if classes.dtype != torch.bool or tuple(classes.shape) != expected:
        raise InputError(
            f"classes are {classes.dtype} {tuple(classes.shape)}; give true or false by teacher and class {expected}"
        )
    for name, known in zip(predictions, classes, strict=True):
        if not bool(known.any()):
            raise InputError(f"teacher '{name}': knows none of the classes; leave it out")
    return partial(classes)
