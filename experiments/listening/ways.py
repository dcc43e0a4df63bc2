"""The ways of listening that there are, found by themselves: a new weighting or published method enters every table."""

from typing import Any

from omegaconf import OmegaConf

from mtbkd import registry
from mtbkd.cli import conf_folder

BASELINE = "uniform"
# They ask for draws of every teacher, and are compared where all are Bayesian.
OF_DRAWS = ("mutual_information",)
# Its student has a head a teacher.
HEADS = "hydra_heads"
# A published method decides these; one that decides data or teachers is an experiment of another kind.
NOT_DECIDED = ("data", "teachers")


def weightings() -> tuple[str, ...]:
    """All rules that point teachers are enough for, the baseline first."""
    others = [name for name in registry.names("weighting") if name not in (BASELINE, *OF_DRAWS)]
    return (BASELINE, *others)


def temperatures() -> tuple[str, ...]:
    """All rules of temperature, the fixed one first."""
    return ("fixed", *(name for name in registry.names("temperature") if name != "fixed"))


def published() -> tuple[str, ...]:
    """Names of `conf/experiment` that are a method of the literature."""
    found = []
    for path in sorted((conf_folder() / "experiment").glob("*.yaml")):
        content: Any = OmegaConf.load(path)
        defaults = content.get("defaults") or []
        decided = {str(key).split("/")[-1] for entry in defaults if hasattr(entry, "keys") for key in entry}
        if decided and not decided & set(NOT_DECIDED):
            found.append(path.stem)
    return tuple(found)
