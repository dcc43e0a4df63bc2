"""comparison.html: one page that holds everything it needs, made of the report's blocks."""

from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup

from mtbkd.comparison import figures
from mtbkd.comparison.answer import answer, told
from mtbkd.comparison.arms import Arm
from mtbkd.comparison.comparison import Comparison, Row
from mtbkd.comparison.latex import latex_table
from mtbkd.comparison.page_tables import means_html, runs_table
from mtbkd.comparison.pairs import shared
from mtbkd.comparison.pareto import pareto_front
from mtbkd.comparison.runs import Run
from mtbkd.comparison.scores import COSTS, decimals, heading, loss
from mtbkd.evaluation.directions import better
from mtbkd.report.blocks import Block, Bullets, Figures, FigureView, Heading, Html, Section, Words
from mtbkd.report.render import render_page
from mtbkd.report.tables import counted
from mtbkd.t_interval import shown

# Figures of more arms would be read by nobody: of more, the first, and the table has all.
MOST_ROWS = 40


def page(found: Comparison, title: str, folder: Path) -> str:
    """The page's HTML.

    title: over it; folder: where it will lie, for its links to the runs' reports
    """
    return render_page(title, "", answer(found), list(sections(found, folder)))


def sections(found: Comparison, folder: Path) -> Iterator[Section]:
    """What the page has, in its order."""
    if found.rows:
        yield Section("scores", "Means over seeds", "Scores", list(of_scores(found)))
    if len(found.rows) > 1:
        yield Section(
            "differences", "Differences to the baseline", "Differences", list(of_differences(found))
        )
        yield Section("cost", "Quality against cost", "Cost", list(of_cost(found)))
    if found.failed:
        yield Section("failed", "Runs without scores", "Failed", list(of_failed(found)))
    if found.rows:
        yield Section("runs", "Every finished run", "Runs", list(of_runs(found, folder)))
        yield Section(
            "paper", "For a paper", "LaTeX", [Html(folded("LaTeX, with booktabs", latex_table(found)))]
        )


def of_scores(found: Comparison) -> Iterator[Block]:
    """The table, what is to be known of it, and the means as dots."""
    yield Html(means_html(found))
    keys = f"Named by {', '.join(found.keys)}. " if found.keys else ""
    yield Words(
        f"{keys}Mean over seeds ± half of its 95% t interval; below it the paired difference to the baseline, bold "
        "where its interval excludes 0. Latency, size and time are medians, of the machines that the runs ran on.",
        "note",
    )
    told_of = [(finding.text, finding.tone) for finding in answer(found).findings]
    if told_of:
        yield Heading("To be known")
        yield Bullets(told_of)
    if len(found.rows) > MOST_ROWS:
        yield Words(
            f"Figures show the first {MOST_ROWS} of {len(found.rows)}; the table and its files have all.",
            "note",
        )
    yield Figures([dots(found, score) for score in found.scores])


def drawn(found: Comparison) -> list[tuple[int, Row]]:
    """The rows that figures show, with their numbers in the table."""
    return list(enumerate(found.rows, 1))[:MOST_ROWS]


def numbered(place: int, arm: Arm) -> str:
    """An arm as figures name it."""
    return f"{place}  {arm.name}"


def dots(found: Comparison, score: str) -> FigureView:
    """Means of one score."""
    rows = drawn(found)
    names = [numbered(place, row.arm) for place, row in rows]
    values = [list(row.arm.values(score).values()) for _, row in rows]
    means = [row.means[score] for _, row in rows]
    marked = [row.arm is found.choice.best for _, row in rows]
    label = f"{heading(score)}: " + "; ".join(
        f"{row.arm.name} {told(mean, found, score)}" for (_, row), mean in zip(rows, means, strict=True)
    )
    caption = (
        f"{side(score)}Pale: single seeds. Lines: 95% t intervals."
        + " Second colour: the best by validation." * any(marked)
    )
    data = {
        "number": [place for place, _ in rows],
        "configuration": [row.arm.name for _, row in rows],
        "seeds": [mean.count for mean in means],
        "mean": [mean.mean for mean in means],
        "half_width": [mean.half for mean in means],
    }
    figure = figures.interval_dots(names, means, values, heading(score), marked)
    return FigureView(f"mean-{slug(score)}", figure, label, caption, data)


def side(score: str) -> str:
    """Where better is."""
    return {"larger": "Further right is better. ", "smaller": "Further left is better. ", None: ""}[
        better(score)
    ]


def of_differences(found: Comparison) -> Iterator[Block]:
    """Paired differences as dots."""
    compared = [score for score in found.scores if any(row.differences[score] for row in found.rows)]
    if not compared:
        yield Words(
            "Left out: no configuration shares a seed and its test rows with its baseline.", "missing"
        )
        return
    yield Words(
        "What varies with the seed alone (split, teachers) cancels in a difference of the same seed, so that it can be "
        f"sure where neither mean is. To {found.baseline.words}, on the seeds of both."
    )
    yield Figures([gaps(found, score) for score in compared])


