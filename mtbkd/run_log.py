"""run.log: what happened when, and every warning once."""

import logging
import sys
import warnings
from logging.handlers import MemoryHandler
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

log = logging.getLogger("mtbkd")


class RunLog:
    """Hears the `mtbkd` logger and Python's warnings while it is entered.

    Lines are kept in memory until `write_to` names a file, since bad input must leave none.
    warnings: the text of each, once, in the order they came; each is shown on stderr too.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.memory = MemoryHandler(capacity=1_000_000, flushLevel=logging.CRITICAL + 1)
        self.caught = warnings.catch_warnings()

    def __enter__(self) -> Self:
        self.level = log.level
        log.setLevel(logging.INFO)
        log.addHandler(self.memory)
        self.caught.__enter__()
        warnings.showwarning = self.note
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.caught.__exit__(kind, error, trace)
        log.removeHandler(self.memory)
        log.setLevel(self.level)
        target = self.memory.target
        self.memory.close()
        if target is not None:
            target.close()

    def write_to(self, path: Path) -> None:
        """Append what was heard so far, and from now on each line at once."""
        file = logging.FileHandler(path, encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.memory.setTarget(file)
        self.memory.flushLevel = logging.NOTSET
        self.memory.flush()

    def note(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Take a warning in the place of `warnings.showwarning`."""
        text = " ".join(str(message).split())
        if text not in self.warnings:
            self.warnings.append(text)
            log.warning("%s: %s", category.__name__, text)
            print(f"mtbkd: warning: {text}", file=sys.stderr)
