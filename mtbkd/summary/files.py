"""What others may read on: predictions as plain arrays, and the draws for ArviZ."""

from pathlib import Path

import numpy as np
import torch

from mtbkd.problem import Problem
from mtbkd.summary.findings import Findings, Models


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


def save_inference_data(path: Path, problem: Problem, models: Models, findings: Findings) -> None:
    """The Bayesian student's draws in function space as netCDF, with what the teachers say at the same inputs."""
    rows = findings.rows
    bank = problem.banks.get("test" if len(problem.data.test) else "pool")
    said = None if bank is None else {"probs": bank.take(torch.arange(len(rows))).completed_probs().numpy()}
    drawn = models.student.to_arviz(
        rows.x,
        ids=rows.ids.astype(str).tolist(),
        class_names=problem.data.class_names,
        y=rows.y,
        teacher_names=problem.prior.names,
        teacher_data=said,
    )
    temporary = path.with_name(f".{path.name}")
    drawn.to_netcdf(str(temporary))
    temporary.replace(path)
