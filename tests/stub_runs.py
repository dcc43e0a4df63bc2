"""Folders of runs without runs: what run.json and metrics.json say, chosen by a test."""

import json
from pathlib import Path
from typing import Any

SCORES = {"accuracy": 0.9, "nll": 0.3, "brier": 0.1, "ece": 0.02}
COSTS = {"parameters": 10, "stored_bytes": 40, "latency_ms": 0.5}


def write_run(
    folder: Path,
    seed: int = 0,
    weighting: str = "uniform",
    nll: float | None = 0.3,
    validation: float | None = 0.25,
    state: str = "finished",
    settings: dict[str, Any] | None = None,
    student: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
    **record: Any,
) -> Path:
    """A run's folder.

    nll, validation: the student's NLL on test and validation rows; settings: more of its configuration, by group
    student, metrics: more of its metrics; record: more of run.json
    """
    folder.mkdir(parents=True)
    config: dict[str, Any] = {"seed": seed, "weighting": {"name": weighting}, "threads": "auto"}
    for group, values in (settings or {}).items():
        config[group] = config.get(group, {}) | values if isinstance(values, dict) else values
    told = {"state": state, "hash": "x", "config": config, "command": f"mtbkd seed={seed}", **record}
    (folder / "run.json").write_text(json.dumps(told))
    if state == "finished":
        found = {
            "student": {**SCORES, **COSTS, "nll": nll, **(student or {})},
            "teachers": {},
            "validation": {"student": {**SCORES, "nll": validation}} if validation is not None else None,
            "diagnostics": {"verdict": "converged"},
            "timing": {"teachers_s": 1.5, "student_s": 2.0, "resumed_from_step": 400},
            **(metrics or {}),
        }
        (folder / "metrics.json").write_text(json.dumps(found))
    return folder
