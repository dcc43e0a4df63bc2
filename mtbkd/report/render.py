"""A page's HTML from its opening and its sections, and its file: for a run's report and for a comparison of runs."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mtbkd.report.blocks import Section
from mtbkd.report.csv_data import csv_url
from mtbkd.report.svg import inline_svg
from mtbkd.report.verdict import Answer


def render_page(title: str, created: str, answer: Answer, sections: Sequence[Section]) -> str:
    """The HTML of a page that holds everything it needs; created: its date, empty where it tells none."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mtbkd.report", package_path="."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"inline_svg": inline_svg, "csv_url": csv_url}
    return environment.get_template("template.html.j2").render(
        title=title, created=created, answer=answer, sections=sections
    )


def write_whole(path: Path | str, text: str) -> Path:
    """Write a page; an existing one is replaced whole, never half.

    returns: the path written
    """
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)  # a temporary file is private; a report is not
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target
