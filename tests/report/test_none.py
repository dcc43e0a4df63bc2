"""The report that is none."""

import pytest

from mtbkd.errors import InputError
from mtbkd.report.none import NoneConfig, write_report


def test_nothing_is_written(tmp_path):
    write_report(tmp_path / "report.html", None)
    assert list(tmp_path.iterdir()) == []


def test_its_settings_are_the_pages():
    assert (NoneConfig().held_out, NoneConfig().least_sure) == (16, 0)
    with pytest.raises(InputError, match="held_out is 0"):
        NoneConfig(held_out=0)
