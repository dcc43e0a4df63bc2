"""`tracking=mlflow` from the command: every finished run once, and none lost by it."""

import json
from pathlib import Path

import pytest

from mtbkd.tracking.mlflow import numbers_of

mlflow = pytest.importorskip("mlflow")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What the command sets is put back; nobody's own server is used."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def runs_in(folder: Path):
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mtbkd")
    return client.search_runs([experiment.experiment_id])


def test_a_sweep_has_one_store_and_a_run_is_logged_once(mtbkd, words, tmp_path):
    sweep = ["-m", *words, "report=none", "seed=0,-1,1", "hydra.sweep.dir=sweep"]
    assert mtbkd(*sweep)[0] == 1  # runs may be told of after they were done
    for _ in range(2):
        code, out, _ = mtbkd(*sweep, "tracking=mlflow")
        assert code == 1
        logged = runs_in(tmp_path / "sweep")
        assert sorted(run.info.run_name for run in logged) == ["seed=0", "seed=1"]
        for run in logged:
            metrics = json.loads((tmp_path / "sweep" / run.info.run_name / "metrics.json").read_text())
            assert run.data.metrics == numbers_of(metrics)
            assert run.data.metrics["student.nll"] == metrics["student"]["nll"]
            assert run.data.params["inference.steps"] == "20"
            assert run.data.params["seed"] == run.info.run_name.removeprefix("seed=")
    assert f"MLflow: mlflow ui --backend-store-uri sqlite:///{tmp_path}/sweep/mlflow.db" in out


@pytest.mark.parametrize("more", [[], ["-m", "seed=0,1"]], ids=["run", "sweep"])
def test_a_password_among_the_words_is_kept_nowhere(mtbkd, words, tmp_path, more):
    code, out, err = mtbkd(*more, *words, "tracking=mlflow", "tracking.uri=https://u:pw@127.0.0.1:9")
    assert (code, out, len(err)) == (2, [], 1)
    assert err[0].startswith("mtbkd: tracking.uri is 'https://u:***@127.0.0.1:9', with a password")
    assert list(tmp_path.iterdir()) == []


def test_a_password_in_an_error_of_the_store_is_not_told(mtbkd, words, monkeypatch):
    def away(*args, **more):
        raise OSError("no answer from https://u:pw@host/api")

    monkeypatch.setattr(mlflow.MlflowClient, "get_experiment_by_name", away)
    code, _, err = mtbkd(*words, "report=none", "tracking=mlflow", "hydra.run.dir=run")
    assert (code, len(err)) == (0, 1)
    assert "(OSError: no answer from https://u:***@host/api)" in err[0]


def test_a_store_that_fails_loses_no_run(mtbkd, words, tmp_path, monkeypatch):
    def full(*args, **more):
        raise OSError("no space left")

    run = [*words, "report=none", "tracking=mlflow", "hydra.run.dir=run"]
    with monkeypatch.context() as broken:
        broken.setattr(mlflow.MlflowClient, "create_run", full)
        code, out, err = mtbkd(*run)
    assert code == 0
    assert err == [
        "mtbkd: the run is finished, but not tracked (OSError: no space left); the same command does what is left"
    ]
    assert json.loads((tmp_path / "run/run.json").read_text())["state"] == "finished"
    assert out[-1].startswith("no report; figures: ")
    for _ in range(2):
        code, _, err = mtbkd(*run)
        assert (code, err) == (0, [])
        assert [told.info.run_name for told in runs_in(tmp_path / "run")] == ["run"]
