"""What a run found of its teachers: `metrics.json`'s `teaching`, and the page's tables of the same.

Each finding is a function from the problem and the fitted student to plain numbers by teacher, and one from those to a
table; a finding that does not apply is None and left out.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mtbkd.draw_statistics import rhat
from mtbkd.posterior import Posterior
from mtbkd.problem import Problem
from mtbkd.report.content import FoundTable
from mtbkd.summary.teacher_selection import selection, selection_table
from mtbkd.summary.teacher_sensitivity import sensitivity_table, teacher_sensitivity

Found = Mapping[str, Any]


def teaching(problem: Problem, student: Posterior, x: Tensor) -> dict[str, Any]:
    """Everything that was found, by name, as plain numbers; None where it does not apply.

    x: a few held-out inputs, at which it is told what the student's answer hangs on
    """
    return {
        "weights": weights(problem),
        "temperatures": temperatures(problem),
        "trust": trust(problem),
        "sensitivity": teacher_sensitivity(problem, student, x),
        "selection": selection(problem),
    }


def teaching_tables(found: Found) -> tuple[FoundTable, ...]:
    """The tables of what `teaching` found."""
    tables = [
        selection_table(found["selection"]),
        temperature_table(found["temperatures"]),
        trust_table(found["trust"]),
        sensitivity_table(found["sensitivity"]),
    ]
    return tuple(table for table in tables if table is not None)


# ---- weights -------------------------------------------------------------------------------------------------------
def weights(problem: Problem) -> dict[str, float]:
    """Each teacher's weight, the mean over the pool."""
    means = problem.prior.weights.double().mean(0).tolist()
    return dict(zip(problem.prior.names, means, strict=True))


def temperatures(problem: Problem) -> dict[str, float]:
    """What each teacher's logits were divided by, the mean over the pool where each row has its own."""
    named = problem.temperatures
    return {name: float(named[name].double().mean()) for name in problem.prior.names if name in named}


def temperature_table(found: Found) -> FoundTable | None:
    """A row a teacher; none where all are heard as they speak."""
    if all(tau == 1 for tau in found.values()):
        return None
    return FoundTable(
        "Temperatures",
        "What each teacher's logits were divided by before it was heard, the mean over inputs: above 1 it speaks more "
        "softly, below 1 more sharply.",
        ("Teacher", "Temperature"),
        tuple((name, f"{tau:.2f}") for name, tau in found.items()),
    )


# ---- learned trust -------------------------------------------------------------------------------------------------
def trust(problem: Problem) -> dict[str, dict[str, float]] | None:
    """What each teacher is worth, by labels that none was trained on: mean and 90 % interval of its posterior, and the
    R-hat of its chains."""
    found = problem.weights.found
    if "trust" not in found:
        return None
    draws = found["trust"].double()
    bounds = torch.quantile(draws, torch.tensor([0.05, 0.95], dtype=torch.float64), dim=0)
    mixed = rhat(draws.unflatten(0, (int(found["trust_chains"]), -1)).numpy())
    return {
        name: {
            "mean": float(draws[:, m].mean()),
            "lower": float(bounds[0, m]),
            "upper": float(bounds[1, m]),
            "rhat": float(mixed[m]),
        }
        for m, name in enumerate(problem.prior.names)
    }


def trust_table(found: Found | None) -> FoundTable | None:
    """Posterior of the trust, a row a teacher."""
    if found is None:
        return None
    rows = tuple(
        (
            name,
            f"{said['mean']:.2f}",
            f"{said['lower']:.2f} to {said['upper']:.2f}",
            "unknown" if said["rhat"] is None else f"{said['rhat']:.2f}",
        )
        for name, said in found.items()
    )
    return FoundTable(
        "Learned trust",
        "What each teacher is worth, learned from labelled rows that none was trained on. Of teachers that say the "
        "same only the sum is known. An R-hat well above 1.01 asks for more draws of the trust.",
        ("Teacher", "Mean", "90% interval", "R-hat"),
        rows,
    )
