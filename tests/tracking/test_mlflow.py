"""What MLflow's own client reads back is what the run's folder says."""

import builtins
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mtbkd.errors import InputError
from mtbkd.tracking.mlflow import MlflowConfig, build, numbers_of, params_of, store_uri

METRICS = {
    "student": {"nll": 0.25, "n": 6, "ood": None},
    "teachers": {"a(b)": {"nll": 0.5}},
    "diagnostics": {"verdict": "converged", "words": ["good"], "numbers": {"rhat": 1.01}, "doubted": False},
    "timing": {"teachers_s": 0.5, "student_s": 1.5, "resumed_from_step": None},
}
CONFIG = {"seed": 3, "student": {"name": "mlp", "hidden": [4]}, "teachers": {"members": {}, "cache": None}}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What importing sets is put back; nobody's own server is used."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def finished_run(folder: Path, metrics=METRICS) -> Path:
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    record = {"state": "finished", "hash": "abc", "command": "mtbkd seed=3", "config": CONFIG}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "run.log").write_text("finished\n")
    (folder / "posterior").mkdir()
    (folder / "posterior" / "draws.safetensors").write_bytes(b"12")
    return folder


def runs_in(folder: Path):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{str(folder / 'mlflow.db').replace('%', '%25')}")
    experiment = client.get_experiment_by_name("mtbkd")
    return client, client.search_runs([experiment.experiment_id])


@pytest.fixture(scope="module")
def mlflow():
    return pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def empty_store(mlflow, tmp_path_factory) -> Path:
    """A database with MLflow's tables, which it takes seconds to make."""
    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


def test_a_run_is_read_back_once(mlflow, tmp_path):
    """Two runs of a sweep whose folder has what an address must escape."""
    shared = tmp_path / "a b#c%20d,e=[1]"
    config = MlflowConfig(artifacts=["metrics.json", "report.html", "posterior"])
    track = build(config, shared).log
    one = finished_run(shared / "seed=3")
    other = finished_run(shared / "seed=4", {**METRICS, "student": {"nll": 0.125}})
    for run in (one, other, one):
        track(run)
    client, found = runs_in(shared)
    assert sorted(run.info.run_name for run in found) == ["seed=3", "seed=4"]
    logged = next(run for run in found if run.info.run_name == "seed=3")
    assert logged.info.status == "FINISHED"
    assert logged.info.end_time - logged.info.start_time == 2000
    assert logged.data.metrics == {
        "student.nll": 0.25,
        "student.n": 6,
        "teachers.a_b_.nll": 0.5,
        "diagnostics.numbers.rhat": 1.01,
        "timing.teachers_s": 0.5,
        "timing.student_s": 1.5,
    }
    assert logged.data.params == {
        "seed": "3",
        "student.name": "mlp",
        "student.hidden": "[4]",
        "teachers.members": "{}",
        "teachers.cache": "null",
    }
    assert logged.data.tags["mtbkd.command"] == "mtbkd seed=3"
    assert logged.data.tags["mtbkd.diagnostics"] == "converged"
    names = sorted(artifact.path for artifact in client.list_artifacts(logged.info.run_id))
    assert names == ["config.yaml", "metrics.json", "posterior"]
    copied = client.download_artifacts(logged.info.run_id, "metrics.json", str(tmp_path))
    assert Path(copied).read_bytes() == (one / "metrics.json").read_bytes()
    assert client.list_artifacts(logged.info.run_id, "posterior")[0].file_size == 2
    assert list((shared / "mlartifacts").rglob("run.json")) == [], "a comparison looks for runs by this name"


