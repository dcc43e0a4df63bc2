"""Which of the data's classes each teacher knows: a class that is missing is not a class of probability zero."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import InputError, nearest

# What the columns of teachers are; None: a column that is left out.
Labels = Mapping[str, Sequence[str | int | None]]


@dataclass(frozen=True)
class Columns:
    """What the columns are of what a teacher gives.

    classes: index of the data's class for each column, None for a column that is left out: the others are then
        conditional on it not being that; num_classes: K
    """

    classes: tuple[int | None, ...]
    num_classes: int

    @classmethod
    def named(cls, what: str, labels: Sequence[str | int | None], class_names: Sequence[str]) -> "Columns":
        """Columns of these labels among the data's classes; raises `InputError` for a class that the data does not
        have, naming the nearest, one that has two columns, and fewer than two classes."""
        position = {str(name): k for k, name in enumerate(class_names)}
        for label in labels:
            if label is not None and str(label) not in position:
                raise InputError(
                    f"{what}: its class '{label}' is not among the data's classes; name it as there, or leave it out; "
                    f"{nearest(label, position)}"
                )
        found = [None if label is None else position[str(label)] for label in labels]
        own = [k for k in found if k is not None]
        if doubled := [class_names[k] for k in own if own.count(k) > 1]:
            raise InputError(f"{what}: class '{doubled[0]}' is named twice; name each class once")
        if len(own) < 2:
            raise InputError(
                f"{what}: knows {len(own)} of the data's classes; a teacher tells at least 2 apart"
            )
        return cls(tuple(found), len(class_names))

    @property
    def known(self) -> tuple[int, ...] | None:
        """The classes that have a column, in order; None where all have."""
        return known_of([k for k in self.classes if k is not None], self.num_classes)

    def spread(self, what: str, z: Tensor) -> Tensor:
        """Logits `[..., C]` of these columns as `[..., K]`, -inf for classes without one; raises `InputError` where
        there are more or fewer columns."""
        if z.shape[-1] != len(self.classes):
            raise InputError(
                f"{what}: has {z.shape[-1]} columns for {len(self.classes)} classes; name the class of each column"
            )
        kept = [column for column, k in enumerate(self.classes) if k is not None]
        wide = z.new_full((*z.shape[:-1], self.num_classes), -torch.inf)
        wide[..., [k for k in self.classes if k is not None]] = z[..., kept]
        return wide


def known_of(classes: Iterable[int], num_classes: int) -> tuple[int, ...] | None:
    """Indices of the classes that a teacher knows, in order and each once; None where it knows all."""
    known = sorted({int(k) for k in classes})
    return None if known == list(range(num_classes)) else tuple(known)


def coverage_of(known: Mapping[str, tuple[int, ...] | None], num_classes: int) -> Tensor | None:
    """Which classes each of M teachers knows, `[M, K]` bool of their indices by teacher; None where all know all.

    Raises `InputError` for an index that is no class.
    """
    classes = torch.ones(len(known), num_classes, dtype=torch.bool)
    for row, (name, own) in zip(classes, known.items(), strict=True):
        if own is None:
            continue
        if wrong := [k for k in own if not 0 <= k < num_classes]:
            raise InputError(
                f"teacher '{name}': says that it knows class {wrong[0]}; there are 0..{num_classes - 1}"
            )
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
    columns = {
        name: Columns.named(f"teacher '{name}'", classes.get(name, names), names) for name in predictions
    }
    found = {name: columns[name].spread(f"teacher '{name}'", z) for name, z in predictions.items()}
    return found, coverage_of({name: own.known for name, own in columns.items()}, len(names))


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
