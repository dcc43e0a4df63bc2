"""ArviZ, imported when it is first asked for: its import takes seconds, and nothing that fits or predicts needs it."""

import warnings
from types import ModuleType


def arviz() -> ModuleType:
    """The arviz module, without its announcement of version 1.0, which pyproject.toml keeps out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="\\s*ArviZ is undergoing", category=FutureWarning)
        import arviz
    return arviz
