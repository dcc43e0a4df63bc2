"""A posterior's folder on disk: `draws.safetensors` and `posterior.json`, written all at once or not at all."""

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mtbkd.errors import InputError

FORMAT = 1
RECORD, DRAWS = "posterior.json", "draws.safetensors"

# Names that the safetensors format has for number types.
TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_folder(path: Path, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a posterior's record and tensors into a folder of its own, in place of an earlier one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        write_tensors(temporary / DRAWS, tensors)
        (temporary / RECORD).write_text(json.dumps({"format": FORMAT, **record}, indent=1), encoding="utf-8")
        replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_folder(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `write_folder` wrote; raises `InputError` where a file is missing, damaged, or of another format."""
    for name in (RECORD, DRAWS):
        if not (path / name).is_file():
            raise InputError(f"no posterior at '{path}': {name} is missing; give the folder `save` wrote")
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        tensors = load_file(path / DRAWS)
    except (ValueError, SafetensorError) as error:
        raise InputError(
            f"posterior at '{path}' is damaged or cut short ({error}); fit or save it again"
        ) from error
    stored = record.get("format") if isinstance(record, dict) else None
    if stored != FORMAT:
        raise InputError(f"posterior at '{path}' has format {stored}; this version reads {FORMAT}")
    missing = [key for key in ("network", "student", "info", "meta") if key not in record]
    missing += [] if "log_density" in tensors else ["log_density"]
    if missing:
        raise InputError(f"posterior at '{path}' is damaged ({missing[0]} is missing); fit or save it again")
    return record, tensors


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file from tensors of any strides, copying one chain of one site at a time.

    The library's own `save_file` wants all of them contiguous at once, which for draws that are views of a memory map
    would bring them into memory twice. The format: 8 bytes of the header's length, the header in JSON padded to a
    multiple of 8, and the numbers, wide types first.
    """
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in ordered:
        first, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [first, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for _, tensor in ordered:
            for part in tensor if tensor.dim() > 2 else (tensor,):
                file.write(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)


def replace_folder(temporary: Path, path: Path) -> None:
    """Put a finished folder in place of an earlier one; raises `InputError` where `path` holds anything else."""
    if not path.exists():
        temporary.rename(path)
        return
    others = sorted(set(os.listdir(path)) - set(os.listdir(temporary))) if path.is_dir() else [path.name]
    if others:
        raise InputError(
            f"'{path}' holds '{others[0]}', which saving here would lose; give a folder of its own"
        )
    old = temporary.with_name(f"{temporary.name}-old")
    path.rename(old)
    temporary.rename(path)
    shutil.rmtree(old)
