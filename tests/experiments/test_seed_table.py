"""The table of seeds against intervals computed by scipy and by hand."""

import json

import numpy as np
import pytest
from scipy import stats

from experiments.seed_table import interval, markdown, read_runs


def write_run(folder, seed, accuracy, nll, band=0.05):
    folder.mkdir(parents=True)
    scores = {"accuracy": accuracy, "nll": nll, "brier": 0.1, "ece": 0.04, "ece_band_high": band}
    metrics = {"teachers": {"forest": scores | {"nll": None}}, "student": scores, "kd_student": None}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "run.json").write_text(json.dumps({"config": {"seed": seed}}))


def test_interval_is_students_t():
    values = [0.9, 0.92, 0.97]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert interval(values) == f"{np.mean(values):.3f} ± {(high - low) / 2:.3f}"


def test_one_run_has_no_interval_and_an_infinite_score_no_mean():
    assert interval([0.5]) == "0.500"
    assert interval([0.5, None]) == "∞"


def test_rows_are_models_and_the_band_is_counted(tmp_path):
    write_run(tmp_path / "seed=0", 0, 0.9, 0.3)
    write_run(tmp_path / "seed=1", 1, 0.8, 0.5, band=0.03)
    runs = read_runs(tmp_path)
    assert sorted(runs["seed"].unique()) == [0, 1]
    lines = markdown(runs).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["forest", "Bayesian student"]
    assert lines[2].split("|")[3].strip() == "∞"
    assert "0.850 ±" in lines[3]
    assert lines[3].endswith("| 1 of 2 |")


def test_a_folder_without_runs_is_told(tmp_path):
    with pytest.raises(SystemExit, match=r"no metrics\.json below"):
        read_runs(tmp_path)
