"""Which runs are one configuration."""

import json

import pytest
from stub_runs import SCORES, write_run

from mtbkd.comparison.arms import arms_of
from mtbkd.comparison.runs import read_runs
from mtbkd.errors import InputError


def arms(*folders, models=()):
    return arms_of(read_runs(folders), models)


def names(found):
    return {arm.name: sorted(arm.runs) for arm in found}


def test_runs_that_differ_by_seed_alone_are_one(tmp_path):
    for weighting in ("uniform", "entropy"):
        for seed in (0, 1):
            more = {"report": {"name": "page" if seed else "none"}, "fresh": bool(seed), "threads": 1 + seed}
            write_run(tmp_path / f"{weighting}{seed}", seed, weighting, settings=more)
    found, notes = arms(tmp_path)
    assert names(found) == {"entropy": [0, 1], "uniform": [0, 1]}
    assert found[0].words == "weighting=entropy"
    assert notes == []


def test_what_a_choice_decides_does_not_name_it(tmp_path):
    for engine, steps in (("map", 400), ("svi", 1000)):
        write_run(tmp_path / engine, settings={"inference": {"name": engine, "steps": steps}})
    assert names(arms(tmp_path)[0]) == {"map": [0], "svi": [0]}
    # Unless it was chosen by itself.
    write_run(tmp_path / "longer", settings={"inference": {"name": "svi", "steps": 2000}})
    assert set(names(arms(tmp_path)[0])) == {"map · 400", "svi · 1000", "svi · 2000"}


def test_settings_that_differ_together_all_name_it(tmp_path):
    # Else the difference would be ascribed to the weighting alone.
    write_run(tmp_path / "a", weighting="uniform", settings={"student": {"hidden": [4]}})
    write_run(tmp_path / "b", weighting="entropy", settings={"student": {"hidden": [8, 8]}})
    assert set(names(arms(tmp_path)[0])) == {"uniform · [4]", "entropy · [8,8]"}


def test_machines_keep_the_same_file_in_different_folders(tmp_path):
    for machine, seeds in (("one", (0, 1)), ("two", (2,))):
        for seed in seeds:
            inputs = {"data, test": f"rows of seed {seed}"}
            path = {"data": {"path": f"/{machine}/animals.csv"}}
            write_run(tmp_path / machine / f"seed={seed}", seed, settings=path, inputs=inputs)
    found, _ = arms(tmp_path / "one", tmp_path / "two")
    assert names(found) == {"student": [0, 1, 2]}


def test_files_of_one_name_that_are_not_the_same_are_two_configurations(tmp_path):
    for place in ("one", "two"):
        path = {"data": {"path": f"/{place}/animals.csv"}}
        write_run(tmp_path / place, settings=path, inputs={"data, test": f"rows of {place}"})
    assert set(names(arms(tmp_path)[0])) == {"/one/animals.csv", "/two/animals.csv"}


def test_other_teachers_do_not_tell_data_apart(tmp_path):
    # One run was done twice, with teachers of another version: of the same data all the same.
    for machine, seeds in (("one", (0, 1)), ("two", (1, 2))):
        for seed in seeds:
            inputs = {"data, test": f"rows {seed}", "teacher 'forest'": f"by {machine}"}
            path = {"data": {"path": f"/{machine}/animals.csv"}}
            write_run(
                tmp_path / machine / str(seed),
                seed,
                settings=path,
                inputs=inputs,
                ended=float(machine == "two"),
            )
    found, notes = arms(tmp_path / "one", tmp_path / "two")
    assert names(found) == {"student": [0, 1, 2]}
    assert notes[0].endswith("they were made from different things: teacher 'forest'.")


def test_of_the_same_run_twice_the_later_counts(tmp_path):
    write_run(tmp_path / "a" / "seed=0", nll=0.3, ended=2000.0)
    write_run(tmp_path / "b" / "seed=0", nll=0.5, ended=1000.0)
    write_run(tmp_path / "b" / "seed=1", seed=1, state="failed", error="x")
    found, notes = arms(tmp_path / "b", tmp_path / "a")
    assert found[0].values("nll") == {0: 0.3}
    assert notes == ["b/seed=0 is left out: a/seed=0 has the same settings and seed, and was finished later."]


def test_what_runs_left_out_were_made_from_is_told(tmp_path):
    write_run(tmp_path / "a", ended=2.0, inputs={"data, test": "x", "data, pool": "y"})
    write_run(tmp_path / "b", ended=1.0, inputs={"data, test": "x", "data, pool": "z"})
    _, notes = arms(tmp_path)
    assert notes[0].endswith("they were made from different things: data, pool.")


def test_models(tmp_path):
    metrics = {"kd_student": SCORES, "teacher_ensemble": SCORES, "teachers": {"svm": SCORES}}
    write_run(tmp_path / "a", metrics=metrics)
    write_run(tmp_path / "b", seed=1, metrics={"kd_student": None})
    # One configuration: its models are what there is to compare, of the seeds that have them.
    assert names(arms(tmp_path)[0]) == {
        "student": [0, 1],
        "kd_student": [0],
        "teacher_ensemble": [0],
        "teacher svm": [0],
    }
    write_run(tmp_path / "c", weighting="entropy", metrics=metrics)
    assert set(names(arms(tmp_path)[0])) == {"uniform", "entropy"}
    two = arms(tmp_path, models=("student", "kd_student"))[0]
    assert set(names(two)) == {
        "uniform · student",
        "uniform · kd_student",
        "entropy · student",
        "entropy · kd_student",
    }
    with pytest.raises(InputError, match=r"--model studnt.*did you mean 'student'"):
        arms(tmp_path, models=("studnt",))


def test_a_score_that_some_runs_do_not_have(tmp_path):
    write_run(tmp_path / "a")
    folder = write_run(tmp_path / "b", seed=1, student={"ood": {"total": {"auroc": 0.8}}})
    arm = arms(tmp_path)[0][0]
    assert arm.values("ood.total.auroc") == {1: 0.8}
    found = json.loads((folder / "metrics.json").read_text())
    assert found["student"]["ood"]["total"]["auroc"] == 0.8
