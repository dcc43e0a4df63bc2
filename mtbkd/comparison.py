"""Runs side by side: one row a run, whatever folder or machine it lies on."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtbkd.configuration import INCIDENTAL, flatten
from mtbkd.errors import InputError
from mtbkd.run_directory import read_record
from mtbkd.sweep import Outcome

if TYPE_CHECKING:
    from pandas import DataFrame

SCORES = ("accuracy", "nll", "brier", "ece", "parameters", "stored_bytes", "latency_ms")
MODELS = ("student", "kd_student", "label_only_student", "teacher_ensemble")


def compare(folders: Iterable[Path], refused: Sequence[Outcome] = ()) -> "DataFrame":
    """A table of all runs below the folders: their state, what differs in their configuration, scores, errors.

    refused: runs that left no folder, or found another's there, by what they told
    Raises `InputError` where there is no run.
    """
    import pandas as pd

    folders = list(folders)
    found = [entry for folder in folders for entry in runs_below(folder)]
    turned_away = {outcome.run for outcome in refused}
    kept = [entry for entry in found if entry["run"] not in turned_away]
    kept += [
        {"run": o.run, "state": o.state, "config": flatten(o.config), "scores": {}, "error": o.error}
        for o in refused
    ]
    if not kept:
        raise InputError(f"no run.json below {', '.join(map(str, folders))}; give folders of runs")
    keys = sorted({key for entry in kept for key in entry["config"]} - set(INCIDENTAL))
    varied = [key for key in keys if len({json.dumps(e["config"].get(key), default=str) for e in kept}) > 1]
    return pd.DataFrame(
        {
            "run": entry["run"],
            "state": entry["state"],
            **{key: entry["config"].get(key) for key in varied},
            **entry["scores"],
            "error": entry["error"],
        }
        for entry in sorted(kept, key=lambda entry: str(entry["run"]))
    )


def runs_below(folder: Path) -> list[dict[str, Any]]:
    """The runs below a folder: name, state, flat configuration, scores, error; a damaged one with its error."""
    found = []
    for path in sorted(folder.rglob("run.json")):
        entry: dict[str, Any] = {"run": path.parent.relative_to(folder).as_posix(), "scores": {}, "error": ""}
        try:
            record = read_record(path.parent)
            assert record is not None
            entry |= {"state": record["state"], "config": flatten(record["config"])}
            entry["error"] = record.get("error", "")
            entry["scores"] = scores(path.parent) if record["state"] == "finished" else {}
        except (InputError, ValueError) as error:
            entry |= {"state": "damaged", "config": {}, "error": str(error)}
        found.append(entry)
    return found


def scores(folder: Path) -> dict[str, Any]:
    """The main scores of each model, `MODEL.SCORE`, with the diagnostics' verdict and the seconds of all stages.

    A setting is to be chosen by `MODEL.validation_nll`, never by the scores on test rows beside it.
    """
    metrics = json.loads((folder / "metrics.json").read_text())
    found = {
        f"{model}.{score}": metrics[model].get(score)
        for model in MODELS
        if metrics.get(model)
        for score in SCORES
    }
    # Runs of an earlier version have none.
    for model, said in (metrics.get("validation") or {}).items():
        if said:
            found[f"{model}.validation_nll"] = said.get("nll")
    seconds = sum(value for name, value in metrics["timing"].items() if name.endswith("_s"))
    return {**found, "diagnostics": metrics["diagnostics"]["verdict"], "seconds": seconds}
