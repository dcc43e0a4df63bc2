"""An entry of the cache on disk: one array and its manifest in a folder, there whole or not at all."""

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from mtbkd.teachers.fingerprint import file_hash

FORMAT = 1
Made = TypeVar("Made")


def write_entry(entry: Path, name: str, values: Tensor, manifest: Mapping[str, Any]) -> None:
    """Write `NAME.npy` float32 and `manifest.json` under a temporary name and rename the folder."""
    temporary = Path(tempfile.mkdtemp(dir=entry.parent, prefix=".writing-"))
    try:
        np.save(temporary / f"{name}.npy", values.numpy(), allow_pickle=False)
        content = {
            "format": FORMAT,
            **manifest,
            "shape": list(values.shape),
            "dtype": "float32",
            "sha256": file_hash(temporary / f"{name}.npy"),
        }
        (temporary / "manifest.json").write_text(json.dumps(content, indent=1))
        if entry.exists():  # a damaged one, or it would have been read
            shutil.rmtree(entry)
        temporary.rename(entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_entry(entry: Path, name: str, made: Callable[[Tensor, Mapping[str, Any]], Made]) -> Made | None:
    """What `made` makes of an entry's array, memory-mapped, and its manifest; None where there is no entry or, with a
    warning, where it is damaged."""
    if not entry.exists():
        return None
    try:
        manifest = json.loads((entry / "manifest.json").read_text())
        if manifest["sha256"] != file_hash(entry / f"{name}.npy"):
            raise ValueError("the checksum differs")
        # Copy on write: pages are shared between processes, and nothing can reach the file.
        values = np.load(entry / f"{name}.npy", mmap_mode="c", allow_pickle=False)
        if list(values.shape) != manifest["shape"]:
            raise ValueError("the shape differs")
        return made(torch.from_numpy(values), manifest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(
            f"cached predictions in {entry} are damaged ({error}); they are made again", stacklevel=2
        )
        return None
