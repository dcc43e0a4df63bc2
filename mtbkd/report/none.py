"""No page: for sweeps of hundreds of runs, whose figures are read from metrics.json."""

from dataclasses import dataclass
from pathlib import Path

from mtbkd.errors import require_at_least
from mtbkd.report.content import ReportContent


@dataclass(frozen=True)
class NoneConfig:
    """held_out: test inputs whose predictive probabilities are compared between chains; least_sure: none are shown."""

    name: str = "none"
    least_sure: int = 0
    held_out: int = 16

    def __post_init__(self) -> None:
        require_at_least(0, least_sure=self.least_sure)
        require_at_least(1, held_out=self.held_out)


def write_report(path: Path | str, content: ReportContent) -> None:
    """Write nothing."""
