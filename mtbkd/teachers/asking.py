"""A Python user's teachers asked about his rows; those that are not fitted yet are fitted to them first."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from torch import Tensor

from mtbkd.data.distillation import Rows
from mtbkd.errors import InputError
from mtbkd.teachers.bank import TeacherBank
from mtbkd.teachers.coverage import coverage_of
from mtbkd.teachers.fingerprint import seed_of
from mtbkd.teachers.given import ask, covered, is_fitted, trained
from mtbkd.teachers.table_inputs import mend_of


@dataclass(frozen=True)
class Shown:
    """The same inputs twice: `own`, an array or a table as the user gave it, for scikit-learn classifiers, and `rows`
    for the other teachers, with labels as class indices."""

    own: Any
    rows: Rows

    @classmethod
    def of(cls, given: Any, values: np.ndarray, labels: Tensor, first: int = 0) -> "Shown":
        """Of what the user passed, its numbers `[n, D]` and labels `[n]`, -1 where unlabelled.

        first: the first row's number: a teacher that finds its predictions by number has none of the rows after X's
        """
        shown, numbers = values.astype(np.float32), np.arange(first, first + len(values))
        rows = Rows(torch.from_numpy(shown), labels, numbers.astype(str), torch.from_numpy(numbers), shown)
        # Tables and arrays as they are, with their names and types; what else can become an array as that.
        own = given if isinstance(given, np.ndarray) or hasattr(given, "columns") else values
        return cls(own, rows)

    @property
    def labelled(self) -> np.ndarray:
        """Places of the labelled rows."""
        return np.flatnonzero(self.rows.y.numpy() >= 0)


def teach_and_ask(
    teachers: Mapping[str, Any],
    parts: Mapping[str, Shown],
    labels: np.ndarray,
    classes: Sequence[Any],
    seed: int,
) -> tuple[dict[str, Any], dict[str, TeacherBank]]:
    """The teachers, those not fitted yet as copies fitted to the pool's labelled rows, and what all say of each part.

    parts: 'pool' and others; labels: of the pool's labelled rows, as the user calls them; classes: all of those labels
    Raises `InputError` for a teacher that cannot be fitted or asked.
    """
    pool = parts["pool"]
    ready: dict[str, Any] = {}
    said: dict[str, dict[str, Tensor]] = {part: {} for part in parts}
    # Fitted ones first: what is wrong with them is told before another one is trained.
    for name in sorted(teachers, key=lambda name: not is_fitted(teachers[name])):
        teacher = teachers[name]
        if not is_fitted(teacher):
            if not len(labels):
                raise InputError(
                    f"teacher '{name}' is not fitted and y labels no row; fit it elsewhere, or label rows"
                )
            lesson = _safe_indexing(pool.own, pool.labelled)
            teacher = _trained_on(name, teacher, lesson, labels, seed)
        ready[name] = teacher
        for part, shown in parts.items():
            said[part][name] = ask(name, teacher, shown.own, shown.rows, classes)
    known = coverage_of({name: covered(ready[name], classes) for name in teachers}, len(classes))
    banks = {
        part: TeacherBank.from_predictions({name: opinions[name] for name in teachers}, classes=known)
        for part, opinions in said.items()
    }
    return {name: ready[name] for name in teachers}, banks


def _trained_on(name: str, teacher: Any, x: Any, labels: np.ndarray, seed: int) -> Any:
    if not hasattr(x, "columns"):
        return trained(teacher, x, labels, seed_of(seed, name))
    try:
        return trained(teacher, x, labels, seed_of(seed, name))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"teacher '{name}': cannot be fitted to X ({' '.join(str(error).split()):.200}); {mend_of(str(error))}"
        ) from error


def warn_of_rows_learned(teachers: Mapping[str, Any], pool: Shown, held_out: Shown) -> None:
    """Warn where over a tenth of the held-out rows is among the labelled ones that teachers are fitted to here."""
    fitted_here = [f"'{name}'" for name, teacher in teachers.items() if not is_fitted(teacher)]
    learned = {row.tobytes() for row in pool.rows.x.numpy()[pool.labelled]}
    again = sum(row.tobytes() in learned for row in held_out.rows.x.numpy())
    if fitted_here and again > len(held_out.rows) / 10:  # below that, rows that are equal by chance
        warnings.warn(
            f"held_out: {again} of {len(held_out.rows)} rows are among the labelled rows of X that teachers "
            f"{', '.join(fitted_here)} are fitted to, and will flatter them; give rows that X does not hold",
            stacklevel=3,
        )
