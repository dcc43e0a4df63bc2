import math

import pytest
from stub_runs import write_run

from mtbkd.comparison.runs import read_runs
from mtbkd.sweep import Outcome, note


def number(folder, value):
    (folder / ".hydra").mkdir()
    told = f"hydra:\n  launcher:\n    num: 77\n  job:\n    name: cli\n    num: {value}\n    config:\n      x: 1\n"
    (folder / ".hydra" / "hydra.yaml").write_text(told)


def test_runs_come_in_the_order_of_their_sweep(tmp_path):
    for place, name in enumerate(["weighting=uniform", "weighting=entropy", "weighting=best"]):
        number(write_run(tmp_path / name), place)
    write_run(tmp_path / "single")
    names = [run.name for run in read_runs([tmp_path])]
    assert names == ["weighting=uniform", "weighting=entropy", "weighting=best", "single"]


def test_folders_come_in_their_order_and_each_run_once(tmp_path):
    write_run(tmp_path / "b" / "seed=0")
    write_run(tmp_path / "a" / "seed=0")
    found = read_runs([tmp_path / "b", tmp_path / "a", tmp_path / "b" / "seed=0"])
    assert [run.name for run in found] == ["b/seed=0", "a/seed=0"]
    alone = read_runs([tmp_path / "b" / "seed=0"])
    assert [run.name for run in alone] == ["seed=0"]


def test_a_run_that_left_no_folder_is_told(tmp_path):
    write_run(tmp_path / "seed=0")
    note(tmp_path, 0, Outcome("seed=0", "finished", {"seed": 0}))
    note(tmp_path, 1, Outcome("seed=-1", "bad input", {"seed": -1}, "seed is -1", "mtbkd seed=-1"))
    refused = next(run for run in read_runs([tmp_path]) if not run.finished)
    assert (refused.name, refused.folder, refused.state) == ("seed=-1", None, "bad input")
    assert (refused.error, refused.command, refused.seed) == ("seed is -1", "mtbkd seed=-1", -1)


def test_a_run_that_found_anothers_folder_is_told_once_until_it_is_done(tmp_path):
    folder = write_run(tmp_path / "x", seed=0)
    note(tmp_path, 0, Outcome("x", "bad input", {"seed": 5}, "another configuration"))
    assert [run.state for run in read_runs([tmp_path])] == ["bad input"]
    # The same settings were finished there since: what was said before holds no longer.
    config = {"seed": 0, "weighting": {"name": "uniform"}, "threads": 2}
    note(tmp_path, 0, Outcome("x", "bad input", config, "no file"))
    assert [(run.state, run.folder) for run in read_runs([tmp_path])] == [("finished", folder)]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics.json", "[]"),
        ("metrics.json", "null"),
        ("metrics.json", '{"timing": {}, "student": 5}'),
        ("metrics.json", '{"timing": [1]}'),
        ("run.json", '{"state": "finished", "hash": "x", "config": null}'),
        ("run.json", '{"state": "finished", "hash": "x", "config": [1]}'),
    ],
)
def test_a_damaged_run_leaves_the_others(tmp_path, file, content):
    write_run(tmp_path / "good")
    (write_run(tmp_path / "bad") / file).write_text(content)
    found = {run.name: run for run in read_runs([tmp_path])}
    assert {name: run.state for name, run in found.items()} == {"good": "finished", "bad": "damaged"}
    assert "is damaged" in found["bad"].error


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"run": "x"'])
def test_a_damaged_outcome_leaves_the_others(tmp_path, content):
    write_run(tmp_path / "x")
    note(tmp_path, 0, Outcome("x", "finished", {}))
    (tmp_path / ".outcomes" / "1.json").write_text(content)
    found = {run.name: run for run in read_runs([tmp_path])}
    assert {name: run.state for name, run in found.items()} == {
        "x": "finished",
        ".outcomes/1.json": "damaged",
    }
    assert "is damaged" in found[".outcomes/1.json"].error
    # A folder that tells of the same run says enough.
    number(write_run(tmp_path / "y", seed=1), 1)
    assert {run.name: run.state for run in read_runs([tmp_path])} == {"x": "finished", "y": "finished"}


def test_scores_of_all_models_by_dotted_names(tmp_path):
    metrics = {
        "kd_student": {"accuracy": 0.8, "nll": None, "ood": {"total": {"auroc": 0.75}}},
        "teachers": {"forest": {"accuracy": 0.7, "nll": 0.5, "seconds": 3.0}},
        "timing": {"teachers_s": 5.0, "kd_student_s": 1.0, "student_s": 2.0, "evaluation_s": None},
    }
    write_run(tmp_path / "a", metrics=metrics, student={"ood": None, "per_class": [1, 2]})
    run = read_runs([tmp_path])[0]
    assert run.scores["kd_student"] == {
        "accuracy": 0.8,
        "nll": math.inf,
        "ood.total.auroc": 0.75,
        "fit_s": 1.0,
    }
    # A MAP that the student starts from is part of its cost.
    assert run.scores["student"]["fit_s"] == 3.0
    assert run.scores["student"]["validation_nll"] == 0.25
    assert run.scores["teacher forest"]["accuracy"] == 0.7
    assert run.seconds == 8.0


def test_a_run_that_nobody_finished(tmp_path):
    write_run(tmp_path / "a", state="running")
    run = read_runs([tmp_path])[0]
    assert (run.state, run.finished, run.scores) == ("unfinished", False, {})
