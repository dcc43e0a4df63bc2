"""Teachers as a Python user holds them: scikit-learn classifiers, torch modules, `Teacher` objects."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from mtbkd.data.distillation import Rows
from mtbkd.errors import InputError
from mtbkd.teachers.coverage import known_of
from mtbkd.teachers.estimator import EstimatorTeacher
from mtbkd.teachers.table_inputs import own_columns
from mtbkd.teachers.teacher import known_by
from mtbkd.teachers.torch_module import TorchTeacher
from mtbkd.teachers.values import check_logits


def named(teachers: Any) -> dict[str, Any]:
    """Teachers by name: a dict as it is; those of a list by their own name or their class's, numbered where it
    repeats; none for None.

    Raises `InputError` for what is no teacher, naming it and what would be one.
    """
    if teachers is None:
        return {}
    if isinstance(teachers, Mapping):
        found = {str(name): teacher for name, teacher in teachers.items()}
    elif isinstance(teachers, list | tuple):
        names = [
            str(teacher.name) if _is_teacher(teacher) else type(teacher).__name__ for teacher in teachers
        ]
        found = dict(zip(_numbered(names), teachers, strict=True))
    else:
        raise InputError(
            f"teachers is of type {type(teachers).__name__}; give a list, or a dict from name to teacher"
        )
    if not found:
        raise InputError("teachers is empty; give at least one, or None to learn from the labels alone")
    for name, teacher in found.items():
        _check(name, teacher)
    return found


def is_fitted(teacher: Any) -> bool:
    """Whether a teacher can be asked as it is; only a scikit-learn classifier may be not yet fitted."""
    return not _is_estimator(teacher) or hasattr(teacher, "classes_")


def known_classes(teacher: Any) -> list[Any]:
    """The class labels that a fitted scikit-learn classifier knows; empty for a teacher without class labels."""
    if not _is_estimator(teacher):
        return []
    classes: list[Any] = np.asarray(teacher.classes_).tolist()
    return classes


def covered(teacher: Any, classes: Sequence[Any]) -> tuple[int, ...] | None:
    """Places in `classes` of those that a teacher knows, by label for a scikit-learn classifier; None: all."""
    if not _is_estimator(teacher):
        return known_by(teacher)
    place = {label: k for k, label in enumerate(classes)}
    return known_of([place[label] for label in known_classes(teacher)], len(classes))


def trained(estimator: Any, x: Any, y: np.ndarray, seed: int) -> Any:
    """A copy of a scikit-learn classifier fitted to `x` and labels `y` `[n]`.

    seed: 0..2^32-1, for each `random_state` that the user left at None
    """
    from sklearn.base import clone

    copy = clone(estimator)
    unset = [key for key, value in copy.get_params().items() if value is None and _is_seed(key)]
    return copy.set_params(**dict.fromkeys(unset, seed)).fit(x, y)


def ask(name: str, teacher: Any, x: Any, rows: Rows, classes: Sequence[Any]) -> Tensor:
    """Logits `[S, N, K]` of a teacher, its classes in the order of `classes`; class labels decide the column of a
    scikit-learn classifier, the other kinds have K columns in this order.

    x: `[N, ...]` as the user gave it, which scikit-learn classifiers are shown; rows: the same for the others
    Raises `InputError` for values that are no logits, or of other rows or classes.
    """
    if _is_estimator(teacher):
        # Equal labels may be written differently: 1 where the teacher was fitted, 1.0 here.
        own = {label: str(label) for label in known_classes(teacher)}
        labels = tuple(own.get(label, str(label)) for label in classes)
        if hasattr(x, "columns"):
            x = own_columns(name, x, teacher)
        return check_logits(
            name, EstimatorTeacher(name, teacher, len(classes), labels).log_probs(x), zeros=True
        )
    answering = TorchTeacher(name, teacher) if isinstance(teacher, nn.Module) else teacher
    try:
        z = check_logits(name, answering.predict(rows), zeros=True)
    except RuntimeError as error:
        raise InputError(
            f"teacher '{name}': fails on inputs of shape {tuple(rows.x.shape)}: {error}; give it the inputs that it "
            "was trained on"
        ) from error
    if z.shape[1:] != (len(rows), len(classes)):
        raise InputError(
            f"teacher '{name}': gives {z.shape[1]} rows of {z.shape[2]} classes for {len(rows)} inputs of "
            f"{len(classes)} classes; one column a class is needed, in sorted order, so list in `classes` those that "
            "no label shows"
        )
    return z


def _is_teacher(teacher: Any) -> bool:
    return not isinstance(teacher, nn.Module) and all(
        hasattr(teacher, a) for a in ("name", "predict", "size")
    )


def _is_estimator(teacher: Any) -> bool:
    return not isinstance(teacher, nn.Module) and not _is_teacher(teacher)


def _is_seed(parameter: str) -> bool:
    return parameter.rpartition("__")[2] == "random_state"


def _numbered(names: Sequence[str]) -> list[str]:
    counts, seen = Counter(names), Counter[str]()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name}-{seen[name]}" if counts[name] > 1 else name)
    return numbered


def _check(name: str, teacher: Any) -> None:
    if isinstance(teacher, type):
        raise InputError(f"teacher '{name}' is the class {teacher.__name__}; give an instance of it")
    if not _is_estimator(teacher):
        return
    if not hasattr(teacher, "fit"):
        raise InputError(
            f"teacher '{name}' is {teacher!r:.60}, of type {type(teacher).__name__}; give a scikit-learn classifier, "
            "a torch module or a mtbkd Teacher"
        )
    if not hasattr(teacher, "predict_proba"):
        raise InputError(
            f"teacher '{name}': {type(teacher).__name__} gives no probabilities; "
            "wrap it in CalibratedClassifierCV(..., ensemble=False)"
        )
