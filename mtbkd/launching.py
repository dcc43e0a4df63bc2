"""How many runs of a sweep are at work at once on one machine, by its launcher: they share the cores."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import open_dict, read_write

from mtbkd.command import as_given


def parallel_runs(hydra: Any) -> int:
    """How many runs of this sweep there are at once on this machine.

    hydra: Hydra's own configuration, as a run sees it
    On a cluster (`submitit_slurm`) a run has its cores for itself.
    """
    if hydra.mode.name != "MULTIRUN":
        return 1
    cores = os.cpu_count() or 1
    launcher = hydra.launcher
    target = str(launcher.get("_target_"))
    slots: float = 1
    if "joblib" in target:
        jobs = int(launcher.get("n_jobs") or 1)
        slots = jobs if jobs > 0 else cores + 1 + jobs
    elif "LocalLauncher" in target:  # submitit's: as many processes as there are runs
        slots = cores if together(hydra) is None else math.inf
    elif "hydra_ray_launcher" in target:
        ray = launcher.ray
        slots = int(ray.init.get("num_cpus") or cores) / float(ray.remote.get("num_cpus") or 1)
    return max(1, int(min(slots, together(hydra) or slots)))


def together(hydra: Any) -> int | None:
    """How many runs the sweeper hands out at a time, None where that is not known.

    `hydra.callbacks.launch.runs` says how many there are in all.
    """
    sweeper = hydra.sweeper
    known = [hydra.callbacks.launch.get("runs"), sweeper.get("n_jobs"), sweeper.get("max_batch_size")]
    return min((int(number) for number in known if number), default=None)


def swept_words(hydra: Any) -> list[str]:
    """The words that a sweeper gets: the search space of its own configuration, and the command's."""
    space: Mapping[str, Any] = hydra.sweeper.get("params") or {}
    return [*(f"{key}={value}" for key, value in space.items()), *as_given(hydra.overrides.task)]


def number_of_runs(words: Sequence[str]) -> int | None:
    """How many combinations a sweep's words make; None where a range is continuous or a pattern."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ValueType

    counted = (ValueType.CHOICE_SWEEP, ValueType.SIMPLE_CHOICE_SWEEP, ValueType.RANGE_SWEEP)
    number = 1
    for override in OverridesParser.create().parse_overrides(list(words)):
        if override.value_type in counted:
            number *= sum(1 for _ in override.sweep_string_iterator())
        elif override.is_sweep_override():
            return None
    return number


def prepare(launcher: Any) -> None:
    """Let Ray start no dashboard and tell nobody of its use, where nothing else was said."""
    if "hydra_ray_launcher.ray_launcher" not in str(launcher.get("_target_")):
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"include_dashboard": False, "logging_level": "ERROR"}
    with read_write(launcher), open_dict(launcher):
        launcher.ray.init = {**quiet, **launcher.ray.init}
