"""Reading images and labels: npz archives, and folders of MNIST's idx files, plain or gzipped."""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mtbkd.data.npz import read_npz
from mtbkd.errors import InputError

# The names of the four files, by the name of the array in an npz; some copies write a dot for the last dash.
_IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
_UNSIGNED_BYTE = 8


def read_images(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The named arrays (`x_train`, `y_train`, `x_test`, `y_test`, `class_names`) of an npz or an idx folder.

    `x_*` are uint8 `[n, H, W]` or `[n, H, W, C]`, `y_*` integers `[n]`.
    Raises `InputError` for a file that is missing, damaged, or holds arrays of another kind.
    """
    arrays = _read_folder(path, required, optional) if path.is_dir() else read_npz(path, required, optional)
    for name, array in arrays.items():
        if name.startswith("x_") and not (array.dtype == np.uint8 and array.ndim in (3, 4)):
            raise InputError(
                f"{path}: {name} is {array.dtype} {array.shape}; give uint8 grey levels 0..255, "
                "[n, height, width] or [n, height, width, channels]"
            )
        if name.startswith("y_") and not (array.dtype.kind in "iu" and array.ndim == 1):
            raise InputError(
                f"{path}: {name} is {array.dtype} {array.shape}; give one integer class an image"
            )
    for part in ("train", "test"):
        x, y = arrays.get(f"x_{part}"), arrays.get(f"y_{part}")
        if x is not None and y is not None and len(x) != len(y):
            raise InputError(f"{path}: x_{part} has {len(x)} rows, y_{part} {len(y)}; they must agree")
    return arrays


def read_idx(path: Path) -> np.ndarray:
    """The array of an idx file of unsigned bytes: a big-endian header with the shape, then the bytes.

    Raises `InputError` for another format and for a file shorter or longer than its header says.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); it is truncated or damaged, copy it again"
        ) from error
    start = 4 + 4 * int.from_bytes(content[3:4])
    if content[:3] != bytes([0, 0, _UNSIGNED_BYTE]) or len(content) < max(start, 8):
        raise InputError(f"{path}: not an idx file of unsigned bytes, or truncated; copy it again")
    shape = tuple(np.frombuffer(content[4:start], ">u4").tolist())
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise InputError(
            f"{path}: {len(content)} bytes, but its header asks for {expected}; it is truncated, copy it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _read_folder(folder: Path, required: Sequence[str], optional: Sequence[str]) -> dict[str, np.ndarray]:
    arrays = {}
    for name in (*required, *optional):
        file = _IDX_FILES.get(name, name)
        variants = [
            f"{stem}{gz}" for stem in (file, ".idx".join(file.rsplit("-idx", 1))) for gz in ("", ".gz")
        ]
        found = next((folder / variant for variant in variants if (folder / variant).is_file()), None)
        if found:
            arrays[name] = read_idx(found)
        elif name in required:
            raise InputError(
                f"{folder}: no file '{file}' (or '{file}.gz'); give a folder with MNIST's idx files"
            )
    return arrays
