"""What a run found when it chose its teachers: whom it hears, whom it dropped and why, and what that saves."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mtbkd.problem import Problem
from mtbkd.report.content import FoundTable

Found = Mapping[str, Any]
COSTS = ("parameters", "latency_ms", "seconds")
_SAVED = {
    "parameters": "parameters",
    "latency_ms": "time for one input",
    "seconds": "seconds asked in this run",
}


def selection(problem: Problem) -> dict[str, Any] | None:
    """Of each teacher asked: kept or dropped, its gain and costs; the share of each cost that is saved.

    None where all teachers are heard without being chosen.
    """
    chosen = problem.selection
    if chosen is None:
        return None
    teachers = {
        one.teacher: {
            "kept": one.dropped is None,
            "dropped": one.dropped,
            "gain": None if one.gain is None else asdict(one.gain),
            **{key: None if one.cost is None else getattr(one.cost, key) for key in COSTS},
        }
        for one in chosen.judgements
    }
    return {"rows": chosen.rows, "kept": list(chosen.kept), "teachers": teachers, "saved": chosen.saved}


def selection_table(found: Found | None) -> FoundTable | None:
    """Whom the student hears, a row a teacher that was asked, those dropped in their order after those kept."""
    if found is None:
        return None
    order = sorted(found["teachers"].items(), key=lambda item: item[1]["dropped"] or 0)
    saved = [
        f"{share:.0%} of the {_SAVED[key]}" for key, share in found["saved"].items() if share is not None
    ]
    dropped = len(found["teachers"]) - len(found["kept"])
    save = f" Those dropped had {', '.join(saved)}." if dropped and saved else ""
    return FoundTable(
        "Teachers chosen",
        f"Whom the student hears, by {found['rows']} labelled rows that no teacher was trained on. The gain is what "
        "the stacked teachers' log score, in nats a row, loses without this one; as long as the 95% interval of the "
        "smallest gain does not lie above 0, that teacher is dropped and the others are judged anew. What else is "
        f"fitted to these rows sees teachers that were chosen on them.{save}",
        ("Teacher", "Verdict", "Gain", "95% interval", "Parameters", "Milliseconds an input"),
        tuple(_row(name, said) for name, said in order),
    )


def _row(name: str, said: Found) -> tuple[str, ...]:
    gain, parameters, latency = said["gain"], said["parameters"], said["latency_ms"]
    return (
        name,
        "kept" if said["kept"] else f"dropped, {said['dropped']}.",
        "" if gain is None else f"{gain['mean']:.4f}",
        "nobody else is left" if gain is None else f"{gain['lower']:.4f} to {gain['upper']:.4f}",
        "" if parameters is None else f"{parameters:,}",
        "" if latency is None else f"{latency:.2f}",
    )
