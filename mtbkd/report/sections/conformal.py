"""Sets of classes that hold the true one as often as is promised, and how large they are."""

from collections.abc import Mapping
from typing import Any

from mtbkd.evaluation.conformal import ConformalCoverage
from mtbkd.report.blocks import Block, Figures, FigureView, Section, Table, Words
from mtbkd.report.calibration_figures import conformal_sizes
from mtbkd.report.content import FoundTable, ReportContent
from mtbkd.report.csv_data import stacked

CALLED = {"threshold": "smallest sets", "aps": "adaptive sets"}
STUDENTS = {
    "student": "this student",
    "label_only_student": "without teachers",
    "kd_student": "plain distillation",
}
WHAT = (
    "A conformal set holds the true class as often as is promised, whatever the student, if validation inputs are like "
    "new ones and were used for nothing else: classes enter it until they show that the promise is kept. A better "
    "student has smaller sets. Smallest sets are the shortest on average and may be empty; adaptive sets are larger "
    "where an input is difficult."
)
WITHOUT = "Left out: conformal sets need labelled validation inputs, nine or more, and labelled test inputs."


def section(content: ReportContent) -> Section:
    """Coverage and size of the sets of every student, and the student's by class."""
    found = content.metrics.get("conformal") or {}
    blocks: list[Block] = []
    student = {name: alphas[0] for name, alphas in _coverages(found.get("student")).items() if alphas}
    if not student:
        blocks.append(Words(WITHOUT, "missing"))
    else:
        names = content.class_names
        parts = {
            name: {"class": list(names), "size": one.size_by_class, "coverage": one.coverage_by_class}
            for name, one in student.items()
        }
        told = ", ".join(f"{name} {one.mean_size:.2f}" for name, one in student.items())
        view = FigureView(
            "conformal-sizes",
            conformal_sizes(student, names),
            f"Mean number of classes in a set by true class; over all {told}",
            "How many classes a set holds, by the true class; the largest first. One class (dashed) is an answer, "
            "more are a doubt that is spelt out.",
            stacked(parts, "sets"),
        )
        blocks += [
            Figures([view], beside=[Words(WHAT), Words(_uses(content))]),
            Table("conformal", _table(found)),
        ]
    return Section("conformal", "Sets that hold the truth as often as promised", "Conformal sets", blocks)


def _uses(content: ReportContent) -> str:
    """What else validation inputs were used for: by this run, and what no run can know."""
    uses = content.validation_uses
    if not uses:
        return (
            "This run used them for nothing else. Teachers that came fitted may have seen them, and to choose settings "
            "by their scores is a use too."
        )
    named = uses[0] if len(uses) == 1 else f"{', '.join(uses[:-1])} and {uses[-1]}"
    return (
        f"In this run they also served {named}: the sets may hold the true class less often than promised, by little "
        "where a few numbers were found from many inputs. Coverage on test inputs, below, shows how much."
    )


def _coverages(found: Mapping[str, Any] | None) -> dict[str, list[ConformalCoverage]]:
    """Of metrics.json, where what is not a number is None; by kind of sets, each alpha that could be promised."""
    return {
        CALLED.get(kind, kind): [
            ConformalCoverage(**{name: _with_nan(value) for name, value in one.items()}) for one in alphas
        ]
        for kind, alphas in (found or {}).items()
    }


def _with_nan(value: Any) -> Any:
    return (
        [float("nan") if one is None else one for one in value] if isinstance(value, list | tuple) else value
    )


def _table(found: Mapping[str, Any]) -> FoundTable:
    rows = [
        (
            f"{called}, {name}",
            f"{1 - one.alpha:.0%}",
            f"{one.coverage:.1%}",
            f"{one.expected_low:.1%} to {one.expected_high:.1%}",
            f"{one.mean_size:.2f}",
            f"{one.single:.1%}",
        )
        for key, called in STUDENTS.items()
        for name, alphas in _coverages(found.get(key)).items()
        for one in (alphas if key == "student" else alphas[:1])
    ]
    return FoundTable(
        "Coverage on test inputs",
        f"Thresholds by {found['calibration_rows']:,} validation inputs, tried on {found['test_rows']:,} test inputs. "
        "Expected: where 95% of such coverages fall by chance.",
        ("Sets", "Promised", "Coverage", "Expected", "Classes in a set", "Of one class"),
        tuple(rows),
    )
