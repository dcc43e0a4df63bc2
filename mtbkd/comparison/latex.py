r"""The table for a paper: booktabs, means with intervals, differences to the baseline, bold where these exclude 0."""

import math
import re

from mtbkd.comparison.comparison import Comparison, Row
from mtbkd.comparison.scores import decimals, heading
from mtbkd.evaluation.directions import better
from mtbkd.t_interval import Interval

SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    # After the end of a line, a star and what is in brackets are arguments of it.
    **{character: f"{{{character}}}" for character in "[]*"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "–": "--", "\n": " ", "\t": " "},
}
ARROWS = {"larger": r" $\uparrow$", "smaller": r" $\downarrow$", None: ""}


def latex_table(found: Comparison) -> str:
    """A `table` environment that needs the package booktabs alone."""
    compared = [score for score in found.scores if any(row.differences[score] for row in found.rows)]
    keys = list(found.keys) or ["model"]
    head = [*map(escaped, keys), "seeds"]
    for score in found.scores:
        head.append(escaped(heading(score)) + ARROWS[better(score)])
        head += [r"$\Delta$"] * (score in compared)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption(found)}}}",
        r"\label{tab:comparison}",
        rf"\begin{{tabular}}{{{'l' * len(keys)}{'r' * (len(head) - len(keys))}}}",
        r"\toprule",
        line(head),
        r"\midrule",
        *(line(cells(row, found, compared)) for row in found.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def line(texts: list[str]) -> str:
    """One row of the table."""
    return " & ".join(texts) + r" \\"


def cells(row: Row, found: Comparison, compared: list[str]) -> list[str]:
    """One arm's cells."""
    texts = [escaped(value) for value in row.arm.settings.values()] or [escaped(row.arm.name)]
    texts.append(str(len(row.arm.runs)))
    for score in found.scores:
        places = decimals(one.means[score].mean for one in found.rows)
        texts.append(number(row.means[score], places))
        if score in compared:
            texts.append(number(row.differences[score], places, signed=True))
    return texts


def number(found: Interval | None, places: int, signed: bool = False) -> str:
    r"""`$0.974 \pm 0.010$`; a difference signed, and bold where its interval excludes 0; `--` where there is none."""
    if found is None or math.isnan(found.mean):
        return "--"
    if math.isinf(found.mean):
        return r"$\infty$"
    text = f"{found.mean:{'+' if signed else ''}z.{places}f}"
    if not math.isnan(found.half):
        text += rf" \pm {found.half:.{places}f}"
    return rf"$\mathbf{{{text}}}$" if signed and found.excludes_zero else f"${text}$"


def caption(found: Comparison) -> str:
    """How the table is to be read."""
    told = len(found.told)
    text = r"Means over seeds with 95\,\% $t$ intervals."
    if not told:
        return text
    return (
        rf"{text} $\Delta$: paired difference to {escaped(found.baseline.words)}, on the seeds of both; bold where its "
        rf"95\,\% interval excludes 0, not corrected for the {told} comparison{'s' * (told > 1)}."
    )


def escaped(text: str) -> str:
    """Text as LaTeX shows it, characters that mean something to it included; others that do not print are left out."""
    shown = "".join(SPECIAL.get(c, c) for c in text if c.isprintable() or c in SPECIAL)
    return re.sub(r" {2,}", " ", shown)
