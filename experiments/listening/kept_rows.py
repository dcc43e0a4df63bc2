"""A part's CSV: what its runs found, by which a run counts as done on a machine that has not its folder.

A row says of which sweep and settings it is; it counts where these are still asked for. Commands that run at once share
the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from experiments.listening.sweeps import Run, Sweep

Row = dict[Any, Any]  # by column
SWEEP, SETTINGS = "sweep", "settings"


@dataclass(frozen=True)
class KeptRows:
    """The rows of a CSV; sweeps: all of its part, in the order of the tables."""

    path: Path
    sweeps: Sequence[Sweep]

    def read(self) -> list[Row]:
        """All of them."""
        if not self.path.is_file():
            return []
        return pd.read_csv(self.path, dtype={SWEEP: str, SETTINGS: str}).to_dict("records")

    def missing(self, sweep: Sweep) -> list[dict[str, str]]:
        """The sweep's combinations that no row is of."""
        there = {key_of(row) for row in self.read()}
        return [
            chosen for chosen in sweep.combinations() if (sweep.name, sweep.settings_of(chosen)) not in there
        ]

    def left(self, sweep: Sweep, root: Path) -> list[dict[str, str]]:
        """Those of them that have no finished run either."""
        done = [dict(run.swept) for run in sweep.finished(root)]
        return [chosen for chosen in self.missing(sweep) if chosen not in done]

    def asked(self) -> pd.DataFrame:
        """Those of all that is asked for, in its order."""
        places = self.places()
        found = sorted(
            (row for row in self.read() if key_of(row) in places), key=lambda row: places[key_of(row)]
        )
        return pd.DataFrame(found)

    def merge(self, sweep: Sweep, fresh: Sequence[Row]) -> None:
        """Put rows of the sweep in the place of older ones of the same settings, and of those that are asked for no
        more with the same seeds."""
        if not fresh:
            return
        places, new = self.places(), {key_of(row) for row in fresh}
        seeds = set(sweep.swept["seed"])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            others = [
                row
                for row in self.read()
                if row[SWEEP] != sweep.name
                or (key_of(row) not in new and (key_of(row) in places or str(row["seed"]) not in seeds))
            ]
            merged = sorted([*others, *fresh], key=lambda row: places.get(key_of(row), len(places)))
            whole = self.path.with_name(f".{self.path.name}.new")
            # With so many digits tables of three decimals are those of the runs themselves.
            pd.DataFrame(merged).to_csv(whole, index=False, float_format="%.7g")
            whole.replace(self.path)

    def places(self) -> dict[tuple[str, str], int]:
        """The number of each combination of each sweep, by what its rows say of it."""
        asked = (
            (sweep.name, sweep.settings_of(chosen))
            for sweep in self.sweeps
            for chosen in sweep.combinations()
        )
        return {key: number for number, key in enumerate(asked)}


def key_of(row: Row) -> tuple[str, str]:
    """The sweep and the settings that a row says it is of."""
    return row[SWEEP], row[SETTINGS]


def of_run(rows: Sequence[Row], sweep: Sweep, run: Run) -> list[Row]:
    """The rows with what they are of."""
    return [{**row, SWEEP: sweep.name, SETTINGS: sweep.settings_of(run.swept)} for row in rows]
