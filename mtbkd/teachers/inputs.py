"""What a teacher that was trained elsewhere is shown: the networks' inputs or the untransformed ones."""

import numpy as np

from mtbkd.data.distillation import Rows
from mtbkd.errors import InputError, require_choice

INPUTS = ("transformed", "raw")


def chosen_inputs(name: str, rows: Rows, inputs: str) -> np.ndarray:
    """`[n, ...]`: `transformed` is what networks see, `raw` what the source held before any transformation.

    Raises `InputError` where the data keep no raw inputs.
    """
    require_choice(f"teacher '{name}': inputs", inputs, INPUTS)
    if inputs == "transformed":
        return rows.x.numpy()
    if rows.raw is None:
        raise InputError(
            f"teacher '{name}': these data keep no raw inputs, as they came or after their augmentation; "
            "choose inputs: transformed"
        )
    return rows.raw
