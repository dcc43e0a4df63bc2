"""The table of models: in the terminal and on the page, in one order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup

if TYPE_CHECKING:
    from rich.table import Table

Role = Literal["teacher", "ensemble", "label_only", "kd", "student"]
Metrics = Mapping[str, Any]

COLUMNS = {
    "accuracy": "Accuracy",
    "nll": "NLL",
    "brier": "Brier",
    "ece": "ECE",
    "parameters": "Parameters",
    "stored_bytes": "Stored",
    "latency_ms": "Latency, ms",
}
# The same on 80 columns.
NARROW = {**COLUMNS, "parameters": "Params", "latency_ms": "Latency\nms"}
UNDEFINED = "–"
# What the student is, by the kind of engine: a mode is not Bayesian, however it was found.
CALLED = {"point": "student", "ensemble": "ensemble of students"}

NAMES: dict[Role, str] = {
    "ensemble": "Teacher ensemble",
    "label_only": "Student, labels only",
    "kd": "Student, plain KD",
}


@dataclass(frozen=True)
class ModelRow:
    """One model of a run: how it is called, what it is, its metrics."""

    name: str
    role: Role
    metrics: Metrics

    def shown(self) -> list[str]:
        """Its values under COLUMNS, for people."""
        return [shown(column, self.metrics) for column in COLUMNS]


def student_called(kind: str | None) -> str:
    """What to call the student of an engine of this kind (`evaluation.diagnostics.Kind`), None: unknown."""
    return CALLED.get(kind or "", "Bayesian student")


def student_of(metrics: Metrics) -> str:
    """What to call the student of a metrics.json."""
    return student_called((metrics.get("diagnostics") or {}).get("kind"))


def model_rows(metrics: Metrics) -> list[ModelRow]:
    """The models of a metrics.json: teachers, their ensemble, and the students; absent ones are left out."""
    teachers = [ModelRow(name, "teacher", values) for name, values in (metrics.get("teachers") or {}).items()]
    called = student_of(metrics)
    others: list[tuple[str, str, Role]] = [
        ("teacher_ensemble", NAMES["ensemble"], "ensemble"),
        ("label_only_student", NAMES["label_only"], "label_only"),
        ("kd_student", NAMES["kd"], "kd"),
        ("student", called[0].upper() + called[1:], "student"),
    ]
    return teachers + [ModelRow(name, role, metrics[key]) for key, name, role in others if metrics.get(key)]


def terminal_table(metrics: Metrics, title: str | None = None) -> "Table":
    """The table for the terminal, to be printed by a rich Console."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("", no_wrap=True, min_width=20)
    for heading in NARROW.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for row, last_of_group in _grouped(model_rows(metrics)):
        style = "bold" if row.role == "student" else ""
        # Text, not str: a name with brackets is a name, not markup
        table.add_row(Text(row.name), *row.shown(), style=style, end_section=last_of_group)
    return table


def html_table(metrics: Metrics) -> Markup:
    """The same table as HTML; each cell knows its column, so that narrow screens can stack them."""
    rows = model_rows(metrics)
    heading = Markup("").join(
        Markup('<th scope="col" class="num">{}</th>').format(h) for h in COLUMNS.values()
    )
    body = Markup("").join(_html_row(row, last) for row, last in _grouped(rows))
    table = Markup('<table class="models"><thead><tr><th scope="col">Model</th>{}</tr></thead>')
    note = Markup('<p class="note">∞: a true class was given probability 0, at {} of inputs by {}.</p>')
    notes = [
        note.format(f"{row.metrics['impossible']:.1%}", row.name)
        for row in rows
        if row.metrics.get("nll") is None and row.metrics.get("impossible")
    ]
    return Markup("").join(
        [table.format(heading), Markup("<tbody>"), body, Markup("</tbody></table>"), *notes]
    )


def shown(column: str, metrics: Metrics) -> str:
    """One value for people: `–` where undefined, `∞` for the NLL of a model that excluded a true class."""
    value = metrics.get(column)
    if value is None:
        return "∞" if column == "nll" and metrics.get("impossible") else UNDEFINED
    if column == "accuracy":
        return f"{value:.1%}"
    if column == "parameters":
        return f"{value:,}" if value < 10_000_000 else f"{value / 1e6:,.0f} M"
    if column == "stored_bytes":
        return human_bytes(value)
    if column == "latency_ms":
        return f"{value:.2f}" if value < 10 else f"{value:,.0f}"
    return f"{value:.3f}"


def counted(number: int, thing: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number:,} {thing}" + "s" * (number != 1)


def human_bytes(count: float) -> str:
    """A number of bytes in the largest unit of which there is at least one: 9640 -> 9.6 kB."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:,.1f} TB"


def _grouped(rows: list[ModelRow]) -> Iterator[tuple[ModelRow, bool]]:
    teaching = [row.role in ("teacher", "ensemble") for row in rows]
    for i, row in enumerate(rows):
        yield row, teaching[i] and i + 1 < len(rows) and not teaching[i + 1]


def _html_row(row: ModelRow, last_of_group: bool) -> Markup:
    cells = Markup("").join(
        Markup('<td class="num" data-label="{}">{}{}</td>').format(
            heading, shown(column, row.metrics), _interval(column, row.metrics)
        )
        for column, heading in COLUMNS.items()
    )
    end = " group-end" if last_of_group else ""
    return Markup('<tr class="{}{}"><th scope="row">{}</th>{}</tr>').format(row.role, end, row.name, cells)


def _interval(column: str, metrics: Metrics) -> Markup:
    ends = [metrics.get(f"{column}_{end}") for end in ("low", "high")]
    if metrics.get(column) is None or None in ends:
        return Markup("")
    low, high = (shown(column, {column: end}) for end in ends)
    # the sign of the unit once, so that a column stays narrow
    return Markup("<small>{}–{}</small>").format(low.removesuffix("%"), high)
