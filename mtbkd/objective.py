"""What a sweeper makes better: entries of a run's metrics.json that are no test scores.

A setting chosen by its score on the test rows makes that score too good, so no sweeper is given one.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtbkd.errors import InputError, nearest
from mtbkd.evaluation.directions import better

VALIDATED = ("student", "kd_student", "label_only_student")
# What does not look at labels of test rows.
WITHOUT_LABELS = ("diagnostics.numbers", "timing")
COSTS = ("parameters", "stored_bytes", "latency_ms")
# What `summary.metrics` scores validation rows by.
VALIDATION_SCORES = ("accuracy", "nll", "brier", "ece")
DIRECTIONS = {"larger": "maximize", "smaller": "minimize"}


def objectives(told: object) -> tuple[str, ...]:
    """The entries that `objective` names: one, or a list of them; raises `InputError` for what is no objective."""
    names = (told,) if isinstance(told, str) else told
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"objective is {told}; name an entry of metrics.json, as validation.student.nll, or a list of such"
        )
    for name in names:
        _require_allowed(name)
    return tuple(names)


def _require_allowed(name: str) -> None:
    """Raise `InputError` for a test score, and for an entry that a run never has."""
    where, _, last = name.rpartition(".")
    if where.startswith("validation."):
        model = where.removeprefix("validation.")
        if model not in VALIDATED:
            raise InputError(
                f"objective {name}: no model '{model}' is validated; {nearest(model, VALIDATED)}"
            )
        if last not in VALIDATION_SCORES:
            raise InputError(
                f"objective {name}: validation rows have no score '{last}'; {nearest(last, VALIDATION_SCORES)}"
            )
    elif where not in WITHOUT_LABELS and not (where and last in COSTS):
        model = where.partition(".")[0]
        if model in (*VALIDATED, "teachers", "teacher_ensemble"):
            validated = model if model in VALIDATED else "student"
            score = last if model in VALIDATED and last in VALIDATION_SCORES else "nll"
            raise InputError(
                f"objective {name} is measured on the test rows: what is chosen by it is tested no more; "
                f"choose objective=validation.{validated}.{score}"
            )
        raise InputError(
            f"objective {name}: unknown; choose validation.MODEL.SCORE, diagnostics.numbers.NAME, timing.NAME_s "
            f"or MODEL.COST, with the costs {', '.join(COSTS)}"
        )


def require_reachable(names: Sequence[str], labelled_rows: int, models: Collection[str]) -> None:
    """Raise `InputError` for what a run will not have, before it trains anything.

    labelled_rows: validation rows with labels; models: students that the run fits
    """
    for name in names:
        if name.startswith("validation.") and not labelled_rows:
            raise InputError(
                f"objective {name}: no validation row is labelled; give some (data.validation_fraction, a split "
                "column), or choose an objective that asks for no labels"
            )
        timed = name.startswith("timing.")
        asked = name.removeprefix("timing.").removesuffix("_s") if timed else name
        for model in VALIDATED:
            # The MAP that an engine starts from is timed as `kd_student` whether it is told of or not.
            known = model in models or (timed and model == "kd_student")
            if model in asked.split(".") and not known:
                needs = "baseline=both" + " and labels in the pool" * (model == "label_only_student")
                raise InputError(f"objective {name}: this run fits no {model}, which takes {needs}")


def require_directions(names: Sequence[str], directions: Sequence[str]) -> None:
    """Raise `InputError` unless each objective has its direction, `minimize` or `maximize`, and the right one."""
    if len(names) != len(directions):
        raise InputError(
            f"objective names {len(names)} entries and hydra.sweeper.direction {len(directions)}; "
            "give one direction for each, as in hydra.sweeper.direction=[minimize,minimize]"
        )
    for name, direction in zip(names, directions, strict=True):
        known = better(name.rpartition(".")[2])
        if known is not None and DIRECTIONS[known] != direction:
            raise InputError(
                f"objective {name} would be made worse by hydra.sweeper.direction={direction}; "
                f"write {DIRECTIONS[known]} for it"
            )


def reached(folder: Path, names: Sequence[str]) -> float | list[float]:
    """What the finished run in this folder reached: a number, or one for each of several objectives.

    Raises `InputError` where metrics.json has no number under a name.
    """
    metrics = json.loads((folder / "metrics.json").read_text())
    values = [_number(metrics, name) for name in names]
    return values[0] if len(values) == 1 else values


def _number(metrics: Mapping[str, Any], name: str) -> float:
    value: Any = metrics
    for key in name.split("."):
        known = value if isinstance(value, Mapping) else {}
        if key not in known:
            told = "it is empty there" if value is None else nearest(key, known)
            raise InputError(f"objective {name}: metrics.json has no '{key}'; {told}")
        value = known[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(
            f"objective {name} is {json.dumps(value)} in metrics.json, not a number; choose another"
        )
    return float(value)