def gaps(found: Comparison, score: str) -> FigureView:
    """Paired differences of one score."""
    rows = [(place, row) for place, row in drawn(found) if row.baseline is not None]
    values = []
    for _, row in rows:
        assert row.baseline is not None
        one, base = shared(row.arm, row.baseline, score)
        values.append([one[seed] - base[seed] for seed in one])
    intervals = [row.differences[score] for _, row in rows]
    places = decimals([mean.mean for mean in intervals if mean] + [row.means[score].mean for _, row in rows])
    label = f"Difference in {heading(score)} to {found.baseline.words}: " + "; ".join(
        f"{row.arm.name} {shown(gap, signed=True, decimals=places) or 'not told'}"
        for (_, row), gap in zip(rows, intervals, strict=True)
    )
    data = {
        "number": [place for place, _ in rows],
        "configuration": [row.arm.name for _, row in rows],
        "baseline": [row.baseline.name if row.baseline else "" for _, row in rows],
        "pairs": [gap.count if gap else 0 for gap in intervals],
        "difference": [gap.mean if gap else None for gap in intervals],
        "half_width": [gap.half if gap else None for gap in intervals],
    }
    figure = figures.interval_dots(
        [numbered(place, row.arm) for place, row in rows],
        intervals,
        values,
        f"{heading(score)}, difference",
        [bool(gap and gap.excludes_zero) for gap in intervals],
        zero=True,
    )
    caption = f"{side(score)}Pale: single seeds. Second colour: the interval excludes 0."
    return FigureView(f"difference-{slug(score)}", figure, label, caption, data)


def of_cost(found: Comparison) -> Iterator[Block]:
    """What quality is bought with: one picture a cost and score."""
    views = []
    for cost in COSTS:
        costs = [row.cost(cost) for row in found.rows]
        if len({value for value in costs if value == value}) < 2:
            continue
        views += [against(found, cost, score, costs) for score in found.scores if better(score)]
    if views:
        yield Words(
            "Joined: configurations than which no other is both cheaper and better (the Pareto front of the means). "
            "Numbers are the table's. Lines: 95% t intervals; where they overlap, the front may be chance."
        )
        yield Figures(views)
    else:
        yield Words("Left out: all have the same size, or none was measured.", "missing")


def against(found: Comparison, cost: str, score: str, costs: list[float]) -> FigureView:
    """One score against one cost."""
    means = [row.means[score] for row in found.rows]
    front = pareto_front(costs, [loss(score, mean.mean) for mean in means])
    figure = figures.quality_against_cost(
        costs,
        means,
        [str(place) for place in range(1, len(means) + 1)],
        front,
        heading(cost),
        heading(score),
        in_bytes=cost.endswith("_bytes"),
    )
    on_it = "; ".join(
        f"{found.rows[i].arm.name} ({costs[i]:.4g}, {told(means[i], found, score)})" for i in front
    )
    data = {
        "number": list(range(1, len(means) + 1)),
        "configuration": [row.arm.name for row in found.rows],
        cost: costs,
        score: [mean.mean for mean in means],
        "half_width": [mean.half for mean in means],
        "on_front": [int(i in front) for i in range(len(means))],
    }
    up = "Up" if better(score) == "larger" else "Down"
    return FigureView(
        f"front-{slug(cost)}-{slug(score)}",
        figure,
        f"{heading(score)} against {heading(cost)}. On the front: {on_it}",
        f"{up} and left is better.",
        data,
    )


def of_failed(found: Comparison) -> Iterator[Block]:
    """Errors, the same one once, with the runs that had it and the commands that do them again."""
    by_error: dict[tuple[str, str], list[Run]] = {}
    for run in found.failed:
        by_error.setdefault((run.state, run.error), []).append(run)
    yield Words(
        "A sweep's own command, given again, does these and leaves alone what is finished. Each by itself, once what "
        "the error names is mended:"
    )
    for (state, error), runs in by_error.items():
        yield Heading(f"{state}: {counted(len(runs), 'run')}")
        yield Words(error or "It was stopped, or is still at work: no error is known.", "missing")
        commands = "\n".join(
            run.command or f"# {run.name}: remove its folder, and do it again" for run in runs
        )
        yield Html(folded("The commands", f"{commands}\n"))


def of_runs(found: Comparison, folder: Path) -> Iterator[Block]:
    """All runs that entered, with links to their reports."""
    yield Html(runs_table(found, folder, MOST_ROWS))
    yield Words("Every run's settings and scores are in comparison.csv beside this page.", "note")


def folded(summary: str, text: str) -> Markup:
    """Text to copy, behind a line that opens it."""
    return Markup("<details><summary>{}</summary><pre><code>{}</code></pre></details>").format(summary, text)


def slug(text: str) -> str:
    """A name fit for an id and a file."""
    return "".join(c if c.isalnum() else "-" for c in text)
