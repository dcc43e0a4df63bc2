"""ArviZ, imported when it is first asked for: its import takes seconds, and nothing that fits or predicts needs it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np


def arviz() -> ModuleType:
    """The arviz module, without its announcement of version 1.0, which pyproject.toml keeps out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="\\s*ArviZ is undergoing", category=FutureWarning)
        import arviz
    return arviz


@contextmanager
def quiet_arviz() -> Iterator[ModuleType]:
    """The arviz module, which meanwhile warns of nothing: neither of matplotlib's deprecations nor of odd draws, which
    are for our diagnostics to speak of."""
    module, before = arviz(), logging.root.manager.disable
    logging.disable(logging.WARNING)  # its logger is its own, which getLogger does not find
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield module
    finally:
        logging.disable(before)
