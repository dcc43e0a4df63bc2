"""The tracker that a configuration chooses."""

from pathlib import Path
from typing import TYPE_CHECKING

from mtbkd.tracking import Tracker

if TYPE_CHECKING:
    from omegaconf import DictConfig


def tracker_of(config: "DictConfig", shared: Path) -> Tracker:
    """The tracker of a run, or of a sweep's runs, with their folder; raises `InputError` as its `build` does."""
    from mtbkd import registry
    from mtbkd.configuration import group_of, plain, typed

    # Of a sweep, other groups may lack what its words give.
    values = group_of({"tracking": config.get("tracking") and plain(config.tracking)}, "tracking")
    module = registry.find("tracking", str(values.get("name")))
    wanted = registry.config_class(module)
    assert wanted is not None
    tracker: Tracker = module.build(typed("tracking", wanted, values), shared)
    return tracker
