import json

import pytest
from stub_runs import SCORES, write_run

from mtbkd import compare
from mtbkd.errors import InputError

OTHERS = {
    "kd_student": {**SCORES, "accuracy": 0.8},
    "label_only_student": None,
    "teacher_ensemble": {**SCORES, "nll": None},
}


def test_runs_side_by_side(tmp_path):
    same = {"prior": {"strength": 1.0}}
    write_run(tmp_path / "seed=0", settings={**same, "fresh": False}, metrics=OTHERS)
    write_run(tmp_path / "seed=1", seed=1, settings={**same, "fresh": True, "threads": 1}, metrics=OTHERS)
    write_run(tmp_path / "seed=2", seed=2, settings=same, state="failed", error="RuntimeError: no")
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
    # Scored, but by no finite number: it excluded a true class.
    assert table["teacher_ensemble.nll"].tolist()[:2] == [float("inf")] * 2


@pytest.mark.parametrize("metrics", [{"validation": None}, {}], ids=["no rows", "earlier version"])
def test_runs_without_validation_scores(tmp_path, metrics):
    folder = write_run(tmp_path / "a", validation=None, metrics=metrics)
    if not metrics:
        found = json.loads((folder / "metrics.json").read_text())
        del found["validation"]
        (folder / "metrics.json").write_text(json.dumps(found))
    table = compare([tmp_path])
    assert table["state"].tolist() == ["finished"]
    assert "student.validation_nll" not in table


def test_a_damaged_run_is_told(tmp_path):
    (write_run(tmp_path / "a") / "metrics.json").write_text("{")
    (write_run(tmp_path / "b") / "run.json").write_text("{")
    (write_run(tmp_path / "c") / "metrics.json").unlink()
    assert compare([tmp_path])["state"].tolist() == ["damaged"] * 3


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"no run\.json below"):
        compare([tmp_path])
    with pytest.raises(InputError, match="is no folder"):
        compare([tmp_path / "nowhere"])
