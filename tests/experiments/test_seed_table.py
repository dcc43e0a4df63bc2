"""The table of seeds against intervals computed by scipy and by hand, and choices made by hand."""

import json
import sys

import numpy as np
import pytest
from scipy import stats

from experiments import seed_table
from experiments.seed_table import interval, markdown, read_runs, tabulate
from mtbkd.errors import InputError

SCALE = "student.prior_scale"


def write_run(root, seed, nll=0.3, scale=3.0, validation=None, accuracy=0.9, band=0.05, **changes):
    """A finished run; nll: of all students on test rows; validation: their NLL on validation rows, by model."""
    folder = root / f"seed={seed},scale={scale}"
    folder.mkdir(parents=True)
    scores = {"accuracy": accuracy, "nll": nll, "brier": 0.1, "ece": 0.04, "ece_band_high": band}
    forest = {"accuracy": 0.8 + seed / 100, "nll": None, "brier": 0.2, "ece": 0.03, "ece_band_high": 0.05}
    metrics = {
        "teachers": {"forest": forest},
        "student": scores,
        "kd_student": None,
        "label_only_student": scores if validation and "label_only_student" in validation else None,
        "validation": validation and {model: {"nll": value} for model, value in validation.items()},
    }
    config = {"seed": seed, "student": {"prior_scale": scale, "hidden": [4]}, "threads": scale}
    record = {"state": "finished", "config": config}
    (folder / "metrics.json").write_text(json.dumps({**metrics, **changes.pop("metrics", {})}))
    (folder / "run.json").write_text(json.dumps({**record, **changes}))
    return folder


def told(monkeypatch, capsys, *words):
    """What the command prints."""
    monkeypatch.setattr(sys, "argv", ["seed_table", *map(str, words)])
    seed_table.main()
    return capsys.readouterr().out


@pytest.fixture
def grid(tmp_path):
    """Two seeds, three scales: the test scores tell the run; the students' best validation NLL are of other runs."""
    by_validation = {
        # seed: {scale: (test NLL, Bayesian student's validation NLL, labels only)}
        0: {1.0: (0.1, 0.9, 0.9), 3.0: (0.2, 0.5, 0.8), 10.0: (0.3, 0.6, 0.7)},
        1: {1.0: (0.4, 0.3, 0.9), 3.0: (0.5, 0.4, None), 10.0: (0.6, 0.5, 0.2)},
    }
    for seed, runs in by_validation.items():
        for scale, (nll, student, labels) in runs.items():
            write_run(
                tmp_path,
                seed,
                nll,
                scale,
                {"student": student, "kd_student": None, "label_only_student": labels},
            )
    return tmp_path


def test_interval_is_students_t():
    values = [0.9, 0.92, 0.97]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert interval(values) == f"{np.mean(values):.3f} ± {(high - low) / 2:.3f}"


def test_one_run_has_no_interval_and_an_infinite_score_no_mean():
    assert interval([0.5]) == "0.500"
    assert interval([0.5, None]) == "∞"


def test_rows_are_models_and_the_band_is_counted(tmp_path):
    write_run(tmp_path, 0, accuracy=0.9)
    write_run(tmp_path, 1, accuracy=0.8, band=0.03)
    table = tabulate(read_runs(tmp_path))
    assert sorted(table["seed"].unique()) == [0, 1]
    lines = markdown(table).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["forest", "Bayesian student"]
    assert lines[2].split("|")[3].strip() == "∞"
    assert "0.850 ±" in lines[3]
    assert lines[3].endswith("| 1 of 2 |")


def test_each_student_of_each_seed_is_chosen_by_its_own_validation_score(grid):
    table = tabulate(read_runs(grid), [SCALE]).set_index(["model", "seed"])
    # The test scores would have chosen scale 1 for everyone.
    assert table.loc["Bayesian student", SCALE].to_dict() == {0: 3, 1: 1}
    assert table.loc["Bayesian student", "nll"].to_dict() == {0: 0.2, 1: 0.4}
    assert table.loc["student, labels only", SCALE].to_dict() == {0: 10, 1: 10}
    assert table.loc["student, labels only", "nll"].to_dict() == {0: 0.3, 1: 0.6}
    assert table.loc["student, labels only", "validation_nll"].to_dict() == {0: 0.7, 1: 0.2}
    assert table.loc["forest", "accuracy"].to_dict() == {0: 0.8, 1: 0.81}
    assert table.loc["forest", SCALE].isna().all()


