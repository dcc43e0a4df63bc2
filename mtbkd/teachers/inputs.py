"""What a teacher is shown: the networks' inputs, the untransformed ones, or another view of the same rows."""

import numpy as np
from torch import Tensor

from mtbkd.data.distillation import Rows
from mtbkd.errors import InputError, nearest, require_choice

INPUTS = ("transformed", "raw")


def chosen_inputs(name: str, rows: Rows, inputs: str, view: str | None = None) -> np.ndarray:
    """`[n, ...]`: `transformed` is what networks see, `raw` what the source held before any transformation.

    view: name of other inputs of these rows; None: theirs
    Raises `InputError` where the data keep no raw inputs or do not have this view.
    """
    require_choice(f"teacher '{name}': inputs", inputs, INPUTS)
    if inputs == "transformed":
        return viewed(name, rows, view).numpy()
    if view is not None:
        raise InputError(f"teacher '{name}': view '{view}' has no raw inputs; choose inputs: transformed")
    if rows.raw is None:
        raise InputError(
            f"teacher '{name}': these data keep no raw inputs, as they came or after their augmentation; "
            "choose inputs: transformed"
        )
    return rows.raw


def viewed(name: str, rows: Rows, view: str | None) -> Tensor:
    """`[n, ...]` inputs of the rows in a view, None: x; raises `InputError` for a view that they do not have."""
    if view is None:
        return rows.x
    if view not in rows.views:
        has = nearest(view, rows.views) if rows.views else "there is none, and augmented rows never have one"
        raise InputError(f"teacher '{name}': the data have no view '{view}'; {has}")
    return rows.views[view]
