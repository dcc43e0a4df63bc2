"""Teacher values at the door: logits or probabilities in, checked logits `[S, N, K]` float32 out."""

import numpy as np
import torch
from torch import Tensor

from mtbkd.errors import InputError

TOLERANCE = 1e-3


def check_logits(name: str, values: Tensor | np.ndarray, zeros: bool = False) -> Tensor:
    """Logits `[N, K]` or `[S, N, K]` as `[S, N, K]` float32.

    zeros: -inf is allowed as the logarithm of an exact zero, though not in a whole row.
    Raises `InputError` naming teacher, row and value.
    """
    z = _as_draws(name, values).to(torch.float32)
    finite = torch.isfinite(z)
    if bool(finite.all()):
        return z
    _refuse(name, z, torch.isnan(z) | (z == torch.inf), "a logit must be finite; mend or drop the row")
    if not zeros:
        _refuse(
            name, z, ~finite, "a logit must be finite; pass probabilities with from_probs, where 0 is allowed"
        )
    empty = (~finite).all(-1)
    if bool(empty.any()):
        row = int(empty.nonzero()[0, 1])
        raise InputError(f"teacher '{name}': row {row} gives every class probability 0; mend or drop the row")
    return z


def logits_of_probs(name: str, values: Tensor | np.ndarray) -> Tensor:
    """log p `[S, N, K]` float32 of probabilities `[N, K]` or `[S, N, K]`, renormalised; log 0 = -inf.

    Raises `InputError` naming teacher, row and value where a value is NaN, infinite or negative, or a row
    does not sum to 1 within 1e-3.
    """
    p = _as_draws(name, values).to(torch.float64)
    _refuse(name, p, ~torch.isfinite(p), "a probability must be finite; mend or drop the row")
    _refuse(name, p, p < 0, "a probability is not negative; pass logits with from_logits")
    total = p.sum(-1, keepdim=True)
    wrong = ((total - 1).abs() > TOLERANCE)[..., 0]
    if bool(wrong.any()):
        draw, row = wrong.nonzero()[0].tolist()
        raise InputError(
            f"teacher '{name}': row {row} sums to {total[draw, row].item():.4g}, not 1; "
            "pass logits with from_logits, or normalise"
        )
    return (p / total).log().to(torch.float32)


def check_agreement(predictions: dict[str, Tensor]) -> None:
    """Raise `InputError` unless there is a teacher and all `[S, N, K]` have the same N and K."""
    if not predictions:
        raise InputError("no teachers; give at least one")
    first, *others = predictions
    for other in others:
        for axis, what in ((1, "rows"), (2, "classes")):
            a, b = predictions[first].shape[axis], predictions[other].shape[axis]
            if a != b:
                raise InputError(
                    f"teacher '{first}' has {a} {what}, teacher '{other}' {b}; "
                    "all teachers predict the same rows and the same classes"
                )


def check_features(what: str, values: Tensor, rows: int) -> None:
    """Raise `InputError` unless features are finite numbers `[rows, F]`; what: whose they are, in words."""
    if values.ndim != 2 or len(values) != rows or not values.shape[1]:
        raise InputError(
            f"{what}: features have shape {tuple(values.shape)}; [{rows}, F], one row an input, is needed"
        )
    bad = ~torch.isfinite(values)
    if bool(bad.any()):
        row, column = bad.nonzero()[0].tolist()
        raise InputError(
            f"{what}: feature {column} of row {row} is {values[row, column].item():g}; use another layer"
        )


def _as_draws(name: str, values: Tensor | np.ndarray) -> Tensor:
    tensor = torch.as_tensor(values).detach().cpu()
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise InputError(f"teacher '{name}': values are of type {tensor.dtype}; give real numbers")
    if tensor.ndim not in (2, 3) or 0 in tensor.shape or tensor.shape[-1] < 2:
        raise InputError(
            f"teacher '{name}': values have shape {tuple(tensor.shape)}; "
            "give [rows, classes], or [draws, rows, classes], with at least one row and two classes"
        )
    return tensor if tensor.ndim == 3 else tensor[None]


def _refuse(name: str, values: Tensor, bad: Tensor, mend: str) -> None:
    if bool(bad.any()):
        at = bad.nonzero()[0].tolist()
        draw, row, column = at
        where = f"row {row}, class {column}" + (f", draw {draw}" if len(values) > 1 else "")
        raise InputError(f"teacher '{name}': {where} is {values[draw, row, column].item():g}; {mend}")
