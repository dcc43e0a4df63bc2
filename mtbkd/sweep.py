"""What the runs of a sweep tell its beginning process, which may be another one: a small file each.

A run whose input was bad leaves no folder, and one that found another's folder must not touch it; the sweep's
comparison and exit code need to know of both.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mtbkd.tracking.password import masked

Result = Literal["finished", "bad input", "failed", "damaged"]


@dataclass(frozen=True)
class Outcome:
    """How one run ended: its folder's name, the result, its configuration, and what went wrong.

    state: damaged where its file cannot be read; command: what does it again; before: whether it was finished already
    """

    run: str
    state: Result
    config: Mapping[str, Any]
    error: str = ""
    command: str = ""
    before: bool = False


def exit_code(states: Sequence[str]) -> int:
    """0 where all runs are finished, 2 where all had bad input, else 1."""
    if all(state == "finished" for state in states):
        return 0
    return 2 if all(state == "bad input" for state in states) else 1


def clear(sweep: Path) -> None:
    """Forget the outcomes of an earlier sweep in this folder."""
    shutil.rmtree(sweep / ".outcomes", ignore_errors=True)


def note(sweep: Path, number: int, outcome: Outcome) -> None:
    """Tell how the sweep's run of that number ended, whole or not at all."""
    path = sweep / ".outcomes" / f"{number}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    # A run may have been refused because of a password in its settings.
    temporary.write_text(masked(json.dumps(asdict(outcome), default=str)))
    temporary.replace(path)


def outcomes(sweep: Path) -> list[Outcome]:
    """What was told, in the order of the runs; of a damaged file that it is."""
    files = sorted((sweep / ".outcomes").glob("[0-9]*.json"), key=lambda path: int(path.stem))
    return [read(path) for path in files]


def read(path: Path) -> Outcome:
    """What one file tells; a damaged one has its own name in the place of the run's."""
    try:
        return Outcome(**json.loads(path.read_text()))
    except (TypeError, ValueError) as error:
        told = f"'{path}' is damaged ({error}); do the sweep again: what is finished stays"
        return Outcome(f"{path.parent.name}/{path.name}", "damaged", {}, told)
