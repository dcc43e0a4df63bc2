"""The teachers' mixture that fits held-out labels best (stacking: Yao, Vehtari, Simpson, Gelman 2018, in spirit)."""

from dataclasses import dataclass

from torch import Tensor

from mtbkd.errors import require_positive
from mtbkd.rules import HeldOut
from mtbkd.teachers.bank import TeacherBank
from mtbkd.teachers.stacked import TOLERANCE, stack
from mtbkd.weighting.labels import held_out_scores
from mtbkd.weighting.uniform import uniform


@dataclass(frozen=True)
class StackingConfig:
    """tolerance: nats of mean log score that the weights may fall short of the best ones."""

    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        require_positive(**{"weighting.tolerance": self.tolerance})


def stacking(
    bank: TeacherBank,
    labels: Tensor | None = None,
    held_out: HeldOut | None = None,
    tolerance: float = TOLERANCE,
) -> Tensor:
    """Weights `[N, M]`, the same at every row, at temperature 1.

        max_w  mean_i log sum_m w_m p_m(y_i)      over w >= 0, sum_m w_m = 1,  i the held-out labels

    by EM, to within `tolerance` of the maximum (`mtbkd.teachers.stacked`). Of teachers that say the same only the sum
    of the weights is determined; they share it. One teacher: 1.
    held_out: the same teachers at rows that none was trained on; the pool's labels are not used. Labels to which every
        teacher gives 0 are left out; raises `InputError` where none is left.
    """
    require_positive(tolerance=tolerance)
    if bank.num_teachers == 1:
        return uniform(bank)
    scores = held_out_scores("weighting 'stacking'", bank, held_out)
    return stack(scores, tolerance).float().repeat(bank.num_rows, 1)
