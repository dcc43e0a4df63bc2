"""A teacher counts as often as it is right on labels that none was trained on (UEKD, as a blog retells it)."""

from dataclasses import dataclass

from torch import Tensor

from mtbkd.rules import HeldOut, held_out_rows
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.uniform import uniform


@dataclass(frozen=True)
class AccuracyConfig:
    """Nothing to choose."""


def accuracy(bank: TeacherBank, labels: Tensor | None = None, held_out: HeldOut | None = None) -> Tensor:
    """Weights `[N, M]`, the same at every row: w_m ∝ share of held-out labels that are m's most probable class.

    Of classes that are equally probable the first counts. One teacher, or none that is ever right: uniform.
    held_out: the same teachers at rows that none was trained on; the pool's labels are not used
    """
    if bank.num_teachers == 1:
        return uniform(bank)
    rows = held_out_rows("weighting 'accuracy'", bank, held_out)
    right = (rows.bank.completed_probs().argmax(-1) == rows.labels).sum(-1)  # [M]
    total = int(right.sum())
    return (right / total).repeat(bank.num_rows, 1) if total else uniform(bank)
