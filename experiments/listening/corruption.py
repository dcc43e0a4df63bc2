"""Test inputs made worse, at five severities: noise, blur of images, features that are missing.

Inputs are standardised ones, so that a severity means the same on every data set.
"""

import math

import torch
from torch import Tensor

from mtbkd.errors import InputError, require_choice

SEVERITIES = (1, 2, 3, 4, 5)
# By severity: standard deviation of the noise; of the blur's Gaussian in pixels; share of the features.
NOISE = (0.25, 0.5, 0.75, 1.0, 1.5)
BLUR = (0.4, 0.6, 0.8, 1.0, 1.5)
MISSING = (0.1, 0.2, 0.3, 0.4, 0.6)
KINDS = ("noise", "blur", "missing")


def corrupted(x: Tensor, kind: str, severity: int, generator: torch.Generator) -> Tensor:
    """Inputs `[n, ...]` made worse in one of `KINDS`, severity 1 to 5; blur asks for images `[n, C, H, W]`.

    Raises `InputError` for another kind or severity, or blur of what is no image.
    """
    require_choice("corruption", kind, KINDS)
    if severity not in SEVERITIES:
        raise InputError(f"severity is {severity}; choose 1 to 5")
    if kind == "noise":
        return noisy(x, NOISE[severity - 1], generator)
    if kind == "missing":
        return without_features(x, MISSING[severity - 1], generator)
    return blurred(x, BLUR[severity - 1])


def noisy(x: Tensor, scale: float, generator: torch.Generator) -> Tensor:
    """`x + scale * N(0, 1)`; scale in standard deviations of the inputs."""
    return x + scale * torch.randn(x.shape, generator=generator)


def without_features(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A share of each input's features, rounded, chosen for each input anew, at 0: the mean of standardised inputs."""
    flat = x.flatten(1)
    count = round(share * flat.shape[1])
    chosen = torch.rand(flat.shape, generator=generator).argsort(1)[:, :count]
    return flat.scatter(1, chosen, 0.0).view_as(x)


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Images `[n, C, H, W]` convolved with a Gaussian of `sigma` pixels, cut at 3 sigma; borders are repeated."""
    if x.dim() != 4:
        raise InputError(f"blur: inputs of shape {list(x.shape)}; give images [n, C, H, W]")
    reach = max(1, math.ceil(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    channels = x.flatten(0, 1)[:, None]
    padded = torch.nn.functional.pad(channels, (reach, reach, reach, reach), mode="replicate")
    rows = torch.nn.functional.conv2d(padded, kernel.view(1, 1, -1, 1))
    return torch.nn.functional.conv2d(rows, kernel.view(1, 1, 1, -1)).view_as(x)
