"""Which peers are here; the others are left out of the table with a plain word."""

import importlib.util
import os
import warnings
from types import ModuleType

import torch

# JAX would take three quarters of a GPU's memory at once, which torch needs in the same process.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

EXTRA = "not installed; pip install -c constraints.txt -e '.[bench]'"


def missing(*modules: str, device: torch.device | None = None) -> str | None:
    """Why a peer of these modules cannot run, or None: it can.

    device: asked of JAX too, whose CPU build does not see a GPU
    """
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    if absent:
        return f"{', '.join(absent)} {EXTRA}"
    if device is not None and device.type == "cuda":
        import jax

        if jax.default_backend() != "gpu":
            return "this JAX sees no GPU"
    return None


def import_posteriors() -> ModuleType:
    """`posteriors`, without a page of its dependency's warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import posteriors
    return posteriors
