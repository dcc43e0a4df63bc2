"""A row a run: state, what differs in the settings, scores, errors."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtbkd.comparison.runs import MODELS, Run, read_runs
from mtbkd.configuration import incidental

if TYPE_CHECKING:
    from pandas import DataFrame

SCORES = ("accuracy", "nll", "brier", "ece", "parameters", "stored_bytes", "latency_ms", "validation_nll")


def compare(folders: Iterable[Path | str]) -> "DataFrame":
    """A table of all runs below the folders: their state, what differs in their settings, scores, errors.

    A setting is to be chosen by `MODEL.validation_nll`, never by the scores on test rows beside it. Raises
    `InputError` where there is no run.
    """
    return table_of(read_runs(folders))


def table_of(runs: Sequence[Run]) -> "DataFrame":
    """The same of runs that were read, by name."""
    import pandas as pd

    keys = sorted({key for run in runs for key in run.config if not incidental(key)})
    varied = [key for key in keys if len({json.dumps(run.config.get(key), default=str) for run in runs}) > 1]
    return pd.DataFrame(
        {
            "run": run.name,
            "state": run.state,
            **{key: run.config.get(key) for key in varied},
            **{
                f"{model}.{score}": run.scores[model].get(score)
                for model in MODELS
                if model in run.scores
                for score in SCORES
                if score != "validation_nll" or score in run.scores[model]
            },
            **({"diagnostics": run.diagnostics, "seconds": run.seconds} if run.finished else {}),
            "error": run.error,
        }
        for run in sorted(runs, key=lambda run: run.name)
    )
