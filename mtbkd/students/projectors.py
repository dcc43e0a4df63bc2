"""Projectors of feature transfer as latents of the student: one Pyro site a hint, `[F, H]`, normal by fan-in."""

import math
from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from mtbkd.features.transfer import FeatureTransfer
from mtbkd.students.weight_prior import SharedNormal


def distributions(
    hints: FeatureTransfer, widths: Mapping[str, int], like: Tensor
) -> dict[str, TorchDistributionMixin]:
    """`N(0, projector_scale^2 / H)` by site, in the dtype and on the device of `like`.

    widths: H of the student's layers by path
    """
    found: dict[str, TorchDistributionMixin] = {}
    for hint in hints.hints:
        inputs = widths[hint.student_layer]
        shape = torch.Size((hint.width, inputs))
        found[hint.projector] = SharedNormal(0.0, hints.projector_scale / math.sqrt(inputs), shape, like)
    return found


def projected(
    hints: FeatureTransfer, projectors: Mapping[str, Tensor], layers: Mapping[str, Tensor]
) -> list[Tensor]:
    """`P h` of every hint, `[n, F]`; projectors by site, layers `[n, H]` by path."""
    return [layers[hint.student_layer] @ projectors[hint.projector].T for hint in hints.hints]
