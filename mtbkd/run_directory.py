"""The folder of one run: what it is of, how far it got, and what it left.

    run.json  metrics.json  predictions.npz  posterior/  inference_data.nc  report.html  run.log  stages/

Truth is run.json: the resolved configuration, its hash and the run's state. Hydra writes .hydra/ anew before our code
runs, so that one proves nothing.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtbkd.configuration import RunConfig, hash_of
from mtbkd.errors import InputError


@dataclass(frozen=True)
class RunDirectory:
    """One run's folder; `begin` before any work, `finish` or `fail` after."""

    path: Path

    @property
    def record(self) -> dict[str, Any] | None:
        """What run.json says, None where there is none."""
        try:
            stored: dict[str, Any] = json.loads((self.path / "run.json").read_text())
        except FileNotFoundError:
            return None
        except json.JSONDecodeError as error:
            raise InputError(
                f"'{self.path / 'run.json'}' is damaged ({error}); remove the folder, or choose another hydra.run.dir"
            ) from error
        return stored

    @property
    def stages(self) -> Path:
        """Where what is already fitted lies until the run is finished."""
        return self.path / "stages"

    def begin(self, config: RunConfig, command: str) -> str:
        """Claim the folder: 'new', 'continued', or 'finished' (nothing is to be done).

        Raises `InputError` where the folder holds a run of another configuration, naming the keys that differ.
        """
        stored = self.record
        if stored is not None and not config.settings.fresh:
            if stored["hash"] != config.hash:
                keys = differing(stored["config"], config.resolved)
                raise InputError(
                    f"'{self.path}' holds a run of another configuration; differing: {', '.join(keys)}. "
                    "Choose another hydra.run.dir, or start over with fresh=true"
                )
            if stored["state"] == "finished":
                return "finished"
        if stored is not None and config.settings.fresh:
            self.clear()
        self.path.mkdir(parents=True, exist_ok=True)
        state = "new" if stored is None or config.settings.fresh else "continued"
        self.write({"state": "running", "hash": config.hash, "command": command, "config": config.resolved})
        return state

    def finish(self) -> None:
        """Say that everything is there; what was kept only to go on from is removed."""
        shutil.rmtree(self.stages, ignore_errors=True)
        self.write({**(self.record or {}), "state": "finished"})

    def fail(self, config: Mapping[str, Any], command: str, kind: str, message: str) -> None:
        """Keep the error; a folder of another run is left as it is."""
        stored = self.record
        if stored is not None and stored["hash"] != hash_of(config):
            return
        if kind == "bad input" and stored is None:
            return
        self.write(
            {
                "state": "failed",
                "hash": hash_of(config),
                "command": command,
                "config": dict(config),
                "error": {"kind": kind, "message": message},
            }
        )

    def clear(self) -> None:
        """Remove what an earlier run left."""
        for name in ("metrics.json", "predictions.npz", "inference_data.nc", "report.html"):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / "posterior", ignore_errors=True)
        shutil.rmtree(self.stages, ignore_errors=True)

    def write(self, record: Mapping[str, Any]) -> None:
        """Replace run.json whole."""
        write_json(self.path / "run.json", {"format": 1, **record})


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all; NaN is refused."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, allow_nan=False, default=str))
    temporary.replace(path)


def differing(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys in which two configurations differ."""
    keys: list[str] = []
    for key in sorted({*one, *other}):
        a, b = one.get(key), other.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            keys += differing(a, b, f"{prefix}{key}.")
        elif a != b and f"{prefix}{key}" not in ("fresh", "threads"):
            keys.append(f"{prefix}{key}")
    return keys
