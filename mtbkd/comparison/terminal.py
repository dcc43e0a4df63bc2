"""What a terminal is told of a comparison: the answer in a line or two, and the means."""

from mtbkd.comparison.answer import answer, told
from mtbkd.comparison.comparison import Comparison
from mtbkd.comparison.scores import decimals, heading
from mtbkd.t_interval import shown


def summary(found: Comparison) -> str:
    """The headline, a row a configuration, and what is bad news."""
    opening = answer(found)
    lines = [opening.headline, *(text for text in opening.lead if text)]
    if found.rows:
        lines += ["", *aligned(table(found))]
    bad = [f"! {finding.text}" for finding in opening.findings if finding.tone == "bad"]
    return "\n".join([*lines, *([""] if bad else []), *bad])


def table(found: Comparison) -> list[list[str]]:
    """Names, seeds, means, and differences marked where their interval excludes 0."""
    rows = [["", "seeds", *map(heading, found.scores)]]
    for place, row in enumerate(found.rows, 1):
        cells = [f"{place}. {row.arm.name}", str(len(row.arm.runs))]
        for score in found.scores:
            gap = row.differences[score]
            places = decimals(one.means[score].mean for one in found.rows)
            star = " *" if gap and gap.excludes_zero else ""
            beside = f" ({shown(gap, signed=True, decimals=places)}{star})" if gap else ""
            cells.append(told(row.means[score], found, score) + beside)
        rows.append(cells)
    return rows


def aligned(rows: list[list[str]]) -> list[str]:
    """Columns of equal width."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
