import json

import pytest

from mtbkd.comparison import compare
from mtbkd.errors import InputError
from mtbkd.sweep import Outcome

SCORES = {"accuracy": 0.9, "nll": 0.3, "brier": 0.1, "ece": 0.02}
METRICS = {
    "student": {**SCORES, "parameters": 10, "stored_bytes": 40, "latency_ms": 0.5},
    "kd_student": {**SCORES, "accuracy": 0.8},
    "label_only_student": None,
    "teacher_ensemble": {**SCORES, "nll": None},
    "validation": {"student": {**SCORES, "nll": 0.25}, "kd_student": SCORES, "label_only_student": None},
    "diagnostics": {"verdict": "converged"},
    "timing": {"teachers_s": 1.5, "student_s": 2.0, "resumed_from_step": 400},
}


def write_run(folder, state="finished", seed=0, **more):
    folder.mkdir(parents=True)
    config = {"seed": seed, "prior": {"strength": 1.0}, "fresh": seed == 1, "threads": "auto"}
    record = {"state": state, "hash": "x", "config": config, **more}
    (folder / "run.json").write_text(json.dumps(record))
    if state == "finished":
        (folder / "metrics.json").write_text(json.dumps(METRICS))


def test_runs_side_by_side(tmp_path):
    write_run(tmp_path / "seed=0")
    write_run(tmp_path / "seed=1", seed=1)
    write_run(tmp_path / "seed=2", "failed", seed=2, error="RuntimeError: no")
    table = compare([tmp_path]).set_index("run")
    assert list(table.index) == ["seed=0", "seed=1", "seed=2"]
    # What differs has a column; what does not, or changes no result, has none.
    assert list(table["seed"]) == [0, 1, 2]
    assert not {"prior.strength", "fresh", "threads"} & set(table.columns)
    assert table.loc["seed=0", "student.accuracy"] == 0.9
    assert table.loc["seed=0", "kd_student.accuracy"] == 0.8
    # What a setting may be chosen by stands beside what it may not.
    assert table.loc["seed=0", ["student.nll", "student.validation_nll"]].tolist() == [0.3, 0.25]
    assert "label_only_student.validation_nll" not in table
    assert table.loc["seed=0", "seconds"] == 3.5
    assert table.loc["seed=0", "diagnostics"] == "converged"
    assert "label_only_student.accuracy" not in table
    assert table.loc["seed=2", ["state", "error"]].tolist() == ["failed", "RuntimeError: no"]
    assert table["student.nll"].isna().tolist() == [False, False, True]
    assert table["teacher_ensemble.nll"].isna().all()


@pytest.mark.parametrize("validation", [{"validation": None}, {}], ids=["no rows", "earlier version"])
def test_runs_without_validation_scores(tmp_path, validation):
    write_run(tmp_path / "a")
    found = {name: value for name, value in METRICS.items() if name != "validation"} | validation
    (tmp_path / "a" / "metrics.json").write_text(json.dumps(found))
    table = compare([tmp_path])
    assert table["state"].tolist() == ["finished"]
    assert "student.validation_nll" not in table


def test_a_run_that_left_no_folder_has_a_row(tmp_path):
    write_run(tmp_path / "seed=0")
    refused = [Outcome("seed=-1", "bad input", {"seed": -1}, "seed is -1; it must be at least 0")]
    table = compare([tmp_path], refused).set_index("run")
    assert table.loc["seed=-1", ["state", "seed"]].tolist() == ["bad input", -1]
    assert table.loc["seed=-1", "error"].startswith("seed is -1")


def test_a_run_that_found_anothers_folder_is_told_once(tmp_path):
    write_run(tmp_path / "seed=0")
    table = compare([tmp_path], [Outcome("seed=0", "bad input", {"seed": 0}, "another configuration")])
    assert table[["run", "state"]].to_numpy().tolist() == [["seed=0", "bad input"]]


def test_a_damaged_run_is_told(tmp_path):
    write_run(tmp_path / "a")
    (tmp_path / "a" / "metrics.json").write_text("{")
    write_run(tmp_path / "b")
    (tmp_path / "b" / "run.json").write_text("{")
    assert compare([tmp_path])["state"].tolist() == ["damaged", "damaged"]


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"no run\.json below"):
        compare([tmp_path])
