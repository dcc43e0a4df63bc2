"""The page of ways to listen names every way there is, and no other."""

import re
from pathlib import Path

import pytest

from mtbkd import registry
from mtbkd.cli import conf_folder

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "teachers.md").read_text()


@pytest.mark.parametrize(("heading", "group"), [("Weightings", "weighting"), ("Temperatures", "temperature")])
def test_a_table_lists_a_groups_methods(heading, group):
    section = PAGE.split(f"## {heading}")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.M)) == registry.names(group)


def test_the_table_of_pools_lists_the_priors_and_their_named_configurations():
    section = PAGE.split("## Pools")[1].split("\n## ")[0]
    named = {path.stem for path in (conf_folder() / "prior").glob("*.yaml")}
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.M)) == named


def test_what_it_tells_to_choose_is_there():
    chosen = re.findall(
        r"\b(weighting|experiment|prior|student|features|augmentation|temperature)=([\w|,]+)", PAGE
    )
    for group, value in chosen:
        for name in re.split(r"[|,]", value):
            assert name == "NAME" or (conf_folder() / group / f"{name}.yaml").exists(), f"{group}={name}"
    assert len(chosen) > 8
