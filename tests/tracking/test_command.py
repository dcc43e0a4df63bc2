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


def test_a_password_in_a_file_of_ones_own_is_not_copied(mtbkd, words, tmp_path):
    mine = tmp_path / "mine" / "tracking" / "ours.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("defaults: [mlflow]\nuri: https://u:pw@127.0.0.1:9\n")
    code, out, err = mtbkd("-m", "--config-dir", str(mine.parents[1]), *words, "tracking=ours", "seed=0,1")
    assert code in (1, 2)
    assert any("'https://u:***@127.0.0.1:9', with a password" in line for line in err)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path != mine]
    assert not [path for path in kept if b"pw@" in path.read_bytes()]
    assert not any("pw@" in line for line in (*out, *err))


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
