"""Runs that differ by seed alone, as one table: mean and 95 % t interval of each model's scores.

    python -m experiments.seed_table FOLDER [--choose KEY] [--csv experiments/results/NAME.csv]

FOLDER holds finished runs, such as a sweep over seeds: `mtbkd -m seed=0,1,2,3,4 hydra.sweep.dir=FOLDER`. With
`--choose student.prior_scale` they differ in that setting too: for each seed and each student the value with the
smallest NLL on that seed's validation rows is taken, and that run's test scores enter the table. So all students are
tuned by the same grid and the same rows, and none by test scores. `--choose` may be given for several settings.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtbkd.configuration import differing, flatten
from mtbkd.errors import InputError, nearest
from mtbkd.t_interval import shown, t_interval

SCORES = ("accuracy", "nll", "brier", "ece")
ENSEMBLE = "teacher ensemble"
STUDENTS = {
    "label_only_student": "student, labels only",
    "kd_student": "student, plain KD",
    "student": "Bayesian student",
}


@dataclass(frozen=True)
class Run:
    """A finished run: its configuration with dotted keys, and its metrics.json."""

    folder: Path
    config: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def seed(self) -> int:
        """Of split, teachers and student."""
        return int(self.config["seed"])

    def setting(self, keys: Sequence[str]) -> tuple[Any, ...]:
        """Its values of these keys; lists as text."""
        values = (self.config[key] for key in keys)
        return tuple(json.dumps(value) if isinstance(value, list) else value for value in values)

    def row(self, title: str, found: dict[str, Any]) -> dict[str, Any]:
        """What the table needs of one model."""
        ood = (found.get("ood") or {}).get("total")
        return {
            "model": title,
            "seed": self.seed,
            **{score: found.get(score) for score in SCORES},
            "ece_band_high": found.get("ece_band_high"),
            "ood_auroc": ood["auroc"] if ood else None,
        }

    def teacher_rows(self) -> list[dict[str, Any]]:
        """The teachers and their ensemble."""
        rows = [self.row(name, found) for name, found in self.metrics["teachers"].items()]
        ensemble = self.metrics.get("teacher_ensemble")
        return [*rows, self.row(ENSEMBLE, ensemble)] if ensemble else rows

    def validation_nll(self, model: str) -> float:
        """A student's NLL on the validation rows, inf where it is not finite; `InputError` where there are none."""
        if "validation" not in self.metrics:
            raise InputError(f"'{self.folder}' has no validation scores; do the run again with fresh=true")
        if self.metrics["validation"] is None:
            raise InputError(
                f"'{self.folder}' has no labelled validation rows to choose by; set data.validation_fraction above 0"
            )
        nll = self.metrics["validation"][model]["nll"]
        return float("inf") if nll is None else float(nll)


def read_runs(folder: Path) -> list[Run]:
    """All runs below a folder, by seed; raises `InputError` for one that is not finished, or where there is none."""
    runs = []
    for path in sorted(folder.rglob("run.json")):
        record = json.loads(path.read_text())
        if record["state"] != "finished":
            raise InputError(f"'{path.parent}' is {record['state']}; finish the run, or remove its folder")
        metrics = json.loads((path.parent / "metrics.json").read_text())
        runs.append(Run(path.parent, flatten(record["config"]), metrics))
    if not runs:
        raise InputError(f"no run.json below {folder}; give the folder of finished runs")
    return sorted(runs, key=lambda run: run.seed)


def check_alike(runs: Sequence[Run], keys: Sequence[str]) -> None:
    """Raise `InputError` unless the runs are one for each seed and value of the keys, and the same in all else."""
    known = sorted(set.intersection(*(set(run.config) for run in runs)))
    for key in keys:
        if key not in known:
            raise InputError(f"--choose {key}: the runs have no such setting; {nearest(key, known)}")
    differ = sorted({key for run in runs for key in differing(runs[0].config, run.config)} - {"seed", *keys})
    if differ:
        raise InputError(
            f"the runs differ in {', '.join(differ)} besides the seed; have it chosen by --choose KEY, or give a "
            "folder in which they do not"
        )
    grid = {run.setting(keys) for run in runs}
    for seed in dict.fromkeys(run.seed for run in runs):
        own = [run.setting(keys) for run in runs if run.seed == seed]
        if len(own) > len(set(own)):
            raise InputError(
                f"seed {seed} has several runs of the same settings; give a folder with one of each"
            )
        if missing := grid - set(own):
            raise InputError(
                f"seed {seed} has no run with {told(keys, min(missing, key=str))}, others have; finish the sweep"
            )


def told(keys: Sequence[str], values: Sequence[Any]) -> str:
    """`KEY=VALUE` of each."""
    return " ".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))


