"""A fitted classifier on disk: `posterior/` and `estimator.json`, no pickle."""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from mtbkd import registry
from mtbkd.data.table_encoding import TableEncoding
from mtbkd.errors import InputError
from mtbkd.posterior import Posterior
from mtbkd.posterior_file import replace_folder

FORMAT = 1
# Parameters whose value may be a method's configuration and that are not called as the method's group.
GROUPS = {"teacher_temperature": "temperature"}


@dataclass(frozen=True)
class StoredClassifier:
    """posterior; fitted: what else `fit` learned, by attribute; parameters: of the constructor, as far as they are
    plain values or configurations of methods, the others None."""

    posterior: Posterior
    fitted: Mapping[str, Any]
    parameters: Mapping[str, Any]


def write(path: Path, stored: StoredClassifier) -> None:
    """Write the folder, all at once or not at all; raises `InputError` where it holds anything else."""
    record = {
        "format": FORMAT,
        "fitted": {name: _array_to_json(value) for name, value in stored.fitted.items()},
        "parameters": {name: _parameter_to_json(value) for name, value in stored.parameters.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        stored.posterior.save(temporary / "posterior")
        (temporary / "estimator.json").write_text(json.dumps(record, indent=1))
        replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read(path: Path, network: nn.Module | None = None) -> StoredClassifier:
    """What `write` wrote; raises `InputError` for a missing or damaged file, or another network."""
    file = path / "estimator.json"
    try:
        record = json.loads(file.read_text())
        if record["format"] != FORMAT:
            raise InputError(f"'{file}' has format {record['format']}; this version reads {FORMAT}")
        fitted = {name: _array_of_json(value) for name, value in record["fitted"].items()}
        parameters = {name: _parameter_of_json(name, v) for name, v in record["parameters"].items()}
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"no classifier at '{path}': {file.name} is missing; give the folder `save` wrote"
        ) from error
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"'{file}' is damaged or cut short ({error}); save the classifier again") from error
    return StoredClassifier(Posterior.load(path / "posterior", network), fitted, parameters)


def _array_to_json(value: Any) -> Any:
    """Plain values as they are, encodings as their record, arrays with their dtype; exact, since JSON writes floats so
    that they read the same."""
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "values": value.tolist()}
    return {"encoding": value.record()} if isinstance(value, TableEncoding) else value


def _array_of_json(stored: Any) -> Any:
    if isinstance(stored, dict) and "encoding" in stored:
        return TableEncoding.of_record(stored["encoding"])
    if isinstance(stored, dict):
        return np.array(stored["values"], dtype=np.dtype(stored["dtype"]))
    return stored


def _parameter_to_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        method = type(value).__module__.rpartition(".")[2]
        return {"method": method, "settings": dataclasses.asdict(value)}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return [_parameter_to_json(item) for item in value]
    return value if isinstance(value, bool | int | float | str) else None


def _parameter_of_json(name: str, stored: Any) -> Any:
    if isinstance(stored, dict):
        return type(registry.default_config(GROUPS.get(name, name), stored["method"]))(**stored["settings"])
    return tuple(stored) if isinstance(stored, list) else stored
