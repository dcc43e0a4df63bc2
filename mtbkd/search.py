"""Sweepers that search, as Optuna's: what they ask of a run, and what they found."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import ListConfig, OmegaConf

from mtbkd.objective import objectives, require_directions


def searches(hydra: Any) -> bool:
    """Whether this run is one of a sweeper that goes by what runs reach."""
    return hydra.mode.name == "MULTIRUN" and not str(hydra.sweeper.get("_target_")).endswith("BasicSweeper")


def asked_for(hydra: Any, objective: object) -> tuple[str, ...]:
    """Entries of metrics.json that the sweeper wants of this run, none where it does not search.

    Raises `InputError` where the sweeper would go the wrong way.
    """
    if not searches(hydra):
        return ()
    names = objectives(objective)
    if told := hydra.sweeper.get("direction"):
        directions = told if isinstance(told, ListConfig) else [told]
        require_directions(names, [str(getattr(one, "name", one)) for one in directions])
    return names


def quieten(hydra: Any) -> None:
    """Leave what a search's libraries say about each run to the run itself, which has told of it."""
    if "optuna" not in str(hydra.sweeper.get("_target_")):
        return
    from optuna.logging import WARNING, set_verbosity

    set_verbosity(WARNING)
    logging.getLogger("hydra_plugins.hydra_optuna_sweeper").setLevel(logging.CRITICAL)


def found(sweep: Path, objective: object) -> list[str]:
    """What the Optuna sweeper found, a line for the best run, or for each that no other beats in all objectives."""
    results: Any = OmegaConf.load(sweep / "optimization_results.yaml")
    names = objectives(objective)
    if "solutions" in results:
        return [_line("not beaten", each.params, names, each["values"]) for each in results.solutions]
    return [_line("best", results.best_params, names, [results.best_value])]


def _line(what: str, settings: Any, names: Sequence[str], values: Sequence[float]) -> str:
    chosen = " ".join(f"{key}={value}" for key, value in settings.items())
    told = ", ".join(f"{name} {value:.4g}" for name, value in zip(names, values, strict=True))
    return f"{what}: {chosen} with {told}"