def test_the_command_tells_what_was_chosen_and_where_the_grid_ends(grid, monkeypatch, capsys):
    csv = grid / "results" / "found.csv"
    said = told(monkeypatch, capsys, grid, "--choose", SCALE, "--csv", csv)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines() if line[:1] == "|"]
    assert rows[0][-1] == SCALE
    assert {row[0]: row[-1] for row in rows[2:]} == {
        "forest": "",
        "student, labels only": "10, 10",
        "Bayesian student": "3, 1",
    }
    assert f"{SCALE}: of 1, 3, 10," in said
    assert "at the grid's end 10: student, labels only, 2 of 2 seeds" in said
    assert "at the grid's end 1: Bayesian student, 1 of 2 seeds" in said
    lines = csv.read_text().splitlines()
    assert lines[0] == f"model,seed,accuracy,nll,brier,ece,ece_band_high,ood_auroc,{SCALE},validation_nll"
    assert lines[3] == "Bayesian student,0,0.9,0.2,0.1,0.04,0.05,,3,0.5"


def test_several_settings_and_lists_can_be_chosen(tmp_path):
    for number, (scale, hidden, nll) in enumerate(
        [(1, [4], 0.4), (1, [8], 0.2), (3, [4], 0.3), (3, [8], 0.5)]
    ):
        config = {"seed": 0, "student": {"prior_scale": scale, "hidden": hidden}}
        write_run(tmp_path / str(number), 0, scale=scale, validation={"student": nll}, config=config)
    table = tabulate(read_runs(tmp_path), [SCALE, "student.hidden"])
    chosen = table[table["model"] == "Bayesian student"].iloc[0]
    assert (chosen[SCALE], chosen["student.hidden"], chosen["validation_nll"]) == (1, "[8]", 0.2)


def test_of_equals_the_smallest_value_is_chosen(tmp_path):
    for scale in (10.0, 2.0, 3.0):
        write_run(tmp_path, 0, scale=scale, validation={"student": 0.5})
    assert tabulate(read_runs(tmp_path), [SCALE])[SCALE].dropna().tolist() == [2]


def test_a_folder_without_runs_is_told_with_exit_code_2(tmp_path, monkeypatch, capsys):
    with pytest.raises(InputError, match=r"no run\.json below"):
        read_runs(tmp_path)
    with pytest.raises(SystemExit) as ended:
        told(monkeypatch, capsys, tmp_path)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: no run.json below")


def test_an_unfinished_run_is_told(tmp_path):
    write_run(tmp_path, 0, state="failed")
    with pytest.raises(InputError, match=r"scale=3.0' is failed; finish the run"):
        read_runs(tmp_path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([], r"differ in student\.prior_scale besides the seed; have it chosen by --choose"),
        (["student.prior_scal"], r"no such setting; did you mean 'student\.prior_scale'\?"),
    ],
    ids=["not chosen", "unknown"],
)
def test_what_differs_must_be_named(grid, keys, message):
    with pytest.raises(InputError, match=message):
        tabulate(read_runs(grid), keys)


def test_every_seed_needs_the_same_values(grid):
    (grid / "seed=1,scale=10.0" / "run.json").unlink()
    with pytest.raises(InputError, match=r"seed 1 has no run with student\.prior_scale=10\.0"):
        tabulate(read_runs(grid), [SCALE])


def test_one_run_of_each_setting(grid):
    write_run(grid / "again", 1, scale=3.0)
    with pytest.raises(InputError, match="seed 1 has several runs of the same settings"):
        tabulate(read_runs(grid), [SCALE])


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"validation": None}, r"no labelled validation rows to choose by; set data\.validation_fraction"),
        ({"validation": {"student": {"nll": None}}}, "Bayesian student has no finite validation NLL"),
    ],
    ids=["no rows", "not finite"],
)
def test_without_validation_scores_there_is_no_choice(tmp_path, metrics, message):
    for scale in (1.0, 3.0):
        write_run(tmp_path, 0, scale=scale, metrics=metrics)
    with pytest.raises(InputError, match=message):
        tabulate(read_runs(tmp_path), [SCALE])


def test_runs_of_an_earlier_version_are_to_be_done_again(tmp_path):
    folder = write_run(tmp_path, 0)
    found = json.loads((folder / "metrics.json").read_text())
    del found["validation"]
    (folder / "metrics.json").write_text(json.dumps(found))
    assert len(tabulate(read_runs(tmp_path))) == 2
    with pytest.raises(InputError, match="has no validation scores; do the run again with fresh=true"):
        tabulate(read_runs(tmp_path), [SCALE])


def test_a_setting_that_changes_teachers_cannot_be_chosen(tmp_path):
    for scale, nll in ((1.0, 0.4), (3.0, 0.5)):
        forest = {"accuracy": 0.9, "nll": nll, "brier": 0.2, "ece": 0.03, "ece_band_high": 0.05}
        write_run(
            tmp_path, 0, scale=scale, validation={"student": 0.3}, metrics={"teachers": {"forest": forest}}
        )
    with pytest.raises(InputError, match=r"'forest' scores otherwise with student\.prior_scale=3\.0"):
        tabulate(read_runs(tmp_path), [SCALE])
