"""Which teachers are worth asking: backward elimination by held-out log score, one teacher at a time.

A teacher is worth what the stacked mixture of all loses without it. Leaving each out once would drop both of two
duplicates, for neither is missed while the other stays; so one is dropped, all are judged anew without it, and so on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.t_interval import LEVEL, t_interval
from mtbkd.teachers.bank import TeacherBank, TeacherCost
from mtbkd.teachers.label_scores import label_scores
from mtbkd.teachers.stacked import mixture_scores, stack

FOLDS = 5
# A label that a teacher gives less counts as this: one impossible label would make every mean infinite.
FLOOR = 1e-4
# Nats a row that are no evidence and no rank: weights are found to so much, and two that say the same differ by it.
NEGLIGIBLE = 1e-5
_STACKED_TO = 1e-8


@dataclass(frozen=True)
class Gain:
    """What a teacher adds to others, in nats a row: the mean over rows, and the bounds of its 95 % interval."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Judgement:
    """What became of one teacher.

    gain: over those that were there with it when it was judged last, None for one that was left alone
    dropped: its place among those dropped, 1 the first; None where it is kept
    cost: what its inference takes, None where unknown
    """

    teacher: str
    gain: Gain | None
    dropped: int | None = None
    cost: TeacherCost | None = None


@dataclass(frozen=True)
class Selection:
    """The teachers in their order, and the number of labelled held-out rows that they were judged by."""

    judgements: tuple[Judgement, ...]
    rows: int

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the teachers that stay, at least one."""
        return tuple(one.teacher for one in self.judgements if one.dropped is None)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Names of the teachers that do not stay, the first dropped first."""
        order = sorted((one.dropped, one.teacher) for one in self.judgements if one.dropped is not None)
        return tuple(name for _, name in order)

    @property
    def saved(self) -> dict[str, float | None]:
        """Share of the cost of all teachers that the dropped ones had; None where a teacher's cost is unknown."""
        return {key: self._share(key) for key in ("parameters", "latency_ms", "seconds")}

    def _share(self, key: str) -> float | None:
        costs = {one.teacher: getattr(one.cost, key) for one in self.judgements if one.cost is not None}
        if len(costs) < len(self.judgements) or None in costs.values() or not sum(costs.values()):
            return None
        return float(sum(costs[name] for name in self.dropped) / sum(costs.values()))


def select_teachers(
    bank: TeacherBank, labels: Tensor, seed: int = 0, costs: Sequence[TeacherCost] | None = None
) -> Selection:
    """Drop the teacher that is missed least, as long as nothing shows that it is missed at all; one always stays.

        s_i(A) = log sum_{m in A} w_m p_m(y_i),   w stacked on the other folds' rows
        gain_m = mean_i [s_i(A) - s_i(A without m)],   with its paired Student-t interval over rows

    The candidate is the teacher with the smallest gain (of equal ones the last named); it is dropped unless the 95 %
    interval of its gain lies above 0, and all are judged again without it. The interval is over rows, at given folds
    and at each step anew: it says what is noise, and promises no error rate for the whole search.

    bank: the teachers at held-out rows, tempered as they will be used; labels: `[n]`, -1 where unlabelled; seed: of
    the folds; costs: of the teachers, `bank.costs` by default

    These rows are then used twice: a temperature, a weighting or learned trust fitted to the same labels sees teachers
    that were chosen for doing well on them. The scores of those kept are a little flattered there and the intervals of
    what is learned a little too narrow; test rows play no part, so what is reported on them is as honest as before.
    Raises `InputError` where fewer than two rows are labelled.
    """
    known = (labels >= 0).nonzero().flatten()
    if len(known) < 2:
        raise needs_labels(len(known))
    scores = label_scores(bank.take(known), labels[known]).clamp_min(math.log(FLOOR))
    order, gains = eliminate(scores, folds_of(len(known), seed))
    known_costs: Sequence[TeacherCost | None] = costs or bank.costs or [None] * bank.num_teachers
    places = {m: place for place, m in enumerate(order, start=1)}
    judgements = tuple(
        Judgement(name, gains.get(m), places.get(m), known_costs[m]) for m, name in enumerate(bank.names)
    )
    return Selection(judgements, len(known))


def needs_labels(found: int = 0) -> InputError:
    """What selection says without labels that no teacher has seen."""
    return InputError(
        f"teachers.select=auto: {found} labelled held-out rows, at least 2 are needed (some dozens to tell anything); "
        "give validation rows with labels that no teacher was trained on (data.validation_fraction, a split column), "
        "or write teachers.select=all"
    )


def eliminate(log_scores: Tensor, folds: Tensor) -> tuple[list[int], dict[int, Gain]]:
    """The columns dropped, in order, and each column's gain when it was judged last.

    log_scores: `[n, M]` finite log p_m(y_i); folds: `[n]` fold of each row
    """
    left = list(range(log_scores.shape[1]))
    order: list[int] = []
    gains: dict[int, Gain] = {}
    while len(left) > 1:
        judged = _gains(log_scores, left, folds)
        gains |= judged
        smallest = min(gain.mean for gain in judged.values())
        least = max(m for m in left if judged[m].mean <= smallest + NEGLIGIBLE)
        if judged[least].lower > NEGLIGIBLE:
            return order, gains
        left.remove(least)
        order.append(least)
    gains.pop(left[0], None)  # alone, it adds to nobody
    return order, gains


def _gains(log_scores: Tensor, left: Sequence[int], folds: Tensor) -> dict[int, Gain]:
    """What each of the columns that are left adds to the others."""
    together = cross_fitted(log_scores[:, list(left)], folds)
    without = {m: cross_fitted(log_scores[:, [j for j in left if j != m]], folds) for m in left}
    return {m: paired_gain(together - scores) for m, scores in without.items()}


def cross_fitted(log_scores: Tensor, folds: Tensor) -> Tensor:
    """Log score `[n]` of each row under the mixture stacked on the rows of all other folds; `[n, M]` -> `[n]`."""
    scores = log_scores.new_empty(len(log_scores))
    for fold in folds.unique():
        own = folds == fold
        scores[own] = mixture_scores(log_scores[own], stack(log_scores[~own], _STACKED_TO))
    return scores


def folds_of(n: int, seed: int, number: int = FOLDS) -> Tensor:
    """A fold 0..number-1 for each of n rows `[n]`, equally many in each, by chance; a row each where n is smaller."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    folds = torch.empty(n, dtype=torch.int64)
    folds[order] = torch.arange(n) % number
    return folds


def paired_gain(differences: Tensor, level: float = LEVEL) -> Gain:
    """Mean of paired differences `[n]`, n >= 2, and its t interval."""
    found = t_interval(differences.numpy(), level)
    return Gain(found.mean, found.low, found.high)
