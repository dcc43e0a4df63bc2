"""What a run found of its teachers: `metrics.json`'s `teaching`, and the page's tables of the same.

Each finding is a function from the problem and the fitted student to plain numbers by teacher, and one from those to a
table; a finding that does not apply is None and left out.
"""

from collections.abc import Mapping
from typing import Any

import torch

from mtbkd.posterior import Posterior
from mtbkd.problem import Problem
from mtbkd.report.content import FoundTable
from mtbkd.summary.teacher_selection import selection, selection_table

Found = Mapping[str, Any]


def teaching(problem: Problem, student: Posterior) -> dict[str, Any]:
    """Everything that was found, by name, as plain numbers; None where it does not apply."""
    return {
        "weights": weights(problem),
        "trust": trust(problem),
        "selection": selection(problem),
    }


def teaching_tables(found: Found) -> tuple[FoundTable, ...]:
    """The tables of what `teaching` found."""
    tables = [selection_table(found["selection"]), trust_table(found["trust"])]
    return tuple(table for table in tables if table is not None)


# ---- weights -------------------------------------------------------------------------------------------------------
def weights(problem: Problem) -> dict[str, float]:
    """Each teacher's weight, the mean over the pool."""
    means = problem.prior.weights.double().mean(0).tolist()
    return dict(zip(problem.prior.names, means, strict=True))


# ---- learned trust -------------------------------------------------------------------------------------------------
def trust(problem: Problem) -> dict[str, dict[str, float]] | None:
    """What each teacher is worth, by labels that none was trained on: mean and 90 % interval of its posterior."""
    draws = problem.weights.found.get("trust")
    if draws is None:
        return None
    bounds = torch.quantile(draws.double(), torch.tensor([0.05, 0.95], dtype=torch.float64), dim=0)
    return {
        name: {"mean": float(draws[:, m].mean()), "lower": float(bounds[0, m]), "upper": float(bounds[1, m])}
        for m, name in enumerate(problem.prior.names)
    }


def trust_table(found: Found | None) -> FoundTable | None:
    """Posterior of the trust, a row a teacher."""
    if found is None:
        return None
    rows = tuple(
        (name, f"{said['mean']:.2f}", f"{said['lower']:.2f} to {said['upper']:.2f}")
        for name, said in found.items()
    )
    return FoundTable(
        "Learned trust",
        "What each teacher is worth, learned from labelled rows that none was trained on. Of teachers that say the "
        "same only the sum is known.",
        ("Teacher", "Mean", "90% interval"),
        rows,
    )
