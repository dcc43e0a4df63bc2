"""MLflow: a finished run's settings, figures and files in a store whose pages show runs side by side.

The store is a tracking server, or a database: by default SQLite in the run's folder, or the sweep's for all its runs.
A run is known there by the hash of its metrics.json, so that it is logged once however often it is told of.
"""

import hashlib
import json
import logging
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from mtbkd.configuration import flatten
from mtbkd.errors import InputError
from mtbkd.tracking import Tracker
from mtbkd.tracking.password import masked, require_no_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
DIGEST = "mtbkd.metrics_sha256"
# MLflow takes that many at a time, and names of these characters.
AT_A_TIME = 100
NOT_IN_NAMES = re.compile(r"[^\w\-. /:]")
Item = TypeVar("Item")


@dataclass(frozen=True)
class MlflowConfig:
    """Where runs are logged, under which name, and which of their files are copied there."""

    name: str = "mlflow"
    uri: str | None = None
    experiment: str = "mtbkd"
    artifacts: list[str] = field(
        default_factory=lambda: ["report.html", "metrics.json", "predictions.npz", "run.log"]
    )

    def __post_init__(self) -> None:
        if self.uri is not None:
            require_no_password("uri", self.uri)
        if self.uri is not None and urlsplit(self.uri).scheme in ("", "file") and self.uri != "databricks":
            raise InputError(
                f"uri is '{self.uri}'; MLflow keeps runs in a database or on a server: write "
                "sqlite:///PATH/mlflow.db or http://HOST:PORT"
            )
        if not self.experiment.strip():
            raise InputError("experiment is empty; give the runs a name")


def build(config: MlflowConfig, shared: Path) -> Tracker:
    """What logs finished runs; the library and a server's answer are asked for now, before any work.

    shared: folder of the store where no other is told
    Raises `InputError` where MLflow is not installed, or the server does not answer.
    """
    import_quietly()
    uri = store_uri(config, shared)
    shown = masked(uri)  # that of the environment may have a password
    if urlsplit(uri).scheme in ("http", "https"):
        try:
            client_of(uri).search_experiments(max_results=1)
        except Exception as error:
            told = masked(str(error).splitlines()[0])
            raise InputError(
                f"tracking.uri: '{shown}' does not answer ({told}); start it, or choose another"
            ) from error

    def log(run: Path) -> None:
        with alone(uri):
            log_run(client_of(uri), config, uri, run)

    own_pages = urlsplit(uri).scheme in ("http", "https", "")
    return Tracker(
        log,
        f"MLflow: {shown}" if own_pages else f"MLflow: mlflow ui --backend-store-uri {shlex.quote(shown)}",
    )


def import_quietly() -> None:
    """Import MLflow so that it tells nobody of its use; raises `InputError` where it is not installed."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Its own default waits for minutes before a server that is gone is told of.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    try:
        import mlflow  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "mlflow":
            raise
        raise InputError(
            'tracking=mlflow needs MLflow: pip install "mtbkd[mlflow]", or tracking=none'
        ) from error
    for name in ("mlflow", "alembic"):  # which tell of each table that they make
        logging.getLogger(name).setLevel(logging.WARNING)


def store_uri(config: MlflowConfig, shared: Path) -> str:
    """Where runs are logged; a file's path is absolute, since runs may be other processes'."""
    uri = config.uri or os.environ.get("MLFLOW_TRACKING_URI")
    if uri is not None and not uri.startswith(SQLITE):
        return uri
    path = (shared / "mlflow.db" if uri is None else database_of(uri)).absolute()
    return f"{SQLITE}{str(path).replace('%', '%25').replace('?', '%3F')}"


def database_of(uri: str) -> Path:
    """The file of a SQLite store."""
    return Path(unquote(uri.removeprefix(SQLITE)))


def client_of(uri: str) -> "MlflowClient":
    """A client of the store."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def alone(uri: str) -> AbstractContextManager[Any]:
    """Keeps other runs of ours out of a SQLite store: two that make its tables at once spoil it."""
    from filelock import FileLock

    if not uri.startswith(SQLITE):
        return nullcontext()
    database = database_of(uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(database.with_name(f".{database.name}.lock"))


def log_run(client: "MlflowClient", config: MlflowConfig, uri: str, run: Path) -> None:
    """Log the finished run in this folder, unless it is there; one whose logging was cut short is completed."""
    from mlflow.entities import Metric, Param

    text = (run / "metrics.json").read_bytes()
    metrics, record = json.loads(text), json.loads((run / "run.json").read_text())
    digest = hashlib.sha256(text).hexdigest()
    experiment = experiment_of(client, config.experiment, uri)
    told = client.search_runs([experiment], f"tags.`{DIGEST}` = '{digest}'")
    if any(found.info.status == "FINISHED" for found in told):
        return
    ended = round(1000 * (run / "metrics.json").stat().st_mtime)
    seconds = sum(value for name, value in metrics["timing"].items() if name.endswith("_s"))
    identity = (
        told[0].info.run_id
        if told
        else client.create_run(
            experiment, ended - round(1000 * seconds), tags_of(record, metrics, digest, run), run.name
        ).info.run_id
    )
    for params in batches([Param(key, value) for key, value in params_of(record["config"]).items()]):
        client.log_batch(identity, params=params)
    for figures in batches([Metric(key, value, ended, 0) for key, value in numbers_of(metrics).items()]):
        client.log_batch(identity, metrics=figures)
    client.log_dict(identity, record["config"], "config.yaml")
    for name in config.artifacts:
        path = run / name
        if path.is_dir():
            client.log_artifacts(identity, str(path), name)
        elif path.exists():
            client.log_artifact(identity, str(path))
    client.set_terminated(identity, "FINISHED", ended)


def batches(items: list[Item]) -> Iterator[list[Item]]:
    """The items in lists that MLflow takes at a time."""
    return (items[first : first + AT_A_TIME] for first in range(0, len(items), AT_A_TIME))


def experiment_of(client: "MlflowClient", name: str, uri: str) -> str:
    """The experiment's id; it is made where it is not there, with its files beside a SQLite database."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    beside = None
    if uri.startswith(SQLITE):
        beside = (database_of(uri).parent / "mlartifacts").as_uri()
    return str(client.create_experiment(name, beside))


def tags_of(record: dict[str, Any], metrics: dict[str, Any], digest: str, run: Path) -> dict[str, str]:
    """What is told of a run beside its settings and figures."""
    return {
        DIGEST: digest,
        "mtbkd.command": record["command"],
        "mtbkd.folder": str(run),
        "mtbkd.hash": record["hash"],
        "mtbkd.diagnostics": str(metrics["diagnostics"]["verdict"]),
        "mlflow.source.name": "mtbkd",
    }


def params_of(config: dict[str, Any]) -> dict[str, str]:
    """The resolved configuration as MLflow's parameters: dotted keys, texts as JSON has them without quotes."""
    return {
        NOT_IN_NAMES.sub("_", key): value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in flatten(config).items()
    }


def numbers_of(metrics: dict[str, Any]) -> dict[str, float]:
    """All single numbers of metrics.json under dotted names; what is undefined, a list or a text is left out."""
    return {
        NOT_IN_NAMES.sub("_", key): float(value)
        for key, value in flatten(metrics).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
