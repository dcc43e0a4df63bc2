"""Can the draws be believed? What every diagnosis says, whatever the engine.

Weights of a network are not identifiable (permutations, signs), so engines are judged by what is: the log
density and the predictive probabilities at held-out inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Verdict = Literal["converged", "doubtful", "not converged", "not applicable"]

# What an engine gives: draws of the posterior, but for Monte Carlo error; draws of chains that no acceptance test
# corrects; of a fitted approximation; of a normal at the MAP; modes; one mode.
Kind = Literal["exact", "stochastic gradient", "variational", "laplace", "ensemble", "point"]

Numbers = dict[str, float | int | None]


@dataclass(frozen=True)
class Diagnostics:
    """Whether inference converged.

    verdict: converged, doubtful, not converged, or not applicable (nothing that could converge)
    words: one sentence a finding: what, why, what to do; the first carries the verdict
    numbers: by name, None where undefined
    kind: of engine, None where unknown
    """

    verdict: Verdict
    words: list[str]
    numbers: Numbers = field(default_factory=dict)
    kind: Kind | None = None


def not_applicable(reason: str, kind: Kind | None = None) -> Diagnostics:
    """Diagnostics of something that has no chains and no trace."""
    return Diagnostics("not applicable", [reason], kind=kind)


def finite_or_none(numbers: Mapping[str, float | int | None]) -> Numbers:
    """The same with None in the place of what is NaN or infinite, which JSON has not."""
    return {name: value if value is None or np.isfinite(value) else None for name, value in numbers.items()}
