"""What a fit was begun with and how it runs, kept beside its checkpoints: a run that goes on must be the same run.

FOLDER/fit.json   what it is of, and the choices made for the whole run
FOLDER/PART/      the checkpoints of each part
"""

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtbkd.data.distillation import hash_inputs
from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.graphs import Execution, compiler_found
from mtbkd.inference.engine import EngineConfig
from mtbkd.planning import PLANNING_ROWS
from mtbkd.threads import threads_within

FILE = "fit.json"


@dataclass(frozen=True)
class FitRecord:
    """The record of one fit, and where it lies; `folder` None for a fit that keeps nothing.

    choices: by part, how its density is executed and on how many threads; filled as the parts begin
    """

    folder: Path | None
    identity: Mapping[str, Any]
    choices: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        folder: str | Path | None,
        density: Density,
        config: EngineConfig,
        seed: int,
        start: Tensor | None,
    ) -> "FitRecord":
        """The record in this folder, or a new one.

        Raises `InputError` where the folder holds another fit, naming what differs, or is damaged.
        """
        if folder is None:
            return cls(None, {})
        folder = Path(folder)
        identity = identity_of(density, config, seed, start)
        if not (folder / FILE).is_file():
            return cls(folder, identity)
        try:
            stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
            before, choices = stored["identity"], stored["choices"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"checkpoint '{folder}' is damaged ({error}); remove it to start over"
            ) from error
        differing = sorted(k for k in {*identity, *before} if identity.get(k) != before.get(k))
        if differing:
            raise InputError(
                f"checkpoint '{folder}' is of another fit; differing: {', '.join(differing)}. "
                "Give another folder, or remove it to start over"
            )
        if not getattr(config, "resumable", True):
            warnings.warn(f"{config.name} keeps nothing to go on from: it starts again", stacklevel=3)
            shutil.rmtree(folder / "engine", ignore_errors=True)
        return cls(folder, identity, choices)

    def part(self, name: str) -> Path | None:
        """Where a part keeps its checkpoints."""
        return None if self.folder is None else self.folder / name

    def plan(self, part: str, density: Density, config: EngineConfig, compiled: str) -> Density:
        """The density as this part runs it: as the run was begun, or chosen now and kept.

        Raises `InputError` where a run begun with compiled graphs cannot have them now.
        """
        planned = density.plan(
            config.num_chains, config.evaluations, getattr(config, "batch_size", None), compiled
        )
        threads = 1 if planned.small else torch.get_num_threads()
        if part in self.choices:
            execution = Execution(**self.choices[part]["execution"])
            if execution.compiled and not compiler_found(density.device):
                raise InputError(
                    f"checkpoint '{self.folder}' was begun with compiled graphs, and there is no C++ compiler now: its "
                    "draws would be others. Install one (g++), or remove the folder to start over"
                )
            return planned.with_execution(execution)
        self.choices[part] = {"execution": asdict(planned.execution), "threads": threads}
        self.write()
        return planned

    def threads(self, part: str) -> AbstractContextManager[None]:
        """Torch's threads as this part's choices have them."""
        return threads_within(self.choices[part]["threads"])

    def write(self) -> None:
        """Write the record whole."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{FILE}-{os.getpid()}"
        content = {"identity": self.identity, "choices": self.choices}
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        temporary.replace(self.folder / FILE)


def identity_of(density: Density, config: EngineConfig, seed: int, start: Tensor | None) -> dict[str, Any]:
    """What decides a fit's draws, as JSON: a run goes on only where all of it is the same.

    The model is code and cannot be hashed; its log joint at one point, on the first rows, stands for it.
    """
    rows = tuple(t[:PLANNING_ROWS] for t in density.tensors) if density.takes_batches else density.tensors
    point = torch.linspace(-0.1, 0.1, density.dim, dtype=density.dtype, device=density.device)
    batch = (*rows, density.scalar(1.0)) if density.takes_batches else rows
    with torch.no_grad():
        value = float(density.log_joint(point, batch, density.held))
    settings: dict[str, Any] = asdict(config)  # type: ignore[call-overload]
    content = {
        "engine": settings,
        "seed": seed,
        "start": None if start is None else hash_inputs(start),
        "data": [hash_inputs(tensor) for tensor in density.tensors],
        "model": {"sites": {s.name: list(s.shape) for s in density.sites}, "log joint": f"{value:.6g}"},
        "device": density.device.type,
        "torch": torch.__version__,
    }
    return dict(json.loads(json.dumps(content)))
