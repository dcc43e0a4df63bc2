"""One experiment, start to end; the only place that knows all rooms.

    data -> teachers -> temperature -> weighting -> prior -> student -> engine -> posterior -> scores -> report

Each fitted posterior is kept as soon as it is there, and checkpoints while it is being fitted, so that a run that was
stopped goes on from there.
"""

import logging
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from mtbkd import registry
from mtbkd.configuration import RunConfig
from mtbkd.data.distillation import DistillationData
from mtbkd.data.table_encoding import TableEncoding
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference.engine import EngineConfig, gives_points
from mtbkd.inference.map import warm_start
from mtbkd.objective import require_reachable
from mtbkd.posterior import Posterior
from mtbkd.predictor import Inputs, Reading
from mtbkd.problem import Problem, ask, make_student, prepare
from mtbkd.progress import Progress
from mtbkd.run_directory import RunDirectory, write_json
from mtbkd.run_log import RunLog
from mtbkd.students.student import Student
from mtbkd.summary.files import save_inference_data, save_predictions
from mtbkd.summary.findings import Models, find
from mtbkd.summary.log_joint import log_joint
from mtbkd.summary.metrics import metrics_of
from mtbkd.summary.page_content import page_content

log = logging.getLogger("mtbkd")
Made = TypeVar("Made")
Timing = dict[str, float]


def run(
    config: RunConfig,
    directory: RunDirectory,
    command: str,
    progress: Progress | None = None,
    objective: Sequence[str] = (),
) -> None:
    """Do the run in its folder, or what is left of it; a finished one is left alone.

    command: what makes the run again, for its report; objective: entries of metrics.json that a sweeper goes by
    Raises `InputError` for what cannot work, before any training, and then leaves the folder as it was; any other
    error is kept in run.json and run.log and raised again.
    """
    state = directory.state(config)
    if state == "finished":
        return
    began = False
    with directory.locked():
        if directory.state(config) == "finished":  # by the process that was waited for
            return
        try:
            with RunLog() as notes:
                ingredients = prepare(config)
                labelled = int((ingredients.data.validation.y >= 0).sum())
                require_reachable(objective, labelled, models_of(config, ingredients.data))
                directory.begin(config, command, ingredients.identity)
                began = True
                notes.write_to(directory.path / "run.log")
                log.info("%s: %s", state, command)
                timing: Timing = {}
                shown = progress or Progress()
                problem = timed(timing, "teachers", lambda: ask(config, ingredients, shown))
                models = fit_students(config, problem, directory, timing, shown)
                tell(config, problem, models, directory, timing, command, notes.warnings)
                directory.finish()
                log.info("finished: %s", directory.path / "report.html")
        except InputError:
            if began and state == "new":
                directory.discard()
            raise
        except Exception as error:
            directory.fail(config, command, f"{type(error).__name__}: {error}", traceback.format_exc())
            raise


def models_of(config: RunConfig, data: DistillationData) -> set[str]:
    """The students that the run fits, as metrics.json calls them."""
    wanted = config.baseline
    found = {"student": True, "kd_student": wanted.kd_student}
    found["label_only_student"] = wanted.label_only_student and bool((data.pool.y >= 0).any())
    return {name for name, fitted in found.items() if fitted}


def fit_students(
    config: RunConfig, problem: Problem, directory: RunDirectory, timing: Timing, progress: Progress
) -> Models:
    """The Bayesian student and those it is compared with, each kept when it is there.

    The plain distilled student is the MAP that the engine's chains start from, so it is fitted once for both; without
    labels there is no student from labels only.
    """
    data, top = problem.data, config.settings
    student = make_student(config, data, problem.prior, problem.hints)

    def fit_it(
        model: Student, inference: EngineConfig, folder: Path, start: Posterior | None = None
    ) -> Posterior:
        return fit(
            model,
            data,
            inference,
            seed=top.seed,
            device=top.device,
            compiled=top.compile,
            start=start,
            progress=progress,
            checkpoint=folder,
        )

    def fitted(name: str, work: Callable[[Path], Posterior]) -> Posterior:
        folder, begun = directory.stages / name, directory.stages / f"{name}-begun"
        if folder.exists():
            posterior = Posterior.load(folder, student.skeleton.module)
            timing[f"{name}_s"] = float(posterior.meta["seconds"])
            log.info("%s: fitted before, read again", name)
            return posterior
        posterior = timed(timing, name, lambda: work(begun))
        posterior.save(folder)
        if (step := posterior.meta["resumed_from_step"]) is not None:
            timing["resumed_from_step"] = step
            log.info("%s: went on from step %d", name, step)
        shutil.rmtree(begun)
        return posterior

    engine, wanted = config.inference, config.baseline
    starts = bool(getattr(engine, "warm_start", 0))
    maps = label_only = None
    if not gives_points(engine) and (starts or wanted.kd_student):
        maps = fitted("kd_student", lambda begun: fit_it(student, warm_start(engine), begun))
    if "label_only_student" in models_of(config, data):
        label_only = fitted(
            "label_only_student", lambda begun: fit_it(make_student(config, data), engine, begun)
        )
    final = fitted("student", lambda begun: fit_it(student, engine, begun, maps if starts else None))
    final.save(directory.path / "posterior")
    if data.encoding is not None:
        inputs_of(config, data.encoding, data.class_names).write(directory.path)
    kd = final if gives_points(engine) else maps
    return Models(final, kd.chains(slice(0, 1)) if kd is not None and wanted.kd_student else None, label_only)


def inputs_of(config: RunConfig, encoding: TableEncoding, class_names: tuple[str, ...]) -> Inputs:
    """How columns of other tables become the student's inputs."""
    table = config.data
    return Inputs(class_names, encoding, Reading(table.id_column, table.decimal, table.inputs))


def tell(
    config: RunConfig,
    problem: Problem,
    models: Models,
    directory: RunDirectory,
    timing: Timing,
    command: str,
    warned: list[str],
) -> None:
    """Write what the run found: metrics.json, predictions.npz, inference_data.nc, report.html."""
    began = time.perf_counter()
    findings = find(config, problem, models)
    save_predictions(directory.path / "predictions.npz", problem, findings)
    save_inference_data(directory.path / "inference_data.nc", config, problem, models, findings)
    metrics = metrics_of(problem, models, findings, timing)
    metrics["log_joint"] = log_joint(config, problem, models.student)
    metrics["timing"]["evaluation_s"] = time.perf_counter() - began
    log.info("evaluation: %.1f s", metrics["timing"]["evaluation_s"])
    write_json(directory.path / "metrics.json", metrics)
    content = page_content(config, problem, models, findings, metrics, command, warned)
    write_report = registry.find("report", config.methods["report"]).write_report
    timed({}, "report", lambda: write_report(directory.path / "report.html", content))


def timed(timing: Timing, name: str, work: Callable[[], Made]) -> Made:
    """Do the work and note its seconds, as `NAME_s`."""
    began = time.perf_counter()
    result = work()
    timing[f"{name}_s"] = time.perf_counter() - began
    log.info("%s: %.1f s", name, timing[f"{name}_s"])
    return result