def test_what_was_cut_short_is_completed(mlflow, empty_store, tmp_path, monkeypatch):
    run = finished_run(tmp_path / "run")
    shutil.copy(empty_store, run)
    track = build(MlflowConfig(), run).log
    with monkeypatch.context() as broken:
        broken.setattr(mlflow.MlflowClient, "log_artifact", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            track(run)
    _, (begun,) = runs_in(run)
    assert begun.info.status == "RUNNING"
    track(run)
    client, (logged,) = runs_in(run)
    assert (logged.info.run_id, logged.info.status) == (begun.info.run_id, "FINISHED")
    assert logged.data.metrics["student.nll"] == 0.25
    assert len(client.get_metric_history(logged.info.run_id, "student.nll")) == 1


def test_many_settings_and_figures_are_told_in_parts(empty_store, tmp_path, monkeypatch):
    monkeypatch.setattr("mtbkd.tracking.mlflow.AT_A_TIME", 2)
    run = finished_run(tmp_path / "run")
    shutil.copy(empty_store, run)
    build(MlflowConfig(), run).log(run)
    _, (logged,) = runs_in(run)
    assert (len(logged.data.params), len(logged.data.metrics)) == (5, 6)


def test_numbers_and_settings_have_names_that_mlflow_takes():
    assert numbers_of({"a": {"b c": 1, "d\\e": 2.5, "f": True, "g": [1], "h": "x", "i": None}}) == {
        "a.b c": 1.0,
        "a.d_e": 2.5,
    }
    assert params_of({"a": {"b": [1, "x"]}, "c": False, "d": "text", "e": None}) == {
        "a.b": '[1, "x"]',
        "c": "false",
        "d": "text",
        "e": "null",
    }


@pytest.mark.parametrize(
    ("told", "environment", "expected"),
    [
        (None, None, "sqlite:////sweep/mlflow.db"),
        (None, "http://server:5000", "http://server:5000"),
        ("http://a", "http://b", "http://a"),
        ("sqlite:///runs.db", None, f"sqlite:///{Path.cwd() / 'runs.db'}"),
        ("sqlite:////runs.db", None, "sqlite:////runs.db"),
        ("databricks", None, "databricks"),
        ("sqlite:////a%3Fb/runs.db", None, "sqlite:////a%3Fb/runs.db"),
    ],
)
def test_where_runs_are_logged(monkeypatch, told, environment, expected):
    if environment:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", environment)
    assert store_uri(MlflowConfig(uri=told), Path("/sweep")) == expected


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:///mlruns"])
def test_a_plain_folder_is_refused(uri):
    with pytest.raises(InputError, match="MLflow keeps runs in a database or on a server"):
        MlflowConfig(uri=uri)
    with pytest.raises(InputError, match="experiment is empty"):
        MlflowConfig(experiment=" ")


def test_without_mlflow_nothing_begins(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "mlflow":
            raise ModuleNotFoundError("No module named 'mlflow'", name="mlflow")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r'pip install "mtbkd\[mlflow\]"'):
        build(MlflowConfig(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_told_before_any_work(mlflow, tmp_path):
    with pytest.raises(InputError, match=r"tracking\.uri: 'http://127\.0\.0\.1:9' does not answer"):
        build(MlflowConfig(uri="http://127.0.0.1:9"), tmp_path)


@pytest.mark.parametrize("uri", ["https://u:pw@host", "postgresql://u:pw@host/db", "file://u:pw@host/x"])
def test_a_password_in_the_settings_is_refused(uri):
    with pytest.raises(InputError, match="give the address by the variable MLFLOW_TRACKING_URI") as caught:
        MlflowConfig(uri=uri)
    assert "pw" not in str(caught.value)


def test_a_password_of_the_environment_is_used_but_not_told(mlflow, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://u:pw@host/db")
    assert store_uri(MlflowConfig(), tmp_path) == "postgresql://u:pw@host/db"
    assert (
        build(MlflowConfig(), tmp_path).where
        == "MLflow: mlflow ui --backend-store-uri 'postgresql://u:***@host/db'"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://u:pw@127.0.0.1:9")
    with pytest.raises(InputError, match=r"'http://u:\*\*\*@127\.0\.0\.1:9' does not answer") as caught:
        build(MlflowConfig(), tmp_path)
    assert "pw" not in str(caught.value)


TWO_AT_ONCE = """
import sys
from pathlib import Path
from mtbkd.tracking.mlflow import MlflowConfig, build
track = build(MlflowConfig(), Path(sys.argv[1])).log
print("ready", flush=True)
sys.stdin.readline()
track(Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_parallel_runs_make_one_store(mlflow, tmp_path):
    processes = []
    for seed in (0, 1):
        run = finished_run(tmp_path / f"seed={seed}", {**METRICS, "student": {"nll": seed}})
        words = [sys.executable, "-c", TWO_AT_ONCE, str(tmp_path), str(run)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(words, **pipes, env={**os.environ, "OMP_NUM_THREADS": "1"}))
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate()
        assert (process.returncode, errors) == (0, b"")
    _, found = runs_in(tmp_path)
    assert sorted(run.data.metrics["student.nll"] for run in found) == [0, 1]
