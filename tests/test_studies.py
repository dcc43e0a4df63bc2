"""Experiments that sweep: every combination of theirs is a valid configuration, and none leaves a method out."""

import itertools
import re

import pytest
import tiny_runs
from omegaconf import OmegaConf

from experiments.listening import ways
from mtbkd.cli import conf_folder
from mtbkd.configuration import resolve

PARAMS = {
    path.stem: OmegaConf.load(path).hydra.sweeper.params
    for path in sorted((conf_folder() / "experiment").glob("*.yaml"))
    if "hydra" in OmegaConf.load(path)
}


def swept(name):
    """The values of each key; a comma in brackets belongs to a value."""
    return {key: re.split(r",(?![^\[]*\])", str(values)) for key, values in PARAMS[name].items()}


@pytest.mark.parametrize("name", PARAMS)
def test_every_value_is_valid(name):
    values = swept(name)
    on = OmegaConf.load(conf_folder() / "experiment" / f"{name}.yaml").get("defaults") or []
    data = next((entry["override /data"] for entry in on if "override /data" in entry), "digits")
    # Coverage is of data sets, of which five tell nothing.
    assert len(set(values["seed"])) == len(values["seed"]) == (20 if name == "known_truth" else 5)
    # Each value of each key once, beside the others' in turn.
    for chosen in itertools.islice(
        zip(*map(itertools.cycle, values.values()), strict=True), max(map(len, values.values()))
    ):
        words = [f"{key}={value}" for key, value in zip(values, chosen, strict=True)]
        found = resolve(tiny_runs.composed(f"experiment={name}", *words))
        assert str(found.settings.seed) == dict(zip(values, chosen, strict=True))["seed"]
        assert found.methods["data"] == data
        assert "hydra" not in found.resolved


def test_no_weighting_is_left_out():
    assert swept("weightings")["weighting"][0] == ways.BASELINE, "the first is what differences are to"
    assert set(swept("weightings")["weighting"]) == set(ways.weightings())


def test_each_number_of_teachers_is_another_one():
    asked = [
        resolve(tiny_runs.composed("experiment=numbers_of_teachers", f"teachers.only={names}"))
        for names in swept("numbers_of_teachers")["teachers.only"]
    ]
    assert [len(config.teachers.all_members) for config in asked] == [1, 2, 4, 8, 16]


def test_the_teacher_of_the_known_truth_is_worth_the_labels_that_it_saw():
    found = resolve(tiny_runs.composed("experiment=known_truth"))
    assert found.prior.concentration == found.data.votes
    truth = (found.data.truth_hidden, found.data.truth_activation, found.data.truth_scale)
    assert truth == (found.student.hidden, found.student.activation, found.student.prior_scale)
    assert found.student.prior_kind == "fan_in"
    assert (found.inference.num_chains, found.inference.draws) == (4, 250)
    other = resolve(tiny_runs.composed("experiment=known_truth", "inference=svi", "data.votes=10"))
    assert (other.methods["inference"], other.prior.concentration) == ("svi", 10)


def test_the_readmes_table_is_one_of_them():
    assert PARAMS["digits"] == {"seed": "0,1,2,3,4", "student.prior_scale": "1,3,10,30,100"}
    assert resolve(tiny_runs.composed("experiment=digits")) == resolve(tiny_runs.composed())


def test_the_command_line_takes_the_place_of_what_a_study_sweeps(mtbkd, words, tmp_path):
    kept = [word for word in words if not word.startswith("inference")]
    brief = ["inference.steps=20", "report=none", "hydra.sweep.dir=sweep"]
    code, out, _ = mtbkd(
        "-m", "experiment=weightings", *kept, *brief, "weighting=entropy,uniform", "seed=3,4"
    )
    assert code == 0
    named = sorted(path.parent.name for path in (tmp_path / "sweep").glob("*/run.json"))
    assert named == [f"seed={seed},weighting={rule}" for seed in (3, 4) for rule in ("entropy", "uniform")]
    # In the order of the command: its first is the baseline.
    assert any(line.startswith("1. entropy") for line in out)
