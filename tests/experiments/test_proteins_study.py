"""The study of proteins: which runs it makes, when one is left alone, and what its table says."""

import json
from pathlib import Path

import pandas as pd
import pytest

from experiments.proteins import ARMS, QUOTED, Run, markdown, row, runs


@pytest.fixture
def run():
    return Run(next(arm for arm in ARMS if arm.name == "hmc"), "all", 3, quick=False)


def metrics(folder, **student):
    """A finished run's metrics.json."""
    scores = {"accuracy": 0.5, "nll": 1.5, "ece": 0.03, "ece_band_low": 0.02, "ece_band_high": 0.05}
    found = {
        "student": {**scores, "parameters": 15114, **student},
        "timing": {"student_s": 100.0, "kd_student_s": 5.0},
        "diagnostics": {
            "numbers": {"rhat_log_density": 1.01, "rhat_probs_median": 1.02, "rhat_probs_max": 1.3}
        },
    }
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(found))


def test_every_arm_is_run_on_both_pools_with_five_seeds():
    planned = list(runs(quick=False))
    assert len(planned) == len({run.folder(Path("runs")) for run in planned}) == 6 * 2 * 5
    assert {run.pool for run in planned} == {"fit", "all"}
    assert len(list(runs(quick=True))) == 6 * 2


def test_the_command_says_everything(run, tmp_path):
    command = run.command(tmp_path / "d.npz", tmp_path)
    assert command[0].endswith("mtbkd")
    assert {"experiment=proteins", "inference=hmc", "seed=3", "data.fit_on=all"} < set(command)
    assert f"hydra.run.dir={tmp_path / 'hmc-all-3'}" in command


def test_only_the_same_finished_command_is_left_alone(run, tmp_path):
    data = tmp_path / "d.npz"
    assert not run.finished(data, tmp_path)
    run.folder(tmp_path).mkdir()

    def record(state, words):
        content = {"state": state, "command": " ".join(["mtbkd", *words])}
        (run.folder(tmp_path) / "run.json").write_text(json.dumps(content))
        return run.finished(data, tmp_path)

    words = run.command(data, tmp_path)[1:]
    assert record("finished", words)
    assert not record("running", words)
    assert not record("finished", [*words, "student.prior_scale=2"])


def test_a_row_has_scores_and_the_seconds_of_warm_start_and_engine(run, tmp_path):
    metrics(run.folder(tmp_path))
    found = row(run, tmp_path)
    assert (found["model"], found["pool"], found["seed"]) == ("hmc", 2500, 3)
    assert (found["accuracy"], found["ece_band_high"], found["seconds"]) == (0.5, 0.05, 105)
    assert found["rhat_probs_max"] == 1.3


def test_the_table_has_means_intervals_and_bands(tmp_path):
    arm = next(arm for arm in ARMS if arm.name == "svi")
    rows = []
    for seed, (accuracy, ece) in enumerate([(0.5, 0.03), (0.6, 0.06)]):
        one = Run(arm, "fit", seed, quick=False)
        metrics(one.folder(tmp_path), accuracy=accuracy, ece=ece)
        rows.append(row(one, tmp_path))
    table = markdown(pd.DataFrame(rows))
    # t of 1 degree of freedom is 12.706, the standard error .05: .55 and .635.
    assert "| MT-BKD, SVI | 2,000 | 0.550 ± 0.635 | 1.500 ± 0.000 |" in table
    assert "| 1 of 2 | 15,114 | 105 |" in table
    assert "R-hat of the log density at most 1.010" in table
    assert all(line in table for line in QUOTED)
