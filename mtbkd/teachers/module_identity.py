"""What makes a torch module predict what it predicts, as plain values for its fingerprint."""

import inspect
import itertools

from torch import nn


def identity_of_module(module: nn.Module) -> dict[str, object]:
    """Layers with their settings, the source of their classes, and every parameter and buffer.

    Settings count besides weights: the same weights with another number of heads predict something else.
    """
    layers = [[path, type(layer).__qualname__, _settings(layer)] for path, layer in module.named_modules()]
    classes = {type(layer) for layer in module.modules()}
    own = sorted((c for c in classes if not c.__module__.startswith("torch.")), key=lambda c: c.__qualname__)
    state = dict(itertools.chain(module.named_parameters(), module.named_buffers()))
    return {"layers": layers, "source": [_source(c) for c in own], "state": state}


def _settings(layer: nn.Module) -> dict[str, object]:
    plain = (bool, int, float, str, tuple)
    return {
        key: value if not isinstance(value, tuple) else str(value)
        for key, value in vars(layer).items()
        if isinstance(value, plain) and not key.startswith("_") and key != "training"
    }


def _source(layer_class: type) -> str:
    try:
        return inspect.getsource(layer_class)
    except (OSError, TypeError):  # typed into an interpreter: no source is kept, only the compiled code
        return str(layer_class.forward.__code__.co_code.hex())  # type: ignore[attr-defined]
