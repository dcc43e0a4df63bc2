"""Runs side by side: one row a run, whatever folder or machine it lies on."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtbkd.errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame

SCORES = ("accuracy", "nll", "brier", "ece", "parameters", "stored_bytes", "latency_ms")
MODELS = ("student", "kd_student", "label_only_student", "teacher_ensemble")


def compare(folders: Iterable[Path]) -> "DataFrame":
    """A table of all runs below the folders: what differs in their configuration, their scores, their errors.

    Raises `InputError` where there is no run.
    """
    import pandas as pd

    records = [
        (path.parent, json.loads(path.read_text())) for f in folders for path in sorted(f.rglob("run.json"))
    ]
    if not records:
        raise InputError(f"no run.json below {[str(f) for f in folders]}; give folders of runs")
    flat = [flatten(record["config"]) for _, record in records]
    keys = sorted({key for one in flat for key in one})
    varied = [key for key in keys if len({json.dumps(one.get(key), default=str) for one in flat}) > 1]
    rows = []
    for (folder, record), config in zip(records, flat, strict=True):
        row = {"run": folder.name, "state": record["state"]}
        row |= {key: config.get(key) for key in varied}
        row |= scores(folder)
        row["error"] = record.get("error", {}).get("message", "")
        rows.append(row)
    return pd.DataFrame(rows)


def scores(folder: Path) -> dict[str, Any]:
    """The main scores of each model, `MODEL.SCORE`, nothing where the run has no metrics."""
    path = folder / "metrics.json"
    if not path.exists():
        return {}
    metrics = json.loads(path.read_text())
    found = {}
    for model in MODELS:
        values = metrics.get(model) or {}
        found |= {f"{model}.{score}": values.get(score) for score in SCORES if score in values}
    verdict = (metrics.get("diagnostics") or {}).get("verdict")
    return {**found, "diagnostics": verdict, "seconds": sum(v or 0 for v in metrics["timing"].values())}


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested configuration as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
