"""What a benchmark found: rows of the README's table, and the same as one line of JSON."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from experiments.benchmarks.turns import Ratio, Times

LEFT_OUT = "left out by --without"
EARLIER = "of an earlier run"


@dataclass(frozen=True)
class Row:
    """One comparison, or one figure alone where there is no peer.

    measure: what was measured; peer: with whom it is compared, empty: with nobody
    ours, theirs: medians, in `unit`; ratio: ours to theirs
    target: what the ratio (without a peer: the figure) is to reach: at most where `lower` is better, else at least
    counts: whether both did the same work, so that the ratio means something; note: why not, and what else to know
    """

    measure: str
    peer: str
    unit: str
    ours: float
    theirs: float | None = None
    ratio: Ratio | None = None
    target: float | None = None
    lower: bool = True
    counts: bool = True
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without a target, or where the ratio does not count."""
        if self.target is None or not self.counts:
            return None
        found = self.ours if self.ratio is None else self.ratio.median
        return found <= self.target if self.lower else found >= self.target


@dataclass(frozen=True)
class Result:
    """All that one benchmark found.

    skipped: peers left out, with the reason; figures: single numbers by name; settings: sizes that were run
    """

    benchmark: str
    rows: Sequence[Row]
    skipped: dict[str, str] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values; each row tells whether it reached its target, and the figures stand at the top."""
        rows = [asdict(row) | {"reached": row.reached} for row in self.rows]
        content = {"benchmark": self.benchmark, "rows": rows, "skipped": self.skipped}
        return content | {"settings": self.settings} | self.figures


def time_row(measure: str, times: Times, ours: str, peer: str, **rest: Any) -> Row:
    """Milliseconds a step of two that took turns."""
    mine, theirs = times[ours], times[peer]
    ms, its = (1e3 * statistics.median(t) for t in (mine, theirs))
    return Row(measure, peer, "ms", ms, its, Ratio.of(mine, theirs), **rest)


def rate_row(measure: str, unit: str, work: float, times: Times, ours: str, peer: str, **rest: Any) -> Row:
    """Work a second of two that took turns, each step of either being `work` of it."""
    mine, theirs = ([work / t for t in times[name]] for name in (ours, peer))
    return Row(
        measure,
        peer,
        unit,
        statistics.median(mine),
        statistics.median(theirs),
        Ratio.of(mine, theirs),
        lower=False,
        **rest,
    )


def with_earlier(found: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """A result, as `to_json` gave it, with the rows of peers that were left out by choice as the one `before` of the
    same benchmark has them: nothing that took hours is lost, and each such row says that it is of another run."""
    left_out = [peer for peer, why in found["skipped"].items() if why == LEFT_OUT]
    mark = f"{EARLIER} (cores: {before.get('machine', {}).get('cores', '?')})"
    stay = [
        row
        if row["note"].startswith(EARLIER)
        else row | {"note": "; ".join(filter(None, (mark, row["note"])))}
        for row in before.get("rows", [])
        if row["peer"] in left_out
    ]
    there = {row["peer"] for row in stay}
    skipped = {peer: why for peer, why in found["skipped"].items() if peer not in there}
    return found | {"rows": [*found["rows"], *stay], "skipped": skipped}


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """The table of several results, as `to_json` gave them, and below it what was left out."""
    lines = [
        "| measure | against | ours | theirs | ratio, median (range) | to reach | reached |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [table_line(row) for result in results for row in result["rows"]]
    notes = [
        f"- {row['measure']}, {row['peer'] or 'alone'}: {row['note']}"
        for result in results
        for row in result["rows"]
        if row["note"]
    ]
    notes += [
        f"- {result['benchmark']}: without {peer}: {why}"
        for result in results
        for peer, why in result["skipped"].items()
    ]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def table_line(row: dict[str, Any]) -> str:
    """One row of the table."""
    ratio, target = row["ratio"], row["target"]
    unit = row["unit"]
    shown = (
        "" if ratio is None else f"{short(ratio['median'])} ({short(ratio['low'])} to {short(ratio['high'])})"
    )
    if ratio is not None and not row["counts"]:
        shown += ", does not count"
    goal = "" if target is None else f"{'at most' if row['lower'] else 'at least'} {short(target)}"
    reached = "" if row["reached"] is None else "yes" if row["reached"] else "no"
    theirs = "" if row["theirs"] is None else f"{short(row['theirs'])} {unit}"
    cells = (row["measure"], row["peer"], f"{short(row['ours'])} {unit}", theirs, shown, goal, reached)
    return "| " + " | ".join(cells) + " |"


def short(value: float) -> str:
    """Three digits, without an exponent, thousands apart."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-3 else f"{value:.1e}"
