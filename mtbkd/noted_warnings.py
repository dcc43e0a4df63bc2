"""Warnings that are shown as ever and noted besides, for whoever tells of the work later."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def noted_warnings() -> Iterator[list[str]]:
    """A list that holds, once the work is done, the text of each warning that it gave, once; each is given on."""
    notes: list[str] = []
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            yield notes
    finally:
        for one in caught:
            text = " ".join(str(one.message).split())
            if text not in notes:
                notes.append(text)
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
