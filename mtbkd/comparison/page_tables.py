"""The page's tables: means and differences, and every run with a link to its report."""

import os
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from mtbkd.comparison.answer import duration, tone_of
from mtbkd.comparison.comparison import Comparison, Row
from mtbkd.comparison.runs import Run
from mtbkd.comparison.scores import COSTS, decimals, heading
from mtbkd.report.tables import human_bytes
from mtbkd.t_interval import shown


def means_html(found: Comparison) -> Markup:
    """Means, intervals and differences, a row an arm; on narrow screens its cells stack."""
    costs = [
        cost for cost in (*COSTS, "fit_s") if any(row.cost(cost) == row.cost(cost) for row in found.rows)
    ]
    titles = ["Seeds", *map(heading, found.scores), *map(heading, costs)]
    head = Markup('<th scope="col">Configuration</th>') + Markup("").join(
        Markup('<th scope="col" class="num">{}</th>').format(title) for title in titles
    )
    body = Markup("").join(means_row(place, row, found, costs) for place, row in enumerate(found.rows, 1))
    return Markup('<table class="models arms"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(
        head, body
    )


def means_row(place: int, row: Row, found: Comparison, costs: list[str]) -> Markup:
    """One arm."""
    best = row.arm is found.choice.best
    marks = [
        word
        for word, holds in (("baseline", found.baseline.holds(row.arm)), ("best by validation", best))
        if holds
    ]
    name = Markup("{}. {}").format(place, row.arm.name)
    if marks and len(found.rows) > 1:
        name += Markup(' <small class="note">{}</small>').format(", ".join(marks))
    cells = [("Seeds", Markup("{}").format(len(row.arm.runs)))]
    for score in found.scores:
        places = decimals(one.means[score].mean for one in found.rows)
        mean = Markup("{}").format(shown(row.means[score], decimals=places) or "–")
        gap = shown(row.differences[score], signed=True, decimals=places)
        if gap:
            tone = tone_of(row, score)
            sure = row.differences[score] is not None and row.differences[score].excludes_zero  # type: ignore[union-attr]
            shape = Markup("<b>{}</b>") if sure else Markup("{}")
            mean += Markup('<span class="gap {}">{}</span>').format(tone, shape.format(gap))
        cells.append((heading(score), mean))
    cells += [(heading(cost), Markup("{}").format(cost_shown(cost, row.cost(cost)))) for cost in costs]
    told_of = Markup("").join(
        Markup('<td class="num" data-label="{}">{}</td>').format(title, value) for title, value in cells
    )
    return Markup('<tr class="{}"><th scope="row">{}</th>{}</tr>').format(
        "student" if best else "", name, told_of
    )


def cost_shown(cost: str, value: float) -> str:
    """A cost for people."""
    if value != value:
        return "–"
    if cost == "stored_bytes":
        return human_bytes(value)
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def runs_table(found: Comparison, folder: Path, most: int) -> Markup:
    """All runs that entered, linked to their reports from a page in the folder; folded where more than most."""
    entered: dict[int, Run] = {id(run): run for row in found.rows for run in row.arm.runs.values()}
    head = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(Markup(' class="num"') if i else "", title)
        for i, title in enumerate(("Run", "Seed", "Diagnostics", "Time"))
    )
    body = Markup("").join(run_row(run, folder) for run in entered.values())
    rows = Markup('<table class="models"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(
        head, body
    )
    if len(entered) > most:
        rows = Markup("<details><summary>{} runs</summary>{}</details>").format(len(entered), rows)
    return rows


def run_row(run: Run, folder: Path) -> Markup:
    """One run."""
    assert run.folder is not None
    report = run.folder / "report.html"
    name = Markup("{}").format(run.name)
    if report.exists():
        url = quote(Path(os.path.relpath(report.resolve(), folder.resolve())).as_posix())
        name = Markup('<a href="{}">{}</a>').format(url, run.name)
    cells = {
        "Seed": str(run.seed),
        "Diagnostics": run.diagnostics or "–",
        "Time": "–" if run.seconds is None else duration(run.seconds),
    }
    told_of = Markup("").join(
        Markup('<td class="num" data-label="{}">{}</td>').format(key, value) for key, value in cells.items()
    )
    return Markup('<tr><th scope="row">{}</th>{}</tr>').format(name, told_of)
