"""Labels as the rules of weighting use them: those of the pool, and those that no teacher was trained on."""

import logging

import torch
from torch import Tensor

from mtbkd.data.distillation import check_labels
from mtbkd.errors import InputError
from mtbkd.rules import HeldOut, held_out_rows
from mtbkd.teachers.bank import TeacherBank
from mtbkd.teachers.label_scores import label_scores

log = logging.getLogger("mtbkd")

# The cross-entropy of a label of probability 0: more than float32 logits can cost, and no infinity, of which a softmax
# makes NaN.
IMPOSSIBLE = 1e300


def pool_labels(rule: str, bank: TeacherBank, labels: Tensor | None) -> Tensor:
    """`[N]` labels of the pool, -1 where unlabelled, and everywhere for None; raises `InputError` for what is none."""
    if labels is None:
        return torch.full((bank.num_rows,), -1)
    if tuple(labels.shape) != (bank.num_rows,):
        raise InputError(
            f"{rule}: labels have shape {tuple(labels.shape)} for {bank.num_rows} rows; give one a row, "
            "-1 where unlabelled"
        )
    check_labels(rule, labels, bank.num_classes)
    return labels


def label_losses(bank: TeacherBank, labels: Tensor) -> Tensor:
    """`[N, M]` float64, the cross-entropy CE(z_m(x_i), y_i) of each teacher, at most `IMPOSSIBLE`; labels `[N]`."""
    return -label_scores(bank, labels).clamp(min=-IMPOSSIBLE)


def held_out_scores(rule: str, bank: TeacherBank, held_out: HeldOut | None) -> Tensor:
    """`[n, M]` float64, log p_m(y_i) at the held-out labels to which any teacher gives more than probability 0.

    Raises `InputError` where nothing is held out, and where no such label is left.
    """
    rows = held_out_rows(rule, bank, held_out)
    scores = label_scores(rows.bank, rows.labels)
    possible = (scores > -torch.inf).any(-1)
    if not bool(possible.any()):
        raise InputError(
            f"{rule}: all teachers give the label of every held-out row probability 0; "
            "check the order of their classes, or choose another weighting"
        )
    if left_out := int((~possible).sum()):
        log.info("%s: %d held-out rows to which all teachers give 0 are left out", rule, left_out)
    return scores[possible]
