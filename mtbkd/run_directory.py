"""The folder of one run: what it is of, how far it got, and what it left.

    run.json  .hydra/  metrics.json  predictions.npz  posterior/  inputs.json (of a table)  inference_data.nc
    report.html  run.log  stages/

Truth is run.json: the resolved configuration, its hash, what the run was made from, and its state.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mtbkd.configuration import RunConfig, differing
from mtbkd.errors import InputError

State = Literal["new", "continued", "finished"]
RESULTS = (
    "metrics.json",
    "predictions.npz",
    "inference_data.nc",
    "report.html",
    "posterior",
    "inputs.json",
    "stages",
)
OWN = (*RESULTS, "run.json", "run.log", ".hydra")
LOCK = ".lock"


@dataclass(frozen=True)
class RunDirectory:
    """One run's folder; `state` before any work, then `begin`, and `finish` or `fail`.

    documents: texts by relative path, laid beside run.json when the run begins
    patient: another process at work here is waited for: a search may draw the same settings twice at once
    """

    path: Path
    documents: Mapping[str, str] = field(default_factory=dict)
    patient: bool = False

    @property
    def record(self) -> dict[str, Any] | None:
        """What run.json says, None where there is none."""
        return read_record(self.path)

    @property
    def stages(self) -> Path:
        """Where what is already fitted lies until the run is finished."""
        return self.path / "stages"

    def state(self, config: RunConfig) -> State:
        """What a run of this configuration finds here; nothing is written.

        Raises `InputError` where the folder holds a run of another configuration, naming the keys that differ.
        """
        stored = self.record
        if stored is None or config.settings.fresh:
            return "new"
        if stored["hash"] != config.hash:
            keys = differing(stored["config"], config.resolved)
            raise InputError(
                f"'{self.path}' holds a run of another configuration; differing: {', '.join(keys)}. "
                "Choose another hydra.run.dir, or start over with fresh=true"
            )
        return "finished" if stored["state"] == "finished" else "continued"

    def begin(self, config: RunConfig, command: str, inputs: Mapping[str, str]) -> None:
        """Claim the folder for a run made from `inputs`, hashes by name; what another run left is removed.

        Raises `InputError` where an unfinished run was made from others.
        """
        stored = self.record
        if self.state(config) == "continued":
            assert stored is not None
            changed = differing(stored.get("inputs", {}), dict(inputs))
            if changed:
                raise InputError(
                    f"'{self.path}' holds an unfinished run made from other inputs; changed since: "
                    f"{', '.join(changed)}. Start over with fresh=true, or choose another hydra.run.dir"
                )
        else:
            self.remove(OWN)
        for name, text in self.documents.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        self.write("running", config.hash, config.resolved, command, inputs=dict(inputs))

    def finish(self) -> None:
        """Say that everything is there; what was kept only to go on from is removed."""
        ended = round(time.time(), 3)
        write_json(self.path / "run.json", {**(self.record or {}), "state": "finished", "ended": ended})
        self.remove(("stages",))

    def fail(self, config: RunConfig, command: str, error: str, trace: str) -> None:
        """Keep the error in run.json and its traceback in run.log; what is fitted stays."""
        stored = self.record or {}
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "run.log").open("a", encoding="utf-8") as file:
            file.write(trace)
        inputs = {"inputs": stored["inputs"]} if "inputs" in stored else {}
        self.write("failed", config.hash, config.resolved, command, error=error, **inputs)

    def discard(self) -> None:
        """Leave nothing of a run that its input forbade, unless something is fitted already."""
        if not self.stages.exists():
            self.remove(OWN)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; raises `InputError` where one is at work here, or waits for it if `patient`."""
        from filelock import FileLock, Timeout

        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path / LOCK, timeout=-1 if self.patient else 0):
                try:
                    yield
                finally:
                    if self.record is None:  # nothing came of it: an empty folder is left as it was
                        self.remove((LOCK,))
        except Timeout as error:
            raise InputError(
                f"another process is at work in '{self.path}'; wait for it, or choose another hydra.run.dir"
            ) from error

    def remove(self, names: tuple[str, ...]) -> None:
        """Remove files and folders of ours."""
        for name in names:
            path = self.path / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def write(
        self, state: str, identity: str, config: Mapping[str, Any], command: str, **more: object
    ) -> None:
        """Replace run.json whole."""
        record = {
            "format": 1,
            "state": state,
            "hash": identity,
            "command": command,
            "config": config,
            **more,
        }
        write_json(self.path / "run.json", record)


def read_record(folder: Path) -> dict[str, Any] | None:
    """What a folder's run.json says, None where there is none; raises `InputError` for a damaged one."""
    path = folder / "run.json"
    try:
        stored: dict[str, Any] = json.loads(path.read_text())
        if not isinstance(stored, dict) or not {"state", "hash", "config"} <= stored.keys():
            raise ValueError("state, hash or config is missing")
        if not isinstance(stored["config"], dict):
            raise ValueError("config is no mapping")
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(
            f"'{path}' is damaged ({error}); remove the folder, or choose another hydra.run.dir"
        ) from error
    return stored


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all; NaN is refused."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, allow_nan=False, default=str))
    temporary.replace(path)
