"""What a teacher's layer gives, on a scale of its own: what hints and rules that look at features are shown."""

import torch
from torch import Tensor

from mtbkd.errors import InputError

# Standard deviations below this share of a feature's largest value are rounding: the feature is constant.
ROUNDING = 1e-6


def standardised(what: str, features: Tensor) -> Tensor:
    """Features `[N, F]` with mean 0 and variance 1 over the rows; those that do not vary are 0.

    Raises `InputError` where none varies; what: whose they are, in words.
    """
    values = features.double()
    spread = values.std(0, correction=0)
    varies = spread > ROUNDING * values.abs().amax(0)
    if not bool(varies.any()):
        raise InputError(f"{what}: no feature differs between the pool's rows; name another layer")
    centred = (values - values.mean(0)) / torch.where(varies, spread, 1.0)
    return torch.where(varies, centred, 0.0).float()
