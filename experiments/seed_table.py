"""Runs that differ by seed alone, as one table: mean and 95 % t interval of each model's scores.

    python -m experiments.seed_table FOLDER [--csv experiments/results/NAME.csv]

FOLDER holds finished runs, such as a sweep over seeds: `mtbkd -m seed=0,1,2,3,4 hydra.sweep.dir=FOLDER`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

SCORES = ("accuracy", "nll", "brier", "ece")
STUDENTS = {
    "teacher_ensemble": "teacher ensemble",
    "label_only_student": "student, labels only",
    "kd_student": "student, plain KD",
    "student": "Bayesian student",
}


def read_runs(folder: Path) -> pd.DataFrame:
    """One row a model and run: model, seed, scores, and whether the ECE lies within its band."""
    rows = []
    for path in sorted(folder.rglob("metrics.json")):
        metrics = json.loads(path.read_text())
        seed = json.loads((path.parent / "run.json").read_text())["config"]["seed"]
        models = {name: metrics["teachers"][name] for name in metrics["teachers"]}
        models |= {title: metrics[key] for key, title in STUDENTS.items() if metrics.get(key)}
        for name, found in models.items():
            row = {"model": name, "seed": seed, **{score: found.get(score) for score in SCORES}}
            row["ece_band_high"] = found.get("ece_band_high")
            ood = (found.get("ood") or {}).get("total")
            rows.append({**row, "ood_auroc": ood["auroc"] if ood else None})
    if not rows:
        sys.exit(f"no metrics.json below {folder}; give the folder of finished runs")
    return pd.DataFrame(rows)


def interval(values: Sequence[float]) -> str:
    """`mean ± half-width` of the 95 % t interval; `∞` where a run has no finite score."""
    found = np.asarray(values, float)
    if np.isnan(found).any():
        return "∞"
    if len(found) < 2:
        return f"{found.mean():.3f}"
    half = stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
    return f"{found.mean():.3f} ± {half:.3f}"


def markdown(runs: pd.DataFrame) -> str:
    """The table, a row a model in the order of the runs."""
    lines = ["| model | accuracy | NLL | Brier | ECE | ECE in its 95 % band |", "|---|---|---|---|---|---|"]
    for name in dict.fromkeys(runs["model"]):
        own = runs[runs["model"] == name]
        cells = [interval(own[score]) for score in SCORES]
        inside = int((own["ece"] <= own["ece_band_high"]).sum())
        lines.append(f"| {name} | {' | '.join(cells)} | {inside} of {len(own)} |")
    auroc = runs.loc[runs["model"] == STUDENTS["student"], "ood_auroc"].dropna()
    if len(auroc):
        lines += ["", f"OOD AUROC of the Bayesian student by total uncertainty: {interval(auroc)}"]
    return "\n".join(lines)


def main() -> None:
    """Print the table, and keep the figures behind it where told."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--csv", type=Path, help="write the figures of each seed here")
    arguments = parser.parse_args()
    runs = read_runs(arguments.folder)
    print(markdown(runs))
    if arguments.csv:
        arguments.csv.parent.mkdir(parents=True, exist_ok=True)
        runs.to_csv(arguments.csv, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
