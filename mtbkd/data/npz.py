"""Finding files and reading numpy archives, with errors a user can mend."""

import difflib
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mtbkd.errors import InputError, nearest


def existing(path: str | None, what: str) -> Path:
    """The path given for `what`; raises `InputError` where it is unset or nothing is there."""
    if not path:
        raise InputError(f"{what} is not set; give the path of a file, as in {what}=my_file")
    found = Path(path).expanduser()
    if found.exists():
        return found
    if not found.parent.is_dir():
        raise InputError(f"{what}: no file '{found}'; the folder '{found.parent}' does not exist")
    close = difflib.get_close_matches(found.name, [p.name for p in found.parent.iterdir()], n=1)
    mend = f"did you mean '{close[0]}'?" if close else "check the name"
    raise InputError(f"{what}: no file '{found}'; {mend}")


def read_npz(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The named arrays of an archive (optional ones where present); byte strings decoded, never a pickle.

    Raises `InputError` for a file that is no archive, is truncated, holds Python objects or lacks an array.
    """
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{path}: not an npz archive, or truncated; copy it again or write it with numpy.savez"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            present = archive.files
            arrays = {name: archive[name] for name in (*required, *optional) if name in present}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); write plain arrays with numpy.savez") from error
    for name in required:
        if name not in arrays:
            raise InputError(f"{path}: no array '{name}'; {nearest(name, present)}")
    return {name: _decoded(array) for name, array in arrays.items()}


def _decoded(array: np.ndarray) -> np.ndarray:
    return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
