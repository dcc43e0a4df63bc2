"""A torch module from a factory that is named in a configuration, and its weights from a safetensors file."""

import importlib
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mtbkd.errors import InputError


def made_by_factory(name: str, factory: str, kwargs: Mapping[str, Any], seed: int) -> nn.Module:
    """What `package.module:function` (or `package.module:Class.method`) returns for `kwargs`.

    Raises `InputError` where it cannot be imported, does not take these arguments or returns no module.
    """
    function = _imported(name, factory)
    try:
        with torch.random.fork_rng(devices=[]):  # layers draw their start from the global generator
            torch.manual_seed(seed)
            module = function(**kwargs)
    except TypeError as error:
        raise InputError(f"teacher '{name}': {factory} does not take these kwargs: {error}") from error
    if not isinstance(module, nn.Module):
        raise InputError(
            f"teacher '{name}': {factory} returned {type(module).__name__}; an nn.Module is needed"
        )
    return module


def load_weights(name: str, module: nn.Module, path: Path) -> None:
    """Fill all of the module's parameters and buffers from a safetensors file.

    Raises `InputError` for a damaged file and for weights of another module.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    try:
        load_model(module, path)
    except SafetensorError as error:
        raise InputError(f"teacher '{name}': {path} is no safetensors file, or truncated: {error}") from error
    except RuntimeError as error:
        differences = " ".join(str(error).split())
        raise InputError(
            f"teacher '{name}': {path} does not fit the module; give the weights of this factory and these kwargs: "
            f"{differences[:500]}"
        ) from error


def _imported(name: str, factory: str) -> Callable[..., object]:
    path, _, attributes = factory.partition(":")
    if not path or not attributes:
        raise InputError(f"teacher '{name}': factory is '{factory}'; write package.module:function")
    found: Any
    try:
        found = importlib.import_module(path)
        found = reduce(getattr, attributes.split("."), found)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"teacher '{name}': factory '{factory}' cannot be imported: {error}; install its package, or put its "
            "folder on PYTHONPATH"
        ) from error
    if not callable(found):
        raise InputError(
            f"teacher '{name}': '{factory}' is a {type(found).__name__}, not a function; name a function"
        )
    return found
