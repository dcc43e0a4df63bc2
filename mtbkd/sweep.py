"""What the runs of a sweep tell its beginning process, which may be another one: a small file each.

A run whose input was bad leaves no folder, and one that found another's folder must not touch it; the sweep's
comparison and exit code need to know of both.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Result = Literal["finished", "bad input", "failed"]


@dataclass(frozen=True)
class Outcome:
    """How one run ended: its folder's name, the result, its configuration, and what went wrong.

    command: what does it again; before: whether it was finished already
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
    """Tell how the sweep's run of that number ended."""
    folder = sweep / ".outcomes"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number}.json").write_text(json.dumps(asdict(outcome), default=str))


def outcomes(sweep: Path) -> list[Outcome]:
    """What was told, in the order of the runs."""
    files = sorted((sweep / ".outcomes").glob("*.json"), key=lambda path: int(path.stem))
    return [Outcome(**json.loads(path.read_text())) for path in files]
