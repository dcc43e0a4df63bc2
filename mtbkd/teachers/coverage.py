"""Which of the data's classes each teacher knows: a class that is missing is not a class of probability zero."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mtbkd.errors import InputError


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
