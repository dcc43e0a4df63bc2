"""What others may read on: predictions as plain arrays, and the draws for ArviZ."""

import logging
from pathlib import Path

import numpy as np
import torch

from mtbkd.configuration import RunConfig
from mtbkd.data.distillation import Rows
from mtbkd.evaluation.diagnostics import Kind
from mtbkd.posterior import Posterior
from mtbkd.problem import Problem, make_weight_prior
from mtbkd.summary.findings import Findings, Models

log = logging.getLogger("mtbkd")

MOST_TERMS = 10_000_000  # labels times draws: 40 MB, a second or two to write

DRAWS_ARE: dict[Kind, str] = {
    "exact": "draws of the posterior",
    "stochastic gradient": "draws of chains that no acceptance test corrects",
    "variational": "independent draws of a fitted approximation",
    "laplace": "independent draws of a normal at the MAP",
    "ensemble": "modes, one a chain, not draws of the posterior",
    "point": "one point, the MAP",
}


def save_predictions(path: Path, problem: Problem, findings: Findings) -> None:
    """What each model says of the inputs that it was not fitted to, as an npz without objects.

    class_names `[K]`, teacher_names `[M]`; for each SPLIT of validation, test and ood: SPLIT_ids `[n]`, SPLIT_y
    `[n]` (-1 unknown), SPLIT_MODEL_mean `[n, K]`, SPLIT_MODEL_total and SPLIT_MODEL_epistemic `[n]` in nats, and
    SPLIT_teachers `[M, n, K]` where every teacher covers the split.
    """
    arrays: dict[str, np.ndarray] = {
        "class_names": np.array(problem.data.class_names),
        "teacher_names": np.array(problem.prior.names),
    }
    for name, by_split in findings.students.items():
        for split, said in by_split.items():
            rows = problem.data.splits[split]
            arrays[f"{split}_ids"], arrays[f"{split}_y"] = rows.ids.astype(str), rows.y.numpy()
            arrays[f"{split}_{name}_mean"] = said.mean.numpy()
            arrays[f"{split}_{name}_total"] = said.total.numpy()
            arrays[f"{split}_{name}_epistemic"] = said.epistemic.numpy()
    for split, teachers in findings.teachers.items():
        arrays[f"{split}_teachers"] = torch.stack([said.mean for said in teachers.values()]).numpy()
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    temporary.replace(path)


def save_inference_data(
    path: Path, config: RunConfig, problem: Problem, models: Models, findings: Findings
) -> None:
    """The Bayesian student's draws in function space as netCDF, with its prior, the log-likelihood of its labels and
    what the teachers say at the same inputs."""
    student, rows = models.student, findings.rows
    kind = findings.diagnostics.kind
    assert student.skeleton is not None
    assert kind is not None
    bank = problem.banks.get("test" if len(problem.data.test) else "pool")
    said = None if bank is None else {"probs": bank.take(torch.arange(len(rows))).completed_probs().numpy()}
    without = why_no_log_likelihood(problem.data.pool, student, kind)
    if without is not None:
        log.info("%s: no log-likelihood of the labels: %s", path.name, without)
    drawn = student.to_arviz(
        rows.x,
        ids=rows.ids.astype(str).tolist(),
        class_names=problem.data.class_names,
        y=rows.y,
        fitted_to=problem.data if without is None else None,
        weight_prior=make_weight_prior(config.student, student.skeleton.module),
        teacher_names=problem.prior.names,
        teacher_data=said,
    )
    drawn.attrs["draws_are"] = DRAWS_ARE[kind]
    temporary = path.with_name(f".{path.name}")
    drawn.to_netcdf(str(temporary))
    temporary.replace(path)


def why_no_log_likelihood(pool: Rows, student: Posterior, kind: Kind) -> str | None:
    """Why a run keeps no log-likelihood of each label and draw, None where it does."""
    labelled = pool.y >= 0
    numbers = int(labelled.sum()) * student.num_chains * student.num_draws
    if not numbers:
        return "there are no labels"
    if kind in ("point", "ensemble"):
        return f"{DRAWS_ARE[kind]} cannot be reweighted to leave one out"
    if student.posterior_temperature != 1:
        return (
            f"draws are of p^(1/T) with posterior_temperature={student.posterior_temperature:g}, and to leave one out "
            "by reweighting them would be wrong"
        )
    if bool((labelled & pool.made).any()):
        return "rows that augmentation made have labels too, which tell what is left out"
    if numbers > MOST_TERMS:
        return (
            f"{numbers:,} numbers are more than {MOST_TERMS:,}; Posterior.to_arviz(fitted_to=...) gives them"
        )
    return None
