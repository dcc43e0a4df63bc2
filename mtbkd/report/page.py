"""The report: one HTML page that holds everything it needs and asks no network for anything."""

from dataclasses import dataclass
from pathlib import Path

from mtbkd.errors import require_at_least
from mtbkd.report.content import ReportContent
from mtbkd.report.render import render_page, write_whole
from mtbkd.report.verdict import answer


@dataclass(frozen=True)
class PageConfig:
    """least_sure: test inputs shown that the student is least sure of; held_out: test inputs whose predictive
    probabilities are compared between chains."""

    name: str = "page"
    least_sure: int = 12
    held_out: int = 16

    def __post_init__(self) -> None:
        require_at_least(0, least_sure=self.least_sure)
        require_at_least(1, held_out=self.held_out)


def write_report(path: Path | str, content: ReportContent) -> Path:
    """Write the report as one self-contained HTML file; an existing one is replaced whole, never half.

    returns: the path written
    """
    return write_whole(path, render(content))


def render(content: ReportContent) -> str:
    """The report's HTML."""
    from mtbkd.report.sections import sections

    return render_page(content.title, content.created or "", answer(content), sections(content))
