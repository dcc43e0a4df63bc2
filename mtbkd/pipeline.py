"""One experiment, start to end; the only place that knows all rooms.

    data -> teachers -> temperature -> weighting -> prior -> student -> engine -> posterior -> scores -> report

Each fitted posterior is kept as soon as it is there, so that a run that was stopped goes on from it.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

from torch import Tensor

from mtbkd import registry
from mtbkd.configuration import RunConfig
from mtbkd.data.distillation import DistillationData
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference.engine import EngineConfig
from mtbkd.inference.map import warm_start
from mtbkd.posterior import Posterior
from mtbkd.priors.prior import TeacherPrior
from mtbkd.progress import Progress, TerminalProgress
from mtbkd.run_directory import RunDirectory, write_json
from mtbkd.students.student import Student
from mtbkd.students.weight_prior import NormalWeights
from mtbkd.summary import Models, metrics_of, report_content, save_predictions, to_inference_data
from mtbkd.teachers import BankCache, TeacherBank, ask_all, build_teachers
from mtbkd.temperature import temperatures
from mtbkd.weighting import weigh

log = logging.getLogger("mtbkd")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Problem:
    """What there is before any student: data, what the teachers say of each split, and the prior they make."""

    data: DistillationData
    banks: dict[str, TeacherBank]
    missing: dict[str, str]
    weights: Tensor
    prior: TeacherPrior


def run(config: RunConfig, directory: RunDirectory, command: str, progress: Progress | None = None) -> str:
    """Do the run in its folder, or what is left of it; returns 'finished'.

    Raises `InputError` for what cannot work, before any training.
    """
    from rich.console import Console

    from mtbkd.report.tables import terminal_table

    console = Console()
    state = directory.begin(config, command)
    console.print(f"run: {command}", style="dim", soft_wrap=True, highlight=False)
    if state == "finished":
        print(f"{directory.path} is finished; nothing to do (fresh=true does it again)")
        return "finished"
    with logged(directory.path / "run.log") as caught:
        log.info("%s: %s", state, command)
        timing: dict[str, float] = {}
        problem = timed(timing, "teachers_s", lambda: state_problem(config, progress or TerminalProgress()))
        models = fit_students(config, problem, directory, timing, progress or TerminalProgress())
        began = time.perf_counter()
        metrics = metrics_of(config, problem.data, problem.banks, models, timing)
        save_predictions(directory.path / "predictions.npz", problem.data, problem.banks, models)
        to_inference_data(config, problem.data, problem.banks, problem.prior, models).to_netcdf(
            str(directory.path / "inference_data.nc")
        )
        metrics["timing"]["evaluation_s"] = time.perf_counter() - began
        write_json(directory.path / "metrics.json", metrics)
        page = registry.find("report", config.methods["report"])
        content = report_content(
            config, problem.data, problem.banks, problem.prior, models, metrics, command, caught
        )
        page.write_report(directory.path / "report.html", content)
        directory.finish()
    console.print(terminal_table(metrics))
    console.print(f"report: {directory.path / 'report.html'}", soft_wrap=True, highlight=False)
    return "finished"


def state_problem(config: RunConfig, progress: Progress) -> Problem:
    """Load the data, ask the teachers, weight them, and make the prior."""
    seed = config.settings.seed
    data = registry.find("data", config.methods["data"]).load(config.data, seed)
    teachers = build_teachers(config.teachers, data, seed)
    # The student's own mistakes are told before the teachers, who may take long, are asked.
    make_student(config, data, None)
    banks, missing = ask_all(teachers, data.splits, BankCache(config.teachers.cache), progress)
    tau = temperatures(config.temperature, banks["pool"], banks.get("validation"), data.validation.y)
    banks = {split: bank.tempered(tau) for split, bank in banks.items()}
    weights = weigh(config.weighting, banks["pool"], data.pool.y)
    prior = registry.find("prior", config.methods["prior"]).build(config.prior, banks["pool"], weights)
    return Problem(data, banks, missing, weights, prior)


def make_student(config: RunConfig, data: DistillationData, prior: TeacherPrior | None) -> Student:
    """The configured student; without a prior the same one with labels only."""
    choice = config.student
    network = registry.find("student", config.methods["student"]).build(
        choice, data.input_shape, data.num_classes
    )
    weight_prior = NormalWeights(choice.prior_scale, choice.prior_kind)
    strength = config.prior.strength if prior is not None else 0.0
    return Student(network, prior, strength=strength, weight_prior=weight_prior, bayesian=choice.bayesian)


def fit_students(
    config: RunConfig, problem: Problem, directory: RunDirectory, timing: dict[str, float], progress: Progress
) -> Models:
    """The Bayesian student and those it is compared with, each kept when it is there."""
    data, seed = problem.data, config.settings.seed
    student = make_student(config, data, problem.prior)

    def fit_it(model: Student, inference: EngineConfig, start: Posterior | None = None) -> Posterior:
        top = config.settings
        return fit(
            model,
            data,
            inference,
            seed=seed,
            device=top.device,
            compiled=top.compile,
            start=start,
            progress=progress,
        )

    def fitted(name: str, work: Callable[[], Posterior]) -> Posterior:
        folder = directory.stages / name
        if folder.exists():
            log.info("%s: already fitted, read again", name)
            posterior = Posterior.load(folder, student.skeleton.module)
            timing[f"{name}_s"] = float(posterior.meta["seconds"])
            return posterior
        posterior = timed(timing, f"{name}_s", work)
        posterior.save(folder)
        return posterior

    def mapped() -> Posterior:
        return fit_it(student, warm_start(config.inference))

    def posterior() -> Posterior:
        return fit_it(student, config.inference, maps)

    def labels_only() -> Posterior:
        return fit_it(make_student(config, data, None), config.inference)

    is_map = config.methods["inference"] == "map"
    maps = None if is_map else fitted("kd_student", mapped)
    label_only = fitted("label_only_student", labels_only) if config.baseline.label_only_student else None
    final = fitted("student", posterior)
    final.save(directory.path / "posterior")
    kd = final if maps is None else maps
    return Models(final, kd.chains(slice(0, 1)) if config.baseline.kd_student else None, label_only)


def timed(timing: dict[str, float], name: str, work: Callable[[], Made]) -> Made:
    """Do the work and note its seconds."""
    began = time.perf_counter()
    result = work()
    timing[name] = time.perf_counter() - began
    log.info("%s: %.1f s", name.removesuffix("_s"), timing[name])
    return result


@contextmanager
def logged(path: Path) -> Iterator[list[str]]:
    """Log into the run's folder; yields the warnings that were given, once each, which are shown as well."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    caught: list[str] = []
    shown = warnings.showwarning

    def note(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = str(message)
        if text not in caught:
            caught.append(text)
            log.warning("%s: %s", category.__name__, text)
            shown(message, category, filename, lineno, file, line)

    warnings.showwarning = note
    try:
        yield caught
    except InputError as error:
        log.error("bad input: %s", error)
        raise
    except Exception:
        log.exception("failed")
        raise
    finally:
        warnings.showwarning = shown
        log.removeHandler(handler)
        handler.close()
