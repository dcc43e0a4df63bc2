"""The named parts of the student's log joint under its posterior: what pulls, and how much it weighs."""

from collections.abc import Mapping

import torch

from mtbkd.configuration import RunConfig
from mtbkd.data.distillation import DistillationData
from mtbkd.density import Density
from mtbkd.posterior import Posterior
from mtbkd.problem import Problem, make_student
from mtbkd.report.content import FoundTable
from mtbkd.students.student import Student

# Draws that the parts are averaged over, and rows that they are taken of: each draw costs one pass over those.
DRAWS, ROWS = 10, 2048
CALLED = {"teachers": "Teachers", "labels": "Labels", "weights": "Prior on the weights"}


def log_joint(config: RunConfig, problem: Problem, posterior: Posterior) -> dict[str, float]:
    """Mean over draws of each part of the log joint of the whole pool, in nats (from evenly spread rows, where there
    are many); constants in theta are left out of the teachers' part.

    `weights` is the sum over all sites that are sampled; every factor and observed site stands under its own name.
    """
    student = make_student(config, problem.data, problem.prior, problem.hints)
    return log_joint_of(student, problem.data, posterior)


def log_joint_of(student: Student, data: DistillationData, posterior: Posterior) -> dict[str, float]:
    """The same of a student that is at hand."""
    density = Density(student, student.rows(data))
    drawn = {name: v.flatten(0, 1) for name, v in posterior.thin(DRAWS).samples().items()}
    n = min(ROWS, density.num_rows)
    batch = density.batch(torch.arange(n) * density.num_rows // n)
    found: dict[str, float] = {}
    for name, values in density.terms(density.flatten(drawn), batch).items():
        part = "weights" if name in drawn else name
        found[part] = found.get(part, 0.0) + float(values.mean())
    return found


def log_joint_tables(found: Mapping[str, float] | None) -> tuple[FoundTable, ...]:
    """A row a part; no table where the parts were not looked at."""
    if found is None:
        return ()
    rows = tuple((CALLED.get(name, name), f"{value:,.1f}") for name, value in found.items())
    table = FoundTable(
        "What the posterior is made of",
        "Each part of the student's log joint, in nats: its mean under the posterior, over the whole pool. Parts may "
        "be of any size; what matters is that each is there.",
        ("Part", "Nats"),
        rows,
    )
    return (table,)
