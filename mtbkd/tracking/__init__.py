"""Where else a finished run is told of: one file a tracker."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tracker:
    """What tells of runs elsewhere.

    log: tells of the finished run in a folder, once however often it is called
    where: how a user comes to see it, empty where there is nothing to see
    """

    log: Callable[[Path], None]
    where: str = ""
