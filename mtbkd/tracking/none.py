"""No tracker: a run's folder is all there is of it."""

from dataclasses import dataclass
from pathlib import Path

from mtbkd.tracking import Track


@dataclass(frozen=True)
class NoneConfig:
    """Nothing to choose."""

    name: str = "none"


def build(config: NoneConfig, shared: Path) -> Track:
    """Tell nobody."""

    def track(run: Path) -> None: ...

    return track
