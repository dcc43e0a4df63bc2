"""The configuration reference says what is written in conf/, of every group and choice."""

import re

import pytest
from omegaconf import OmegaConf

from docs_hooks.configuration_reference import (
    CONF,
    GROUPS,
    choices,
    group_page,
    overview_page,
    settings_table,
)


def test_every_group_is_told_of():
    assert set(GROUPS) == {path.name for path in CONF.iterdir() if path.is_dir()}
    for group in GROUPS:
        assert f"[{group}]({group}.md)" in overview_page()


def test_a_table_by_hand():
    text = "name: one  # what it is\nrate: 0.1   # of a | b, > 0\n# a remark\nlist: [1, 2]  # two\n"
    assert settings_table(text).splitlines()[2:] == [
        "| `rate` | `0.1` | of a \\| b, \\> 0 |",
        "| `list` | `[1, 2]` | two |",
    ]
    assert settings_table("name: none  # nothing\n") == "Nothing to set."
    assert settings_table("members:\n  one: 1  # nested\n") == ""


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_and_setting_is_on_its_page(group):
    page = group_page(group)
    sections = dict(
        zip(re.findall(r"^## (.+)$", page, re.M), re.split(r"^## .+$", page, flags=re.M)[1:], strict=True)
    )
    assert len(sections) == len(choices(group)) > 0
    for path in choices(group):
        section = sections[path.relative_to(CONF / group).with_suffix("").as_posix()]
        for key in OmegaConf.load(path):
            assert key in ("name", "defaults") or f"`{key}`" in section or f"{key}:" in section
