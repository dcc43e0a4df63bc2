"""The report: one HTML page that holds everything it needs and asks no network for anything."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mtbkd.errors import require_at_least
from mtbkd.report.content import ReportContent
from mtbkd.report.csv_data import csv_url
from mtbkd.report.svg import inline_svg
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
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(render(content))
        os.chmod(name, 0o644)  # a temporary file is private; a report is not
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def render(content: ReportContent) -> str:
    """The report's HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from mtbkd.report.sections import sections

    environment = Environment(
        loader=PackageLoader("mtbkd.report", package_path="."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"inline_svg": inline_svg, "csv_url": csv_url}
    return environment.get_template("template.html.j2").render(
        content=content, answer=answer(content), sections=sections(content)
    )
