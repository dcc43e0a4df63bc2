"""A Bayesian teacher counts the more, the less its own draws disagree: by what it does not know, not by noise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.complement import complement

# Nats below which the difference of two entropies is rounding, and no disagreement.
ROUNDING = 1e-12


@dataclass(frozen=True)
class MutualInformationConfig:
    """Nothing to choose: the entropies are taken at temperature 1."""


def mutual_information(bank: TeacherBank, labels: Tensor | None = None) -> Tensor:
    """Weights `[N, M]` by the mutual information of label and weights in each teacher's posterior.

        I_m = H[mean_s p_ms] - mean_s H[p_ms],    w_m = (1 - I_m / sum_j I_j) / (M - 1)

    One teacher, or a row where every I is 0, gets uniform weights. I of a teacher that knows only some classes is of
    these.
    Raises `InputError` where a teacher has no draws: beside Bayesian ones its 0 would be taken for knowledge.
    """
    points = [f"'{name}'" for name, drawn in zip(bank.names, bank.bayesian, strict=True) if not drawn]
    if points:
        raise InputError(
            f"weighting 'mutual_information': no draws of a posterior from point teachers {', '.join(points)}; "
            "give teachers that have draws, leave these out, or choose weighting 'entropy'"
        )
    columns = []
    for m in range(bank.num_teachers):
        probs = bank.draw_probs(m).double()
        total, expected = _entropy(probs.mean(0)), _entropy(probs).mean(0)
        columns.append(total - expected)
    information = torch.stack(columns, -1)
    return complement(torch.where(information > ROUNDING, information, 0.0)).float()


def _entropy(probs: Tensor) -> Tensor:
    return torch.special.entr(probs).sum(-1)