def tabulate(runs: Sequence[Run], keys: Sequence[str] = ()) -> pd.DataFrame:
    """One row a model and seed, teachers first: scores on test rows; with keys, their chosen values and the
    validation NLL that these were chosen by.

    Raises `InputError` where the runs are not alike but for seed and keys, or cannot be chosen from.
    """
    check_alike(runs, keys)
    rows: list[dict[str, Any]] = []
    for seed in dict.fromkeys(run.seed for run in runs):
        own = sorted((run for run in runs if run.seed == seed), key=lambda run: order(run.setting(keys)))
        rows += teachers_of(own, keys)
        for model, title in STUDENTS.items():
            fitted = [run for run in own if run.metrics.get(model)]
            if not fitted:
                continue
            run = choose(fitted, model) if keys else fitted[0]
            row = run.row(title, run.metrics[model])
            if keys:
                row |= dict(zip(keys, run.setting(keys), strict=True))
                row["validation_nll"] = run.validation_nll(model)
            rows.append(row)
    return pd.DataFrame(rows)


def order(values: Sequence[Any]) -> list[tuple[bool, Any]]:
    """What sorts settings: numbers by size, before words."""
    return [(not isinstance(v, int | float), v if isinstance(v, int | float) else str(v)) for v in values]


def teachers_of(runs: Sequence[Run], keys: Sequence[str]) -> list[dict[str, Any]]:
    """The teachers' rows of one seed; raises `InputError` where they depend on what is chosen."""
    rows = runs[0].teacher_rows()
    for run in runs[1:]:
        for one, other in zip(rows, run.teacher_rows(), strict=True):
            figures = ([np.nan if row[s] is None else row[s] for s in SCORES] for row in (one, other))
            if not np.allclose(*figures, rtol=1e-6, atol=0, equal_nan=True):
                raise InputError(
                    f"'{one['model']}' scores otherwise with {told(keys, run.setting(keys))}; only settings "
                    "that leave the teachers as they are can be chosen here"
                )
    return rows


def choose(runs: Sequence[Run], model: str) -> Run:
    """The run in which a student has the smallest validation NLL, the first of equals."""
    best = min(runs, key=lambda run: run.validation_nll(model))
    if not np.isfinite(best.validation_nll(model)):
        raise InputError(
            f"seed {best.seed}: {STUDENTS[model]} has no finite validation NLL; give other settings"
        )
    return best


def interval(values: Sequence[float]) -> str:
    """`mean ± half-width` of the 95 % t interval; `∞` where a run has no finite score."""
    return shown(t_interval(values))


def markdown(table: pd.DataFrame, keys: Sequence[str] = ()) -> str:
    """The table, a row a model in the order of the runs; of each key the chosen values, seed by seed."""
    head = ["model", "accuracy", "NLL", "Brier", "ECE", "ECE in its 95 % band", *keys]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name in dict.fromkeys(table["model"]):
        own = table[table["model"] == name]
        cells = [interval(own[score]) for score in SCORES]
        inside = int((own["ece"] <= own["ece_band_high"]).sum())
        cells.append(f"{inside} of {len(own)}")
        cells += [", ".join(written(value) for value in own[key] if not pd.isna(value)) for key in keys]
        lines.append(f"| {' | '.join([name, *cells])} |")
    auroc = table.loc[table["model"] == STUDENTS["student"], "ood_auroc"].dropna()
    if len(auroc):
        lines += ["", f"OOD AUROC of the Bayesian student by total uncertainty: {interval(auroc)}"]
    return "\n".join(lines)


def written(value: object) -> str:
    """A chosen value; 3.0 is 3."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def how_chosen(runs: Sequence[Run], table: pd.DataFrame, keys: Sequence[str]) -> str:
    """From which values each student's were chosen and by what, and who chose an outermost one."""
    lines = []
    for key in keys:
        values = sorted({run.setting([key])[0] for run in runs}, key=lambda value: order([value]))
        lines.append(
            f"{key}: of {', '.join(map(written, values))}, by the NLL on each seed's own validation rows"
        )
        if len(values) < 3 or not all(isinstance(value, int | float) for value in values):
            continue
        for title in STUDENTS.values():
            chosen = table.loc[table["model"] == title, key]
            for edge in (values[0], values[-1]):
                if count := int((chosen == edge).sum()):
                    lines.append(
                        f"  at the grid's end {written(edge)}: {title}, {count} of {len(chosen)} seeds"
                    )
    return "\n".join(lines)


def main() -> None:
    """Print the table, and keep the figures behind it where told."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--choose", metavar="KEY", action="append", default=[], help="a setting chosen by validation NLL"
    )
    parser.add_argument("--csv", type=Path, help="write the figures of each seed here")
    arguments = parser.parse_args()
    keys = tuple(dict.fromkeys(arguments.choose))
    try:
        runs = read_runs(arguments.folder)
        table = tabulate(runs, keys)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(markdown(table, keys))
    if keys:
        print(f"\n{how_chosen(runs, table, keys)}")
    if arguments.csv:
        arguments.csv.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(arguments.csv, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
