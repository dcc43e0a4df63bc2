"""What a killed run needs to go on, bit for bit: the engine's state, the generator's, and the draws so far.

    FOLDER/state.safetensors   the last state kept, written under another name and renamed
    FOLDER/NAME.npy            draws, statistics and losses, written in place through a memory map

Rows behind the kept state are written again by the run that goes on, with the same values.
"""

import dataclasses
import json
import os
import time
import types
import typing
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mtbkd.errors import InputError

STATE = "state.safetensors"

# A run that is killed loses at most so many seconds, or this share of its steps, whichever is less.
SECONDS, SHARE = 10.0, 0.05

State = TypeVar("State")
Draft = dict[str, Tensor]


class Checkpoints:
    """Where one engine's run keeps its state.

    generator: the run's; its state is kept with the engine's
    folder: None for a run that keeps nothing: `offer` does nothing and arrays lie in memory
    resumed_from: the step that a killed run went on from, None for a new one
    """

    def __init__(self, generator: torch.Generator, folder: Path | None = None) -> None:
        self.generator = generator
        self.folder = folder
        self.resumed_from: int | None = None
        self.arrays: dict[str, np.memmap] = {}
        self.kept_step: int | None = None
        self.kept_at = time.monotonic()

    def restore(self, kind: type[State], device: torch.device | str = "cpu") -> State | None:
        """The last state kept, its tensors on `device`, and the generator as it was then; None on a new run.

        kind: the state's dataclass, whose type hints say how it is rebuilt
        Raises `InputError` where the file is damaged or of another kind of state.
        """
        path = None if self.folder is None else self.folder / STATE
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                record = json.loads(file.metadata()["state"])
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            generator_state = tensors.pop("generator")
            state = unpack(kind, record["state"], {name: t.to(device) for name, t in tensors.items()})
        except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"checkpoint '{path}' is damaged or of another version ({error}); remove its folder to start over"
            ) from error
        self.generator.set_state(generator_state)
        self.resumed_from = self.kept_step = int(record["step"])
        return cast(State, state)

    def offer(self, state: object, step: int, total: int) -> None:
        """Keep the state after `step` of `total` steps, if the last one kept is old enough, or all are done."""
        if self.folder is None:
            return
        taken = step - (self.kept_step or 0)
        old = taken >= SHARE * total or time.monotonic() - self.kept_at >= SECONDS
        if old or step == total:
            self.keep(state, step)

    def keep(self, state: object, step: int) -> None:
        """Write the state, after all that was written into arrays."""
        assert self.folder is not None
        for array in self.arrays.values():
            array.flush()
        tensors: Draft = {"generator": self.generator.get_state()}
        record = {"step": step, "state": pack(state, "", tensors)}
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{STATE}-{os.getpid()}"
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(unshared(whole), temporary, metadata={"state": json.dumps(record)})
        temporary.replace(self.folder / STATE)
        self.kept_step, self.kept_at = step, time.monotonic()

    def array(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A CPU tensor to write results into in place; on disk where there is a folder, as an earlier run left it.

        Raises `InputError` where an earlier run's is damaged or has another shape.
        """
        if self.folder is None:
            return torch.zeros(shape, dtype=dtype)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.npy"
        wanted = torch.empty(0, dtype=dtype).numpy().dtype
        going_on = self.resumed_from is not None
        if going_on:
            try:
                array = np.lib.format.open_memmap(path, mode="r+")
            except (OSError, ValueError) as error:
                raise InputError(
                    f"'{path}' is missing or damaged ({error}); remove its folder to start over"
                ) from error
            if array.shape != shape or array.dtype != wanted:
                raise InputError(
                    f"'{path}' holds {array.dtype} {array.shape}, this run writes {wanted} {shape}; remove its folder "
                    "to start over"
                )
        else:
            array = np.lib.format.open_memmap(path, mode="w+", dtype=wanted, shape=shape)
        self.arrays[name] = array
        return torch.from_numpy(array)

    def part(self, name: str) -> "Checkpoints":
        """Checkpoints of a run within this one, with the same generator."""
        return Checkpoints(self.generator, None if self.folder is None else self.folder / name)


def unshared(tensors: Draft) -> Draft:
    """The same tensors, none sharing memory with another, as safetensors wants them."""
    seen: set[int] = set()
    result = {}
    for name, tensor in tensors.items():
        address = tensor.untyped_storage().data_ptr()
        result[name] = tensor.clone() if address in seen else tensor
        seen.add(address)
    return result


def pack(value: object, name: str, tensors: Draft) -> Any:
    """A state as JSON, its tensors put into `tensors` under their paths."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: pack(getattr(value, f.name), f"{name}.{f.name}", tensors)
            for f in dataclasses.fields(value)
        }
    if isinstance(value, tuple):
        return [pack(entry, f"{name}.{i}", tensors) for i, entry in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"a state holds tensors, numbers, texts, tuples and dataclasses; {name} is {type(value).__name__}"
    )


def unpack(kind: Any, value: Any, tensors: Draft) -> object:
    """What `pack` made JSON of, rebuilt by its type."""
    if kind is Tensor:
        return tensors[value["tensor"]]
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return cast(Any, kind)(
            **{f.name: unpack(hints[f.name], value[f.name], tensors) for f in dataclasses.fields(kind)}
        )
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        repeated = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(unpack(one, entry, tensors) for one, entry in zip(repeated, value, strict=True))
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        (given,) = (one for one in arguments if one is not type(None))
        return unpack(given, value, tensors)
    if kind in (bool, int, float, str):
        return kind(value)
    raise TypeError(f"a state holds tensors, numbers, texts, tuples and dataclasses, not {kind}")
