"""One place imports ArviZ, and silences it only while it is asked to."""

import logging
import re
import warnings
from pathlib import Path

import pytest

import mtbkd
from mtbkd.arviz_import import quiet_arviz

pytest.importorskip("arviz")


def test_one_module_imports_it():
    package = Path(mtbkd.__file__).parent
    found = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        # what only a type checker reads is no import
        if re.search(r"^\s*import arviz", path.read_text(), re.M)
    ]
    assert found == ["arviz_import.py"]


def warn_of_something() -> None:
    with quiet_arviz():
        assert not logging.getLogger("any").isEnabledFor(logging.WARNING)
        warnings.warn("unheard", stacklevel=1)
        raise KeyError


def test_silence_ends_with_its_block_whatever_happens():
    before = logging.root.manager.disable
    with warnings.catch_warnings(record=True) as heard, pytest.raises(KeyError):
        warn_of_something()
    assert not heard
    assert logging.root.manager.disable == before
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", stacklevel=1)
