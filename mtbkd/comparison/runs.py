"""Runs as their folders tell them: settings, what they were made from, scores, errors, the command to do them again."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtbkd.configuration import differing, flatten
from mtbkd.errors import InputError
from mtbkd.run_directory import read_record
from mtbkd.sweep import outcomes

STUDENTS = ("student", "kd_student", "label_only_student")
MODELS = (*STUDENTS, "teacher_ensemble")
# What was spent on a model alone; a MAP that the student starts from is part of its cost.
FITTED_IN = {
    "student": ("student_s", "kd_student_s"),
    "kd_student": ("kd_student_s",),
    "label_only_student": ("label_only_student_s",),
}
# In .hydra/hydra.yaml: the run's place in its sweep.
NUMBER = re.compile(r"^  job:\n(?:    .*\n)*?    num: (\d+)$", re.M)


@dataclass(frozen=True)
class Run:
    """One run.

    name: its folder, below the one that was given; folder: None where it left none
    config: settings by dotted keys; inputs: hashes of what it was made from, by what it is
    scores: numbers by model and name, an infinite NLL as inf; seconds: of all its stages
    number: its place in its sweep, None outside one; ended: UNIX time of its end
    """

    name: str
    folder: Path | None
    state: str
    config: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    command: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    diagnostics: str | None = None
    seconds: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    number: int | None = None
    ended: float = 0.0

    @property
    def seed(self) -> int:
        """Of split, teachers and student."""
        return int(self.config.get("seed", 0))

    @property
    def finished(self) -> bool:
        """Whether it has scores."""
        return self.state == "finished"


def read_runs(folders: Iterable[Path | str]) -> list[Run]:
    """All runs below the folders, in the order of the folders and of the sweeps in them; each folder's once.

    A run that a sweep refused has left no folder, or found there a run of another configuration, which is then no part
    of the sweep. Raises `InputError` where there is no run, or no such folder.
    """
    places = [Path(folder) for folder in folders]
    found: dict[Any, Run] = {}
    for place in places:
        if not place.is_dir():
            raise InputError(
                f"'{place}' is no folder; give folders of runs, such as hydra.sweep.dir of a sweep"
            )
        title = f"{place.resolve().name}/" if len(places) > 1 else ""
        below = [read_run(path.parent, title, place) for path in sorted(place.rglob("run.json"))]
        refused = refused_in(place, title, below)
        turned_away = {run.name for run in refused}
        kept = [run for run in below if run.name not in turned_away] + refused
        for run in sorted(kept, key=lambda run: (math.inf if run.number is None else run.number, run.name)):
            found.setdefault(run.folder.resolve() if run.folder else (place.resolve(), run.name), run)
    if not found:
        raise InputError(f"no run.json below {', '.join(map(str, places))}; give folders of runs")
    return list(found.values())


def refused_in(place: Path, title: str, below: list[Run]) -> list[Run]:
    """The runs that the sweep in this folder refused, unless they were done since, and those it cannot tell of."""
    done = {run.name: run for run in below}
    numbers = {run.number for run in below}
    refused = []
    for number, told in enumerate(outcomes(place)):
        name = title + told.run
        if told.state == "bad input" and (name not in done or differing(told.config, done[name].config)):
            config = flatten(told.config)
            refused.append(Run(name, None, told.state, config, told.error, told.command, number=number))
        elif told.state == "damaged" and number not in numbers:
            refused.append(Run(name, None, told.state, error=told.error, number=number))
    return refused


def read_run(folder: Path, title: str, place: Path) -> Run:
    """One run; a damaged one with its error."""
    below = folder.relative_to(place).as_posix()
    name = title + below if below != "." else title.rstrip("/") or folder.resolve().name
    try:
        record = read_record(folder)
        assert record is not None
        metrics = read_metrics(folder) if record["state"] == "finished" else {}
        return run_of(name, folder, record, metrics)
    except (InputError, OSError) as error:
        return Run(name, folder, "damaged", error=str(error))
    except (AttributeError, TypeError, ValueError) as error:  # something inside is not what a run writes
        told = (
            f"run.json or metrics.json in '{folder}' is damaged ({error}); do the run again with fresh=true"
        )
        return Run(name, folder, "damaged", error=told)


def read_metrics(folder: Path) -> Mapping[str, Any]:
    """What a finished run's metrics.json says; raises `InputError` for a damaged one."""
    path = folder / "metrics.json"
    try:
        metrics = json.loads(path.read_text())
        if not isinstance(metrics, dict):
            raise ValueError("no mapping")
    except ValueError as error:
        raise InputError(f"'{path}' is damaged ({error}); do the run again with fresh=true") from error
    return metrics


def run_of(name: str, folder: Path, record: Mapping[str, Any], metrics: Mapping[str, Any]) -> Run:
    """One run of what its run.json and metrics.json say."""
    return Run(
        name,
        folder,
        # No process is known to be at work on it.
        "unfinished" if record["state"] == "running" else record["state"],
        flatten(record["config"]),
        record.get("error", ""),
        record.get("command", ""),
        record.get("inputs", {}),
        scores_of(metrics),
        (metrics.get("diagnostics") or {}).get("verdict"),
        sum(seconds_of(metrics).values()) if metrics else None,
        metrics.get("versions") or {},
        number_of(folder),
        record.get("ended") or (folder / "run.json").stat().st_mtime,
    )


def number_of(folder: Path) -> int | None:
    """The run's place in its sweep, None outside one."""
    try:
        found = NUMBER.search((folder / ".hydra" / "hydra.yaml").read_text())
    except OSError:
        return None
    return int(found[1]) if found else None


def seconds_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The seconds of each stage, by `STAGE_s`."""
    timing = metrics.get("timing") or {}
    return {name: value for name, value in timing.items() if name.endswith("_s") and value is not None}


def scores_of(metrics: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """All numbers of each model by dotted names: on test rows, `validation_*` on validation rows, and `fit_s`.

    A setting is to be chosen by `validation_nll`, never by the scores on test rows beside it.
    """
    seconds = seconds_of(metrics)
    models = {name: metrics[name] for name in MODELS if metrics.get(name)}
    models |= {
        f"teacher {name}": values for name, values in (metrics.get("teachers") or {}).items() if values
    }
    found = {name: numbers(values) for name, values in models.items()}
    # Runs of an earlier version have no validation scores.
    for name, said in (metrics.get("validation") or {}).items():
        if said and name in found:
            found[name] |= {f"validation_{score}": value for score, value in numbers(said).items()}
    for name, stages in FITTED_IN.items():
        if name in found and stages[0] in seconds:
            found[name]["fit_s"] = sum(seconds.get(stage, 0.0) for stage in stages)
    return found


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among one model's scores; its NLL is inf where it is scored, but not by a finite number."""
    found = {
        name: float(value)
        for name, value in flatten(values).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    if values.get("accuracy") is not None and "nll" in values and values["nll"] is None:
        found["nll"] = math.inf
    return found
