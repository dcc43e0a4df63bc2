"""Which arm is best, by validation rows alone: to choose by test scores would be to train on them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mtbkd.comparison.arms import Arm
from mtbkd.comparison.pairs import difference, same_rows

SCORE = "validation_nll"


@dataclass(frozen=True)
class Choice:
    """The arm of the smallest mean validation NLL.

    best: None where there is no choice, and why says why; seeds: those it was made on
    candidates: how many there were; even: those that the same rows do not tell apart from the best
    """

    best: Arm | None
    why: str = ""
    seeds: tuple[int, ...] = ()
    candidates: int = 0
    even: tuple[Arm, ...] = ()


def choose(arms: Sequence[Arm]) -> Choice:
    """The best of the arms that have validation scores, on the seeds that all of these have."""
    scored = {id(arm): arm.values(SCORE) for arm in arms}
    candidates = [arm for arm in arms if scored[id(arm)]]
    if not candidates:
        return Choice(None, "the runs have no validation scores")
    if len(candidates) < 2:
        return Choice(None, "one alone has validation scores")
    seeds = sorted(set.intersection(*(set(scored[id(arm)]) for arm in candidates)))
    if not seeds:
        return Choice(None, "no seed is common to all")
    first = candidates[0]
    if not all(same_rows(arm, first, seed, "validation") for arm in candidates[1:] for seed in seeds):
        return Choice(None, "their validation rows are not the same")

    def mean(arm: Arm) -> float:
        return math.fsum(scored[id(arm)][seed] for seed in seeds) / len(seeds)

    best = min(candidates, key=mean)
    if not math.isfinite(mean(best)):
        return Choice(None, "each gave a validation row's true class no probability at all")
    return Choice(best, "", tuple(seeds), len(candidates), tuple(even_with(best, candidates, seeds)))


def even_with(best: Arm, candidates: Sequence[Arm], seeds: Sequence[int]) -> list[Arm]:
    """Those whose paired difference in validation NLL to the best one has 0 in its interval, or has no interval."""
    own = Arm(best.settings, best.model, {seed: best.runs[seed] for seed in seeds})
    found = []
    for arm in candidates:
        told = None if arm is best else difference(arm, own, SCORE)
        if told is not None and not told.excludes_zero:
            found.append(arm)
    return found
