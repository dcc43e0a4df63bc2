"""Who a teacher is, as a hash: equal where its predictions are equal, known before it predicts."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mtbkd.data.distillation import hash_inputs

if TYPE_CHECKING:
    import pandas


def fingerprint(**parts: object) -> str:
    """SHA-256 of named parts: plain values, lists, dicts; tensors and arrays by their content."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=_plain).encode()).hexdigest()


def parts_of(views: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Views of rows as parts of a fingerprint; without a view there is none, and the fingerprint is as before."""
    return {f"view {name}": view for name, view in views.items()}


def table_part(table: "pandas.DataFrame | None") -> dict[str, object]:
    """Columns of a table as a part of a fingerprint; without a table there is none."""
    if table is None:
        return {}
    columns = {str(name): [str(table[name].dtype), table[name].to_numpy(copy=True)] for name in table.columns}
    return {"table": columns}


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def library(name: str) -> str:
    """Name and version of an installed library: another version may train another teacher."""
    return f"{name} {version(name)}"


def seed_of(seed: int, name: str) -> int:
    """A seed in 0..2^32-1 for one teacher of a run, so that two with the same recipe still differ."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big")


def _plain(value: object) -> object:
    if isinstance(value, Tensor):
        return hash_inputs(value.float() if value.dtype == torch.bfloat16 else value)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "OU":
            return [str(v) for v in value.ravel()]
        return hash_inputs(torch.from_numpy(np.ascontiguousarray(value)))
    raise TypeError(f"{type(value).__name__} has no fingerprint")
